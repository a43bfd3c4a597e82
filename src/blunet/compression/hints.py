"""Hint learning: the student's feature maps are drawn to the teacher's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings, layer_table
from blunet.compression.compression_settings import HINT_VALIDATION_SIZE
from blunet.compression.steps import HintPart
from blunet.compression.training import Task, Validation
from blunet.dataset.crops import Batch
from blunet.dataset.fields import Field, crop_for_validation
from blunet.networks.build import feature_map
from blunet.packed.tiles import pad_to_multiple


def hint_layers(settings: NetworkSettings, part: HintPart) -> list[str]:
    """Layers whose maps correspond: both on every level on the way down, or all three on the way up and the output."""
    paths = ("contracting",) if part == "encoder" else ("expanding", "output")
    return [layer.name for layer in layer_table(settings) if layer.path in paths]


def hint_task(
    teacher: keras.Model,
    student: keras.Model,
    settings: NetworkSettings,
    part: HintPart,
    validation: Sequence[Field],
) -> Task:
    """Train the student's maps, after their activations, on the frozen teacher's; the sum of mean squared errors.

    Parameters
    ----------
    teacher, student : keras.Model
        A U-Net and a lightweight one of equal levels and filters.
    settings : NetworkSettings
        Of either.
    part : {"encoder", "decoder"}
    validation : sequence of Field

    Returns
    -------
    Task
        Its model shares the student's weights.
    """
    names = hint_layers(settings, part)
    given = keras.Model(teacher.inputs[0], [feature_map(teacher, name) for name in names])
    learnt = keras.Model(student.inputs[0], [feature_map(student, name) for name in names])

    def maps(model: keras.Model, images: NDArray[np.float32]) -> list[Any]:
        return [keras.ops.convert_to_numpy(m) for m in model.predict_on_batch(images)]

    def validate() -> Validation:
        losses = []
        for field in validation:
            crop = crop_for_validation(field, HINT_VALIDATION_SIZE)
            image = pad_to_multiple(crop.image, settings.multiple)[None, ..., None]
            pairs = zip(maps(given, image), maps(learnt, image), strict=True)
            losses.append(sum(float(np.square(a - b).mean()) for a, b in pairs))
        return Validation(float(np.mean(losses)), None, None)

    def targets(batch: Batch) -> list[Any]:
        return maps(given, batch.images)

    return Task(learnt, ["mse"] * len(names), targets, validate)
