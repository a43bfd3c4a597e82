"""Converts networks between the published and the normalised form."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings, list_layers
from blunet.errors import InputError
from blunet.networks.build import build_network
from blunet.networks.normalised_layers import EPSILON, fold_normalisation
from blunet.networks.weight_transfer import get_weights, set_weights


def convert_network(
    model: keras.Model,
    settings: NetworkSettings,
    target: NetworkSettings,
    images: Sequence[NDArray[np.float32]],
    *,
    seed: int | None = None,
    l2: float = 0.0,
) -> keras.Model:
    """Return a float network with the weights of another, in another form or with other maps.

    Parameters
    ----------
    model : keras.Model
        From ``build_network(settings)``.
    settings, target : NetworkSettings
        Of the given and of the wanted network: the same kind, levels and filters.
    images : sequence of ndarray of shape (Y, X)
        In [0, 1], with sides that the network takes. The statistics of normalisations that the given network does not
        have are those of these images; there has to be one at least where they are needed.
    seed : int, optional
        Seed of the random weights of maps that the given network does not have.
    l2 : float
        As in `build_network`.

    Returns
    -------
    keras.Model
        It gives the same maps for any image, but for rounding, where both have the map.
    """
    same = ("network", "levels", "base_filters")
    if settings.binary or any(getattr(settings, name) != getattr(target, name) for name in same):
        raise InputError("Only float networks of the same kind, levels and filters can be converted.")
    new = build_network(target, seed=seed, l2=l2)
    if settings.form == target.form == "normalised":
        copy_weights(model, new)
    elif settings.form == "normalised":
        set_weights(new, target, _without_output(fold_normalisation(model, settings)))
    elif target.form == "published":
        set_weights(new, target, _without_output(get_weights(model, settings)))
    else:
        _normalise(get_weights(model, settings), new, target, images)
    _copy_output(model, settings, new, target)
    return new


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copy the weights of layers that have the same name and shapes in two networks of the normalised form.

    A coded layer takes the kernel of a float one and keeps its own step.
    """
    known = {layer.name: layer for layer in source.layers}
    for layer in target.layers:
        given = known[layer.name].get_weights() if layer.name in known else []
        own = layer.get_weights()
        if given and all(a.shape == b.shape for a, b in zip(given, own, strict=False)):
            layer.set_weights([*given, *own[len(given) :]][: len(own)])


def _without_output(weights: dict[tuple[str, str], NDArray[np.float32]]) -> dict[tuple[str, str], NDArray[np.float32]]:
    return {key: value for key, value in weights.items() if key[0] != "output"}


def _copy_output(model: keras.Model, settings: NetworkSettings, new: keras.Model, target: NetworkSettings) -> None:
    """Copy the filters of the maps that both networks have."""
    kernel, bias = model.get_layer("output").get_weights()
    new_kernel, new_bias = new.get_layer("output").get_weights()
    for i, name in enumerate(target.maps):
        if name in settings.maps:
            k = settings.maps.index(name)
            new_kernel[..., i], new_bias[i] = kernel[..., k], bias[k]
    new.get_layer("output").set_weights([new_kernel, new_bias])


def _normalise(
    weights: dict[tuple[str, str], NDArray[np.float32]],
    new: keras.Model,
    target: NetworkSettings,
    images: Sequence[NDArray[np.float32]],
) -> None:
    """Set the weights of a normalised network so that it gives what the published one with these weights gives.

    First the normalisations do nothing but add the biases. Then their statistics become those of the images, and
    their scales and shifts undo that.
    """
    biases: dict[str, NDArray[np.float32]] = {}
    for layer in list_layers(target):
        if layer.path == "output":
            continue
        kernel = "kernel" if layer.kind == "convolution" else "pointwise_kernel"
        new.get_layer(f"{layer.name}_kernel").set_weights([weights[layer.name, kernel]])
        biases[f"{layer.name}_norm"] = weights[layer.name, "bias"]
        if layer.kind == "separable":
            new.get_layer(f"{layer.name}_depthwise").set_weights([weights[layer.name, "depthwise_kernel"]])
            biases[f"{layer.name}_depthwise_norm"] = np.zeros(layer.inputs, np.float32)
    ones = {name: np.ones_like(bias) for name, bias in biases.items()}
    for name, bias in biases.items():
        new.get_layer(name).set_weights([ones[name], bias, 0 * bias, ones[name] - np.float32(EPSILON)])
    sums = keras.Model(new.inputs[0], [new.get_layer(name).input for name in biases])
    totals = {name: np.zeros((2, bias.size)) for name, bias in biases.items()}
    for image in images:
        for name, values in zip(biases, sums.predict_on_batch(image[None, ..., None]), strict=True):
            array = keras.ops.convert_to_numpy(values).astype(np.float64)
            totals[name] += np.stack([array.mean((0, 1, 2)), np.square(array).mean((0, 1, 2))]) / len(images)
    for name, bias in biases.items():
        mean = totals[name][0]
        variance = np.maximum(totals[name][1] - mean**2, 0)
        scale = np.sqrt(variance + EPSILON)
        new.get_layer(name).set_weights([np.asarray(w, np.float32) for w in (scale, bias + mean, mean, variance)])
