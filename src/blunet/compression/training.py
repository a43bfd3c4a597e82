"""The training loop that every step of the compression runs; it can be cancelled and resumed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from blunet.compression.checkpoint import Progress, load_state, read_progress, save_state
from blunet.compression.compression_settings import StepSettings
from blunet.compression.run_events import BatchDone, EpochDone, Event, RunStopped, StepDone, StepStarted
from blunet.compression.training_task import Task, Validation
from blunet.dataset.crops import Batch, Crops
from blunet.errors import InputError
from blunet.files import replacing

#: Share of the epochs in which the learning rate is constant.
CONSTANT_SHARE = 0.5
#: Batches over which the learning rate rises, or a tenth of a shorter step's.
RISING_BATCHES = 60
#: Learning rate of the last epoch as a share of the first's, for steps without a decay.
LAST_RATE = 0.01
#: Least time in seconds between two events of batches, and between two checkpoints within an epoch.
EVENT_SECONDS, CHECKPOINT_SECONDS = 0.25, 300.0


@dataclass(frozen=True)
class StepFiles:
    """Files of an unfinished step: its last state, its best weights, and a picture of its latest mask."""

    last: Path
    best: Path
    preview: Path


def compute_learning_rate(settings: StepSettings, epoch: int, batch: int = 0) -> float:
    """Return the learning rate of a batch; both are counted from 0.

    With the schedule "falling" it is constant in the first half of the epochs, and then falls by a constant factor from
    epoch to epoch. With "cosine" it rises in equal steps over the first batches of the step, and then falls along half
    a cosine to `LAST_RATE` of the largest.
    """
    if settings.schedule == "cosine":
        batches = settings.epochs * settings.batches
        done = epoch * settings.batches + batch
        rising = min(RISING_BATCHES, batches // 10)
        if done < rising:
            return settings.learning_rate * (done + 1) / (rising + 1)
        fallen = (1 + math.cos(math.pi * (done - rising) / max(1, batches - rising))) / 2
        return settings.learning_rate * (LAST_RATE + (1 - LAST_RATE) * fallen)
    constant = int(settings.epochs * CONSTANT_SHARE)
    falling = max(0, epoch - constant + 1)
    factor = settings.decay
    if factor is None:
        factor = LAST_RATE ** (1 / max(1, settings.epochs - constant))
    return float(settings.learning_rate * factor**falling)


def train(
    name: str,
    task: Task,
    crops: Crops,
    settings: StepSettings,
    files: StepFiles | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train a step; at the end its model has the best weights.

    Parameters
    ----------
    name : str
        Name of the step.
    task : Task
    crops : Crops
        Batch i of the step is batch i of the crops, so that a resumed step sees what an uninterrupted one sees.
    settings : StepSettings
    files : StepFiles, optional
        Where the state is saved; if there is one already, training continues from it. None: nothing is saved.
    is_cancelled : callable
        Called before every batch; if it returns True, the state is saved and the step ends with `RunStopped`.

    Yields
    ------
    Event
        StepStarted, then BatchDone and EpochDone, last StepDone or RunStopped.

    Raises
    ------
    InputError
        If the loss or the weights are no longer finite, or a state cannot be written or read.
    """
    yield from _Training(name, task, crops, settings, files, is_cancelled).run()


