"""A binary network looked at layer by layer: each is run on what those before it give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from blunet.architecture import Layer, NetworkSettings, layer_table
from blunet.networks.residual_code import Tensor, least_squares_gammas
from blunet.networks.weight_transfer import FloatWeights


def walk(
    model: keras.Model,
    target: NetworkSettings,
    images: Sequence[NDArray[np.float32]],
    visit: Callable[[Layer, list[Tensor]], None],
) -> None:
    """Visit every layer with what it sees of each image; it may change the layer.

    Each layer is run on what the layers before it give as they are now, image by image and without a graph: tracing one
    for every layer would take longer than all the sums.
    """
    table = layer_table(target)
    skipped = {layer.skip for layer in table}
    coded: dict[str, list[Tensor]] = {}  # maps that a later layer skips to; all of a network would fill the memory
    previous = [keras.ops.convert_to_tensor(image[None, ..., None]) for image in images]
    for layer in table:
        skips = coded[layer.skip] if layer.skip else [None] * len(previous)
        inputs = [layer_input(model, layer, x, skip) for x, skip in zip(previous, skips, strict=True)]
        visit(layer, inputs)
        if layer.path == "output":
            return
        convolution, sign = model.get_layer(layer.name), model.get_layer(f"{layer.name}_sign")
        previous = [sign(convolution(x)) for x in inputs]
        if layer.name in skipped:
            coded[layer.name] = previous


def layer_input(model: keras.Model, layer: Layer, previous: Tensor, skip: Tensor | None) -> Tensor:
    """Return what a layer of the model sees, from the map before it and the one that it skips to."""
    if layer.source == "pooled":
        return model.get_layer(f"level{layer.level}_pool")(previous)
    if layer.source == "upsampled":
        return model.get_layer(f"level{layer.level}_upsample")(previous)
    if layer.source == "concatenated":
        return model.get_layer(f"level{layer.level}_concatenate")([skip, previous])
    return previous


def weight_gammas(weights: Mapping[tuple[str, str], NDArray[np.float32]], target: NetworkSettings) -> FloatWeights:
    """Return the gammas of the kernels among `weights` by least squares."""
    return {
        (layer.name, weight.gamma): least_squares_gammas(weights[layer.name, weight.name], weight.residual_levels)
        for layer in layer_table(target)
        for weight in layer.weights
        if weight.gamma is not None and (layer.name, weight.name) in weights
    }


def code_depthwise(model: keras.Model, layer: Layer, inputs: list[Tensor]) -> None:
    """Set the gammas between a layer's two parts, if it has some, to the least squares of its depthwise sums."""
    convolution = model.get_layer(layer.name)
    levels = getattr(convolution, "coded_levels", 0)
    if levels:
        sums = np.concatenate([keras.ops.convert_to_numpy(convolution.depthwise(x)).ravel() for x in inputs])
        convolution.depthwise_activation_gamma.assign(least_squares_gammas(sums, levels))
