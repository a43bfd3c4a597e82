"""The start of a BLU-Net of the normalised form: the student's weights and statistics, with fitted codes."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings
from blunet.networks.build import build_network
from blunet.networks.conversion import copy_weights
from blunet.networks.step_code import least_squares_step
from blunet.networks.step_layers import KERNEL_STEPS, CodedActivation, CodedConv2D

#: Fits of the steps of all activations; each changes what the later ones see.
FITS = 3
#: Values of an activation that its step is fitted to, from each image.
VALUES = 20_000


def start_coded(student: keras.Model, target: NetworkSettings, images: Sequence[NDArray[np.float32]]) -> keras.Model:
    """Build a BLU-Net of the normalised form from a trained lightweight network of that form.

    Parameters
    ----------
    student : keras.Model
        A lightweight network with batch normalisation.
    target : NetworkSettings
        Of the BLU-Net.
    images : sequence of ndarray of shape (Y, X)
        Training images in [0, 1] with sides that the network takes.

    Returns
    -------
    keras.Model
        With the student's kernels and statistics. The steps of the kernels follow from their deviations, those of
        the activations are the least squares of what the images give.
    """
    model = build_network(target)
    copy_weights(student, model)
    for layer in model.layers:
        if isinstance(layer, CodedConv2D):
            deviation = float(np.std(keras.ops.convert_to_numpy(layer.kernel)))
            layer.step.assign(KERNEL_STEPS[layer.levels] * max(deviation, 1e-6))
    names = [layer.name for layer in model.layers if isinstance(layer, CodedActivation)]
    _fit_steps(model, {name: student.get_layer(_seen_by(name)).output for name in names}, student, images)
    for _ in range(FITS - 1):
        _fit_steps(model, {name: model.get_layer(name).input for name in names}, model, images)
    return model


def _seen_by(activation: str) -> str:
    """Return the normalisation of the student whose result an activation codes."""
    return activation.removesuffix("_activation").removesuffix("_code") + "_norm"


def _fit_steps(
    model: keras.Model, seen: dict[str, object], source: keras.Model, images: Sequence[NDArray[np.float32]]
) -> None:
    """Fit the step of each activation to the values that it sees, which `source` computes."""
    values: dict[str, list[NDArray[np.float32]]] = {name: [] for name in seen}
    part = keras.Model(source.inputs[0], list(seen.values()))
    for image in images:
        for name, found in zip(seen, part.predict_on_batch(image[None, ..., None]), strict=True):
            flat = keras.ops.convert_to_numpy(found).ravel()
            values[name].append(flat[:: max(1, flat.size // VALUES)])
    for name, found in values.items():
        layer = model.get_layer(name)
        layer.step.assign(least_squares_step(np.concatenate(found), layer.levels, signed=layer.signed))
