"""Names of layers and weights in published checkpoints (HDF5 files of Keras 2.9)."""

from __future__ import annotations

from blunet.architecture.network_settings import Network
from blunet.architecture.network_table import Layer


def get_published_layer(layer: Layer, network: Network) -> str:
    """Return the name of the group that holds the weights of a layer."""
    if layer.path == "output":
        return "output" if network == "unet" else "logit_output"
    binary = network == "blunet"
    if layer.level == 0 and layer.path == "contracting":
        return f"Level0_{'Binary' if binary else ''}Conv2D_{layer.index}"
    path = layer.path.capitalize()
    if network == "unet":
        return f"Level{layer.level}_{path}_Conv2D_{layer.index}"
    prefix = f"Level{layer.level}_{'Binary' if binary else ''}Lightweight_{path}"
    return f"{prefix}_{'Binary' if binary else ''}SeparableConv2D_{layer.index}"


def locate_published_weights(layer: Layer, network: Network) -> dict[str, tuple[str, str]]:
    """Return the group and the dataset of each weight of a layer, by the name of the weight in the table of layers.

    The group of an activation's gamma is that of the sign activation behind the convolution.
    """
    group = get_published_layer(layer, network)
    sign = group.replace("BinarySeparableConv2D", "BinarySignActivation").replace(
        "BinaryConv2D", "BinarySignActivation"
    )
    binary = network == "blunet"
    names = {
        "kernel": "kernel",
        "bias": "bias",
        "depthwise_kernel": "depthwise_filter" if binary else "depthwise_kernel",
        "pointwise_kernel": "pointwise_filter" if binary else "pointwise_kernel",
        "kernel_gamma": "gamma",
        "depthwise_gamma": "gamma_depthwise_filter",
        "pointwise_gamma": "gamma_pointwise_filter",
    }
    places = {w.name: (group, names[w.name]) for w in layer.weights if w.name in names}
    if any(w.name == "activation_gamma" for w in layer.weights):
        places["activation_gamma"] = (sign, "gamma")
    return places
