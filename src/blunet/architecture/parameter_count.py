"""The size of a network, counted from its table of layers."""

from __future__ import annotations

from dataclasses import dataclass

from blunet.architecture.network_settings import NetworkSettings
from blunet.architecture.network_table import list_layers


@dataclass(frozen=True)
class ParameterCount:
    """Stored parameters of a network.

    Attributes
    ----------
    binary_parameters : int
        Bits: M for every binarised weight.
    float_parameters : int
        Values of 32 bits: all weights of a float network; the biases and gammas of a binary one.
    """

    binary_parameters: int
    float_parameters: int

    @property
    def bits(self) -> int:
        """Stored size in bits."""
        return 32 * self.float_parameters + self.binary_parameters

    @property
    def size_mib(self) -> float:
        """Stored size in MiB (2^20 bytes)."""
        return self.bits / 8 / 2**20


def count_parameters(settings: NetworkSettings) -> ParameterCount:
    """Count the parameters of a network.

    Examples
    --------
    >>> count_parameters(NetworkSettings(network="unet")).float_parameters
    31030593
    >>> count_parameters(NetworkSettings(network="blunet"))
    ParameterCount(binary_parameters=11780352, float_parameters=7044)
    """
    weights = [w for layer in list_layers(settings) for w in layer.weights]
    return ParameterCount(
        binary_parameters=sum(w.size * w.residual_levels for w in weights),
        float_parameters=sum(w.size for w in weights if w.residual_levels == 0),
    )


def compute_compression_ratio(settings: NetworkSettings) -> float:
    """Divide the size of the U-Net with the same levels and filters by the size of a network."""
    return count_parameters(settings.changed(network="unet")).bits / count_parameters(settings).bits
