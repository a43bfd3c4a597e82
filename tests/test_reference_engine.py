"""The reference engine against a naive one, written from the method's description: float64, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from random_networks import NETWORKS, NORMALISED, exact_image, latent_weights, names
from reference_engine import ReferenceEngine, sigmoid

from blunet.architecture import list_layers
from blunet.images.normalisation import normalise
from blunet.packed.binary_weights import binarise_weights
from blunet.packed.packed_model import PackedModel
from blunet.packed.published_file import read_published
from blunet.packed.tiles import pad_to_multiple


def naive_code(values: np.ndarray, gammas: np.ndarray) -> np.ndarray:
    """Value of the residual code; the residuals in float32, as the method has them."""
    residual = values.astype(np.float32)
    total = np.zeros(values.shape)
    for gamma in gammas:
        step = np.where(residual < 0, -abs(gamma), abs(gamma)).astype(np.float32)
        total = total + step
        residual = residual - step
    return total


def naive_unsigned(values: np.ndarray, gammas: np.ndarray) -> np.ndarray:
    """Value of the unsigned code: that of the residual code, both moved by the offset."""
    offset = np.abs(gammas).sum(dtype=np.float32)
    return naive_code(values.astype(np.float32) - offset, gammas) + offset


def naive_sums(layer, latent, inputs: np.ndarray) -> np.ndarray:
    """Sums of one layer, pixel by pixel, taps outside the image left out."""
    if (layer.name, "depthwise_scale") in latent:
        return naive_normalised_sums(layer, latent, inputs)
    if layer.activation == "sigmoid" and (layer.name, "kernel_gamma") not in latent:
        return inputs @ latent[layer.name, "kernel"][0, 0] + latent[layer.name, "bias"]
    if layer.kind == "convolution":
        kernel = naive_code(latent[layer.name, "kernel"], latent[layer.name, "kernel_gamma"])
    else:
        depthwise = naive_code(latent[layer.name, "depthwise_kernel"], latent[layer.name, "depthwise_gamma"])
        pointwise = naive_code(latent[layer.name, "pointwise_kernel"], latent[layer.name, "pointwise_gamma"])
        kernel = depthwise * pointwise  # nothing stands between the two: together they are one plain kernel
    return naive_convolution(inputs, kernel) * latent.get((layer.name, "scale"), 1) + latent[layer.name, "bias"]


def naive_normalised_sums(layer, latent, inputs: np.ndarray) -> np.ndarray:
    """Sums of a separable layer of the normalised form."""
    depthwise = naive_code(latent[layer.name, "depthwise_kernel"], latent[layer.name, "depthwise_gamma"])
    middle = naive_convolution(inputs, depthwise * np.eye(layer.inputs)) * latent[layer.name, "depthwise_scale"]
    if (layer.name, "depthwise_shift") in latent:
        middle = middle + latent[layer.name, "depthwise_shift"]
        middle = naive_code(middle, latent[layer.name, "depthwise_activation_gamma"])
    pointwise = naive_code(latent[layer.name, "pointwise_kernel"], latent[layer.name, "pointwise_gamma"])
    return middle @ pointwise[0, 0] * latent[layer.name, "scale"] + latent[layer.name, "bias"]


def naive_convolution(inputs: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    height, width, _ = inputs.shape
    size, filters = kernel.shape[0], kernel.shape[3]
    first = -1 if size == 3 else 0
    sums = np.zeros((height, width, filters))
    for y, x in np.ndindex(height, width):
        for i, j in np.ndindex(size, size):
            row, column = y + first + i, x + first + j
            if 0 <= row < height and 0 <= column < width:
                sums[y, x] += inputs[row, column] @ kernel[i, j]
    return sums


def naive_input(layer, previous: np.ndarray, maps: dict) -> np.ndarray:
    height, width, channels = previous.shape
    if layer.source == "pooled":
        return previous.reshape(height // 2, 2, width // 2, 2, channels).max(axis=(1, 3))
    if layer.source == "upsampled":
        return np.kron(previous, np.ones((2, 2, 1)))
    if layer.source == "concatenated":
        return np.dstack([maps[layer.skip], previous])
    return previous


def naive_run(settings, latent, image: np.ndarray):
    """Yield every layer with its input and its sums."""
    current, maps = image[..., None].astype(float), {}
    for layer in list_layers(settings):
        inputs = naive_input(layer, current, maps)
        sums = naive_sums(layer, latent, inputs)
        yield layer, inputs, sums
        if layer.activation == "residual_sign":
            code = naive_code if settings.form == "published" else naive_unsigned
            current = maps[layer.name] = code(sums, latent[layer.name, "activation_gamma"])


#: Of the normalised form those that a naive engine can run.
SMALL = [settings for settings in NORMALISED if settings.base_filters <= 24 and settings.levels <= 3]


@pytest.mark.parametrize("settings", NETWORKS + SMALL, ids=names)
@pytest.mark.parametrize("seed", [0, 1])
def test_engine_equals_the_naive_network_where_sums_are_exact(settings, seed):
    latent = latent_weights(settings, seed, exact=True)
    image = exact_image((12, 16), seed)
    *_, (_, _, sums) = naive_run(settings, latent, image)
    assert np.ptp(sums) > 0

    maps = ReferenceEngine(binarise_weights(settings, latent)).run(image)

    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, 1 / (1 + np.exp(-np.moveaxis(sums, -1, 0))), rtol=3e-6, atol=1e-30)


@pytest.mark.parametrize("settings", NETWORKS + SMALL, ids=names)
def test_sums_of_every_layer_on_the_same_inputs(settings):
    latent = latent_weights(settings, seed=2)
    engine = ReferenceEngine(binarise_weights(settings, latent))
    image = np.random.default_rng(3).random((16, 12), np.float32)
    for layer, inputs, sums in naive_run(settings, latent, image):
        found = engine.layer_sums(layer, inputs.astype(np.float32))
        assert np.abs(found - sums).max() <= 1e-5 * np.abs(sums).max(), layer.name


def test_strips_do_not_change_the_sums(monkeypatch):
    settings = NETWORKS[2]
    engine = ReferenceEngine(binarise_weights(settings, latent_weights(settings, 4, exact=True)))
    image = exact_image((32, 24), 5)
    whole = engine.run(image)
    for values in (1, 600, 1300):
        monkeypatch.setattr("reference_engine.STRIP_VALUES", values)
        np.testing.assert_allclose(engine.run(image), whole, rtol=1e-6)


def test_the_published_network_gives_its_published_output(legacy):
    settings, latent = read_published(legacy / "blu_net.h5", "blunet")
    expected = np.load(legacy / "expected.npz")
    model = PackedModel(binarise_weights(settings, latent))
    image = pad_to_multiple(normalise(expected["image"], model.info.normalisation), settings.multiple)
    height, width = expected["image"].shape
    probability = ReferenceEngine(model.weights).run(image)[0, :height, :width]
    wanted = expected["blu_net"]
    assert np.mean((probability > 0.5) != (wanted > 0.5)) <= 0.0005
    assert np.mean(np.abs(probability - wanted) > 1e-3) <= 0.01


def test_engine_refuses_sides_that_are_no_multiples():
    settings = NETWORKS[2]
    engine = ReferenceEngine(binarise_weights(settings, latent_weights(settings, 0)))
    with pytest.raises(ValueError, match="multiples of 4"):
        engine.run(np.zeros((8, 10), np.float32))


def test_sigmoid_neither_overflows_nor_leaves_the_unit_interval():
    x = np.array([-1e30, -1000, -100, -1, 0, 1, 1000, 1e30], np.float32)
    with np.errstate(over="raise", invalid="raise"):
        y = sigmoid(x)
    np.testing.assert_allclose(y, [0, 0, 3.783506e-44, 0.26894143, 0.5, 0.7310586, 1, 1], rtol=0.02)
    assert y.dtype == np.float32
