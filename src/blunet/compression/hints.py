"""Hint learning: the student learns to reproduce the teacher's feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings, list_layers
from blunet.compression.compression_settings import HINT_VALIDATION_SIZE
from blunet.compression.steps import HintPart
from blunet.compression.training_task import Task, Validation
from blunet.dataset.crops import Batch
from blunet.dataset.fields import Field, crop_for_validation
from blunet.networks.build import get_feature_map
from blunet.packed.tiles import pad_to_multiple


def list_hint_layers(settings: NetworkSettings, part: HintPart) -> list[str]:
    """Return the layers whose maps are compared.

    For the encoder these are both layers of every level on the contracting path; for the decoder all three of every
    level on the expanding path, and the output.
    """
    paths = ("contracting",) if part == "encoder" else ("expanding", "output")
    return [layer.name for layer in list_layers(settings) if layer.path in paths]


def make_hint_task(
    teacher: keras.Model,
    student: keras.Model,
    settings: NetworkSettings,
    part: HintPart,
    validation: Sequence[Field],
) -> Task:
    """Return the task of training the student's feature maps on those of the frozen teacher.

    The loss is the sum, over the layers, of the mean squared difference of the maps behind the activations.

    Parameters
    ----------
    teacher, student : keras.Model
        A U-Net and a lightweight U-Net of the same levels and filters.
    settings : NetworkSettings
        Of either.
    part : {"encoder", "decoder"}
    validation : sequence of Field

    Returns
    -------
    Task
        Its model shares the student's weights.
    """
    names = list_hint_layers(settings, part)
    teacher_maps = keras.Model(teacher.inputs[0], [get_feature_map(teacher, name) for name in names])
    student_maps = keras.Model(student.inputs[0], [get_feature_map(student, name) for name in names])

    def compute_maps(model: keras.Model, images: NDArray[np.float32]) -> list[Any]:
        return [keras.ops.convert_to_numpy(m) for m in model.predict_on_batch(images)]

    def validate() -> Validation:
        losses = []
        for field in validation:
            cropped = crop_for_validation(field, HINT_VALIDATION_SIZE)
            image = pad_to_multiple(cropped.image, settings.multiple)[None, ..., None]
            maps = zip(compute_maps(teacher_maps, image), compute_maps(student_maps, image), strict=True)
            losses.append(sum(float(np.square(a - b).mean()) for a, b in maps))
        return Validation(float(np.mean(losses)), None, None)

    def make_targets(batch: Batch) -> list[Any]:
        return compute_maps(teacher_maps, batch.images)

    return Task(student_maps, ["mse"] * len(names), make_targets, validate)
