"""A packed model: raw images of any size in, probabilities out."""

from __future__ import annotations

import numpy as np
import pytest
from random_networks import NORMALISED, latent_weights

from blunet.architecture import NetworkSettings, ResidualLevels
from blunet.errors import InputError
from blunet.images.normalisation import Limits, normalise
from blunet.images.normalisation_settings import Normalisation
from blunet.packed.binary_weights import binarise_weights
from blunet.packed.model_card import ModelInfo
from blunet.packed.packed_model import PackedModel, load_model


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
    np.testing.assert_allclose(probability, model.engine.run(padded)[0, : shape[0], : shape[1]], atol=1e-6)


def test_predict_gives_an_image_of_one_pixel_one_probability():
    with pytest.warns(UserWarning, match="constant"):
        probability = some_model().predict(np.array([[7]], np.uint16))
    assert probability.shape == (1, 1)
    assert 0 <= probability[0, 0] <= 1


def test_predict_applies_the_models_own_normalisation_to_the_whole_frame():
    image = np.random.default_rng(8).integers(900, 1400, (40, 24)).astype(np.uint16)
    own = Normalisation(method="percentile", low=2.0, high=98.0)
    model = some_model(normalisation=own)
    wanted = model.engine.run(normalise(image, own))[0]
    assert np.ptp(wanted) > 0
    assert np.array_equal(model.predict(image), wanted)
    assert np.allclose(model.predict(image, tile=8), wanted, atol=1e-6)
    shared = Limits(800.0, 1500.0)
    assert np.array_equal(model.predict(image, limits=shared), model.engine.run(normalise(image, own, shared))[0])
    assert not np.array_equal(model.predict(image, limits=shared), wanted)


@pytest.mark.parametrize("settings", [NORMALISED[4], NORMALISED[9], NORMALISED[10]], ids=lambda s: len(s.maps))
def test_all_maps_come_from_one_pass(settings):
    model = PackedModel(binarise_weights(settings, latent_weights(settings, 3)))
    image = np.random.default_rng(2).integers(0, 255, (37, 50)).astype(np.uint8)
    maps = model.predict_maps(image)
    assert maps.shape == (len(settings.maps), 37, 50)
    assert maps.dtype == np.float32
    assert all(np.ptp(one) > 0 for one in maps)
    assert np.array_equal(model.predict(image), maps[0])
    tiled = np.full_like(maps, np.nan)
    for core, part in model.predict_map_tiles(image, tile=16):
        tiled[:, *core] = part
    assert np.array_equal(tiled, model.predict_maps(image, tile=16))
    assert np.mean(np.abs(tiled - maps) > 1e-5) <= 0.001
    for core, part in model.predict_tiles(image, tile=16):
        assert np.array_equal(part, tiled[0][core])


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
