"""Tiles: side by side they cover the image, and their results equal that of the whole image."""

from __future__ import annotations

import numpy as np
import pytest
from random_networks import exact_image, latent_weights
from reference_engine import ReferenceEngine

from blunet.architecture import NetworkSettings, ResidualLevels, compute_reach
from blunet.packed.binary_weights import binarise_weights
from blunet.packed.packed_model import PackedModel
from blunet.packed.tiles import compute_halo, pad_to_multiple, split_into_tiles


def test_the_halo_of_five_levels():
    assert compute_reach(NetworkSettings(network="blunet")) == (107, 122)
    assert compute_halo(NetworkSettings(network="blunet")) == 128


@pytest.mark.parametrize("levels", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 40, 1000])
def test_tiles_cover_the_image_once_with_their_halo(levels, size):
    settings = NetworkSettings(network="blunet", levels=levels, base_filters=4)
    step, shape = settings.multiple, (23 * settings.multiple, 7 * settings.multiple)
    margin = max(compute_reach(settings))
    covered = np.zeros(shape, int)
    for tile in split_into_tiles(shape, size, settings):
        covered[tile.core] += 1
        for axis, length in enumerate(shape):
            extent, core, inside = tile.extent[axis], tile.core[axis], tile.inside[axis]
            assert extent.start % step == extent.stop % step == core.start % step == 0
            assert core.stop - core.start < size + step
            assert extent.start + inside.start == core.start
            assert extent.start + inside.stop == core.stop
            assert extent.start == 0 or core.start - extent.start >= margin
            assert extent.stop == length or extent.stop - core.stop >= margin
    assert (covered == 1).all()


def test_tiles_of_an_axis_are_about_equal():
    settings = NetworkSettings(network="blunet", levels=5, base_filters=4)
    cores = [tile.core[0] for tile in split_into_tiles((1040, 16), 1024, settings)]
    assert [(core.start, core.stop) for core in cores] == [(0, 528), (528, 1040)]


def test_an_image_within_one_tile_is_not_cut():
    (tile,) = split_into_tiles((1024, 512), 1024, NetworkSettings(network="blunet"))
    assert tile.extent == tile.core == tile.inside == (slice(0, 1024), slice(0, 512))


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_tiled_equals_untiled_where_sums_are_exact(levels, seed):
    """No sum is rounded here, so that every difference would be one of geometry."""
    settings = NetworkSettings(
        network="blunet",
        levels=levels,
        base_filters=4,
        residual_levels=ResidualLevels(activation=2, convolution=3, depthwise=2, pointwise=3),
    )
    engine = ReferenceEngine(binarise_weights(settings, latent_weights(settings, seed, exact=True)))
    image = exact_image((96, 64), seed)
    whole = engine.run(image)[0]
    assert np.ptp(whole) > 0
    for tile in split_into_tiles(image.shape, 16, settings):
        result = engine.run(image[tile.extent])[0][tile.inside]
        np.testing.assert_allclose(result, whole[tile.core], rtol=1e-6)


def test_tiled_equals_untiled_within_rounding_at_full_depth():
    settings = NetworkSettings(network="blunet", levels=5, base_filters=4)
    model = PackedModel(binarise_weights(settings, latent_weights(settings, 1)))
    image = np.random.default_rng(2).random((400, 330), np.float32)
    whole, tiled = model.predict(image), model.predict(image, tile=96)
    assert np.ptp(whole) > 0
    assert np.mean((whole > 0.5) != (tiled > 0.5)) <= 0.0005
    assert np.mean(np.abs(whole - tiled) > 1e-3) <= 0.01


@pytest.mark.parametrize(
    ("image", "multiple", "row"),
    [
        ([[1, 2, 3, 4, 5]], 4, [1, 2, 3, 4, 5, 4, 3, 2]),
        ([[1, 2, 3]], 8, [1, 2, 3, 2, 1, 2, 3, 2]),
        ([[9]], 4, [9, 9, 9, 9]),
        ([[1, 2, 3, 4]], 4, [1, 2, 3, 4]),
    ],
)
def test_padding_reflects_at_the_end_as_often_as_needed(image, multiple, row):
    image = np.array(image, np.float32)
    padded = pad_to_multiple(image, multiple)
    assert padded.shape == (multiple, len(row))
    assert (padded == row).all()
    assert np.array_equal(pad_to_multiple(image.T, multiple), padded.T)
    assert np.array_equal(padded[: image.shape[0], : image.shape[1]], image)
