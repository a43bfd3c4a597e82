"""What a network is: its settings, its layers, its size, and their names in published checkpoints. Plain Python."""

from blunet.architecture.network_settings import NETWORKS, Network, NetworkSettings, ResidualLevels
from blunet.architecture.network_table import Layer, Weight, compute_reach, list_layers
from blunet.architecture.parameter_count import ParameterCount, compute_compression_ratio, count_parameters

__all__ = [
    "NETWORKS",
    "Layer",
    "Network",
    "NetworkSettings",
    "ParameterCount",
    "ResidualLevels",
    "Weight",
    "compute_compression_ratio",
    "compute_reach",
    "count_parameters",
    "list_layers",
]
