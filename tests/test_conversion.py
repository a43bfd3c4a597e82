"""Networks between the published and the normalised form, and the start of a coded network."""

from __future__ import annotations

import numpy as np
import pytest

from blunet.architecture import NetworkSettings, ResidualLevels, count_parameters, list_layers
from blunet.compression.coded_start import start_coded
from blunet.errors import InputError
from blunet.networks.build import build_network
from blunet.networks.conversion import convert_network, copy_weights
from blunet.networks.keras_file import KerasModel, load_keras, run_network
from blunet.networks.normalised_layers import fold_normalisation
from blunet.packed.model_card import ModelInfo

pytestmark = pytest.mark.usefixtures("eager")
LIGHT = NetworkSettings(network="lightweight", levels=3, base_filters=4)
BOTH = ("foreground", "distance")


def images(count=3, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.random((32, 48)).astype(np.float32) for _ in range(count)]


def trained(settings, seed=1):
    """A network whose normalisations have drawn statistics, scales and shifts."""
    model, rng = build_network(settings, seed=seed), np.random.default_rng(seed)
    for layer in model.layers:
        if layer.name.endswith("_norm"):
            n = layer.get_weights()[0].size
            layer.set_weights(
                [rng.uniform(0.5, 1.5, n), rng.normal(0, 0.3, n), rng.normal(0, 0.5, n), rng.gamma(2, 1, n)]
            )
    return model


@pytest.mark.parametrize("network", ["unet", "lightweight"])
def test_a_published_network_is_normalised_and_back_without_a_change(network):
    published = LIGHT.changed(network=network)
    normalised = published.changed(form="normalised", maps=BOTH)
    model = build_network(published, seed=1)
    converted = convert_network(model, published, normalised, images(), seed=2)
    image = images(1, seed=9)[0]
    maps = run_network(converted, image, 4)
    assert maps.shape == (2, *image.shape)
    np.testing.assert_allclose(maps[0], run_network(model, image, 4)[0], atol=1e-5)
    assert maps[1].std() > 0
    back = convert_network(converted, normalised, published, ())
    np.testing.assert_allclose(run_network(back, image, 4), run_network(model, image, 4), atol=1e-5)


def test_statistics_of_a_normalised_network_are_those_of_the_images():
    published, normalised = LIGHT, LIGHT.changed(form="normalised")
    model = convert_network(build_network(published, seed=1), published, normalised, images())
    scale, _, mean, variance = model.get_layer("level0_contracting_1_norm").get_weights()
    kernel = model.get_layer("level0_contracting_1_kernel")
    sums = np.stack([np.asarray(kernel(image[None, ..., None])) for image in images()])
    np.testing.assert_allclose(mean, sums.mean((0, 1, 2, 3)), atol=1e-5)
    np.testing.assert_allclose(variance, sums.var((0, 1, 2, 3)), atol=1e-5)
    assert (scale > 0).all()


@pytest.mark.parametrize("network", ["unet", "lightweight"])
def test_a_folded_network_has_the_published_form_and_the_same_maps(network):
    normalised = NetworkSettings(network=network, levels=3, base_filters=4, form="normalised", maps=BOTH)
    folded = normalised.changed(form="published")
    model = trained(normalised)
    image = images(1)[0]
    converted = convert_network(model, normalised, folded, ())
    np.testing.assert_allclose(run_network(converted, image, 4), run_network(model, image, 4), atol=2e-6)
    assert sum(w.size for w in converted.get_weights()) == count_parameters(normalised).float_parameters


def test_a_network_of_another_size_is_refused():
    with pytest.raises(InputError, match="same kind"):
        convert_network(build_network(LIGHT), LIGHT, LIGHT.changed(base_filters=8), images())


def test_a_normalised_network_survives_its_file(tmp_path):
    settings = LIGHT.changed(form="normalised", maps=BOTH)
    model = KerasModel(trained(settings), settings, ModelInfo())
    model.save(tmp_path / "model.keras")
    read = load_keras(tmp_path / "model.keras")
    assert read.settings == settings
    image = (images(1)[0] * 1000).astype(np.uint16)
    np.testing.assert_array_equal(read.predict_maps(image), model.predict_maps(image))
    np.testing.assert_array_equal(read.predict(image), model.predict_maps(image)[0])


@pytest.mark.parametrize("coded", [False, True])
def test_a_coded_network_starts_close_to_its_student_and_closer_with_more_levels(coded):
    settings = LIGHT.changed(form="normalised", maps=BOTH)
    student, image = trained(settings), images(1, seed=4)[0]
    expected = run_network(student, image, 4)
    errors = []
    for levels in (1, 2, 3, 4):
        target = settings.changed(
            network="blunet", residual_levels=ResidualLevels.uniform(levels), binarize_depthwise=coded
        )
        start = start_coded(student, target, images())
        errors.append(float(np.abs(run_network(start, image, 4) - expected).mean()))
        norm = "level1_contracting_1_depthwise_norm"
        for own, given in zip(start.get_layer(norm).get_weights(), student.get_layer(norm).get_weights(), strict=True):
            np.testing.assert_array_equal(own, given)
    assert errors[3] < errors[2] < errors[0]
    assert errors[3] < 0.1 * expected.std() + 0.02


@pytest.mark.parametrize("coded", [False, True])
def test_the_folded_weights_of_a_coded_network_are_those_of_the_table(coded):
    settings = LIGHT.changed(form="normalised", maps=BOTH, network="blunet", binarize_depthwise=coded)
    weights = fold_normalisation(build_network(settings, seed=1), settings)
    expected = {(layer.name, w.name): w.shape for layer in list_layers(settings) for w in layer.weights}
    assert {key: value.shape for key, value in weights.items()} == expected


def test_weights_of_another_shape_are_not_copied():
    settings = LIGHT.changed(form="normalised")
    wide, narrow = build_network(settings.changed(maps=BOTH), seed=1), build_network(settings, seed=2)
    before = narrow.get_layer("output").get_weights()
    copy_weights(wide, narrow)
    np.testing.assert_array_equal(narrow.get_layer("output").get_weights()[0], before[0])
    np.testing.assert_array_equal(
        narrow.get_layer("level2_contracting_1_kernel").get_weights()[0],
        wide.get_layer("level2_contracting_1_kernel").get_weights()[0],
    )
