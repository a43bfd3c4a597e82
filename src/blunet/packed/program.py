"""A binary network compiled into a short list of operations, each with its weights laid out for its kernel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from blunet.architecture import Layer, NetworkSettings, list_layers
from blunet.packed.binary_weights import BinaryWeights
from blunet.packed.bit_planes import tie_break, unpack_bits
from blunet.packed.kernels.memory import lined_up
from blunet.packed.kernels.target import TARGET

Kind = Literal["image", "bits", "bits to signs", "product", "popcount", "signs", "output"]
Array = NDArray[Any]

#: How the source of a separable layer is told to its kernel.
MODES = {"previous": 0, "pooled": 1, "upsampled": 2, "concatenated": 3}
#: Filters of a panel of the popcount product, and of the one that takes signs at once.
POPCOUNT_PANEL = 16
SIGN_PANEL = 64 if TARGET.floats == 16 else 16

#: The taps of a 2 x 2 kernel (row by row) that see one source pixel, in the order that `upsampled_pixel` names.
REPEATED_TAPS = ((0, 1, 2, 3), (0, 2), (1, 3), (0, 1), (2, 3), (0,), (1,), (2,), (3,))


@dataclass(frozen=True, eq=False)
class Operation:
    """One layer, ready to run.

    Attributes
    ----------
    layer : Layer
    kind : str
        Which kernel runs it: `image` (grey image x binary kernels, as floats), `bits` (bit planes x binary kernels,
        pair by pair), `bits to signs` (the same, one level each: a comparison of counts), `product` (a separable
        layer whose depthwise results are real: a float matrix product), `popcount` (coded depthwise results: counts
        of bits, pair by pair), `signs` (one level everywhere), `output`.
    arrays : dict
        What the kernel is given.
    """

    layer: Layer
    kind: Kind
    arrays: dict[str, Array]

    @property
    def weight_bytes(self) -> int:
        """Memory of the kernel's weights."""
        return sum(array.nbytes for array in self.arrays.values())

    def multiplications(self, height: int, width: int) -> tuple[int, int]:
        """Count what the layer does on an image of that size.

        Returns
        -------
        floats : int
            Multiplications of floats.
        bits : int
            Multiplications of two signs: an XNOR and a count; of P pairs of planes P for every product.
        """
        layer = self.layer
        pixels = (height >> layer.level) * (width >> layer.level)
        taps = layer.kernel_size**2
        window = pixels * taps * layer.inputs
        if layer.kind == "convolution":
            products = window * layer.filters
            return (products, 0) if self.kind == "image" else (0, products * self.pairs)
        matrix = pixels * layer.inputs * layer.filters
        if self.kind == "signs":
            return 0, window + matrix
        return (window + matrix, 0) if self.kind == "product" else (window, matrix * self.pairs)

    @property
    def pairs(self) -> int:
        """Pairs of bit planes that are counted, 1 where the kernel takes signs."""
        return len(self.arrays["factors"]) if "factors" in self.arrays else 1


def compile_program(weights: BinaryWeights) -> tuple[Operation, ...]:
    """Compile a network.

    Parameters
    ----------
    weights : BinaryWeights

    Returns
    -------
    tuple of Operation
        In the order in which they run; operations depend on the table of layers and the gammas alone, so that any
        network of the table can be compiled.
    """
    compiler = _Compiler(weights)
    operations = (compiler.operation(layer) for layer in list_layers(weights.settings))
    return tuple(replace(o, arrays={key: lined_up(array) for key, array in o.arrays.items()}) for o in operations)


