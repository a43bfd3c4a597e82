"""Random binary networks for the tests of the packed model."""

from __future__ import annotations

import numpy as np

from blunet.architecture import NetworkSettings, ResidualLevels, list_layers

#: Levels, filters and residual levels (activation, convolution, depthwise, pointwise) of networks to test.
NETWORKS = [
    NetworkSettings(
        network="blunet",
        levels=1,
        base_filters=4,
        residual_levels=ResidualLevels(activation=1, convolution=2, depthwise=3, pointwise=1),
    ),
    NetworkSettings(
        network="blunet",
        levels=2,
        base_filters=8,
        residual_levels=ResidualLevels(activation=2, convolution=1, depthwise=1, pointwise=3),
    ),
    NetworkSettings(network="blunet", levels=3, base_filters=4, residual_levels=ResidualLevels.uniform(3)),
    NetworkSettings(
        network="blunet",
        levels=2,
        base_filters=16,
        residual_levels=ResidualLevels(activation=3, convolution=1, depthwise=2, pointwise=2),
    ),
    NetworkSettings(network="blunet", levels=1, base_filters=64, residual_levels=ResidualLevels.uniform(1)),
]


def names(settings: NetworkSettings) -> str:
    r = settings.residual_levels
    return f"{settings.levels}-{settings.base_filters}-{r.activation}{r.convolution}{r.depthwise}{r.pointwise}"


def latent_weights(settings: NetworkSettings, seed: int, exact: bool = False) -> dict:
    """Draw kernels, gammas (of either sign, in any order, some zero) and biases.

    `exact` ones have gammas and biases that are multiples of 1/8, so that on images of multiples of 1/16
    every sum is exact in float32, in any order, and often exactly 0.
    """
    rng = np.random.default_rng(seed)
    weights = {}
    for layer in list_layers(settings):
        for weight in layer.weights:
            if weight.name.endswith("gamma"):
                values = rng.choice([-6, -3, -2, -1, 1, 2, 4, 5], weight.shape) / 8
                if not exact:
                    values = values * rng.uniform(0.5, 1.5, weight.shape)
                if len(values) > 1 and rng.random() < 0.2:
                    values[rng.integers(len(values))] = 0
            elif weight.name == "bias":
                values = rng.integers(-12, 13, weight.shape) / 8 if exact else rng.normal(0, 1, weight.shape)
            else:
                values = rng.normal(0, 0.6, weight.shape)
            weights[layer.name, weight.name] = values.astype(np.float32)
    return weights


def exact_image(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Draw an image of multiples of 1/16."""
    return (np.random.default_rng(seed).integers(0, 17, shape) / 16).astype(np.float32)
