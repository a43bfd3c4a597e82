"""Adjusts a binary network layer by layer, each to what the layers before it give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from blunet.architecture import Layer, NetworkSettings, list_layers
from blunet.networks.residual_code import Tensor, fit_gammas
from blunet.networks.weight_transfer import FloatWeights


def visit_layers(
    model: keras.Model,
    settings: NetworkSettings,
    images: Sequence[NDArray[np.float32]],
    visit: Callable[[Layer, list[Tensor]], None],
) -> None:
    """Call a function for every layer with its inputs.

    Parameters
    ----------
    model : keras.Model
        A binary network.
    settings : NetworkSettings
        Settings of the network.
    images : sequence of ndarray of shape (Y, X)
        In [0, 1], with sides that the network takes.
    visit : callable
        Takes a layer and its input of each image, of shape (1, Y, X, channels). It may change the layer's weights: the
        inputs of later layers follow from them.

    Notes
    -----
    The layers run image by image and without a graph. To trace a graph for every layer would take longer than all the
    sums.
    """
    table = list_layers(settings)
    skipped = {layer.skip for layer in table}
    kept: dict[str, list[Tensor]] = {}  # only the maps that a later layer needs: all maps would fill the memory
    previous = [keras.ops.convert_to_tensor(image[None, ..., None]) for image in images]
    for layer in table:
        skips = kept[layer.skip] if layer.skip else [None] * len(previous)
        inputs = [compute_layer_input(model, layer, x, skip) for x, skip in zip(previous, skips, strict=True)]
        visit(layer, inputs)
        if layer.path == "output":
            return
        convolution, sign = model.get_layer(layer.name), model.get_layer(f"{layer.name}_sign")
        previous = [sign(convolution(x)) for x in inputs]
        if layer.name in skipped:
            kept[layer.name] = previous


def compute_layer_input(model: keras.Model, layer: Layer, previous: Tensor, skip: Tensor | None) -> Tensor:
    """Return the input of a layer from the map before it and the map of its skip connection."""
    if layer.source == "pooled":
        return model.get_layer(f"level{layer.level}_pool")(previous)
    if layer.source == "upsampled":
        return model.get_layer(f"level{layer.level}_upsample")(previous)
    if layer.source == "concatenated":
        return model.get_layer(f"level{layer.level}_concatenate")([skip, previous])
    return previous


def fit_weight_gammas(
    weights: Mapping[tuple[str, str], NDArray[np.float32]], settings: NetworkSettings
) -> FloatWeights:
    """Return the least-squares gammas of the kernels among `weights`."""
    return {
        (layer.name, weight.gamma): fit_gammas(weights[layer.name, weight.name], weight.residual_levels)
        for layer in list_layers(settings)
        for weight in layer.weights
        if weight.gamma is not None and (layer.name, weight.name) in weights
    }


def fit_depthwise_gammas(model: keras.Model, layer: Layer, inputs: list[Tensor]) -> None:
    """Set the gammas between the two parts of a separable layer to the least squares of its depthwise sums.

    Layers without such gammas stay as they are.
    """
    convolution = model.get_layer(layer.name)
    levels = getattr(convolution, "coded_levels", 0)
    if levels:
        sums = [keras.ops.convert_to_numpy(convolution.compute_depthwise(x)).ravel() for x in inputs]
        convolution.depthwise_activation_gamma.assign(fit_gammas(np.concatenate(sums), levels))
