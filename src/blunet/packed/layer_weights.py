"""The weights of one layer as arrays, for the code that lays them out for the kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.architecture import Layer
from blunet.packed.binary_weights import BinaryWeights
from blunet.packed.bit_planes import compute_code_offset, compute_tie_break, unpack_bits
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
    def unsigned(self) -> bool:
        """Whether codes of maps stand for values from 0 upwards, so that padding is a code too: all bits 0."""
        return self._weights.settings.form == "normalised"

    @property
    def scale(self) -> Array:
        """What each filter's sum is multiplied by before the bias is added (filters,); 1 in the published form."""
        return self._float("scale", np.ones(self.layer.filters, np.float32))

    @property
    def depthwise_scale(self) -> Array:
        """What each depthwise result is multiplied by (inputs,); 1 in the published form."""
        return self._float("depthwise_scale", np.ones(self.layer.inputs, np.float32))

    @property
    def depthwise_shift(self) -> Array:
        """What is then added to each (inputs,); 0 where depthwise results are not coded, and in the published form."""
        return self._float("depthwise_shift", np.zeros(self.layer.inputs, np.float32))

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
        """A kernel as numbers, in the table's shape: what its codes stand for, or the floats that it is stored as."""
        if self.levels(name):
            return self._weights.decode(self.layer.name, name)
        return self._weights.floats[self.layer.name, name]

    def coding(self) -> Coding:
        """How the layer's sums are coded."""
        gammas = self.gammas("activation_gamma")
        if self.unsigned:
            bits = np.stack([np.zeros_like(gammas), 2 * gammas], axis=1)
            return Coding(align(gammas), -compute_code_offset(gammas), align(bits))
        return _signed_coding(gammas, np.float32(0))

    def middle_coding(self) -> Coding:
        """How the depthwise results are coded.

        With a shift for each channel they are exactly 0 only by accident, so that they need nothing to break ties.
        """
        gammas = self.gammas("depthwise_activation_gamma")
        return _signed_coding(gammas, np.float32(0) if self.unsigned else compute_tie_break(gammas))

    def _float(self, name: str, default: Array) -> Array:
        return self._weights.floats.get((self.layer.name, name), default)


def _signed_coding(gammas: Array, offset: np.float32) -> Coding:
    return Coding(align(gammas), offset, align(np.stack([-gammas, gammas], axis=1)))
