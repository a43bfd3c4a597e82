"""The weights of one layer as arrays, for the code that lays them out for the kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.architecture import Layer
from blunet.packed.binary_weights import BinaryWeights
from blunet.packed.bit_planes import compute_tie_break, unpack_bits
from blunet.packed.kernels.layout import Coding
from blunet.packed.kernels.memory import align

Array = NDArray[Any]


class LayerWeights:
    """The weights of one layer, and what it sees.

    Parameters
    ----------
    weights : BinaryWeights
        Of the whole network.
    layer : Layer
    inputs : sequence of Layer
        The layers whose maps it sees, in the order of their channels. Empty: the image.
    """

    def __init__(self, weights: BinaryWeights, layer: Layer, inputs: Sequence[Layer]) -> None:
        self.layer, self.inputs = layer, tuple(inputs)
        self._weights = weights

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the layers that it sees."""
        return tuple(layer.name for layer in self.inputs)

    @property
    def bias(self) -> Array:
        """Bias (filters,)."""
        return self._weights.floats[self.layer.name, "bias"]

    @property
    def channels(self) -> list[int]:
        """Channels of each input."""
        return [layer.filters for layer in self.inputs]

    @property
    def input_gammas(self) -> list[Array]:
        """Magnitudes of each input's gammas."""
        return [np.abs(self._weights.floats[layer.name, "activation_gamma"]) for layer in self.inputs]

    def levels(self, name: str) -> int:
        """Residual levels of a kernel."""
        return self.layer.weight(name).residual_levels

    def has(self, name: str) -> bool:
        """Whether there is such a weight."""
        return any(weight.name == name for weight in self.layer.weights)

    def gammas(self, name: str) -> Array:
        """Magnitudes of a vector of gammas."""
        return np.abs(self._weights.floats[self.layer.name, name])

    def signs(self, name: str) -> Array:
        """Signs (M, ...) of a kernel as booleans."""
        shape = self.layer.weight(name).shape
        return np.stack([unpack_bits(plane, shape) for plane in self._weights.planes[self.layer.name, name]])

    def values(self, name: str) -> Array:
        """What the codes of a kernel stand for, in the table's shape."""
        return self._weights.decode(self.layer.name, name)

    def coding(self) -> Coding:
        """How the layer's sums are coded."""
        return Coding(align(self.gammas("activation_gamma")), np.float32(0))

    def middle_coding(self) -> Coding:
        """How the depthwise results are coded."""
        gammas = self.gammas("depthwise_activation_gamma")
        return Coding(align(gammas), compute_tie_break(gammas))
