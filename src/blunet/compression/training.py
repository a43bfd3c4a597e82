"""The training loop that every step of the compression runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np

from blunet.compression.events import EpochDone
from blunet.compression.samples import Crops, Field
from blunet.networks.files import run_network

Monitor = Literal["val_loss", "val_iou"]

WARM_SHARE = 0.5
DECAY = 0.95


@dataclass(frozen=True)
class StepSettings:
    """How one step trains.

    Attributes
    ----------
    name : str
    epochs, steps_per_epoch : int
        The weights are validated after every epoch of that many batches.
    learning_rate : float
        Of Adam; see `learning_rate`.
    monitor : {"val_loss", "val_iou"}
        By which the best weights are chosen.
    ignored_epochs : int
        First epochs that cannot be the best.
    decay : float, optional
        Factor an epoch in the second half; None: chosen so that the last epoch has a hundredth of the first's
        rate (the study's 0.95 reaches that only after 90 epochs of decay).
    """

    name: str
    epochs: int
    steps_per_epoch: int
    learning_rate: float
    monitor: Monitor
    ignored_epochs: int = 0
    decay: float | None = None


def learning_rate(settings: StepSettings, epoch: int) -> float:
    """Rate of an epoch (counted from 0): constant in the first half, then falling by a factor an epoch."""
    first_falling = int(settings.epochs * WARM_SHARE)
    falling = max(0, epoch - first_falling + 1)
    factor = settings.decay
    if factor is None:
        factor = 0.01 ** (1 / max(1, settings.epochs - first_falling))
    return float(settings.learning_rate * factor**falling)


def train(
    model: keras.Model,
    crops: Crops,
    validation: Sequence[Field],
    settings: StepSettings,
    multiple: int,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[EpochDone]:
    """Train a network on its foreground with binary cross-entropy; at the end it holds the best weights.

    Parameters
    ----------
    model : keras.Model
        From ``(N, H, W, 1)`` images to ``(N, H, W, 1)`` probabilities.
    crops : Crops
    validation : sequence of Field
        With untouched truth.
    settings : StepSettings
    multiple : int
        The sides that the network takes are multiples of this.
    cancelled : callable
        Asked before every batch; True ends the training with the best weights so far.

    Yields
    ------
    EpochDone
    """
    optimizer = keras.optimizers.Adam(settings.learning_rate)
    model.compile(optimizer=optimizer, loss="binary_crossentropy", jit_compile=False)
    best: tuple[float, list[Any]] | None = None
    for epoch in range(settings.epochs):
        began = time.perf_counter()
        optimizer.learning_rate.assign(learning_rate(settings, epoch))
        losses = []
        start = epoch * settings.steps_per_epoch
        for images, truths in crops.between(start, start + settings.steps_per_epoch):
            if cancelled():
                break
            losses.append(float(model.train_on_batch(images, truths)))
        if not losses:
            break
        val_loss, val_iou = validate(model, validation, multiple)
        score = -val_loss if settings.monitor == "val_loss" else val_iou
        is_best = epoch >= settings.ignored_epochs and (best is None or score > best[0])
        if is_best:
            best = score, model.get_weights()
        yield EpochDone(
            step=settings.name,
            epoch=epoch + 1,
            epochs=settings.epochs,
            loss=float(np.mean(losses)),
            val_loss=val_loss,
            val_iou=val_iou,
            learning_rate=learning_rate(settings, epoch),
            best=is_best,
            seconds=time.perf_counter() - began,
        )
        if cancelled():
            break
    if best is not None:
        model.set_weights(best[1])


def validate(model: keras.Model, validation: Sequence[Field], multiple: int) -> tuple[float, float]:
    """Return the mean binary cross-entropy and the mean IoU at p > 0.5 over images with untouched truth."""
    losses, ious = [], []
    for field in validation:
        p = run_network(model, field.image, multiple)
        truth = field.labels > 0
        likelihood = np.clip(np.where(truth, p, 1 - p), 1e-7, 1)
        losses.append(float(-np.log(likelihood).mean()))
        union = np.logical_or(p > 0.5, truth).sum()
        ious.append(float(np.logical_and(p > 0.5, truth).sum() / union) if union else 1.0)
    return float(np.mean(losses)), float(np.mean(ious))
