"""Makes a BLU-Net of a trained lightweight U-Net."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings, ResidualLevels
from blunet.compression.calibration import calibrate
from blunet.compression.compression_settings import Start
from blunet.compression.layerwise import fit_depthwise_gammas, fit_weight_gammas, visit_layers
from blunet.networks.build import build_network
from blunet.networks.weight_transfer import get_weights, set_weights


def binarise(
    student: keras.Model,
    settings: NetworkSettings,
    levels: ResidualLevels,
    images: Sequence[NDArray[np.float32]],
    start: Start = "calibrated",
    *,
    binarize_depthwise: bool = False,
    gradient_window: float | None = None,
    seed: int | None = None,
) -> keras.Model:
    """Build a BLU-Net from a trained lightweight U-Net.

    Parameters
    ----------
    student : keras.Model
        A lightweight network.
    settings : NetworkSettings
        Settings of the student.
    levels : ResidualLevels
        Levels of the BLU-Net.
    images : sequence of ndarray of shape (Y, X)
        Training images in [0, 1] with sides that the network takes; used by the start "calibrated" and with
        `binarize_depthwise`.
    start : {"calibrated", "least_squares", "published"}
        `published`: the student's kernels, and all gammas as in the study. `least_squares`: gammas of the kernels by
        least squares, those of the activations as published. `calibrated`: as close to the student as the codes allow,
        see `calibrate`.
    binarize_depthwise : bool
        Whether the results of depthwise convolutions are binarised too. Their gammas start as the least squares of
        what the images give, for every start.
    gradient_window : float, optional
        Half width of the published straight-through gradients. None: the gradients of a quantiser, see
        `residual_binarise`.
    seed : int, optional
        Seed of the output layer, whose weights are random for every start but `calibrated`.

    Returns
    -------
    keras.Model
    """
    target = settings.changed(network="blunet", residual_levels=levels, binarize_depthwise=binarize_depthwise)
    if start == "calibrated":
        return calibrate(student, settings, target, images, gradient_window)
    model = build_network(
        target, seed=seed, activation_start="published", weight_start=start, gradient_window=gradient_window
    )
    weights = {key: value for key, value in get_weights(student, settings).items() if key[0] != "output"}
    set_weights(model, target, weights)
    if start == "least_squares":
        set_weights(model, target, fit_weight_gammas(weights, target))
    if binarize_depthwise:
        visit_layers(model, target, images, lambda layer, inputs: fit_depthwise_gammas(model, layer, inputs))
    return model
