"""The training loop that every step of the compression runs: resumable, cancellable, told as events."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from blunet.compression.checkpoint import Progress, load_state, read_progress, save_state
from blunet.compression.compression_settings import StepSettings
from blunet.compression.run_events import BatchDone, EpochDone, Event, RunStopped, StepDone, StepStarted
from blunet.dataset.crops import Batch, Crops
from blunet.dataset.fields import Field
from blunet.errors import InputError
from blunet.evaluation.metrics import iou
from blunet.files import replacing
from blunet.networks.keras_file import run_network

CONSTANT_SHARE = 0.5
LAST_RATE = 0.01
#: Seconds between the events of batches, and between checkpoints within an epoch.
TELL_SECONDS, SAVE_SECONDS = 0.25, 300.0


class Validation(NamedTuple):
    """Figures on the validation images: the loss, the IoU (None for hints), the first image's mask."""

    loss: float
    iou: float | None
    mask: NDArray[np.bool_] | None


@dataclass(frozen=True)
class States:
    """Where a step keeps its state, its best weights and its latest mask."""

    last: Path
    best: Path
    preview: Path


@dataclass(frozen=True)
class Task:
    """What a step trains.

    Attributes
    ----------
    model : keras.Model
        The network, or a model of its feature maps.
    loss : Any
        As `keras.Model.compile` takes it.
    targets : callable
        From a batch to what the model's outputs are compared with.
    validate : callable
        Measures the model as it is.
    has_learnt : bool
        Whether the model begins with weights of use: they are the best until an epoch is better.
    """

    model: keras.Model
    loss: Any
    targets: Callable[[Batch], Any]
    validate: Callable[[], Validation]
    has_learnt: bool = False


def learning_rate(settings: StepSettings, epoch: int) -> float:
    """Rate of an epoch (counted from 0): constant in the first half, then falling by a factor an epoch."""
    first_falling = int(settings.epochs * CONSTANT_SHARE)
    falling = max(0, epoch - first_falling + 1)
    factor = settings.decay
    if factor is None:
        factor = LAST_RATE ** (1 / max(1, settings.epochs - first_falling))
    return float(settings.learning_rate * factor**falling)


def segmentation_task(
    network: keras.Model,
    validation: Sequence[Field],
    multiple: int,
    settings: StepSettings,
    *,
    has_learnt: bool = False,
) -> Task:
    """Train a network on its foreground."""
    return Task(
        model=network,
        loss="binary_crossentropy" if settings.loss == "bce" else cross_entropy_and_dice,
        targets=lambda batch: batch.truths,
        validate=lambda: validate(network, validation, multiple),
        has_learnt=has_learnt,
    )


def cross_entropy_and_dice(truth: Any, probability: Any) -> Any:
    """Per pixel: binary cross-entropy plus the image's Dice loss, ``1 - 2 |p t| / (|p| + |t|)``."""
    entropy = keras.losses.binary_crossentropy(truth, probability)
    both = ops.sum(truth * probability, axis=(1, 2, 3), keepdims=False)
    all_of = ops.sum(truth + probability, axis=(1, 2, 3), keepdims=False)
    dice = 1.0 - (2.0 * both + 1.0) / (all_of + 1.0)
    return entropy + ops.reshape(dice, (-1, 1, 1))


def validate(network: keras.Model, validation: Sequence[Field], multiple: int) -> Validation:
    """Return the mean binary cross-entropy and the mean IoU at p > 0.5 over images with untouched truth."""
    losses, ious, first = [], [], None
    for field in validation:
        p = run_network(network, field.image, multiple)
        truth = field.labels > 0
        likelihood = np.clip(np.where(truth, p, 1 - p), 1e-7, 1)
        losses.append(float(-np.log(likelihood).mean()))
        ious.append(iou(truth, p > 0.5))
        first = p > 0.5 if first is None else first
    return Validation(float(np.mean(losses)), float(np.mean(ious)), first)


