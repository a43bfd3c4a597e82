"""The three phases of a compression: transfer learning, hint learning, residual binarisation."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from datetime import date
from pathlib import Path

import keras

from blunet import __version__
from blunet.compression.binarisation import binarise
from blunet.compression.coded_start import start_coded
from blunet.compression.hints import make_hint_task
from blunet.compression.run_context import RunContext, Stopped
from blunet.compression.run_data import Data, read_data
from blunet.compression.run_directory import RunDirectory
from blunet.compression.run_estimate import estimate_disk_bytes, estimate_seconds
from blunet.compression.run_events import BatchDone, Event, Note, RunDone, RunStarted
from blunet.compression.run_images import RunImages
from blunet.compression.run_request import Request
from blunet.compression.run_result import RunNetworks, write_result
from blunet.compression.step_trainer import StepTrainer, is_step_done
from blunet.compression.steps import STEPS
from blunet.compression.teacher import load_teacher, rebuild
from blunet.dataset.data_origin import describe_origins
from blunet.networks.build import build_network
from blunet.networks.conversion import convert_network
from blunet.networks.keras_file import KerasModel
from blunet.networks.residual_code import PUBLISHED_WINDOW
from blunet.packed.model_card import ModelCard, ModelInfo

#: Why the networks learn the foreground alone.
NO_INSTANCES = (
    "The masks have one value, which does not tell touching objects apart: the networks learn the foreground alone. If "
    "every connected part of the masks is one object, set maps = 'distance'."
)
#: Training crops that the start of BLU-Net is fitted to.
PROBES = 16


def compress(request: Request, is_cancelled: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Compress a U-Net into a BLU-Net.

    Parameters
    ----------
    request : Request
    is_cancelled : callable
        Called before every batch and step; if it returns True, the state is saved and the run ends with `RunStopped`.

    Yields
    ------
    Event
        RunStarted first; RunDone or RunStopped last. All but the batches' are appended to the run's `events.jsonl`.

    Raises
    ------
    InputError
        Before the training, if the data, the teacher, the settings or the run's folder cannot be used; later, if the
        loss is no longer finite or the disk is full. What was saved stays.
    """
    data = read_data(request)
    teacher = load_teacher(request.teacher, request.settings)
    folder = RunDirectory(request.run)
    with folder.enter(request, data.report) as resumed:
        context = RunContext(request, folder, data, _describe_model(request, data, teacher), is_cancelled)
        for event in _run(context, teacher, resumed):
            if not isinstance(event, BatchDone):
                folder.append_event(event)
            yield event


def _run(context: RunContext, teacher: KerasModel | None, resumed: bool) -> Iterator[Event]:
    began = time.monotonic()
    data, folder = context.data, context.folder
    yield _describe_start(context, resumed)
    for text in data.report.summarise():
        yield Note(text)
    for text in (*data.report.warnings, *data.test_warnings):
        yield Note(text, warning=True)
    if context.request.settings.maps == "auto" and not data.report.instances:
        yield Note(NO_INSTANCES, warning=True)
    images = RunImages(context)
    try:
        networks = yield from _train_networks(context, images, teacher)
        yield Note("Scoring every stage on the validation files" + (" and the test files." if data.test else "."))
        write_result(context, networks, images.held_out)
    except Stopped as stopped:
        yield stopped.event
    else:
        yield RunDone(str(folder.model), str(folder.report), time.monotonic() - began)


def _train_networks(
    context: RunContext, images: RunImages, teacher: KerasModel | None
) -> Generator[Event, None, RunNetworks]:
    """Run the steps of all phases."""
    trainer = StepTrainer(context, images)
    before = None
    if teacher is not None:
        before = yield from _convert_teacher(context, images, teacher)
    elif "pretrain" in context.steps:
        before = yield from _pretrain(context, trainer)
    unet = yield from _learn_transfer(context, trainer, before)
    student = yield from _learn_hints(context, trainer, images, unet)
    binary = yield from _binarise(context, trainer, images, student)
    return RunNetworks(before, unet, student, binary)