class _Training:
    """A step while it trains; the parameters are those of `train`."""

    def __init__(
        self,
        name: str,
        task: Task,
        crops: Crops,
        settings: StepSettings,
        files: StepFiles | None,
        is_cancelled: Callable[[], bool],
    ) -> None:
        self.name, self.task, self.crops, self.settings = name, task, crops, settings
        self.files, self.is_cancelled = files, is_cancelled
        self.model = task.model
        self.optimizer = keras.optimizers.Adam(settings.learning_rate, clipnorm=settings.clip)
        self.model.compile(optimizer=self.optimizer, loss=task.loss, jit_compile=False)
        self.optimizer.build(self.model.trainable_variables)
        self.progress = Progress()
        self.best_weights: list[NDArray[Any]] | None = None
        """The best weights, where they are not saved in a file."""

    def run(self) -> Iterator[Event]:
        """Train the step as `train` says."""
        progress, settings = self.progress, self.settings
        if self.files is not None and self.files.last.exists():
            progress = self.progress = self._load(self.files)
        elif self.task.pretrained and not settings.ignored_epochs and self._is_best(measured := self.task.validate()):
            self._keep_best(measured)
        yield StepStarted(self.name, min(progress.epoch + 1, settings.epochs), settings.epochs, settings.batches)
        while progress.epoch < settings.epochs:
            began = time.monotonic()
            if not (yield from self._train_epoch()):
                return
            yield self._end_epoch(began)
        if self.files is not None and progress.best_score is not None:
            load_state(self.files.best, self.model, None)
        elif self.best_weights is not None:
            self.model.set_weights(self.best_weights)
        best_loss = float(progress.best_loss or 0.0)
        yield StepDone(
            self.name, progress.best_epoch, best_loss, progress.best_iou, progress.seconds, progress.best_map
        )

    def _train_epoch(self) -> Generator[Event, None, bool]:
        """Train the rest of an epoch; return whether it came to its end, and was not cancelled."""
        progress, batches, epochs = self.progress, self.settings.batches, self.settings.epochs
        start = progress.epoch * batches
        saved, reported = time.monotonic(), 0.0
        for batch in self.crops.draw_batches(start + progress.batch, start + batches):
            if self.is_cancelled():
                self._save(saved)
                yield RunStopped(self.name, progress.epoch + 1, progress.batch)
                return False
            loss = self._train_batch(batch)
            now = time.monotonic()
            if now - saved > CHECKPOINT_SECONDS:
                saved = self._save(saved)
            if now - reported > EVENT_SECONDS or progress.batch == batches:
                reported = now
                yield BatchDone(self.name, progress.epoch + 1, epochs, progress.batch, batches, loss)
        progress.seconds += time.monotonic() - saved
        return True

    def _train_batch(self, batch: Batch) -> float:
        """Train on a batch and return its loss."""
        self.optimizer.learning_rate.assign(
            compute_learning_rate(self.settings, self.progress.epoch, self.progress.batch)
        )
        self.model.reset_metrics()
        result = self.model.train_on_batch(batch.images, self.task.make_targets(batch), sample_weight=batch.weights)
        loss = float(np.ravel(result)[0])
        if not math.isfinite(loss):
            raise self._diverged("loss")
        self.progress.losses.append(loss)
        self.progress.batch += 1
        return loss

    def _end_epoch(self, began: float) -> EpochDone:
        """Validate the weights after an epoch that began at that time, and save the state."""
        progress, settings = self.progress, self.settings
        trained = time.monotonic()
        measured = self.task.validate()
        if not math.isfinite(measured.loss):
            raise self._diverged("loss")
        loss = float(np.mean(progress.losses))
        progress.epoch, progress.batch, progress.losses = progress.epoch + 1, 0, []
        progress.seconds += time.monotonic() - trained
        if is_best := self._is_best(measured):
            self._keep_best(measured)
        if self.files is not None:
            save_state(self.files.last, self.model, self.optimizer, progress)
        return EpochDone(
            step=self.name,
            epoch=progress.epoch,
            epochs=settings.epochs,
            loss=loss,
            val_loss=measured.loss,
            val_iou=measured.iou,
            val_map=measured.map,
            learning_rate=compute_learning_rate(settings, progress.epoch - 1, settings.batches - 1),
            best=is_best,
            seconds=time.monotonic() - began,
            preview=self._write_preview(measured.mask),
        )

    def _is_best(self, measured: Validation) -> bool:
        """Return whether the weights after the epochs so far are the best; epoch 0 is the start of the step."""
        progress, ignored = self.progress, self.settings.ignored_epochs
        if ignored and progress.epoch <= ignored:
            return False
        return progress.best_score is None or self._score(measured) > progress.best_score

    def _score(self, measured: Validation) -> float:
        score = {"val_loss": -measured.loss, "val_iou": measured.iou, "val_map": measured.map}[self.settings.monitor]
        return -measured.loss if score is None else score

    def _keep_best(self, measured: Validation) -> None:
        """Keep the weights as the best: in a file, or else in memory."""
        progress = self.progress
        progress.best_epoch, progress.best_score = progress.epoch, self._score(measured)
        progress.best_loss, progress.best_iou, progress.best_map = measured.loss, measured.iou, measured.map
        if self.files is None:
            self.best_weights = self.model.get_weights()
        else:
            save_state(self.files.best, self.model, None, progress)

    def _load(self, files: StepFiles) -> Progress:
        """Load the last state; missing best weights are an error now, and not after the last epoch."""
        if read_progress(files.last).best_score is not None:
            if not files.best.exists():
                raise InputError(
                    f"The checkpoint '{files.best}' is gone; put it back, or delete '{files.last}' to start the step "
                    "again."
                )
            load_state(files.best, self.model, None)
        return load_state(files.last, self.model, self.optimizer)

    def _save(self, since: float) -> float:
        """Save the state within an epoch, count the time since the last state, and return the time of this one."""
        if not all(np.isfinite(weight).all() for weight in self.model.get_weights()):
            raise self._diverged("weights")
        now = time.monotonic()
        self.progress.seconds += now - since
        if self.files is not None:
            save_state(self.files.last, self.model, self.optimizer, self.progress)
        return now

    def _write_preview(self, mask: NDArray[np.bool_] | None) -> str | None:
        if self.files is None or mask is None:
            return None
        from PIL import Image

        with replacing(self.files.preview) as temporary:
            Image.fromarray(mask.astype(np.uint8) * 255).save(temporary)
        return str(self.files.preview)

    def _diverged(self, what: str) -> InputError:
        name, rate = self.name, self.settings.learning_rate
        return InputError(
            f"The {what} of the step '{name}' became infinite or NaN in epoch {self.progress.epoch + 1}; the last good "
            f"checkpoint is kept: lower '{name}.learning_rate' ({rate:g}) in the settings and resume."
        )