class _Compiler:
    """Lays out the weights of one layer after the other."""

    def __init__(self, weights: BinaryWeights) -> None:
        self.weights = weights
        self.settings: NetworkSettings = weights.settings
        self.outputs: dict[str, Layer] = {}
        self.previous: Layer | None = None

    def operation(self, layer: Layer) -> Operation:
        source, self.previous = self.previous, layer
        self.outputs[layer.name] = layer
        if source is None:
            return Operation(layer, "image", self._image(layer))
        inputs = [self.outputs[layer.skip], source] if layer.skip else [source]
        if layer.activation == "sigmoid":
            return Operation(layer, "output", self._output(layer, inputs))
        if layer.kind == "convolution":
            if self._levels(layer, "kernel") == 1 and self._activation_levels == 1:
                return Operation(layer, "bits to signs", self._bits_to_signs(layer, inputs))
            return Operation(layer, "bits", self._bits(layer, inputs))
        if not any(w.name == "depthwise_activation_gamma" for w in layer.weights):
            return Operation(layer, "product", self._product(layer, inputs))
        if self._signs_alone(layer, inputs):
            return Operation(layer, "signs", self._signs(layer, inputs))
        return Operation(layer, "popcount", self._popcount(layer, inputs))

    # What the weights hold -------------------------------------------------------------------------------------------

    @property
    def _activation_levels(self) -> int:
        return self.settings.residual_levels.activation

    def _levels(self, layer: Layer, name: str) -> int:
        return layer.weight(name).residual_levels

    def _gammas(self, layer: Layer, name: str) -> Array:
        """Magnitudes of a vector of gammas."""
        return np.abs(self.weights.floats[layer.name, name])

    def _signs_of(self, layer: Layer, name: str) -> Array:
        """Signs (M, ...) of a kernel as booleans."""
        shape = layer.weight(name).shape
        return np.stack([unpack_bits(plane, shape) for plane in self.weights.planes[layer.name, name]])

    def _bias(self, layer: Layer) -> Array:
        return self.weights.floats[layer.name, "bias"]

    def _coding(self, layer: Layer) -> dict[str, Array]:
        """What a kernel needs to code a layer's sums."""
        return {"gammas": self._gammas(layer, "activation_gamma"), "valid": _valid([layer.filters])}

    # One method a kind -----------------------------------------------------------------------------------------------

    def _image(self, layer: Layer) -> dict[str, Array]:
        kernel = self.weights.decoded(layer.name, "kernel").reshape(9, layer.filters)
        return {**self._matrix(layer, kernel), **self._coding(layer)}

    def _matrix(self, layer: Layer, kernel: Array) -> dict[str, Array]:
        """Lay out a matrix (depth, filters) and the bias for `product_pixels`."""
        panel = _panel(layer.filters)
        filters = -(-layer.filters // panel) * panel
        matrix = np.zeros((len(kernel), filters), np.float32)
        matrix[:, : layer.filters] = kernel
        return {
            "weights": np.ascontiguousarray(matrix.reshape(len(kernel), -1, panel).transpose(1, 0, 2)),
            "bias": _padded(self._bias(layer), filters),
            "panel": np.array(panel),
        }

    def _bits(self, layer: Layer, inputs: list[Layer]) -> dict[str, Array]:
        signs = self._signs_of(layer, "kernel")
        planes = np.stack([_word_rows(plane.reshape(9, layer.inputs, -1), [layer.inputs]) for plane in signs])
        factors = self._factors(self._gammas(inputs[0], "activation_gamma"), self._gammas(layer, "kernel_gamma"))
        sums = np.where(signs, 1, -1).reshape(len(signs), 9, layer.inputs, -1).sum(2)  # (N, 9, filters)
        base = np.zeros((4, 4, _round(layer.filters, 64)), np.float32)
        pairs = factors.reshape(-1, len(signs))
        for rows, columns in np.ndindex(4, 4):
            outside = [t for t in range(9) if _is_outside(t, rows, columns)]
            # A word of zeros outside is read as -1, where the padding is 0.
            correction = (pairs[:, :, None] * sums[:, outside].sum(1)).sum((0, 1))
            value = self._bias(layer) + pairs.sum() * 9 * layer.inputs + correction
            base[rows, columns, : layer.filters] = value
        return {
            "weights": _popcount_panels(planes),
            "factors": (-2 * factors).astype(np.float32),
            "base": base.ravel(),
            **self._coding(layer),
        }

    def _bits_to_signs(self, layer: Layer, inputs: list[Layer]) -> dict[str, Array]:
        signs = self._signs_of(layer, "kernel")[0].reshape(9, layer.inputs, -1)
        scale = self._gammas(inputs[0], "activation_gamma")[0] * self._gammas(layer, "kernel_gamma")[0]
        ones = signs.sum(1)  # (9, filters): what a word of zeros outside is counted as
        limits = np.full((4, 4, _round(layer.filters, 64)), -1, np.int64)
        for rows, columns in np.ndindex(4, 4):
            outside = [t for t in range(9) if _is_outside(t, rows, columns)]
            products = (9 - len(outside)) * layer.inputs
            limits[rows, columns, : layer.filters] = _limits(scale, products, self._bias(layer)) + ones[outside].sum(0)
        return {"weights": _sign_panels(_word_rows(signs, [layer.inputs])), "limits": limits, **self._coding(layer)}

    def _product(self, layer: Layer, inputs: list[Layer]) -> dict[str, Array]:
        pointwise = self.weights.decoded(layer.name, "pointwise_kernel").reshape(layer.inputs, layer.filters)
        return {"depthwise": self._depthwise(layer), **self._matrix(layer, pointwise), **self._coding(layer)}

    def _depthwise(self, layer: Layer) -> Array:
        """Lay out the depthwise kernels (9, channels): of a repeated source the sums of taps."""
        kernel = self.weights.decoded(layer.name, "depthwise_kernel").reshape(-1, layer.inputs)
        if layer.source == "upsampled":
            kernel = np.stack([kernel[list(taps)].sum(0, dtype=np.float32) for taps in REPEATED_TAPS])
        result = np.zeros((9, _round(layer.inputs, 16) + 16), np.float32)
        result[:, : layer.inputs] = kernel
        return result

    def _popcount(self, layer: Layer, inputs: list[Layer]) -> dict[str, Array]:
        signs = self._signs_of(layer, "pointwise_kernel").reshape(-1, 1, layer.inputs, layer.filters)
        planes = np.stack([_word_rows(plane, [layer.inputs]) for plane in signs])
        middle = self._gammas(layer, "depthwise_activation_gamma")
        factors = self._factors(middle, self._gammas(layer, "pointwise_gamma"))
        base = self._bias(layer) + np.float32(factors.sum() * layer.inputs)
        return {
            "depthwise": self._depthwise(layer),
            "middle_gammas": middle,
            "middle_offset": np.array(tie_break(middle)),
            "middle_valid": _valid([layer.inputs]),
            "weights": _popcount_panels(planes),
            "factors": (-2 * factors).astype(np.float32),
            "base": _padded(base, _round(layer.filters, 64)),
            **self._coding(layer),
        }

    def _signs_alone(self, layer: Layer, inputs: list[Layer]) -> bool:
        """Whether signs of the sums follow from counts: one level each, and no product of gammas is as good as 0.

        Of a concatenation both gammas have to be there, not to be equal: no window has channels of both.
        """
        r = self.settings.residual_levels
        if (r.activation, r.depthwise, r.pointwise) != (1, 1, 1):
            return False
        unit = min(self._gammas(source, "activation_gamma")[0] for source in inputs)
        unit = unit * self._gammas(layer, "depthwise_gamma")[0]
        offset = tie_break(self._gammas(layer, "depthwise_activation_gamma"))
        return bool(0 < 2 * offset < unit)  # sums are whole multiples of the unit; the offset decides ties alone

    def _signs(self, layer: Layer, inputs: list[Layer]) -> dict[str, Array]:
        channels = [source.filters for source in inputs]
        taps = layer.kernel_size**2
        signs = self._signs_of(layer, "depthwise_kernel")[0].reshape(taps, layer.inputs)
        words = _word_rows(signs[:, :, None], channels).reshape(taps, -1)
        pointwise = self._signs_of(layer, "pointwise_kernel")[0].reshape(1, layer.inputs, layer.filters)
        middle = self._gammas(layer, "depthwise_activation_gamma")[0]
        scale = middle * self._gammas(layer, "pointwise_gamma")[0]
        limits = np.full(_round(layer.filters, 64), -1, np.int64)
        limits[: layer.filters] = _limits(scale, layer.inputs, self._bias(layer))
        return {
            "depthwise": _repeated_taps(words) if layer.source == "upsampled" else _window_taps(words),
            "middle_valid": _valid(channels),
            "weights": _sign_panels(_word_rows(pointwise, channels)),
            "limits": limits,
            **self._coding(layer),
        }

    def _output(self, layer: Layer, inputs: list[Layer]) -> dict[str, Array]:
        signs = self._signs_of(layer, "kernel").reshape(-1, 1, layer.inputs, 1)
        planes = np.stack([_word_rows(plane, [layer.inputs])[..., 0] for plane in signs])  # (N, K)
        factors = self._factors(self._gammas(inputs[0], "activation_gamma"), self._gammas(layer, "kernel_gamma"))
        base = self._bias(layer)[0] + np.float32(factors.sum() * layer.inputs)
        return {
            "weights": np.ascontiguousarray(planes),
            "factors": (-2 * factors).astype(np.float32),
            "base": np.array(base, np.float32),
        }

    def _factors(self, first: Array, second: Array) -> Array:
        return np.outer(first, second).ravel()


def _limits(scale: np.float32, products: int, bias: Array) -> Array:
    """Most ones among `products` at which ``scale * (products - 2 ones) + bias`` is not negative, -1 for none."""
    ones = np.arange(products + 1, dtype=np.float32)
    sums = np.float32(scale) * (np.float32(products) - 2 * ones)  # falls with the ones
    found: Array = np.searchsorted(-sums, bias, side="right").astype(np.int64) - 1  # -sums[ones] <= bias
    return found


def _is_outside(tap: int, rows: int, columns: int) -> bool:
    """Whether a tap of a 3 x 3 window lies outside (1: above or left of the map, 2: below or right)."""
    i, j = divmod(tap, 3)
    return bool((rows & 1 and i == 0) or (rows & 2 and i == 2) or (columns & 1 and j == 0) or (columns & 2 and j == 2))


def _window_taps(words: Array) -> Array:
    """Words (9, K) for every set of missing rows and columns: (16, K, 9).

    Outside the map all words are 0. A tap there whose own word is 0 agrees, one of all ones does not; as many agree
    as make 5 of all 9 mean half of those inside.
    """
    table = np.empty((16, words.shape[1], 9), np.uint64)
    for rows, columns in np.ndindex(4, 4):
        taps = words.copy()
        outside = [t for t in range(9) if _is_outside(t, rows, columns)]
        agreeing = 5 - (10 - len(outside)) // 2
        for i, tap in enumerate(outside):
            taps[tap] = 0 if i < agreeing else ~np.uint64(0)
        table[4 * rows + columns] = taps.T
    return table


def _repeated_taps(words: Array) -> Array:
    """Words (4, K) of a 2 x 2 kernel over a repeated source, by what is missing and phase: (16, K, 4)."""
    table = np.empty((16, words.shape[1], 4), np.uint64)
    for below, right, phase in np.ndindex(2, 2, 4):
        taps = words.copy()
        outside = [t for t in range(4) if (below and phase // 2 and t // 2) or (right and phase % 2 and t % 2)]
        agreeing = 2 - (5 - len(outside)) // 2
        for i, tap in enumerate(outside):
            taps[tap] = 0 if i < agreeing else ~np.uint64(0)
        table[8 * below + 4 * right + phase] = taps.T
    return table


def _word_rows(signs: Array, channels: list[int]) -> Array:
    """Pack signs (taps, channels, filters) into words (taps * K, filters), each part of the channels on its own."""
    parts = []
    for part in np.split(signs, np.cumsum(channels)[:-1], axis=1):
        taps, count, filters = part.shape
        padded = np.zeros((taps, _round(count, 64), filters), np.bool_)
        padded[:, :count] = part
        octets = np.packbits(padded, axis=1, bitorder="little")  # (taps, 8 K, filters)
        octets = np.ascontiguousarray(octets.transpose(0, 2, 1))
        parts.append(octets.view("<u8").astype(np.uint64).transpose(0, 2, 1))  # (taps, K, filters)
    words = np.concatenate(parts, axis=1)
    return words.reshape(-1, words.shape[2])


def _popcount_panels(planes: Array) -> Array:
    """(N, K, filters) -> (filters / 16, N, K, 16)."""
    return _panels(planes, POPCOUNT_PANEL)


def _sign_panels(words: Array) -> Array:
    """(K, filters) -> (filters / SIGN_PANEL, K, SIGN_PANEL), whole words of filters."""
    padded = np.zeros((1, len(words), _round(words.shape[1], 64)), np.uint64)
    padded[0, :, : words.shape[1]] = words
    return np.ascontiguousarray(_panels(padded, SIGN_PANEL)[:, 0])


def _panels(planes: Array, panel: int) -> Array:
    n, k, filters = planes.shape
    padded = np.zeros((n, k, _round(filters, panel)), np.uint64)
    padded[..., :filters] = planes
    return np.ascontiguousarray(padded.reshape(n, k, -1, panel).transpose(2, 0, 1, 3))


def _valid(channels: list[int]) -> Array:
    """Words whose bits are 1 where a channel exists."""
    return _word_rows(np.ones((1, sum(channels), 1), np.bool_), channels)[:, 0].copy()


def _panel(filters: int) -> int:
    """Filters of a panel of the float product: as few idle lanes as the processor's blocks allow."""
    if TARGET.panel == 16 or filters <= 16:
        return 16
    return 32 if filters <= 32 else 64


def _padded(values: Array, length: int) -> Array:
    result = np.zeros(length, np.float32)
    result[: len(values)] = values
    return result


def _round(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
