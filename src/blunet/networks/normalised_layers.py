"""Networks of the normalised form: batch normalisation after every convolution while training, folded for use."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from blunet.architecture import Layer, NetworkSettings, list_layers
from blunet.networks.batch_normalization import BatchNormalization
from blunet.networks.residual_layers import make_depthwise_initializer
from blunet.networks.step_code import Tensor, step_gammas
from blunet.networks.step_layers import CodedActivation, CodedConv2D
from blunet.packed.bit_planes import decode_residual, encode_residual

#: Statistics of a normalisation follow the batches with this momentum; its variance is at least EPSILON.
MOMENTUM, EPSILON = 0.97, 1e-3
#: Biases of the output at the start: less foreground than background, and most pixels near a border.
OUTPUT_BIAS = -0.5


def add_normalised_layer(layer: Layer, x: Tensor, settings: NetworkSettings, l2: float = 0.0) -> Tensor:
    """Add one layer of the table to a network in training form.

    The parts of layer ``name`` are called ``name_depthwise``, ``name_depthwise_norm``, ``name_depthwise_code`` (where
    depthwise results are coded), ``name_kernel``, ``name_norm`` and ``name_activation``.

    Parameters
    ----------
    layer : Layer
    x : tensor of shape (N, Y, X, inputs)
    settings : NetworkSettings
    l2 : float
        Factor of the sum of the squared kernels in the loss of a float network, as in `build_network`.

    Returns
    -------
    tensor of shape (N, Y, X, filters)
        Behind the activation; of the output layer, maps in [0, 1].
    """
    name, levels = layer.name, settings.residual_levels
    spared = layer.path == "contracting" and layer.level == 0
    penalty = keras.regularizers.L2(l2) if l2 > 0 and not spared else None
    if layer.path == "output":
        return keras.layers.Conv2D(
            layer.filters, 1, activation="sigmoid", bias_initializer=keras.initializers.Constant(OUTPUT_BIAS), name=name
        )(x)
    if layer.kind == "separable":
        if settings.binary:
            x = CodedConv2D(layer.inputs, layer.kernel_size, levels.depthwise, True, name=f"{name}_depthwise")(x)
        else:
            x = keras.layers.DepthwiseConv2D(
                layer.kernel_size,
                padding="same",
                use_bias=False,
                depthwise_initializer=make_depthwise_initializer(layer.kernel_size),
                depthwise_regularizer=penalty,
                name=f"{name}_depthwise",
            )(x)
        x = _normalisation(f"{name}_depthwise_norm")(x)
        if settings.binary and settings.binarize_depthwise:
            x = CodedActivation(levels.activation, True, name=f"{name}_depthwise_code")(x)
    size = 1 if layer.kind == "separable" else layer.kernel_size
    if settings.binary:
        of_kernel = levels.pointwise if layer.kind == "separable" else levels.convolution
        x = CodedConv2D(layer.filters, size, of_kernel, name=f"{name}_kernel")(x)
    else:
        x = keras.layers.Conv2D(
            layer.filters,
            size,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            kernel_regularizer=penalty,
            name=f"{name}_kernel",
        )(x)
    x = _normalisation(f"{name}_norm")(x)
    if settings.binary:
        return CodedActivation(levels.activation, name=f"{name}_activation")(x)
    return keras.layers.ReLU(name=f"{name}_activation")(x)


def fold_normalisation(model: keras.Model, settings: NetworkSettings) -> dict[tuple[str, str], NDArray[np.float32]]:
    """Return the weights of the table of layers, with the normalisations folded into them.

    In a float network they fold into kernels and biases, so that the folded network has the published form. In a
    BLU-Net they fold into one scale a depthwise channel, one scale a filter, and the bias (and, where depthwise
    results are coded, one shift a depthwise channel).

    Returns
    -------
    dict
        (layer, weight) -> float32, as `blunet.networks.weight_transfer.get_weights`.
    """
    weights: dict[tuple[str, str], Any] = {}
    for layer in list_layers(settings):
        for name, value in _folded_layer(model, layer, settings).items():
            weights[layer.name, name] = np.asarray(value, np.float32)
    return weights


def _folded_layer(model: keras.Model, layer: Layer, settings: NetworkSettings) -> dict[str, Any]:
    name, levels = layer.name, settings.residual_levels
    if layer.path == "output":
        kernel, bias = model.get_layer(name).get_weights()
        return {"kernel": kernel, "bias": bias}
    kernel = _kernel(model, f"{name}_kernel")
    scale, bias = _affine(model, f"{name}_norm")
    separable = layer.kind == "separable"
    result: dict[str, Any] = {}
    if separable:
        depthwise = _kernel(model, f"{name}_depthwise")
        depthwise_scale, shift = _affine(model, f"{name}_depthwise_norm")
        coded = settings.binary and settings.binarize_depthwise
        if not coded:  # behind the padding, so that the shift passes through the pointwise part as a constant
            seen = _coded_kernel(model, f"{name}_kernel", levels.pointwise) if settings.binary else kernel
            bias = bias + scale * (shift.astype(np.float64) @ seen[0, 0])
        if settings.binary:
            result |= {"depthwise_kernel": depthwise, "depthwise_scale": depthwise_scale}
            result["depthwise_gamma"] = _gammas(model, f"{name}_depthwise", levels.depthwise)
        else:
            result["depthwise_kernel"] = depthwise * depthwise_scale[:, None]
        if coded:
            result["depthwise_shift"] = shift
            result["depthwise_activation_gamma"] = _gammas(model, f"{name}_depthwise_code", levels.activation)
    kind = "pointwise" if separable else "kernel"
    kernel_name = "pointwise_kernel" if separable else "kernel"
    if not settings.binary:
        return {**result, kernel_name: kernel * scale, "bias": bias}
    of_kernel = levels.pointwise if separable else levels.convolution
    return {
        **result,
        kernel_name: kernel,
        f"{kind}_gamma": _gammas(model, f"{name}_kernel", of_kernel),
        "scale": scale,
        "bias": bias,
        "activation_gamma": _gammas(model, f"{name}_activation", levels.activation),
    }


def _normalisation(name: str) -> keras.layers.Layer:
    return BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=name)


def _affine(model: keras.Model, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the scale and shift that a normalisation amounts to once its statistics stay."""
    gamma, beta, mean, variance = (np.asarray(w, np.float64) for w in model.get_layer(name).get_weights())
    scale = gamma / np.sqrt(variance + EPSILON)
    return scale, beta - mean * scale


def _kernel(model: keras.Model, name: str) -> NDArray[Any]:
    return np.asarray(model.get_layer(name).get_weights()[0])


def _step(model: keras.Model, name: str) -> float:
    return abs(float(keras.ops.convert_to_numpy(model.get_layer(name).step))) + 1e-8


def _gammas(model: keras.Model, name: str, levels: int) -> NDArray[np.float32]:
    return step_gammas(_step(model, name), levels)


def _coded_kernel(model: keras.Model, name: str, levels: int) -> NDArray[Any]:
    """Return what the code of a kernel stands for, as it is packed."""
    gammas = _gammas(model, name, levels)
    return decode_residual(encode_residual(_kernel(model, name), gammas), gammas)