def _convert_teacher(
    context: RunContext, images: RunImages, teacher: KerasModel
) -> Generator[Event, None, keras.Model]:
    """Return the teacher in the form of the run; a map that it does not give starts with random weights."""
    target = context.settings.network("unet")
    if teacher.settings == target:
        return teacher.network
    probes = yield from images.draw_probes("transfer", PROBES)
    return convert_network(teacher.network, teacher.settings, target, probes, seed=context.settings.seed)


def _pretrain(context: RunContext, trainer: StepTrainer) -> Generator[Event, None, keras.Model]:
    """Train a U-Net on simulated images."""
    settings = context.settings
    network = rebuild(None, settings.network("unet"), settings.pretrain.l2, settings.seed)
    return (yield from trainer.train_on_masks("pretrain", network))


def _learn_transfer(
    context: RunContext, trainer: StepTrainer, before: keras.Model | None
) -> Generator[Event, None, keras.Model]:
    """Phase 1: train the U-Net on the user's images."""
    settings = context.settings
    network = rebuild(before, settings.network("unet"), settings.transfer.l2, settings.seed)
    return (yield from trainer.train_on_masks("transfer", network, pretrained=before is not None))


def _learn_hints(
    context: RunContext, trainer: StepTrainer, images: RunImages, teacher: keras.Model
) -> Generator[Event, None, keras.Model]:
    """Phase 2: train a lightweight U-Net on the teacher's feature maps, then on the user's images."""
    settings = context.settings
    light = settings.network("lightweight")
    student = build_network(light, seed=settings.seed + 1)
    hints = [step for step in STEPS.values() if step.hints and step.name in context.steps]
    for step in hints:
        assert step.hints is not None
        task = make_hint_task(teacher, student, light, step.hints, images.validation)
        student = yield from trainer.train(step.name, student, task)
    student = rebuild(student, light, settings.retrain.l2, settings.seed)
    return (yield from trainer.train_on_masks("retrain", student, pretrained=bool(hints)))


def _binarise(
    context: RunContext, trainer: StepTrainer, images: RunImages, student: keras.Model
) -> Generator[Event, None, keras.Model]:
    """Phase 3: binarise the student, and train the result."""
    settings = context.settings
    window = PUBLISHED_WINDOW if settings.start == "published" else None
    folder = context.folder
    if folder.result("binarise").exists() or folder.last("binarise").exists():
        network = build_network(settings.network("blunet"), gradient_window=window)  # its weights are loaded later
    else:
        probes = yield from images.draw_probes("binarise", PROBES)
        if settings.form == "normalised":
            network = start_coded(student, settings.network("blunet"), probes)
        else:
            network = binarise(
                student,
                settings.network("lightweight"),
                settings.residual_levels,
                probes,
                settings.start,
                binarize_depthwise=settings.binarize_depthwise,
                gradient_window=window,
                seed=settings.seed + 2,
            )
    calibrated = settings.start == "calibrated"
    return (yield from trainer.train_on_masks("binarise", network, pretrained=calibrated, student=student))


def _describe_start(context: RunContext, resumed: bool) -> RunStarted:
    data, settings = context.data, context.settings
    remaining = [step for step in context.steps if not is_step_done(context, step)]
    return RunStarted(
        run=str(context.folder.path),
        steps=context.steps,
        training=[pair.name for pair in data.training],
        validation=[pair.name for pair in data.validation],
        test=[pair.name for pair in data.test],
        resumed=resumed,
        seconds=estimate_seconds(settings, remaining, data.report.validation_sizes, data.test_sizes),
        bytes=estimate_disk_bytes(settings, context.steps),
    )


def _describe_model(request: Request, data: Data, teacher: KerasModel | None) -> ModelInfo:
    """Return the normalisation and the card that all networks of the run have."""
    name = Path(request.data).resolve().name
    origin, licence = describe_origins(Path(request.data))
    card = ModelCard(
        name=request.name.strip() or f"BLU-Net of {name}",
        data=f"{len(data.training)} images of '{name}'" + (f", labels: {origin}" if origin else ""),
        licence=f"As its training data: {licence}" if licence else "",
        object_diameter=data.report.object_diameter,
        date=date.today().isoformat(),
        settings=request.settings.to_dict(),
        versions={"napari-blunet": __version__, "keras": keras.__version__},
    )
    return ModelInfo(normalisation=teacher.info.normalisation if teacher else request.settings.normalisation, card=card)
