"""Plain convolutions as operations: the first two layers of level 0, and the output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from blunet.packed.kernels.convolution import convolve_bits, convolve_bits_to_signs, convolve_image
from blunet.packed.kernels.layout import BitMatrix, FloatMatrix, SignMatrix, neighbourhood_bits
from blunet.packed.kernels.output_layer import output_probability
from blunet.packed.layer_weights import LayerWeights
from blunet.packed.operation import CodedOperation, Operation, RunState
from blunet.packed.weight_layout import (
    convolution_bits,
    convolution_signs,
    float_matrix,
    output_bits,
)


def _products(operation: Operation, height: int, width: int) -> int:
    layer = operation.layer
    return (height >> layer.level) * (width >> layer.level) * layer.kernel_size**2 * layer.inputs * layer.filters


@dataclass(frozen=True, eq=False)
class ImageConvolution(CodedOperation):
    """Of the grey image with decoded kernels, as floats."""

    kind: ClassVar[str] = "image"

    matrix: FloatMatrix

    @classmethod
    def can_run(cls, weights: LayerWeights) -> bool:
        return not weights.inputs

    @classmethod
    def compile(cls, weights: LayerWeights) -> Self:
        kernel = weights.values("kernel").reshape(-1, weights.layer.filters)
        return cls(weights.layer, weights.input_names, weights.coding(), float_matrix(kernel, weights.bias))

    def run(self, state: RunState) -> None:
        region = state.regions[self.layer.name]
        state.call(convolve_image, np.pad(state.image, 1), self.matrix, self._new_map(state), region)

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        return _products(self, height, width), 0


@dataclass(frozen=True, eq=False)
class BitConvolution(CodedOperation):
    """Of bit planes with binary kernels, pair by pair."""

    kind: ClassVar[str] = "bits"

    matrix: BitMatrix

    @classmethod
    def can_run(cls, weights: LayerWeights) -> bool:
        layer = weights.layer
        return layer.kind == "convolution" and layer.kernel_size == 3 and len(weights.inputs) == 1

    @classmethod
    def compile(cls, weights: LayerWeights) -> Self:
        return cls(weights.layer, weights.input_names, weights.coding(), convolution_bits(weights))

    def run(self, state: RunState) -> None:
        (source,) = (state.maps[name] for name in self.inputs)
        state.call(
            convolve_bits, neighbourhood_bits(source), self.matrix, self._new_map(state), state.regions[self.layer.name]
        )

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        return 0, _products(self, height, width) * self.pairs

    @property
    def pairs(self) -> int:
        return len(self.matrix.factors)


@dataclass(frozen=True, eq=False)
class SignConvolution(CodedOperation):
    """Of one bit plane with kernels of one level, to one bit plane: comparisons of counts."""

    kind: ClassVar[str] = "bits to signs"

    matrix: SignMatrix

    @classmethod
    def can_run(cls, weights: LayerWeights) -> bool:
        if not BitConvolution.can_run(weights):
            return False
        levels = weights.levels("kernel"), len(weights.input_gammas[0]), len(weights.gammas("activation_gamma"))
        return levels == (1, 1, 1)

    @classmethod
    def compile(cls, weights: LayerWeights) -> Self:
        return cls(weights.layer, weights.input_names, weights.coding(), convolution_signs(weights))

    def run(self, state: RunState) -> None:
        (source,) = (state.maps[name] for name in self.inputs)
        region = state.regions[self.layer.name]
        state.call(convolve_bits_to_signs, neighbourhood_bits(source), self.matrix, self._new_map(state), region)

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        return 0, _products(self, height, width)

    @property
    def pairs(self) -> int:
        return 1


@dataclass(frozen=True, eq=False)
class OutputConvolution(Operation):
    """Of bit planes with one binary 1 x 1 kernel, and its sigmoid."""

    kind: ClassVar[str] = "output"

    matrix: BitMatrix

    @classmethod
    def can_run(cls, weights: LayerWeights) -> bool:
        return weights.layer.activation == "sigmoid"

    @classmethod
    def compile(cls, weights: LayerWeights) -> Self:
        return cls(weights.layer, weights.input_names, output_bits(weights))

    def run(self, state: RunState) -> None:
        (source,) = (state.maps[name] for name in self.inputs)
        out = state.outputs[self.layer.name] = np.empty(state.image.shape, np.float32)
        state.call(output_probability, source, self.matrix, out, state.regions[self.layer.name])

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        return 0, _products(self, height, width) * self.pairs

    @property
    def pairs(self) -> int:
        return len(self.matrix.factors)
