"""Networks of the normalised form: the packed engine gives the same answer as Keras, layer by layer and as a whole."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from random_networks import names, normalised
from reference_engine import ReferenceEngine
from same_answer import compare_layers, normalised_sums

from blunet.architecture import NetworkSettings, list_layers
from blunet.networks.build import build_network
from blunet.networks.keras_file import KerasModel
from blunet.networks.step_layers import CodedActivation
from blunet.packed.engine import Engine
from blunet.packed.model_card import ModelInfo

SETTINGS = [
    normalised(3, 24, "3333"),
    normalised(2, 3, "1323", 1),
    normalised(2, 70, "2121"),
    normalised(2, 8, "3112"),
    normalised(2, 24, "1111", coded=True),
    normalised(3, 8, "2222", coded=True),
    normalised(2, 64, "3121", 1, coded=True),
    normalised(2, 5, "1213", coded=True),
]


def textured(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Draw an image of smooth waves and noise, in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[: shape[0], : shape[1]]
    image = np.sin(x / 5 + np.sin(y / 7)) + np.cos(y / 4) + rng.normal(0, 0.3, shape)
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


def trained(settings: NetworkSettings, seed: int) -> keras.Model:
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


@pytest.mark.parametrize("settings", SETTINGS, ids=names)
def test_every_layer_on_the_same_inputs(settings):
    network = trained(settings, 3)
    weights = KerasModel(network, settings, ModelInfo()).packed().weights
    reference = ReferenceEngine(weights)

    def sums_of(layer, inputs):
        found = normalised_sums(network, layer, inputs)
        own = reference.layer_sums(layer, inputs)
        if not settings.binarize_depthwise or layer.kind == "convolution":  # coded depthwise results may flip near 0
            assert np.abs(found - own).max() <= 1e-5 * np.abs(own).max(), f"{layer.name}: Keras' sums differ"
        return found

    assert compare_layers(Engine(weights), reference, textured((48, 64), 1), sums_of) < 0.01


@pytest.mark.parametrize("settings", SETTINGS[::3], ids=names)
def test_whole_images(settings):
    model = KerasModel(trained(settings, 4), settings, ModelInfo())
    image = (textured((70, 93), 2) * 255).astype(np.uint8)
    ours, theirs = model.packed().predict_maps(image), model.predict_maps(image)
    assert ours.shape == theirs.shape == (len(settings.maps), 70, 93)
    assert theirs.std() > 1e-2
    assert (np.abs(ours - theirs) > 1e-3).mean() <= 0.01


def test_these_networks_use_all_their_codes():
    settings = SETTINGS[0]
    network = trained(settings, 3)
    codes = [network.get_layer(f"{layer.name}_activation") for layer in list_layers(settings)[:-1]]
    maps = keras.Model(network.inputs[0], [code.output for code in codes])(textured((48, 64))[None, ..., None])
    for code, values in zip(codes, maps, strict=True):
        assert len(np.unique(np.round(keras.ops.convert_to_numpy(values) / float(code.step)))) == 8
