"""Sizes and structures that kernels and the code that calls them agree on.

Kernels do not check indices: where two files disagree about one of these numbers, memory is corrupted. Each number is
therefore written here and nowhere else.

Kernels take structures whole. They take them apart once, at their beginning, or pass them to an instruction of
`vector_products`, `vector_codes` or `vector_depthwise`: taking an array out of a structure counts a reference, and the
threads would count on the same one in every loop.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blunet.packed.bit_planes import WORD_BITS, count_words
from blunet.packed.kernels.target import TARGET
from blunet.packed.rounding import round_up

Words = NDArray[np.uint64]
Floats = NDArray[np.float32]

#: Residual levels that there is code for: 1 to this many.
MOST_LEVELS = 4

#: Channels to a word, and filters whose sums a pixel keeps at a time.
WORD = WORD_BITS
#: Channels that are decoded and correlated at a time.
CHUNK = 16
#: Groups of eight channels of a word, and the floats of the table of one: a pair for each of its values.
OCTETS, OCTET_FLOATS = 8, 512
#: Words at the end of every row of a map that kernels may read behind the last pixel, and never write.
SLACK = 8

#: What a separable layer sees: the map before it, that map pooled or repeated 2 x 2, or two maps one behind the other.
PREVIOUS, POOLED, UPSAMPLED, CONCATENATED = range(4)
MODES = {"previous": PREVIOUS, "pooled": POOLED, "upsampled": UPSAMPLED, "concatenated": CONCATENATED}

#: Bits that tell which of the neighbours along an axis lie outside the map: the one before, the one after.
BEFORE, AFTER = 1, 2

#: A 2 x 2 kernel on a map that is repeated 2 x 2. For each of a pixel's four results (upper left, upper right, lower
#: left, lower right): which source pixels it sees (0 itself, 1 right, 2 below, 3 across), and which taps (row by row)
#: fall on each.
UPSAMPLED_TERMS: tuple[tuple[tuple[int, tuple[int, ...]], ...], ...] = (
    ((0, (0, 1, 2, 3)),),
    ((0, (0, 2)), (1, (1, 3))),
    ((0, (0, 1)), (2, (2, 3))),
    ((0, (0,)), (1, (1,)), (2, (2,)), (3, (3,))),
)
#: The sums of taps that such a layer needs, in the order of its weights.
UPSAMPLED_TAPS = tuple(taps for terms in UPSAMPLED_TERMS for _, taps in terms)

#: Whether a vector register holds 16 floats, of which there are 32.
WIDE = TARGET.floats == 16
#: Pixels of a block of the float product, for panels of 64, 32 and 16 filters. Narrow registers have panels of 16.
PIXELS_64, PIXELS_32, PIXELS_16 = (TARGET.panel_pixels.get(panel, 0) for panel in (64, 32, 16))
VECTORS_64, VECTORS_32, VECTORS_16 = (panel // TARGET.floats for panel in (64, 32, 16))
#: At least the pixels of any block. So many pixels more than a tile has are readable; their sums are not used.
BLOCK_PIXELS = 16
#: Pixels and filters of a block of the popcount product.
POPCOUNT_PIXELS = 2
POPCOUNT_PANEL = 16
POPCOUNT_VECTORS = POPCOUNT_PANEL // TARGET.words
#: Filters of a block of the popcount product that takes signs: a whole word where the registers hold it.
SIGN_PANEL = 64 if WIDE else 16
SIGN_VECTORS = SIGN_PANEL // TARGET.words


class MapLayout(NamedTuple):
    """How a feature map of residual codes lies in memory: bit planes, 64 channels to a word.

    Bit c % 64 of the word of plane m, channel word c // 64, row y and column x is 1 where the sign b_m of channel c is
    +1. The word lies at ``(((y + 1) * levels + m) * words + c // 64) * stride + x + 1``: rows of one plane and word
    are contiguous, around the map is a border of zeros, and bits of channels that do not exist are 0.
    """

    height: int
    width: int
    channels: int
    levels: int
    words: int
    stride: int

    @property
    def size(self) -> int:
        """Words in all."""
        return (self.height + 2) * self.levels * self.words * self.stride


def lay_out_map(height: int, width: int, channels: int, levels: int) -> MapLayout:
    """Lay out a map of `channels` channels with `levels` residual levels."""
    stride = round_up(width + 2 + SLACK, SLACK)
    return MapLayout(height, width, channels, levels, count_words(channels), stride)


class Coding(NamedTuple):
    """How sums become residual codes, and codes become values.

    Attributes
    ----------
    gammas : float32, (levels,)
        Magnitudes.
    offset : float32
        Added to the sums before they are coded.
    values : float32, (levels, 2)
        What a bit of 0, and of 1, of each level stands for.
    """

    gammas: Floats
    offset: np.float32
    values: Floats


class CodedMap(NamedTuple):
    """A feature map: its words, how they lie, and what its codes stand for."""

    words: Words
    layout: MapLayout
    coding: Coding


class Sources(NamedTuple):
    """What a separable layer sees.

    Attributes
    ----------
    first, second : CodedMap
        Of a concatenation the two maps in the order of their channels, else the same map twice.
    mode : int
        PREVIOUS, POOLED, UPSAMPLED or CONCATENATED.
    """

    first: CodedMap
    second: CodedMap
    mode: int


class FloatMatrix(NamedTuple):
    """A matrix of float weights and the bias that the sums begin with.

    Attributes
    ----------
    weights : float32, (filters / panel, depth, panel)
    bias : float32, (filters,)
        Filters are rounded up to a multiple of the panel.
    panel : {16, 32, 64}
    """

    weights: Floats
    bias: Floats
    panel: int


#: Scale and shift of a `BitMatrix` that has none.
NO_SCALE = np.empty(0, np.float32), np.empty(0, np.float32)


class BitMatrix(NamedTuple):
    """Weights as bit planes, and what turns counts of differing bits into sums.

    Attributes
    ----------
    weights : uint64, (filters / POPCOUNT_PANEL, weight levels, depth, POPCOUNT_PANEL)
        Of the output layer: (weight levels, depth).
    factors : float32, (source levels * weight levels,)
        -2 times the products of their gammas.
    base : float32, (filters,), of a 3 x 3 convolution (4 * 4 * filters,)
        What the counts, multiplied by their factors, are added to. Filters are rounded up to whole words. It differs
        with the neighbours that lie outside the map, 4 * rows + columns, both as BEFORE and AFTER.
    scale, shift : float32, (filters,) or (0,)
        What the sums are multiplied by before they are coded, and what is then added: the bias and the offset of the
        code. Empty: there is no scale, and the base has the bias.
    """

    weights: Words
    factors: Floats
    base: Floats
    scale: Floats
    shift: Floats


class SignMatrix(NamedTuple):
    """Weights of one residual level, and the counts up to which a sum is not negative.

    Attributes
    ----------
    weights : uint64, (filters / SIGN_PANEL, depth, SIGN_PANEL)
    limits : int64, (filters,), of a 3 x 3 convolution (4 * 4 * filters,)
        Most differing bits at which the sum is not negative, laid out as the base of a `BitMatrix`.
    """

    weights: Words
    limits: NDArray[np.int64]


class SumTables(NamedTuple):
    """What the bits of unsigned codes add to the sums of a float output layer, eight at a time, for pairs of maps.

    Attributes
    ----------
    tables : float32, (pairs of maps, source levels, octets, 256, 2)
        For each octet of a pixel's channels and level of its codes, by the octet's value.
    bias : float32, (pairs of maps, 2)
        The last pair is filled up with zeros.
    """

    tables: Floats
    bias: Floats


class Bits(NamedTuple):
    """Where a layer finds its input bits: word k of plane m of a pixel at ``pixel + m * plane + offsets[k]``."""

    words: Words
    plane: int
    offsets: NDArray[np.int64]


def find_neighbourhood_bits(source: CodedMap) -> Bits:
    """Find the bits of 3 x 3 pixels, tap by tap, counted from the upper left pixel's word of plane 0."""
    layout = source.layout
    row = layout.levels * layout.words * layout.stride
    offsets = [i * row + j + k * layout.stride for i in range(3) for j in range(3) for k in range(layout.words)]
    return Bits(source.words, layout.words * layout.stride, np.array(offsets, np.int64))


class Region(NamedTuple):
    """The pixels of a map that are wanted: rows `top` to `bottom`, columns `left` to `right`, ends not included."""

    top: int
    bottom: int
    left: int
    right: int


class Block(NamedTuple):
    """How a separable layer is cut into blocks.

    Attributes
    ----------
    rows, columns : int
        Pixels of a block, of the source where that is repeated.
    pixels : int
        Results of a block: four for each of these where the source is repeated.
    channels : int
        Floats from pixel to pixel of the decoded source (see `pad_channels`).
    step : int
        Floats from pixel to pixel of the depthwise results; not a power of two, which would fill few sets of a cache.
    """

    rows: int
    columns: int
    pixels: int
    channels: int
    step: int


def choose_block(height: int, width: int, channels: int, repeated: bool, threads: int) -> Block:
    """Choose blocks whose floats fit into a core's second cache, and enough of them for all threads.

    Parameters
    ----------
    height, width : int
        Of the output, or of the source where that is repeated.
    channels : int
        That the layer sees.
    repeated : bool
        Whether the source is repeated 2 x 2.
    threads : int
    """
    pixels = max(16, min(256, 2**15 // channels)) // (4 if repeated else 1)
    columns = min(width, 16 if repeated else 32)
    rows = max(1, min(height, pixels // columns))
    while rows > 1 and -(-height // rows) * -(-width // columns) < 3 * threads:
        rows = -(-rows // 2)
    results = rows * columns * (4 if repeated else 1)
    return Block(rows, columns, results, pad_channels(channels), round_up(channels, WORD) + CHUNK)


def pad_channels(channels: int) -> int:
    """Floats from pixel to pixel of decoded values, and from tap to tap of depthwise weights."""
    return round_up(channels, CHUNK) + CHUNK


def choose_panel(filters: int) -> int:
    """Choose the panel of a float product: with as few idle lanes as the processor's blocks allow."""
    panels = sorted(TARGET.panel_pixels)
    return next((panel for panel in panels if filters <= panel), panels[-1])


def list_arrays(structure: Any) -> list[NDArray[Any]]:
    """Return the arrays of a structure, and of the structures in it."""
    if isinstance(structure, np.ndarray):
        return [structure]
    return [array for part in structure for array in list_arrays(part)] if isinstance(structure, tuple) else []