def train(
    name: str,
    task: Task,
    crops: Crops,
    settings: StepSettings,
    states: States | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train a step; at the end its model holds the best weights.

    Parameters
    ----------
    name : str
        Of the step.
    task : Task
    crops : Crops
        Batch i of the step is its batch i, so that a resumed step sees what an uninterrupted one sees.
    settings : StepSettings
    states : States, optional
        Where state is kept; what lies there already is gone on with. None: nothing is kept.
    cancelled : callable
        Asked before every batch; True saves the state and ends the step with `RunStopped`.

    Yields
    ------
    Event
        StepStarted, then BatchDone and EpochDone, last StepDone or RunStopped.

    Raises
    ------
    InputError
        If loss or weights are no longer finite, or a state cannot be written or read.
    """
    model, optimizer = task.model, keras.optimizers.Adam(settings.learning_rate)
    model.compile(optimizer=optimizer, loss=task.loss, jit_compile=False)
    optimizer.build(model.trainable_variables)
    progress, best = Progress(), None
    if states is not None and states.last.exists():
        progress = _resumed(states, model, optimizer)
    elif task.has_learnt and not settings.ignored_epochs:
        _judge(progress, task.validate(), settings)
        best = _keep(task, states, progress)
    yield StepStarted(name, min(progress.epoch + 1, settings.epochs), settings.epochs, settings.batches)
    while progress.epoch < settings.epochs:
        began = time.monotonic()
        optimizer.learning_rate.assign(learning_rate(settings, progress.epoch))
        batches = _epoch(name, task, crops, settings, progress, cancelled)
        if (yield from _saved(batches, name, model, optimizer, settings, progress, states)):
            return
        trained = time.monotonic()
        measured = task.validate()
        if not math.isfinite(measured.loss):
            raise _diverged(name, "loss", settings, progress)
        loss = float(np.mean(progress.losses))
        progress.epoch, progress.batch, progress.losses = progress.epoch + 1, 0, []
        progress.seconds += time.monotonic() - trained
        is_best = _judge(progress, measured, settings)
        if is_best:
            best = _keep(task, states, progress)
        if states is not None:
            save_state(states.last, model, optimizer, progress)
        yield EpochDone(
            step=name,
            epoch=progress.epoch,
            epochs=settings.epochs,
            loss=loss,
            val_loss=measured.loss,
            val_iou=measured.iou,
            learning_rate=learning_rate(settings, progress.epoch - 1),
            best=is_best,
            seconds=time.monotonic() - began,
            preview=_write_preview(states, measured.mask),
        )
    if states is not None and progress.best_score is not None:
        load_state(states.best, model, None)
    elif best is not None:
        model.set_weights(best)
    yield StepDone(name, progress.best_epoch, float(progress.best_loss or 0.0), progress.best_iou, progress.seconds)


def _saved(
    batches: Iterator[Event],
    name: str,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    settings: StepSettings,
    progress: Progress,
    states: States | None,
) -> Generator[Event, None, bool]:
    """Hand on the events of an epoch and save the state now and then; returns whether the step was stopped."""
    saved = time.monotonic()
    for event in batches:
        stopped = isinstance(event, RunStopped)
        if stopped or time.monotonic() - saved > SAVE_SECONDS:
            if not all(np.isfinite(weight).all() for weight in model.get_weights()):
                raise _diverged(name, "weights", settings, progress)
            progress.seconds += time.monotonic() - saved
            saved = time.monotonic()
            if states is not None:
                save_state(states.last, model, optimizer, progress)
        yield event
        if stopped:
            return True
    progress.seconds += time.monotonic() - saved
    return False


def _keep(task: Task, states: States | None, progress: Progress) -> list[NDArray[Any]] | None:
    """Keep the weights as the best: on disk, or else in memory."""
    if states is None:
        weights: list[NDArray[Any]] = task.model.get_weights()
        return weights
    save_state(states.best, task.model, None, progress)
    return None


def _resumed(states: States, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Progress:
    """Load the last state; that the best weights are lost is said now and not after the epochs that are left."""
    if read_progress(states.last).best_score is not None:
        if not states.best.exists():
            raise InputError(
                f"The checkpoint '{states.best}' is gone; put it back, or delete '{states.last}' to start the step "
                "again."
            )
        load_state(states.best, model, None)
    return load_state(states.last, model, optimizer)


def _epoch(
    name: str,
    task: Task,
    crops: Crops,
    settings: StepSettings,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> Iterator[Event]:
    """Train the rest of an epoch; ends early with RunStopped where it is cancelled."""
    start, told = progress.epoch * settings.batches, 0.0
    for batch in crops.draw_batches(start + progress.batch, start + settings.batches):
        if cancelled():
            yield RunStopped(name, progress.epoch + 1, progress.batch)
            return
        task.model.reset_metrics()
        result = task.model.train_on_batch(batch.images, task.targets(batch), sample_weight=batch.weights)
        loss = float(np.ravel(result)[0])
        if not math.isfinite(loss):
            raise _diverged(name, "loss", settings, progress)
        progress.losses.append(loss)
        progress.batch += 1
        now = time.monotonic()
        if now - told > TELL_SECONDS or progress.batch == settings.batches:
            told = now
            yield BatchDone(name, progress.epoch + 1, settings.epochs, progress.batch, settings.batches, loss)


def _diverged(name: str, what: str, settings: StepSettings, progress: Progress) -> InputError:
    return InputError(
        f"The {what} of the step '{name}' became infinite or no number in epoch {progress.epoch + 1}; the last good "
        f"checkpoint is kept: lower '{name}.learning_rate' ({settings.learning_rate:g}) in the settings and resume."
    )


def _judge(progress: Progress, measured: Validation, settings: StepSettings) -> bool:
    """Note the figures after the epoch that is over, the start's after epoch 0, if they are the best so far."""
    score = -measured.loss if settings.monitor == "val_loss" or measured.iou is None else measured.iou
    if progress.epoch <= settings.ignored_epochs and settings.ignored_epochs:
        return False
    if progress.best_score is not None and score <= progress.best_score:
        return False
    progress.best_epoch, progress.best_score = progress.epoch, score
    progress.best_loss, progress.best_iou = measured.loss, measured.iou
    return True


def _write_preview(states: States | None, mask: NDArray[np.bool_] | None) -> str | None:
    if states is None or mask is None:
        return None
    from PIL import Image

    with replacing(states.preview) as temporary:
        Image.fromarray(mask.astype(np.uint8) * 255).save(temporary)
    return str(states.preview)
