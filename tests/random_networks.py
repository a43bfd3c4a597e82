"""Random binary networks for the tests of the packed model."""

from __future__ import annotations

import numpy as np
from reference_engine import ReferenceEngine

from blunet.architecture import NetworkSettings, ResidualLevels, list_layers
from blunet.packed.binary_weights import binarise_weights

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


def normalised(levels: int, filters: int, residual: str, maps: int = 2, coded: bool = False) -> NetworkSettings:
    """Return settings of the normalised form; `residual` has a digit for each kind of tensor, as in `NETWORKS`."""
    return NetworkSettings(
        network="blunet",
        levels=levels,
        base_filters=filters,
        residual_levels=ResidualLevels(**dict(zip(ResidualLevels.model_fields, map(int, residual), strict=True))),
        binarize_depthwise=coded,
        form="normalised",
        maps=("foreground", "distance")[:maps],
    )


#: The normalised form: every number of levels of activations and weights, odd numbers of filters, one and two maps.
NORMALISED = [
    normalised(1, 70, "1111", 1),
    normalised(2, 24, "1212"),
    normalised(2, 3, "1323", 1),
    normalised(2, 8, "2121"),
    normalised(3, 16, "2222"),
    normalised(2, 64, "2332"),
    normalised(2, 40, "3111"),
    normalised(3, 5, "3213"),
    normalised(3, 24, "3333"),
    normalised(2, 64, "4444", 1),
    normalised(3, 12, "1111", coded=True),
    normalised(2, 70, "1111", coded=True),
    normalised(5, 8, "1111", 1, coded=True),
    normalised(2, 24, "1212", coded=True),
    normalised(2, 3, "2121", coded=True),
    normalised(2, 70, "2222", 1, coded=True),
    normalised(2, 64, "3121", coded=True),
    normalised(3, 16, "3333", coded=True),
    normalised(2, 8, "4444", coded=True),
]


def names(settings: NetworkSettings) -> str:
    r = settings.residual_levels
    shape = f"{settings.levels}-{settings.base_filters}-{r.activation}{r.convolution}{r.depthwise}{r.pointwise}"
    if settings.form == "published":
        return shape
    return f"{shape}-normalised-{len(settings.maps)}" + "-coded" * settings.binarize_depthwise


def latent_weights(settings: NetworkSettings, seed: int, exact: bool = False) -> dict:
    """Draw kernels, gammas (of either sign, in any order, some zero), scales, shifts and biases.

    `exact` ones have gammas, shifts and biases that are multiples of 1/8, so that on images of multiples of 1/16
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
            elif weight.name.endswith("scale"):  # of either sign, some zero; powers of two do not round
                values = rng.choice([-2, -1, 0, 0.5, 1, 2], weight.shape, p=[0.1] * 3 + [0.2, 0.3, 0.2])
                if weight.name == "scale":  # about as large as keeps sums of signs within the codes
                    values = values / 2 ** np.round(np.log2(layer.kernel_size * np.sqrt(layer.inputs)))
                if not exact:
                    values = values * rng.uniform(0.5, 1.5, weight.shape)
            elif weight.name in ("bias", "depthwise_shift"):
                values = rng.integers(-12, 13, weight.shape) / 8 if exact else rng.normal(0, 1, weight.shape)
            else:
                values = rng.normal(0, 0.6, weight.shape)
            weights[layer.name, weight.name] = values.astype(np.float32)
    if settings.form == "normalised":
        centre_biases(settings, weights, rng, exact)
    return weights


def centre_biases(settings: NetworkSettings, weights: dict, rng: np.random.Generator, exact: bool) -> None:
    """Move biases and shifts, as normalisation does, so that sums lie around the middle of the codes."""
    engine = ReferenceEngine(binarise_weights(settings, weights))
    current = exact_image((4 * settings.multiple, 8 * settings.multiple), int(rng.integers(99)))[..., None]
    maps: dict[str, np.ndarray] = {}

    def centre(key: tuple[str, str], sums: np.ndarray, middle: float) -> None:
        moved = middle - np.median(sums, axis=(0, 1))
        moved = np.round(8 * moved) / 8 if exact else moved + rng.normal(0, 0.1, moved.shape)
        weights[key] = engine.weights.floats[key] + moved.astype(np.float32)
        engine.replace(key, weights[key])

    for layer in engine.layers:
        inputs = engine.layer_input(layer, current, maps.get(layer.skip))
        if (layer.name, "depthwise_shift") in weights:
            k = layer.kernel_size
            padded = np.pad(inputs, (((k - 1) // 2, k // 2),) * 2 + ((0, 0),))
            centre((layer.name, "depthwise_shift"), engine.depthwise_sums(layer, padded), 0)
        gammas = weights.get((layer.name, "activation_gamma"), np.zeros(1, np.float32))
        centre((layer.name, "bias"), engine.layer_sums(layer, inputs), np.abs(gammas).sum())
        if layer.activation != "sigmoid":
            current = maps[layer.name] = engine.decode(layer, engine.encode(layer, engine.layer_sums(layer, inputs)))


def exact_image(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Draw an image of multiples of 1/16."""
    return (np.random.default_rng(seed).integers(0, 17, shape) / 16).astype(np.float32)
