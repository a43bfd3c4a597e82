"""Depthwise-separable convolutions as operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from blunet.packed.bit_planes import tie_break
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
from blunet.packed.kernels.separable_signs import separable_signs
from blunet.packed.kernels.separable_sums import separable_popcount, separable_product
from blunet.packed.layer_weights import LayerWeights
from blunet.packed.operation import CodedOperation, RunState
from blunet.packed.weight_layout import (
    depthwise_floats,
    depthwise_signs,
    float_matrix,
    pointwise_bits,
    pointwise_signs,
    valid_bits,
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

    def _products(self, height: int, width: int) -> tuple[int, int]:
        """Count the multiplications of the depthwise and of the pointwise part."""
        layer = self.layer
        pixels = (height >> layer.level) * (width >> layer.level)
        return pixels * layer.kernel_size**2 * layer.inputs, pixels * layer.inputs * layer.filters


@dataclass(frozen=True, eq=False)
class FloatSeparable(SeparableOperation):
    """Whose depthwise results are real: a float matrix product."""

    kind: ClassVar[str] = "product"

    depthwise: NDArray[np.float32]
    matrix: FloatMatrix

    @classmethod
    def can_run(cls, weights: LayerWeights) -> bool:
        return weights.layer.kind == "separable" and not weights.has("depthwise_activation_gamma")

    @classmethod
    def compile(cls, weights: LayerWeights) -> Self:
        layer = weights.layer
        pointwise = weights.values("pointwise_kernel").reshape(layer.inputs, layer.filters)
        matrix = float_matrix(pointwise, weights.bias)
        return cls(layer, weights.input_names, weights.coding(), depthwise_floats(weights), matrix)

    def run(self, state: RunState) -> None:
        sources, block, region = self._sources(state), self._block(state), state.regions[self.layer.name]
        state.call(separable_product, sources, self.depthwise, self.matrix, block, self._new_map(state), region)

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        return sum(self._products(height, width)), 0


@dataclass(frozen=True, eq=False)
class PopcountSeparable(SeparableOperation):
    """Whose depthwise results are coded: counts of bits, pair by pair."""

    kind: ClassVar[str] = "popcount"

    depthwise: NDArray[np.float32]
    middle: Coding
    matrix: BitMatrix

    @classmethod
    def can_run(cls, weights: LayerWeights) -> bool:
        return weights.layer.kind == "separable" and weights.has("depthwise_activation_gamma")

    @classmethod
    def compile(cls, weights: LayerWeights) -> Self:
        middle, matrix = weights.middle_coding(), pointwise_bits(weights)
        return cls(weights.layer, weights.input_names, weights.coding(), depthwise_floats(weights), middle, matrix)

    def run(self, state: RunState) -> None:
        sources, block, region = self._sources(state), self._block(state), state.regions[self.layer.name]
        state.call(
            separable_popcount, sources, self.depthwise, self.middle, self.matrix, block, self._new_map(state), region
        )

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        depthwise, pointwise = self._products(height, width)
        return depthwise, pointwise * self.pairs

    @property
    def pairs(self) -> int:
        return len(self.matrix.factors)


@dataclass(frozen=True, eq=False)
class SignSeparable(SeparableOperation):
    """Of one residual level everywhere: comparisons of counts."""

    kind: ClassVar[str] = "signs"

    depthwise: Words
    valid: Words
    matrix: SignMatrix

    @classmethod
    def can_run(cls, weights: LayerWeights) -> bool:
        """Tell whether the signs of all sums follow from counts: one level each, and no product of gammas near 0.

        The gammas of a concatenation need not be equal: no neighbourhood has channels of both maps.
        """
        if not PopcountSeparable.can_run(weights):
            return False
        middle = weights.gammas("depthwise_activation_gamma")
        gammas = [*weights.input_gammas, middle, weights.gammas("activation_gamma")]
        kernels = weights.levels("depthwise_kernel"), weights.levels("pointwise_kernel")
        if kernels != (1, 1) or any(len(values) > 1 for values in gammas):
            return False
        unit = min(values[0] for values in weights.input_gammas) * weights.gammas("depthwise_gamma")[0]
        return bool(0 < 2 * tie_break(middle) < unit)  # sums are multiples of the unit; the offset decides ties alone

    @classmethod
    def compile(cls, weights: LayerWeights) -> Self:
        depthwise, valid = depthwise_signs(weights), valid_bits(weights.channels)
        matrix = pointwise_signs(weights)
        return cls(weights.layer, weights.input_names, weights.coding(), depthwise, valid, matrix)

    def run(self, state: RunState) -> None:
        sources, region = self._sources(state), state.regions[self.layer.name]
        state.call(separable_signs, sources, self.depthwise, self.valid, self.matrix, self._new_map(state), region)

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        return 0, sum(self._products(height, width))

    @property
    def pairs(self) -> int:
        return 1
