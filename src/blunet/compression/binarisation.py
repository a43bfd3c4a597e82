"""From a lightweight U-Net to a BLU-Net that begins with what it knows."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings, ResidualLevels
from blunet.compression.calibration import calibrated
from blunet.compression.compression_settings import Start
from blunet.compression.layerwise import code_depthwise, walk, weight_gammas
from blunet.networks.build import build_network
from blunet.networks.weight_transfer import get_weights, set_weights


def binarise(
    student: keras.Model,
    settings: NetworkSettings,
    levels: ResidualLevels,
    images: Sequence[NDArray[np.float32]],
    start: Start = "calibrated",
    *,
    coded: bool = False,
    window: float | None = None,
    seed: int | None = None,
) -> keras.Model:
    """Build a BLU-Net from a trained lightweight U-Net.

    Parameters
    ----------
    student : keras.Model
        A lightweight network.
    settings : NetworkSettings
        Of the student.
    levels : ResidualLevels
        Of the BLU-Net.
    images : sequence of ndarray of shape (Y, X)
        Training images in [0, 1] whose sides the network takes; only looked at by `start="calibrated"`.
    start : {"calibrated", "least_squares", "published"}
        `published`: the student's kernels, all gammas as in the study. `least_squares`: weight gammas by least
        squares, activations as published. `calibrated`: as near to the student as the codes allow, see `calibrated`.
    coded : bool
        Whether depthwise results are coded too (`binarize_depthwise`); their gammas begin as the least squares of
        what the images give, whatever the start.
    window : float, optional
        Of the published straight-through gradient; None: that of a quantiser (see `residual_binarise`).
    seed : int, optional
        Of the output layer, which every start but `calibrated` begins afresh; equal seeds give equal weights.

    Returns
    -------
    keras.Model
    """
    target = settings.changed(network="blunet", residual_levels=levels, binarize_depthwise=coded)
    if start == "calibrated":
        return calibrated(student, settings, target, images, window)
    model = build_network(target, seed=seed, activation_start="published", weight_start=start, window=window)
    weights = {key: value for key, value in get_weights(student, settings).items() if key[0] != "output"}
    set_weights(model, target, weights)
    if start == "least_squares":
        set_weights(model, target, weight_gammas(weights, target))
    if coded:
        walk(model, target, images, lambda layer, inputs: code_depthwise(model, layer, inputs))
    return model
