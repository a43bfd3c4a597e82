"""Copies weights to and from Keras networks, by their names in the table of layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings, list_layers

FloatWeights = dict[tuple[str, str], NDArray[np.float32]]


def get_weights(model: keras.Model, settings: NetworkSettings) -> FloatWeights:
    """Return copies of a network's weights by (layer, weight), float32; for a binary network the latent kernels."""
    return {key: np.asarray(keras.ops.convert_to_numpy(v), np.float32) for key, v in _variables(model, settings)}


def set_weights(model: keras.Model, settings: NetworkSettings, weights: Mapping[tuple[str, str], Any]) -> None:
    """Set weights of a network.

    Parameters
    ----------
    model : keras.Model
        From `build_network(settings)`.
    settings : NetworkSettings
    weights : mapping of (layer, weight) to array
        Weights that are not in it keep their values.

    Raises
    ------
    KeyError
        If `weights` holds a name that the network does not have.
    """
    variables = dict(_variables(model, settings))
    for key, value in weights.items():
        variables[key].assign(value)


def _variables(model: keras.Model, settings: NetworkSettings) -> Iterator[tuple[tuple[str, str], Any]]:
    for layer in list_layers(settings):
        for weight in layer.weights:
            if weight.name == "activation_gamma":
                yield (layer.name, weight.name), model.get_layer(f"{layer.name}_sign").gamma
            else:
                yield (layer.name, weight.name), getattr(model.get_layer(layer.name), weight.name)
