"""Networks of the normalised form: the packed engine gives the same answer as Keras, layer by layer and as a whole."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from normalised_network import normalised_sums, textured, trained_network
from random_networks import names, normalised
from reference_engine import ReferenceEngine
from same_answer import compare_layers

from blunet.architecture import list_layers
from blunet.networks.keras_file import KerasModel
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


@pytest.mark.parametrize("settings", SETTINGS, ids=names)
def test_every_layer_on_the_same_inputs(settings):
    network = trained_network(settings, 3)
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
    model = KerasModel(trained_network(settings, 4), settings, ModelInfo())
    image = (textured((70, 93), 2) * 255).astype(np.uint8)
    ours, theirs = model.packed().predict_maps(image), model.predict_maps(image)
    assert ours.shape == theirs.shape == (len(settings.maps), 70, 93)
    assert theirs.std() > 1e-2
    assert (np.abs(ours - theirs) > 1e-3).mean() <= 0.01


def test_these_networks_use_all_their_codes():
    settings = SETTINGS[0]
    network = trained_network(settings, 3)
    codes = [network.get_layer(f"{layer.name}_activation") for layer in list_layers(settings)[:-1]]
    maps = keras.Model(network.inputs[0], [code.output for code in codes])(textured((48, 64))[None, ..., None])
    for code, values in zip(codes, maps, strict=True):
        assert len(np.unique(np.round(keras.ops.convert_to_numpy(values) / float(code.step)))) == 8
