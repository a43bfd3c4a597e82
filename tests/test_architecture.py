"""The table of layers, and what follows from it: the published numbers, to the last parameter."""

from __future__ import annotations

import pytest

from blunet.architecture import (
    NetworkSettings,
    ResidualLevels,
    compute_compression_ratio,
    compute_reach,
    count_parameters,
    list_layers,
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
def test_parameters_are_counted_as_published(network, binary, floats, mib):
    counted = count_parameters(NetworkSettings(network=network))
    assert (counted.binary_parameters, counted.float_parameters) == (binary, floats)
    assert counted.size_mib == pytest.approx(mib, rel=5e-6)


def test_compression_ratio_of_the_published_blunet():
    assert compute_compression_ratio(NetworkSettings(network="blunet")) == pytest.approx(82.7, abs=0.05)
    assert compute_compression_ratio(NetworkSettings(network="unet")) == 1


def test_residual_levels_count_bits_of_their_kind_only():
    few = NetworkSettings(
        network="blunet",
        levels=3,
        base_filters=8,
        residual_levels=ResidualLevels(activation=1, convolution=2, depthwise=3, pointwise=1),
    )
    bits = 0
    for layer in list_layers(few):
        for weight in layer.weights:
            levels = {"kernel": 2, "depthwise_kernel": 3, "pointwise_kernel": 1}.get(weight.name, 0)
            assert weight.residual_levels == levels
            bits += weight.size * levels
    assert count_parameters(few).binary_parameters == bits
    assert list_layers(few)[0].weight("activation_gamma").shape == (1,)


def test_reach_at_five_levels():
    assert compute_reach(NetworkSettings(levels=5)) == (107, 122)
    assert compute_reach(NetworkSettings(levels=1)) == (2, 2)


def test_every_map_is_wired_to_the_channels_it_receives():
    table = list_layers(NetworkSettings(network="lightweight", levels=4, base_filters=8))
    filters = {layer.name: layer.filters for layer in table}
    previous = 1
    for layer in table:
        assert layer.inputs == previous + (filters[layer.skip] if layer.skip else 0)
        previous = layer.filters
    assert len(table) == 2 * 4 + 3 * 3 + 1


def test_settings_survive_json():
    settings = NetworkSettings(
        network="blunet",
        levels=3,
        base_filters=24,
        residual_levels=ResidualLevels(activation=3, convolution=2, depthwise=1, pointwise=3),
    )
    assert NetworkSettings.from_dict(settings.to_dict()) == settings


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"network": "resnet"}, "resnet"),
        ({"levels": 0}, "'levels' is 0"),
        ({"levels": True}, "'levels' is True"),
        ({"base_filters": 2.5}, "2.5"),
        ({"residual_levels": {"activation": 9}}, "'residual_levels.activation' is 9; give a whole number, 1 to 4"),
        (
            {"residual_levels": {"depth": 1}},
            "'residual_levels.depth' is not a setting; known are activation, convolution",
        ),
        ({"filters": 3}, "'filters' is not a setting; known are network, levels"),
    ],
)
def test_wrong_settings_are_named(change, says):
    with pytest.raises(InputError, match=says):
        NetworkSettings.from_dict({**NetworkSettings().to_dict(), **change})
