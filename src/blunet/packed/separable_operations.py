"""Depthwise-separable convolutions as operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from blunet.packed.bit_planes import compute_tie_break
from blunet.packed.kernels.layout import (
    MODES,
    BitMatrix,
    Block,
    Coding,
    FloatMatrix,
    SignMatrix,
    Sources,
    Words,
    choose_block,
)
from blunet.packed.kernels.separable_signs import convolve_separable_signs
from blunet.packed.kernels.separable_sums import convolve_separable_bits, convolve_separable_floats
from blunet.packed.layer_weights import LayerWeights
from blunet.packed.operation import CodedOperation, RunState
from blunet.packed.weight_layout import (
    lay_out_depthwise_floats,
    lay_out_depthwise_signs,
    lay_out_float_matrix,
    lay_out_pointwise_bits,
    lay_out_pointwise_signs,
    mark_channels,
)


@dataclass(frozen=True, eq=False)
class SeparableOperation(CodedOperation):
    """A depthwise convolution followed by a pointwise one."""

    def _sources(self, state: RunState) -> Sources:
        maps = [state.maps[name] for name in self.inputs]
        return Sources(maps[0], maps[-1], MODES[self.layer.source])

    def _block(self, state: RunState) -> Block:
        repeated = self.layer.source == "upsampled"
        height, width = (n >> self.layer.level + repeated for n in state.image.shape)
        return choose_block(height, width, self.layer.inputs, repeated, state.threads)

    def _both_products(self, height: int, width: int) -> tuple[int, int]:
        """Count the products of the depthwise and of the pointwise part on an image of that size."""
        layer = self.layer
        pixels = (height >> layer.level) * (width >> layer.level)
        return pixels * layer.kernel_size**2 * layer.inputs, pixels * layer.inputs * layer.filters


@dataclass(frozen=True, eq=False)
class FloatSeparable(SeparableOperation):
    """Multiplies real depthwise results with a float matrix."""

    kind: ClassVar[str] = "product"

    depthwise: NDArray[np.float32]
    matrix: FloatMatrix

    @classmethod
    def can_run(cls, weights: LayerWeights) -> bool:
        return weights.layer.kind == "separable" and not weights.has("depthwise_activation_gamma")

    @classmethod
    def compile(cls, weights: LayerWeights) -> Self:
        layer = weights.layer
        pointwise = weights.values("pointwise_kernel").reshape(layer.inputs, layer.filters) * weights.scale
        matrix = lay_out_float_matrix(pointwise, weights.bias)
        return cls(layer, weights.input_names, weights.coding(), lay_out_depthwise_floats(weights), matrix)

    def run(self, state: RunState) -> None:
        sources, block, out = self._sources(state), self._block(state), self._new_map(state)
        state.call(convolve_separable_floats, sources, self.depthwise, self.matrix, block, out, self._region(state))

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        return sum(self._both_products(height, width)), 0


@dataclass(frozen=True, eq=False)
class PopcountSeparable(SeparableOperation):
    """Codes the depthwise results, then counts bits for each pair of planes."""

    kind: ClassVar[str] = "popcount"

    depthwise: NDArray[np.float32]
    middle: Coding
    matrix: BitMatrix

    @classmethod
    def can_run(cls, weights: LayerWeights) -> bool:
        return weights.layer.kind == "separable" and weights.has("depthwise_activation_gamma")

    @classmethod
    def compile(cls, weights: LayerWeights) -> Self:
        depthwise, middle = lay_out_depthwise_floats(weights), weights.middle_coding()
        matrix = lay_out_pointwise_bits(weights)
        return cls(weights.layer, weights.input_names, weights.coding(), depthwise, middle, matrix)

    def run(self, state: RunState) -> None:
        sources, block, out = self._sources(state), self._block(state), self._new_map(state)
        region = self._region(state)
        state.call(convolve_separable_bits, sources, self.depthwise, self.middle, self.matrix, block, out, region)

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        depthwise, pointwise = self._both_products(height, width)
        return depthwise, pointwise * self.pairs

    @property
    def pairs(self) -> int:
        return len(self.matrix.factors)


@dataclass(frozen=True, eq=False)
class SignSeparable(SeparableOperation):
    """Computes a layer of one residual level everywhere: compares counts, without any float."""

    kind: ClassVar[str] = "signs"

    depthwise: Words
    valid: Words
    matrix: SignMatrix

    @classmethod
    def can_run(cls, weights: LayerWeights) -> bool:
        """Tell whether the signs of all sums follow from counts.

        There has to be one level each, and in the published form no product of gammas near 0. The gammas of two maps
        that are concatenated need not be equal: each channel comes from one of them.
        """
        if not PopcountSeparable.can_run(weights):
            return False
        middle = weights.gammas("depthwise_activation_gamma")
        gammas = [*weights.input_gammas, middle, weights.gammas("activation_gamma")]
        kernels = weights.levels("depthwise_kernel"), weights.levels("pointwise_kernel")
        if kernels != (1, 1) or any(len(values) > 1 for values in gammas):
            return False
        if weights.unsigned:
            return True
        unit = min(values[0] for values in weights.input_gammas) * weights.gammas("depthwise_gamma")[0]
        # Depthwise sums are multiples of the unit, so that the offset only decides ties.
        return bool(0 < 2 * compute_tie_break(middle) < unit)

    @classmethod
    def compile(cls, weights: LayerWeights) -> Self:
        depthwise, valid = lay_out_depthwise_signs(weights), mark_channels(weights.channels)
        matrix = lay_out_pointwise_signs(weights)
        return cls(weights.layer, weights.input_names, weights.coding(), depthwise, valid, matrix)

    def run(self, state: RunState) -> None:
        sources, out, region = self._sources(state), self._new_map(state), self._region(state)
        state.call(convolve_separable_signs, sources, self.depthwise, self.valid, self.matrix, out, region)

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        return 0, sum(self._both_products(height, width))

    @property
    def pairs(self) -> int:
        return 1
