"""Keras networks of the normalised form, with the weights that training would change drawn at random."""

from __future__ import annotations

import keras
import numpy as np

from blunet.architecture import Layer, NetworkSettings
from blunet.networks.build import build_network
from blunet.networks.step_layers import CodedActivation


def textured(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Draw an image of smooth waves and noise, in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[: shape[0], : shape[1]]
    image = np.sin(x / 5 + np.sin(y / 7)) + np.cos(y / 4) + rng.normal(0, 0.3, shape)
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


def trained_network(settings: NetworkSettings, seed: int) -> keras.Model:
    """Build a network and draw what training would change: steps, and normalisations near the statistics of an image.

    Some of their factors are negative, some 0.
    """
    network = build_network(settings, seed=seed)
    rng = np.random.default_rng(seed)
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in network.layers:
        if isinstance(layer, CodedActivation):
            layer.step.assign(rng.uniform(2, 3) / (2**layer.levels - 1))
        elif hasattr(layer, "step"):
            layer.step.assign(layer.step * rng.uniform(0.7, 1.2))
    for layer in norms:
        _, _, mean, variance = layer.get_weights()
        gamma = rng.choice([-1, 0, 1], mean.shape, p=[0.1, 0.05, 0.85]) * rng.uniform(0.5, 1.5, mean.shape)
        layer.set_weights([gamma, rng.normal(0.5, 0.5, mean.shape), mean, variance])
        layer.momentum = 0  # one batch is enough for its statistics
    network(textured((16 * settings.multiple, 16 * settings.multiple), seed)[None, ..., None], training=True)
    for layer in norms:
        gamma, beta, mean, variance = layer.get_weights()
        variance *= rng.uniform(0.5, 1.5, variance.shape)
        layer.set_weights([gamma, beta, mean + rng.normal(0, 0.2, mean.shape) * np.sqrt(variance), variance])
    output = network.get_layer("output")
    output.set_weights([rng.normal(0, 1, w.shape) for w in output.get_weights()])
    return network


def normalised_sums(network, layer: Layer, inputs: np.ndarray) -> np.ndarray:
    """Return a layer's sums, before its activation, in a Keras network of the normalised form."""
    if layer.activation == "sigmoid":
        kernel, bias = network.get_layer(layer.name).get_weights()
        return inputs @ kernel[0, 0] + bias
    known = {part.name for part in network.layers}
    x = inputs[None]
    for part in ("depthwise", "depthwise_norm", "depthwise_code", "kernel", "norm"):
        if f"{layer.name}_{part}" in known:
            x = network.get_layer(f"{layer.name}_{part}")(x, training=False)
    return keras.ops.convert_to_numpy(x)[0]
