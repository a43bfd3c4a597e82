"""The reference engine against a naive one, written from the method's description: float64, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from random_networks import NETWORKS, exact_image, latent_weights, names
from reference_engine import ReferenceEngine, sigmoid

from blunet.architecture import NetworkSettings, ResidualLevels, list_layers
from blunet.errors import InputError
from blunet.images.normalisation import Limits, normalise
from blunet.images.normalisation_settings import Normalisation
from blunet.packed.binary_weights import binarise_weights
from blunet.packed.bit_planes import pack_bits, residual_code, residual_value, unpack_bits
from blunet.packed.model_card import ModelInfo
from blunet.packed.packed_model import PackedModel, load_model
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


def naive_sums(layer, latent, inputs: np.ndarray) -> np.ndarray:
    """Sums of one layer, pixel by pixel, taps outside the image left out."""
    if layer.kind == "convolution":
        kernel = naive_code(latent[layer.name, "kernel"], latent[layer.name, "kernel_gamma"])
    else:
        depthwise = naive_code(latent[layer.name, "depthwise_kernel"], latent[layer.name, "depthwise_gamma"])
        pointwise = naive_code(latent[layer.name, "pointwise_kernel"], latent[layer.name, "pointwise_gamma"])
        kernel = depthwise * pointwise  # nothing stands between the two: together they are one plain kernel
    height, width, _ = inputs.shape
    first = -1 if layer.kernel_size == 3 else 0
    sums = np.zeros((height, width, layer.filters))
    for y, x in np.ndindex(height, width):
        sums[y, x] = latent[layer.name, "bias"]
        for i, j in np.ndindex(layer.kernel_size, layer.kernel_size):
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
            current = maps[layer.name] = naive_code(sums, latent[layer.name, "activation_gamma"])


@pytest.mark.parametrize("settings", NETWORKS, ids=names)
@pytest.mark.parametrize("seed", [0, 1])
def test_engine_equals_the_naive_network_where_sums_are_exact(settings, seed):
    latent = latent_weights(settings, seed, exact=True)
    image = exact_image((12, 16), seed)
    *_, (_, _, sums) = naive_run(settings, latent, image)
    assert np.ptp(sums) > 0

    probability = ReferenceEngine(binarise_weights(settings, latent)).run(image)

    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-sums[..., 0])), rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("settings", NETWORKS, ids=names)
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
    probability = ReferenceEngine(model.weights).run(image)[:height, :width]
    wanted = expected["blu_net"]
    assert np.mean((probability > 0.5) != (wanted > 0.5)) <= 0.0005
    assert np.mean(np.abs(probability - wanted) > 1e-3) <= 0.01


def test_engine_refuses_sides_that_are_no_multiples():
    settings = NETWORKS[2]
    engine = ReferenceEngine(binarise_weights(settings, latent_weights(settings, 0)))
    with pytest.raises(ValueError, match="multiples of 4"):
        engine.run(np.zeros((8, 10), np.float32))


def test_residual_code_by_hand():
    gammas = np.array([-0.5, 0.25], np.float32)  # the magnitude counts
    values = np.array([0.0, -0.0, 0.5, 0.4, -0.1, -2.0], np.float32)
    signs = residual_code(values, gammas)
    assert signs.tolist() == [
        [True, True, True, True, False, False],
        [False, False, True, False, True, False],
    ]
    assert residual_value(signs, gammas).tolist() == [0.25, 0.25, 0.75, 0.25, -0.25, -0.75]


def test_gammas_that_are_zero_add_nothing():
    gammas = np.array([0.0, 0.5], np.float32)
    values = np.array([0.2, -0.2], np.float32)
    assert residual_value(residual_code(values, gammas), gammas).tolist() == [0.5, -0.5]


@pytest.mark.parametrize("shape", [(1,), (63,), (64,), (65,), (3, 3, 5, 7), (2, 64)])
def test_bits_are_packed_densely_from_the_least_significant(shape):
    bits = np.random.default_rng(0).random(shape) < 0.5
    words = pack_bits(bits)
    assert words.shape == (-(-bits.size // 64),)
    number = sum(int(word) << (64 * i) for i, word in enumerate(words))
    assert number == sum(1 << i for i, bit in enumerate(bits.ravel()) if bit)
    assert np.array_equal(unpack_bits(words, shape), bits)


def test_sigmoid_neither_overflows_nor_leaves_the_unit_interval():
    x = np.array([-1e30, -1000, -100, -1, 0, 1, 1000, 1e30], np.float32)
    with np.errstate(over="raise", invalid="raise"):
        y = sigmoid(x)
    np.testing.assert_allclose(y, [0, 0, 3.783506e-44, 0.26894143, 0.5, 0.7310586, 1, 1], rtol=0.02)
    assert y.dtype == np.float32


def some_model(**info) -> PackedModel:
    settings = NetworkSettings(network="blunet", levels=3, base_filters=4)
    return PackedModel(binarise_weights(settings, latent_weights(settings, 6)), ModelInfo(**info))


@pytest.mark.parametrize("shape", [(1, 2), (3, 5), (7, 16), (21, 17)])
def test_predict_pads_by_reflection_and_crops(shape):
    image = np.random.default_rng(7).integers(0, 255, shape).astype(np.uint8)
    image.flat[0] = 255 - image.flat[-1]  # not constant
    model = some_model()
    sides = [-(-n // 4) * 4 for n in shape]
    rows, columns = (
        [min(i % max(2 * n - 2, 1), -i % max(2 * n - 2, 1)) for i in range(side)]
        for n, side in zip(shape, sides, strict=True)
    )
    padded = image[np.ix_(rows, columns)] / np.float32(255)
    probability = model.predict(image)
    assert probability.shape == shape
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability, model.engine.run(padded)[: shape[0], : shape[1]], atol=1e-6)


def test_predict_gives_an_image_of_one_pixel_one_probability():
    with pytest.warns(UserWarning, match="constant"):
        probability = some_model().predict(np.array([[7]], np.uint16))
    assert probability.shape == (1, 1)
    assert 0 <= probability[0, 0] <= 1


def test_predict_applies_the_models_own_normalisation_to_the_whole_frame():
    image = np.random.default_rng(8).integers(900, 1400, (40, 24)).astype(np.uint16)
    own = Normalisation(method="percentile", low=2.0, high=98.0)
    model = some_model(normalisation=own)
    wanted = model.engine.run(normalise(image, own))
    assert np.ptp(wanted) > 0
    assert np.array_equal(model.predict(image), wanted)
    assert np.allclose(model.predict(image, tile=8), wanted, atol=1e-6)
    shared = Limits(800.0, 1500.0)
    assert np.array_equal(model.predict(image, limits=shared), model.engine.run(normalise(image, own, shared)))
    assert not np.array_equal(model.predict(image, limits=shared), wanted)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((2, 8, 8), np.uint8), r"shape \(2, 8, 8\)"),
        (np.zeros((0, 8), np.uint8), r"shape \(0, 8\)"),
        (np.array([[0.1, np.nan]]), "NaN"),
    ],
)
def test_predict_refuses_what_is_no_grey_image(image, reason):
    with pytest.raises(InputError, match=reason):
        some_model().predict(image)


def test_predict_refuses_a_tile_without_pixels():
    with pytest.raises(InputError, match="tile's side is 0"):
        some_model().predict(np.eye(8), tile=0)


def test_binarise_refuses_weights_that_do_not_fit():
    settings = NetworkSettings(network="blunet", levels=1, base_filters=4, residual_levels=ResidualLevels.uniform(1))
    weights = latent_weights(settings, 0)
    key = "level0_contracting_2", "kernel"
    with pytest.raises(InputError, match="'level0_contracting_2/kernel' is missing"):
        binarise_weights(settings, {k: v for k, v in weights.items() if k != key})
    with pytest.raises(InputError, match=r"\(3, 3, 4, 5\), and has to be float32 of shape \(3, 3, 4, 4\)"):
        binarise_weights(settings, {**weights, key: np.zeros((3, 3, 4, 5))})
    with pytest.raises(InputError, match="'level0_contracting_2/kernel' holds NaN"):
        binarise_weights(settings, {**weights, key: np.full((3, 3, 4, 4), np.nan)})
    with pytest.raises(InputError, match="'level0_contracting_2/gain'"):
        binarise_weights(settings, {**weights, ("level0_contracting_2", "gain"): np.zeros(4)})
    with pytest.raises(InputError, match="'lightweight'; only a 'blunet'"):
        binarise_weights(NetworkSettings(network="lightweight", levels=1, base_filters=4), weights)


def test_a_missing_bundled_model_is_said_to_be_missing(monkeypatch, tmp_path):
    monkeypatch.setattr("blunet.packed.packed_model.BUNDLED", tmp_path / "bundled.blunet")
    with pytest.raises(InputError, match=r"bundled model '.*bundled.blunet' is missing"):
        load_model()
    some_model().save(tmp_path / "bundled.blunet")
    assert load_model().path == tmp_path / "bundled.blunet"
