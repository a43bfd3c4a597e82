"""The three phases, one step after the other: what a compression does, told as events."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import keras

from blunet import __version__
from blunet.architecture import census
from blunet.compression.binarisation import binarise
from blunet.compression.checkpoint import read_progress
from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.hints import hint_task
from blunet.compression.report import Report, changes_between
from blunet.compression.report_examples import choose_examples
from blunet.compression.report_page import render_report
from blunet.compression.run_data import Data, read_data
from blunet.compression.run_directory import RunDirectory
from blunet.compression.run_estimate import disk_bytes, duration
from blunet.compression.run_events import BatchDone, Event, Note, RunDone, RunStarted, RunStopped, StepDone, read_events
from blunet.compression.run_request import Request
from blunet.compression.scoring import Stage, score_stage
from blunet.compression.steps import STEPS
from blunet.compression.teacher import load_teacher, rebuilt
from blunet.compression.time_left import TimeLeft
from blunet.compression.training import States, Task, segmentation_task, train
from blunet.dataset.crops import Crops
from blunet.dataset.fields import Field, crop_for_validation, prepare_for_training, read_field, simulate_fields
from blunet.errors import InputError
from blunet.images.normalisation import normalise
from blunet.networks.build import build_network
from blunet.networks.keras_file import KerasModel, load_keras
from blunet.networks.residual_code import PUBLISHED_WINDOW
from blunet.packed.model_card import ModelCard, ModelInfo
from blunet.simulation.dic_fields import simulate_images

PROBES = 16
SIMULATED_DIAMETER = 50.0
#: Simulated fields that choose weights and threshold have the run's seed plus this.
HELD_OUT = 7919
#: The stage that is a start and no result of the run.
BEFORE = "U-Net before transfer"


class Stopped(Exception):
    """The run was cancelled and its state is saved."""

    def __init__(self, event: RunStopped) -> None:
        super().__init__(event)
        self.event = event


def compress(request: Request, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Compress a U-Net into a BLU-Net.

    Parameters
    ----------
    request : Request
    cancelled : callable
        Asked before every batch and step; True saves the state and ends with `RunStopped`.

    Yields
    ------
    Event
        RunStarted first; RunDone or RunStopped last. All but the batches' are in the run's `events.jsonl` too.

    Raises
    ------
    InputError
        Before anything is trained if the data, the teacher, the settings or the run's folder cannot be used;
        later if the loss is no longer finite or the disk is full. What was saved stays.
    """
    data = read_data(request)
    teacher = load_teacher(request.teacher, request.settings)
    run = RunDirectory(request.run)
    with run.enter(request, data.report) as resumed:
        for event in _Run(request, run, data, teacher, resumed, cancelled).events():
            if not isinstance(event, BatchDone):
                run.append_event(event)
            yield event


