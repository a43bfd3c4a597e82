"""The three phases, one step after the other: what a compression does, told as events."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from blunet.architecture import census
from blunet.compression.binarise import binarise
from blunet.compression.checkpoint import read_progress
from blunet.compression.dataset import DatasetReport, check_dataset
from blunet.compression.estimate import VALIDATED, disk_bytes, duration
from blunet.compression.events import BatchDone, Event, Note, RunDone, RunStarted, RunStopped, StepDone, read_events
from blunet.compression.examples import examples
from blunet.compression.hints import Part, hint_task
from blunet.compression.page import report_page
from blunet.compression.report import Stage, losses_between, score_stage
from blunet.compression.request import Request
from blunet.compression.run_directory import RunDirectory
from blunet.compression.samples import Crops, Field, centre, parted, read_field, simulated_fields, simulated_images
from blunet.compression.settings import STEPS, CompressionSettings
from blunet.compression.splits import folds, split
from blunet.compression.teacher import load_teacher, rebuilt
from blunet.compression.time_left import TimeLeft
from blunet.compression.training import States, Task, segmentation_task, train
from blunet.evaluation.evaluate import check_pairs
from blunet.images.normalise import normalise
from blunet.images.pairs import Pair, find_pairs
from blunet.images.read import open_image
from blunet.networks.build import build_network
from blunet.networks.files import KerasModel, load_keras
from blunet.packed.card import ModelCard, ModelInfo

PROBES = 16
SIMULATED_DIAMETER = 50.0
#: Simulated fields that choose weights and threshold have the run's seed plus this.
HELD_OUT = 7919
#: The stage that is a start and no result of the run.
BEFORE = "U-Net before transfer"


class Stopped(Exception):
    """The run was cancelled and its state is saved."""


@dataclass(frozen=True)
class Data:
    """What a run learns from and is measured on."""

    report: DatasetReport
    training: list[Pair]
    validation: list[Pair]
    test: list[Pair]


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
    with run.opened(request, data.report) as resumed:
        for event in _Run(request, run, data, teacher, resumed, cancelled).events():
            if not isinstance(event, BatchDone):
                run.tell(event)
            yield event


def read_data(request: Request) -> Data:
    """Check the folders and split the files, the same way for the same files and settings."""
    settings = request.settings
    report = check_dataset(request.data, max(settings.step(s).crop for s in STEPS))
    pairs = {pair.name: pair for pair in find_pairs(request.data).pairs}
    if settings.folds > 1:
        chosen = folds(list(pairs), settings.folds, settings.seed)[settings.fold]
    else:
        chosen = split(list(pairs), settings.validation_share, settings.seed)
    training, validation = ([pairs[name] for name in names] for names in chosen)
    test = [] if request.test is None else list(find_pairs(request.test).pairs)
    check_pairs(test)
    return Data(report, training, validation, test)


def _size(pair: Pair) -> tuple[int, int]:
    height, width = open_image(pair.image).shape
    return height, width


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
        self.made: dict[int, list[Field]] = {}
        self.began, self.time_left = time.monotonic(), TimeLeft(request.settings, self._steps())
        normalisation = teacher.info.normalisation if teacher else self.settings.normalisation
        card = ModelCard(
            name=f"BLU-Net of {Path(request.data).resolve().name}",
            data=f"{len(data.training)} images of '{Path(request.data).resolve().name}'",
            object_diameter=data.report.object_diameter,
            date=date.today().isoformat(),
            settings=self.settings.to_dict(),
            versions={"napari-blunet": version("napari-blunet"), "keras": keras.__version__},
        )
        self.info = ModelInfo(normalisation, 0.5, card)

    def events(self) -> Iterator[Event]:
        data, settings = self.data, self.settings
        sizes = {pair.name: pair.shape for pair in data.report.pairs}
        validation = [sizes[p.name] for p in data.validation]
        left = [s for s in self._steps() if not self._is_done(s)]
        yield RunStarted(
            run=str(self.run.path),
            steps=self._steps(),
            training=[p.name for p in data.training],
            validation=[p.name for p in data.validation],
            test=[p.name for p in data.test],
            resumed=self.resumed,
            seconds=duration(settings, left, validation, [_size(p) for p in data.test]),
            bytes=disk_bytes(settings, self._steps()),
        )
        for text in data.report.warnings:
            yield Note(text, warning=True)
        self.real = [parted(read_field(p, self.info.normalisation)) for p in data.training]
        whole = [read_field(p, self.info.normalisation) for p in data.validation]
        self.validation = [centre(field, VALIDATED) for field in whole]
        held_out = len(self.validation) if settings.simulated else 0
        seed = settings.seed + HELD_OUT
        self.held_out = list(simulated_images(held_out, object_diameter=self._diameter(), seed=seed))
        self.validation += [
            Field(f"held-out-{i}", normalise(field.image, self.info.normalisation), field.labels)
            for i, field in enumerate(self.held_out)
        ]
        try:
            yield from self._phases()
        except Stopped:
            return

    def _steps(self) -> list[str]:
        left_out = () if self.request.teacher == "simulated" else ("pretrain",)
        return [s for s in STEPS if self.settings.step(s).run and s not in left_out]

    def _phases(self) -> Iterator[Event]:
        settings = self.settings
        unet, light = settings.network("unet"), settings.network("lightweight")
        teacher = self.teacher.network if self.teacher else None
        if "pretrain" in self._steps():
            task = rebuilt(None, unet, settings.pretrain.l2, settings.seed)
            teacher = yield from self._segmentation("pretrain", task, "unet", [self._simulated(0)])
        before = teacher
        task = rebuilt(teacher, unet, settings.transfer.l2, settings.seed)
        teacher = yield from self._segmentation("transfer", task, "unet")
        student = build_network(light, seed=settings.seed + 1, l2=settings.retrain.l2)
        parts: tuple[Part, ...] = ("encoder", "decoder")
        for part in parts:
            step = f"hint_{part}"
            hints = hint_task(teacher, student, light, part, self.validation)
            student = yield from self._step(step, student, "lightweight", hints)
        student = yield from self._segmentation("retrain", student, "lightweight")
        probes = [self._crops("binarise", self._groups(), 1).draw(i).images[0, ..., 0] for i in range(PROBES)]
        binary = binarise(
            student, light, settings.residual_levels, probes, settings.start, coded=settings.binarize_depthwise
        )
        binary = yield from self._segmentation("binarise", binary, "blunet")
        yield from self._finish(before, teacher, student, binary)

    def _segmentation(
        self, step: str, network: keras.Model, kind: Any, groups: list[list[Field]] | None = None
    ) -> Generator[Event, None, keras.Model]:
        settings = self.settings.step(step)
        task = segmentation_task(network, self.validation, self.settings.network(kind).multiple, settings)
        return (yield from self._step(step, network, kind, task, groups))

    def _step(
        self, step: str, network: keras.Model, kind: Any, task: Task, groups: list[list[Field]] | None = None
    ) -> Generator[Event, None, keras.Model]:
        """Run a step, or take its result from the run's folder; returns the network with its best weights."""
        if step not in self._steps():
            return network
        settings = self.settings.step(step)
        result, states = self.run.result(step), States(self.run.last(step), self.run.best(step), self.run.preview(step))
        if self._is_done(step):
            network.set_weights(load_keras(result).network.get_weights())
            return network
        if self.cancelled():
            yield RunStopped(step, 1, 0)
            raise Stopped
        result.unlink(missing_ok=True)  # of fewer epochs: whoever resumes must not take it for the result of these
        crops = self._crops(step, groups or self._groups(), settings.batch)
        for event in train(step, task, crops, settings, states, self.cancelled):
            if isinstance(event, BatchDone):
                event = replace(event, seconds_left=self.time_left.seconds(event))
            yield event
            if isinstance(event, RunStopped):
                raise Stopped
            if isinstance(event, StepDone):
                figures = {"validation_iou": event.val_iou} if event.val_iou is not None else {}
                card = replace(self.info.card, name=f"{step} of {self.info.card.name}", figures=figures)
                info = replace(self.info, card=card)
                KerasModel(network, self.settings.network(kind), info).save(result)
        if step != "binarise":
            for path in (states.last, states.best):
                path.unlink(missing_ok=True)
        return network

    def _is_done(self, step: str) -> bool:
        """Whether a step's result is there; not where it has been given more epochs than it was trained for."""
        if not self.run.result(step).exists():
            return False
        if step != "binarise" or not self.run.last(step).exists():
            return True
        return read_progress(self.run.last(step)).epoch == self.settings.step(step).epochs

    def _groups(self) -> list[list[Field]]:
        return [self.real, self._simulated(self.settings.simulated)] if self.settings.simulated else [self.real]

    def _simulated(self, count: int) -> list[Field]:
        """Simulated fields for mixing in (`count`), or for pretraining (0), made once."""
        number = count or self.settings.pretraining_fields
        if number not in self.made:
            fields = simulated_fields(
                number, self.info.normalisation, object_diameter=self._diameter(), seed=self.settings.seed
            )
            self.made[number] = [parted(field) for field in fields]
        return self.made[number]

    def _diameter(self) -> float:
        return self.data.report.object_diameter or SIMULATED_DIAMETER

    def _crops(self, step: str, groups: list[list[Field]], batch: int) -> Crops:
        settings = self.settings.step(step)
        seed = self.settings.seed * 1000 + STEPS.index(step)
        weighted = settings.border_weights and not step.startswith("hint")
        balanced = settings.loss == "bce"
        return Crops(groups, settings.crop, batch, self.settings.augmentation, seed, weighted, balanced)

    def _finish(
        self, before: keras.Model | None, teacher: keras.Model, student: keras.Model, binary: keras.Model
    ) -> Iterator[Event]:
        """Choose the threshold, score every stage, write the report and the packed model."""
        data, settings = self.data, self.settings
        yield Note("Scoring every stage on the validation files" + (" and the test files." if data.test else "."))
        stages: list[Stage] = []
        networks = [(BEFORE, before, "unet"), ("U-Net", teacher, "unet")]
        networks += [("lightweight U-Net", student, "lightweight"), ("BLU-Net", binary, "blunet")]
        for name, network, kind in networks:
            if network is None:
                continue
            kinds: Any = kind
            model: Any = KerasModel(network, settings.network(kinds), self.info)
            model = model.packed() if kind == "blunet" else model
            try:
                stages.append(
                    score_stage(name, model, data.validation, data.test, self.run.path, self._check, self.held_out)
                )
            except Stopped:
                yield RunStopped("report", 1, 0)
                raise
        last = stages[-1]
        figures = {f"validation_{key}": last.figures["validation"][key] for key in ("iou", "f1", "ap50")}
        info = replace(self.info, threshold=last.threshold, card=replace(self.info.card, figures=figures))
        replace(model, info=info).save(self.run.model)
        seconds = time.monotonic() - self.began
        report = {
            "models": [stage.figures for stage in stages],
            "losses": losses_between([stage.figures for stage in stages]),
            "training": [p.name for p in data.training],
            "validation": [p.name for p in data.validation],
            "test": [p.name for p in data.test],
            "teacher": self.request.teacher,
            "settings": settings.to_dict(),
            "seconds": seconds,
            "stored_bits": census(settings.network("blunet")).bits,
        }
        shown = examples([s for s in stages if s.figures["name"] != BEFORE], data.validation, self.info.normalisation)
        self.run.write_report(report, report_page(report, read_events(self.run.events), shown))
        yield RunDone(str(self.run.model), str(self.run.report), seconds)

    def _check(self) -> None:
        if self.cancelled():
            raise Stopped
