"""How feature maps lie in memory, and how the kernels cut them into blocks."""

from __future__ import annotations

from typing import NamedTuple

#: Words that end a row of a map: kernels may read, never write, behind a row's last pixel.
SLACK = 8


class Map(NamedTuple):
    """A feature map of residual codes: bit planes, 64 channels to a word.

    Bit c % 64 of the word of plane m, channel word c // 64, row y and column x tells the sign b_m of channel c. The
    word lies at ``((y + 1) * levels + m) * words + c // 64) * stride + x + 1``: rows of one plane and word are
    contiguous, around the map is a border of zeros, and bits of channels that do not exist are 0.
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


def map_of(height: int, width: int, channels: int, levels: int) -> Map:
    """Lay out a map of `channels` channels with `levels` residual levels."""
    stride = -(-(width + 2 + SLACK) // SLACK) * SLACK
    return Map(height, width, channels, levels, -(-channels // 64), stride)


class Region(NamedTuple):
    """The pixels of a map that are wanted: rows `top` to `bottom`, columns `left` to `right`, ends not included."""

    top: int
    bottom: int
    left: int
    right: int


class Block(NamedTuple):
    """How a separable layer is cut: so many rows and columns (of its source, if that is repeated) at a time.

    Attributes
    ----------
    rows, columns : int
    channels : int
        Floats from pixel to pixel of the decoded source, a multiple of 16.
    step : int
        Floats from pixel to pixel of the depthwise results; not a power of two, which a cache could not hold well.
    """

    rows: int
    columns: int
    channels: int
    step: int


def block_of(height: int, width: int, channels: int, repeated: bool, threads: int) -> Block:
    """Choose blocks whose floats fit into a core's second cache, and enough of them for all threads."""
    pixels = max(16, min(256, 2**15 // channels)) // (4 if repeated else 1)
    columns = min(width, 32 if not repeated else 16)
    rows = max(1, min(height, pixels // columns))
    while rows > 1 and -(-height // rows) * -(-width // columns) < 3 * threads:
        rows = -(-rows // 2)
    padded = -(-channels // 16) * 16 + 16
    return Block(rows, columns, padded, -(-channels // 64) * 64 + 16)