class _Run:
    """One run: what its steps share."""

    def __init__(
        self,
        request: Request,
        run: RunDirectory,
        data: Data,
        teacher: KerasModel | None,
        resumed: bool,
        cancelled: Callable[[], bool],
    ) -> None:
        self.request, self.run, self.data, self.teacher = request, run, data, teacher
        self.settings: CompressionSettings = request.settings
        self.resumed, self.cancelled = resumed, cancelled
        self.steps = self.settings.steps(request.teacher)
        self.made: dict[int, list[Field]] = {}
        self.sizes = data.report.validation_sizes
        self.began, self.time_left = time.monotonic(), TimeLeft(request.settings, self.steps, self.sizes)
        normalisation = teacher.info.normalisation if teacher else self.settings.normalisation
        card = ModelCard(
            name=f"BLU-Net of {Path(request.data).resolve().name}",
            data=f"{len(data.training)} images of '{Path(request.data).resolve().name}'",
            object_diameter=data.report.object_diameter,
            date=date.today().isoformat(),
            settings=self.settings.to_dict(),
            versions={"napari-blunet": __version__, "keras": keras.__version__},
        )
        self.info = ModelInfo(normalisation=normalisation, threshold=0.5, card=card)

    def events(self) -> Iterator[Event]:
        data, settings = self.data, self.settings
        left = [s for s in self.steps if not self._is_done(s)]
        yield RunStarted(
            run=str(self.run.path),
            steps=self.steps,
            training=[p.name for p in data.training],
            validation=[p.name for p in data.validation],
            test=[p.name for p in data.test],
            resumed=self.resumed,
            seconds=duration(settings, left, self.sizes, data.test_sizes),
            bytes=disk_bytes(settings, self.steps),
        )
        for text in data.report.summarise():
            yield Note(text)
        for text in (*data.report.warnings, *data.test_warnings):
            yield Note(text, warning=True)
        self.real = [prepare_for_training(read_field(p, self.info.normalisation)) for p in data.training]
        whole = [read_field(p, self.info.normalisation) for p in data.validation]
        self.validation = [crop_for_validation(field, settings.validation_size) for field in whole]
        held_out = len(self.validation) if settings.simulated else 0
        seed = settings.seed + HELD_OUT
        self.held_out = list(simulate_images(held_out, object_diameter=self._diameter(), seed=seed))
        self.validation += [
            Field(f"held-out-{i}", normalise(field.image, self.info.normalisation), field.labels)
            for i, field in enumerate(self.held_out)
        ]
        try:
            yield from self._phases()
        except Stopped as stopped:
            yield stopped.event

    def _phases(self) -> Iterator[Event]:
        settings = self.settings
        unet, light = settings.network("unet"), settings.network("lightweight")
        teacher = self.teacher.network if self.teacher else None
        if "pretrain" in self.steps:
            task = rebuilt(None, unet, settings.pretrain.l2, settings.seed)
            teacher = yield from self._segmentation("pretrain", task, "unet")
        before = teacher
        task = rebuilt(teacher, unet, settings.transfer.l2, settings.seed)
        teacher = yield from self._segmentation("transfer", task, "unet", has_learnt=before is not None)
        student = build_network(light, seed=settings.seed + 1)
        for step in STEPS.values():
            if step.hints:
                task = hint_task(teacher, student, light, step.hints, self.validation)
                student = yield from self._step(step.name, student, "lightweight", task)
        student = rebuilt(student, light, settings.retrain.l2, settings.seed)
        hinted = any(STEPS[step].hints for step in self.steps)
        student = yield from self._segmentation("retrain", student, "lightweight", has_learnt=hinted)
        binary = yield from self._binary(student)
        binary = yield from self._segmentation("binarise", binary, "blunet", has_learnt=settings.start == "calibrated")
        yield from self._finish(before, teacher, student, binary)

    def _binary(self, student: keras.Model) -> Generator[Event, None, keras.Model]:
        """Return the BLU-Net as it starts; any one where its step has begun, whose state replaces all weights."""
        settings = self.settings
        window = PUBLISHED_WINDOW if settings.start == "published" else None
        if self.run.result("binarise").exists() or self.run.last("binarise").exists():
            return build_network(settings.network("blunet"), window=window)
        crops = self._crops("binarise", (yield from self._fields("binarise")), 1)
        return binarise(
            student,
            settings.network("lightweight"),
            settings.residual_levels,
            [crops.draw_batch(i).images[0, ..., 0] for i in range(PROBES)],
            settings.start,
            coded=settings.binarize_depthwise,
            window=window,
            seed=settings.seed + 2,
        )

    def _segmentation(
        self, step: str, network: keras.Model, kind: Any, *, has_learnt: bool = False
    ) -> Generator[Event, None, keras.Model]:
        settings, multiple = self.settings.step(step), self.settings.network(kind).multiple
        task = segmentation_task(network, self.validation, multiple, settings, has_learnt=has_learnt)
        return (yield from self._step(step, network, kind, task))

    def _step(self, step: str, network: keras.Model, kind: Any, task: Task) -> Generator[Event, None, keras.Model]:
        """Run a step, or take its result from the run's folder; returns the network with its best weights."""
        if step not in self.steps:
            return network
        settings = self.settings.step(step)
        result, states = self.run.result(step), States(self.run.last(step), self.run.best(step), self.run.preview(step))
        if self._is_done(step):
            network.set_weights(self._result(step).network.get_weights())
            self._tidy(step, states)
            return network
        self._check(step)
        result.unlink(missing_ok=True)  # of fewer epochs: whoever resumes must not take it for the result of these
        crops = self._crops(step, (yield from self._fields(step)), settings.batch)
        for event in train(step, task, crops, settings, states, self.cancelled):
            if isinstance(event, RunStopped):
                raise Stopped(event)
            if isinstance(event, BatchDone):
                event = replace(event, seconds_left=self.time_left.seconds(event))
            yield event
            if isinstance(event, StepDone):
                figures = {"validation_iou": event.val_iou} if event.val_iou is not None else {}
                card = self.info.card.changed(name=f"{step} of {self.info.card.name}", figures=figures)
                info = self.info.changed(card=card)
                KerasModel(network, self.settings.network(kind), info).save(result)
        self._tidy(step, states)
        return network

    def _result(self, step: str) -> KerasModel:
        path = self.run.result(step)
        try:
            return load_keras(path)
        except InputError as e:
            raise InputError(
                f"The result of the step '{step}', '{path}', cannot be read; delete it to do the step again."
            ) from e

    def _tidy(self, step: str, states: States) -> None:
        """Remove the states of a step whose result is there; the last step's stay, for more epochs."""
        if step != "binarise":
            for path in (states.last, states.best):
                path.unlink(missing_ok=True)

    def _is_done(self, step: str) -> bool:
        """Whether a step's result is there; not where it has been given more epochs than it was trained for."""
        if not self.run.result(step).exists():
            return False
        if step != "binarise" or not self.run.last(step).exists():
            return True
        return read_progress(self.run.last(step)).epoch == self.settings.step(step).epochs

    def _fields(self, step: str) -> Generator[Event, None, list[list[Field]]]:
        """The groups of fields that a step's crops are drawn from."""
        if step == "pretrain":
            return [(yield from self._simulated(step, self.settings.pretraining_fields))]
        if self.settings.simulated:
            return [self.real, (yield from self._simulated(step, self.settings.simulated))]
        return [self.real]

    def _simulated(self, step: str, count: int) -> Generator[Event, None, list[Field]]:
        """Simulate fields, once in a run."""
        if count not in self.made:
            yield Note(f"Simulating {count} images.")
            made = []
            for field in simulate_fields(
                count, self.info.normalisation, object_diameter=self._diameter(), seed=self.settings.seed
            ):
                self._check(step)
                made.append(prepare_for_training(field))
            self.made[count] = made
        return self.made[count]

    def _diameter(self) -> float:
        return self.data.report.object_diameter or SIMULATED_DIAMETER

    def _crops(self, step: str, groups: list[list[Field]], batch: int) -> Crops:
        settings = self.settings.step(step)
        seed = self.settings.seed * 1000 + list(STEPS).index(step)
        weighted = settings.border_weights and STEPS[step].learns_masks
        balanced = settings.loss == "bce"
        return Crops(groups, settings.crop, batch, self.settings.augmentation, seed, weighted, balanced)

    def _finish(
        self, before: keras.Model | None, teacher: keras.Model, student: keras.Model, binary: keras.Model
    ) -> Iterator[Event]:
        """Choose the threshold, score every stage, write the report and the packed model."""
        data, settings = self.data, self.settings
        yield Note("Scoring every stage on the validation files" + (" and the test files." if data.test else "."))
        stages: list[Stage] = []
        check = functools.partial(self._check, "report")
        for name, network, kind in self._scored(before, teacher, student, binary):
            model: Any = KerasModel(network, settings.network(kind), self.info)
            model = model.packed() if kind == "blunet" else model
            stages.append(score_stage(name, model, data.validation, data.test, self.run.path, check, self.held_out))
        last = stages[-1].figures
        figures = {f"validation_{key}": getattr(last.validation, key) for key in ("iou", "f1", "ap50")}
        info = self.info.changed(threshold=last.threshold, card=self.info.card.changed(figures=figures))
        replace(model, info=info).save(self.run.model)
        events = list(read_events(self.run.events))
        scored = [stage.figures for stage in stages]
        report = Report(
            models=scored,
            losses=changes_between(scored),
            training=[p.name for p in data.training],
            validation=[p.name for p in data.validation],
            test=[p.name for p in data.test],
            teacher=self.request.teacher,
            settings=settings.to_dict(),
            seconds=sum({e.step: e.seconds for e in events if isinstance(e, StepDone)}.values()),
            stored_bits=census(settings.network("blunet")).bits,
        )
        shown = [stage for stage in stages if stage.figures.name != BEFORE]
        examples = choose_examples(shown, data.validation, self.info.normalisation)
        self.run.write_report(report, render_report(report, events, examples))
        yield RunDone(str(self.run.model), str(self.run.report), time.monotonic() - self.began)

    def _scored(
        self, before: keras.Model | None, teacher: keras.Model, student: keras.Model, binary: keras.Model
    ) -> Iterator[tuple[str, keras.Model, Any]]:
        """Yield name, network and kind of what has learnt something, and the BLU-Net in any case."""
        if before is not None and "transfer" in self.steps:
            yield BEFORE, before, "unet"
        if before is not None or "transfer" in self.steps:
            yield "U-Net", teacher, "unet"
        if {"hint_encoder", "hint_decoder", "retrain"} & set(self.steps):
            yield "lightweight U-Net", student, "lightweight"
        yield "BLU-Net", binary, "blunet"

    def _check(self, step: str) -> None:
        if self.cancelled():
            raise Stopped(RunStopped(step, 0, 0))
