"""Settings of a network, its table of layers, the size census, names in published checkpoints; plain Python."""

from blunet.architecture.census import Census, census, compression_ratio
from blunet.architecture.network_settings import NETWORKS, Network, NetworkSettings, ResidualLevels
from blunet.architecture.network_table import Layer, Weight, layer_table, reach

__all__ = [
    "NETWORKS",
    "Census",
    "Layer",
    "Network",
    "NetworkSettings",
    "ResidualLevels",
    "Weight",
    "census",
    "compression_ratio",
    "layer_table",
    "reach",
]
