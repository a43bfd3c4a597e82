"""The three networks as Keras models, built from the table of layers."""

from __future__ import annotations

import keras

from blunet.architecture import Layer, NetworkSettings, list_layers
from blunet.networks.normalised_layers import add_normalised_layer
from blunet.networks.residual_code import ActivationStart, Tensor, WeightStart
from blunet.networks.residual_layers import (
    BinaryConv2D,
    BinarySeparableConv2D,
    ResidualSign,
    make_depthwise_initializer,
)


def build_network(
    settings: NetworkSettings,
    *,
    seed: int | None = None,
    weight_start: WeightStart = "least_squares",
    activation_start: ActivationStart = "halving",
    gradient_window: float | None = None,
    l2: float = 0.0,
) -> keras.Model:
    """Build a network with random weights.

    Parameters
    ----------
    settings : NetworkSettings
    seed : int, optional
        The same seed gives the same weights on one backend.
    weight_start : {"least_squares", "published"}
        Gammas of the kernels of a binary network.
    activation_start : {"halving", "published"}
        Gammas of its residual signs, see `ResidualSign`.
    gradient_window : float, optional
        Half width of its published straight-through gradients. None: the gradients of a quantiser, see
        `residual_binarise`.
    l2 : float
        Factor of the sum of the squared kernels in the loss of a float network, without the two contracting
        convolutions of level 0 and the output.

    Returns
    -------
    keras.Model
        From images (N, Y, X, 1) in [0, 1] to maps (N, Y, X, K) in [0, 1], as listed in ``settings.maps``, where Y and
        X are multiples of ``settings.multiple``. Layers are named as in the table of layers; those of the normalised
        form consist of several Keras layers (see `add_normalised_layer`). `get_feature_map` returns the map behind the
        activation of a layer.
    """
    if seed is not None:
        keras.utils.set_random_seed(seed)
    maps: dict[str, Tensor] = {}
    x = inputs = keras.Input((None, None, 1), name="image")
    for layer in list_layers(settings):
        x = _add_source(layer, x, maps)
        if settings.form == "normalised":
            x = add_normalised_layer(layer, x, settings, l2)
        elif settings.binary:
            x = _make_binary_layer(layer, weight_start, gradient_window)(x)
            if layer.activation == "sigmoid":
                x = keras.layers.Activation("sigmoid", name="probability")(x)
            else:
                levels = layer.weight("activation_gamma").shape[0]
                x = ResidualSign(levels, activation_start, gradient_window, name=f"{layer.name}_sign")(x)
        else:
            x = _make_float_layer(layer, l2)(x)
        maps[layer.name] = x
    return keras.Model(inputs, x, name=settings.network)


def get_feature_map(model: keras.Model, layer: str) -> Tensor:
    """Return the symbolic output, behind its activation, of a layer of the table."""
    names = {part.name for part in model.layers}
    behind = {f"{layer}_sign", f"{layer}_activation", "probability" if layer == "output" else ""} & names
    return model.get_layer(behind.pop() if behind else layer).output


def _add_source(layer: Layer, x: Tensor, maps: dict[str, Tensor]) -> Tensor:
    if layer.source == "pooled":
        return keras.layers.MaxPooling2D(2, name=f"level{layer.level}_pool")(x)
    if layer.source == "upsampled":
        return keras.layers.UpSampling2D(2, interpolation="nearest", name=f"level{layer.level}_upsample")(x)
    if layer.source == "concatenated":
        assert layer.skip is not None
        return keras.layers.Concatenate(name=f"level{layer.level}_concatenate")([maps[layer.skip], x])
    return x


def _make_float_layer(layer: Layer, l2: float) -> keras.layers.Layer:
    spared = layer.path == "output" or (layer.path == "contracting" and layer.level == 0)
    penalty = keras.regularizers.L2(l2) if l2 > 0 and not spared else None
    if layer.kind == "separable":
        return keras.layers.SeparableConv2D(
            layer.filters,
            layer.kernel_size,
            padding="same",
            activation=layer.activation,
            depthwise_initializer=make_depthwise_initializer(layer.kernel_size),
            pointwise_initializer="he_normal",
            depthwise_regularizer=penalty,
            pointwise_regularizer=penalty,
            name=layer.name,
        )
    return keras.layers.Conv2D(
        layer.filters,
        layer.kernel_size,
        padding="same",
        activation=layer.activation,
        kernel_initializer="glorot_uniform" if layer.path == "output" else "he_normal",
        kernel_regularizer=penalty,
        name=layer.name,
    )


def _make_binary_layer(layer: Layer, start: WeightStart, gradient_window: float | None) -> keras.layers.Layer:
    if layer.kind == "separable":
        return BinarySeparableConv2D(
            layer.filters,
            layer.kernel_size,
            layer.weight("depthwise_kernel").residual_levels,
            layer.weight("pointwise_kernel").residual_levels,
            start,
            gradient_window,
            coded_levels=next((w.shape[0] for w in layer.weights if w.name == "depthwise_activation_gamma"), 0),
            name=layer.name,
        )
    levels = layer.weight("kernel").residual_levels
    return BinaryConv2D(layer.filters, layer.kernel_size, levels, start, gradient_window, name=layer.name)
