"""Plain convolutions as operations: the first two layers of level 0, and the output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from blunet.packed.kernels.convolution import convolve_bits, convolve_bits_to_signs, convolve_image
from blunet.packed.kernels.layout import (
    BitMatrix,
    CodedMap,
    FloatMatrix,
    SignMatrix,
    SumTables,
    find_neighbourhood_bits,
)
from blunet.packed.kernels.output_layer import compute_maps, compute_probability
from blunet.packed.layer_weights import LayerWeights
from blunet.packed.operation import CodedOperation, Operation, RunState
from blunet.packed.weight_layout import (
    lay_out_convolution_bits,
    lay_out_convolution_signs,
    lay_out_float_matrix,
    lay_out_output_bits,
    lay_out_output_tables,
)


@dataclass(frozen=True, eq=False)
class BitOperation(Operation):
    """An operation on the bit planes of one map."""

    def _source(self, state: RunState) -> CodedMap:
        (name,) = self.inputs
        return state.maps[name]


@dataclass(frozen=True, eq=False)
class ImageConvolution(CodedOperation):
    """Convolves the grey image with decoded kernels, in floats."""

    kind: ClassVar[str] = "image"

    matrix: FloatMatrix

    @classmethod
    def can_run(cls, weights: LayerWeights) -> bool:
        return not weights.inputs

    @classmethod
    def compile(cls, weights: LayerWeights) -> Self:
        kernel = weights.values("kernel").reshape(-1, weights.layer.filters) * weights.scale
        return cls(weights.layer, weights.input_names, weights.coding(), lay_out_float_matrix(kernel, weights.bias))

    def run(self, state: RunState) -> None:
        state.call(convolve_image, np.pad(state.image, 1), self.matrix, self._new_map(state), self._region(state))

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        return self._products(height, width), 0


@dataclass(frozen=True, eq=False)
class BitConvolution(CodedOperation, BitOperation):
    """Convolves bit planes with binary kernels: counts bits for each pair of planes."""

    kind: ClassVar[str] = "bits"

    matrix: BitMatrix

    @classmethod
    def can_run(cls, weights: LayerWeights) -> bool:
        layer = weights.layer
        return layer.kind == "convolution" and layer.kernel_size == 3 and len(weights.inputs) == 1

    @classmethod
    def compile(cls, weights: LayerWeights) -> Self:
        return cls(weights.layer, weights.input_names, weights.coding(), lay_out_convolution_bits(weights))

    def run(self, state: RunState) -> None:
        bits = find_neighbourhood_bits(self._source(state))
        state.call(convolve_bits, bits, self.matrix, self._new_map(state), self._region(state))

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        return 0, self._products(height, width) * self.pairs

    @property
    def pairs(self) -> int:
        return len(self.matrix.factors)


@dataclass(frozen=True, eq=False)
class SignConvolution(CodedOperation, BitOperation):
    """Convolves one bit plane with kernels of one level, to one bit plane: compares counts, without any float."""

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
        return cls(weights.layer, weights.input_names, weights.coding(), lay_out_convolution_signs(weights))

    def run(self, state: RunState) -> None:
        bits = find_neighbourhood_bits(self._source(state))
        state.call(convolve_bits_to_signs, bits, self.matrix, self._new_map(state), self._region(state))

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        return 0, self._products(height, width)

    @property
    def pairs(self) -> int:
        return 1


@dataclass(frozen=True, eq=False)
class OutputConvolution(BitOperation):
    """Gives the probability in the published form: counts bits for a binary 1 x 1 kernel, and applies a sigmoid."""

    kind: ClassVar[str] = "output"

    matrix: BitMatrix

    @classmethod
    def can_run(cls, weights: LayerWeights) -> bool:
        return weights.layer.activation == "sigmoid" and weights.levels("kernel") > 0

    @classmethod
    def compile(cls, weights: LayerWeights) -> Self:
        return cls(weights.layer, weights.input_names, lay_out_output_bits(weights))

    def run(self, state: RunState) -> None:
        out = state.outputs[self.layer.name] = np.empty((1, *state.image.shape), np.float32)
        state.call(compute_probability, self._source(state), self.matrix, out[0], self._region(state))

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        return 0, self._products(height, width) * self.pairs

    @property
    def pairs(self) -> int:
        return len(self.matrix.factors)


@dataclass(frozen=True, eq=False)
class MapsConvolution(BitOperation):
    """Gives all maps: adds what a 1 x 1 kernel of floats makes of eight bits at a time, and applies a sigmoid."""

    kind: ClassVar[str] = "maps"

    tables: SumTables

    @classmethod
    def can_run(cls, weights: LayerWeights) -> bool:
        return weights.layer.activation == "sigmoid" and weights.levels("kernel") == 0

    @classmethod
    def compile(cls, weights: LayerWeights) -> Self:
        return cls(weights.layer, weights.input_names, lay_out_output_tables(weights))

    def run(self, state: RunState) -> None:
        out = state.outputs[self.layer.name] = np.empty((self.layer.filters, *state.image.shape), np.float32)
        state.call(compute_maps, self._source(state), self.tables, out, self._region(state))

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        return self._products(height, width), 0
