"""The table of layers and what follows from it: the published figures, to the last parameter."""

from __future__ import annotations

import pytest

from blunet.architecture import (
    NetworkSettings,
    ResidualLevels,
    census,
    compression_ratio,
    layer_table,
    reach,
)
from blunet.errors import InputError


@pytest.mark.parametrize(
    ("network", "binary", "floats", "mib"),
    [
        ("unet", 0, 31_030_593, 118.372),
        ("lightweight", 0, 3_933_633, 15.0056),
        ("blunet", 11_780_352, 7_044, 1.43120),
    ],
)
def test_census_is_the_published_one(network, binary, floats, mib):
    counted = census(NetworkSettings(network))
    assert (counted.binary_parameters, counted.float_parameters) == (binary, floats)
    assert counted.size_mib == pytest.approx(mib, rel=5e-6)


def test_compression_ratio_of_the_published_blunet():
    assert compression_ratio(NetworkSettings("blunet")) == pytest.approx(82.7, abs=0.05)
    assert compression_ratio(NetworkSettings("unet")) == 1


def test_residual_levels_count_bits_of_their_kind_only():
    few = NetworkSettings("blunet", 3, 8, ResidualLevels(1, 2, 3, 1))
    bits = 0
    for layer in layer_table(few):
        for weight in layer.weights:
            levels = {"kernel": 2, "depthwise_kernel": 3, "pointwise_kernel": 1}.get(weight.name, 0)
            assert weight.residual_levels == levels
            bits += weight.size * levels
    assert census(few).binary_parameters == bits
    assert layer_table(few)[0].weight("activation_gamma").shape == (1,)


def test_reach_at_five_levels():
    assert reach(NetworkSettings(levels=5)) == (107, 122)
    assert reach(NetworkSettings(levels=1)) == (2, 2)


def test_every_map_is_wired_to_the_channels_it_receives():
    table = layer_table(NetworkSettings("lightweight", 4, 8))
    filters = {layer.name: layer.filters for layer in table}
    previous = 1
    for layer in table:
        assert layer.inputs == previous + (filters[layer.skip] if layer.skip else 0)
        previous = layer.filters
    assert len(table) == 2 * 4 + 3 * 3 + 1


def test_settings_survive_json():
    settings = NetworkSettings("blunet", 3, 24, ResidualLevels(3, 2, 1, 3))
    assert NetworkSettings.from_dict(settings.to_dict()) == settings


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"network": "resnet"}, "resnet"),
        ({"levels": 0}, "'levels' is 0"),
        ({"levels": True}, "'levels' is True"),
        ({"base_filters": 2.5}, "2.5"),
        ({"residual_levels": {"activation": 9}}, "residual_levels.activation' is 9"),
        ({"residual_levels": {"depth": 1}}, "residual levels"),
        ({"filters": 3}, "known keys"),
    ],
)
def test_wrong_settings_are_named(change, says):
    with pytest.raises(InputError, match=says):
        NetworkSettings.from_dict({**NetworkSettings().to_dict(), **change})
