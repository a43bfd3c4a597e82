"""The images that a run trains on and validates with, read from files or simulated. No Keras here."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from blunet.compression.run_context import RunContext
from blunet.compression.run_events import Event, Note
from blunet.compression.steps import STEPS
from blunet.dataset.crops import Crops
from blunet.dataset.fields import Field, crop_for_validation, prepare_for_training, read_field, simulate_fields
from blunet.dataset.reviewed import NOT_REVIEWED
from blunet.images.normalisation import normalise
from blunet.simulation.dic_fields import simulate_images

#: The held-out simulated fields are drawn with the run's seed plus this number.
HELD_OUT_SEED = 7919


class RunImages:
    """Training and validation images of a run.

    Parameters
    ----------
    context : RunContext

    Attributes
    ----------
    validation : list of Field
        Crops of the validation files. If the run mixes simulated fields into its batches, as many held-out simulated
        fields follow, whole.
    held_out : list of DicField
        The held-out simulated fields before normalisation.
    partly : bool
        Whether some pixels of the training images were not reviewed.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        settings, normalisation = context.settings, context.info.normalisation
        self._training = [self._prepare(read_field(pair, normalisation)) for pair in context.data.training]
        self.partly = any((field.labels == NOT_REVIEWED).any() for field in self._training)
        self._simulated: dict[int, list[Field]] = {}
        files = [read_field(pair, normalisation) for pair in context.data.validation]
        self.validation = [crop_for_validation(field, settings.validation_size) for field in files]
        self.held_out = list(
            simulate_images(
                len(files) if settings.simulated else 0,
                object_diameter=context.object_diameter,
                seed=settings.seed + HELD_OUT_SEED,
            )
        )
        self.validation += [
            Field(f"held-out-{i}", normalise(field.image, normalisation), field.labels)
            for i, field in enumerate(self.held_out)
        ]
        if settings.learns_distance:
            self.validation = [prepare_for_training(field, gap=False, distance=True) for field in self.validation]

    def make_crops(self, step: str, batch: int | None = None) -> Generator[Event, None, Crops]:
        """Return the training crops of a step; simulated fields are made when they are first needed.

        Parameters
        ----------
        step : str
        batch : int, optional
            Crops of a batch; None: as in the step's settings.

        Raises
        ------
        Stopped
            If the run is cancelled while fields are simulated.
        """
        settings = self._context.settings
        chosen = settings.step(step)
        if step == "pretrain":
            groups = [(yield from self._simulate(step, settings.pretraining_fields))]
        elif settings.simulated:
            groups = [self._training, (yield from self._simulate(step, settings.simulated))]
        else:
            groups = [self._training]
        return Crops(
            groups=groups,
            size=chosen.crop,
            batch=chosen.batch if batch is None else batch,
            augmentation=settings.augmentation,
            seed=settings.seed * 1000 + list(STEPS).index(step),
            weighted=chosen.border_weights and STEPS[step].learns_masks,
            balanced=chosen.loss == "bce",
            foreground=settings.crop_foreground,
        )

    def draw_probes(self, step: str, count: int) -> Generator[Event, None, list[NDArray[np.float32]]]:
        """Return images (Y, X) of training crops of a step, for statistics and fits."""
        crops = yield from self.make_crops(step, batch=1)
        return [crops.draw_batch(i).images[0, ..., 0] for i in range(count)]

    def _prepare(self, field: Field) -> Field:
        settings = self._context.settings
        return prepare_for_training(field, gap=settings.gap, distance=settings.learns_distance)

    def _simulate(self, step: str, count: int) -> Generator[Event, None, list[Field]]:
        """Return simulated fields, which are made once in a run."""
        if count not in self._simulated:
            yield Note(f"Simulating {count} images.")
            context, made = self._context, []
            for field in simulate_fields(
                count,
                context.info.normalisation,
                object_diameter=context.object_diameter,
                seed=context.settings.seed,
            ):
                context.check(step)
                made.append(self._prepare(field))
            self._simulated[count] = made
        return self._simulated[count]
