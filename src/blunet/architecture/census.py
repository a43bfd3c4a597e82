"""How large a network is, counted from its table of layers."""

from __future__ import annotations

from dataclasses import dataclass

from blunet.architecture.network_settings import NetworkSettings
from blunet.architecture.network_table import layer_table


@dataclass(frozen=True)
class Census:
    """Stored parameters of a network.

    Attributes
    ----------
    binary_parameters : int
        Bits: M for every binarised weight.
    float_parameters : int
        Values of 32 bits: all weights of a float network; of a binary one every bias and gamma.
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


def census(settings: NetworkSettings) -> Census:
    """Count the parameters of a network.

    Examples
    --------
    >>> census(NetworkSettings(network="unet")).float_parameters
    31030593
    >>> census(NetworkSettings(network="blunet"))
    Census(binary_parameters=11780352, float_parameters=7044)
    """
    weights = [w for layer in layer_table(settings) for w in layer.weights]
    return Census(
        binary_parameters=sum(w.size * w.residual_levels for w in weights),
        float_parameters=sum(w.size for w in weights if w.residual_levels == 0),
    )


def compression_ratio(settings: NetworkSettings) -> float:
    """Size of the U-Net of equal levels and filters over the size of this network."""
    return census(settings.changed(network="unet")).bits / census(settings).bits
