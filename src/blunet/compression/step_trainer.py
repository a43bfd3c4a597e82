"""Runs the steps of a run, or takes their results from its folder."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import keras

from blunet.compression.checkpoint import read_progress
from blunet.compression.run_context import RunContext, Stopped
from blunet.compression.run_events import BatchDone, Event, RunStopped, StepDone
from blunet.compression.run_images import RunImages
from blunet.compression.steps import STEPS
from blunet.compression.time_left import TimeLeft
from blunet.compression.training import StepFiles, train
from blunet.compression.training_task import Task, make_segmentation_task
from blunet.errors import InputError
from blunet.networks.keras_file import KerasModel, load_keras


class StepTrainer:
    """Trains the networks of a run, step by step.

    Parameters
    ----------
    context : RunContext
    images : RunImages
    """

    def __init__(self, context: RunContext, images: RunImages) -> None:
        self._context, self._images = context, images
        self._time_left = TimeLeft(context.settings, context.steps, context.data.report.validation_sizes)

    def train_on_masks(
        self, step: str, network: keras.Model, *, pretrained: bool = False, student: keras.Model | None = None
    ) -> Generator[Event, None, keras.Model]:
        """Run a step that learns masks; return the network with its best weights.

        Parameters
        ----------
        step : str
        network : keras.Model
        pretrained : bool
            Whether the weights that the step starts with are the best until an epoch is better.
        student : keras.Model, optional
            The network that soft targets come from.
        """
        settings = self._context.settings
        target = settings.network(STEPS[step].network)
        task = make_segmentation_task(
            network,
            self._images.validation,
            target,
            settings.step(step),
            pretrained=pretrained,
            student=student,
            partly=self._images.partly,
        )
        return (yield from self.train(step, network, task))

    def train(self, step: str, network: keras.Model, task: Task) -> Generator[Event, None, keras.Model]:
        """Run a step; return the network with its best weights.

        A step that is not part of the run returns the network as it is; one whose result is in the run's folder returns
        that.

        Raises
        ------
        Stopped
            If the run is cancelled.
        InputError
            If a result or a state cannot be read or written, or the loss is no longer finite.
        """
        context = self._context
        if step not in context.steps:
            return network
        folder = context.folder
        files = StepFiles(folder.last(step), folder.best(step), folder.preview(step))
        if is_step_done(context, step):
            network.set_weights(self._load_result(step).network.get_weights())
        else:
            context.check(step)
            folder.result(step).unlink(missing_ok=True)  # of fewer epochs: it must not pass for the new result
            yield from self._run(step, network, task, files)
        self._remove_states(step, files)
        return network

    def _run(self, step: str, network: keras.Model, task: Task, files: StepFiles) -> Generator[Event, None, None]:
        context = self._context
        crops = yield from self._images.make_crops(step)
        for event in train(step, task, crops, context.settings.step(step), files, context.is_cancelled):
            match event:
                case RunStopped():
                    raise Stopped(event)
                case BatchDone():
                    yield replace(event, seconds_left=self._time_left.estimate_seconds(event))
                case StepDone():
                    yield event
                    self._save_result(event, network)
                case _:
                    yield event

    def _save_result(self, done: StepDone, network: keras.Model) -> None:
        context = self._context
        settings, card = context.settings.network(STEPS[done.step].network), context.info.card
        figures = {} if done.val_iou is None else {"validation_iou": done.val_iou}
        info = context.info.changed(card=card.changed(name=f"{done.step} of {card.name}", figures=figures))
        KerasModel(network, settings, info).save(context.folder.result(done.step))

    def _load_result(self, step: str) -> KerasModel:
        path = self._context.folder.result(step)
        try:
            return load_keras(path)
        except InputError as e:
            raise InputError(
                f"The result of the step '{step}', '{path}', cannot be read; delete it to do the step again."
            ) from e

    def _remove_states(self, step: str, files: StepFiles) -> None:
        """Remove the states of a finished step; those of the last step stay, for more epochs."""
        if step != list(STEPS)[-1]:
            for path in (files.last, files.best):
                path.unlink(missing_ok=True)


def is_step_done(context: RunContext, step: str) -> bool:
    """Return whether a step's result is in the run's folder, and is not to be trained for more epochs."""
    folder = context.folder
    if not folder.result(step).exists():
        return False
    if step != list(STEPS)[-1] or not folder.last(step).exists():
        return True
    return read_progress(folder.last(step)).epoch == context.settings.step(step).epochs
