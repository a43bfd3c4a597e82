"""A part of one frame, which is read without the rest of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.frame_readers import ArrayReader
from blunet.images.frame_source import FrameSource

#: Frames of up to this many pixels are read whole for their normalisation; of larger ones, patches.
READ_WHOLE = 2**26
#: Side of a patch in pixels, and number of patches along each axis.
PATCH, PATCHES = 512, 4


@dataclass(frozen=True)
class ImagePart:
    """Some rows and columns of a frame.

    Attributes
    ----------
    whole : FrameSource
    index : int
        Of the frame.
    rows, columns : slice
        With a beginning and an end that lie within the frame.
    wanted : (slice, slice) or None
        Rows and columns of the frame within which objects are wanted; the rest is what the network needs around them.
        None: all.
    """

    whole: FrameSource
    index: int
    rows: slice
    columns: slice
    wanted: tuple[slice, slice] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def frames(self) -> FrameSource:
        """The part as a source of one frame; of a stack, one of a stack of one frame."""

        def read(indices: Sequence[int]) -> Iterator[NDArray[Any]]:
            for _ in indices:
                yield self._read(self.index, self.rows, self.columns)

        return replace(self.whole, count=1, shape=self.shape, reader=read)

    @property
    def origin(self) -> tuple[int, ...]:
        """Indices of the first pixel in the whole, one for each of its axes."""
        place = self.rows.start, self.columns.start
        return (self.index, *place) if self.whole.stack else place

    def to_normalise(self) -> FrameSource:
        """Return the frames from which the normalisation of the part is estimated.

        They are those of the whole; of frames with more than `READ_WHOLE` pixels, patches that are spread evenly over
        this frame.
        """
        height, width = self.whole.shape
        if height * width <= READ_WHOLE:
            return self.whole
        tops, lefts = (np.linspace(0, length - PATCH, PATCHES).astype(int) for length in (height, width))
        corners = [(int(top), int(left)) for top in np.maximum(tops, 0) for left in np.maximum(lefts, 0)]

        def read(indices: Sequence[int]) -> Iterator[NDArray[Any]]:
            for top, left in (corners[index] for index in indices):
                yield self._read(self.index, slice(top, top + PATCH), slice(left, left + PATCH))

        shape = min(height, PATCH), min(width, PATCH)
        return replace(self.whole, axes="TYX", count=len(corners), shape=shape, reader=read)

    def move_table(self, table: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Return measurements of objects in the part with their places in the whole."""
        if not table:
            return table
        size = self.whole.pixel_size
        sides = (1.0, 1.0) if size is None else (size.in_micrometres.y, size.in_micrometres.x)
        moved = dict(table)
        for axis, side, names, first in zip(
            "yx", sides, (("top", "bottom"), ("left", "right")), (self.rows.start, self.columns.start), strict=True
        ):
            centroid = f"centroid_{axis}_{'px' if size is None else 'um'}"
            moved[centroid] = table[centroid] + first * side
            for name in names:
                moved[f"bbox_{name}_px"] = table[f"bbox_{name}_px"] + first
        if "frame" in table:
            moved["frame"] = np.full_like(table["frame"], self.index)
        return moved

    def find_wanted(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Return the numbers of the objects in labels (Y, X) of the part that reach into what is wanted."""
        found = np.unique(labels[self.within] if self.wanted else labels)
        return found[found > 0]

    @property
    def within(self) -> tuple[slice, slice]:
        """Rows and columns of the part that are wanted."""
        rows, columns = self.wanted or (self.rows, self.columns)
        top, left = self.rows.start, self.columns.start
        return slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)

    def _read(self, index: int, rows: slice, columns: slice) -> NDArray[Any]:
        reader = self.whole.reader
        if not isinstance(reader, ArrayReader):
            return self.whole.frame(index)[rows, columns]
        try:
            return np.asarray(reader.array[(index, rows, columns) if self.whole.stack else (rows, columns)])
        except InputError:
            raise
        except Exception as e:  # stores and codecs raise many kinds of errors
            raise self.whole.error(index, f"the image cannot be read: {e}.") from e


def enclose(whole: FrameSource, index: int, rows: slice, columns: slice, margin: int, multiple: int) -> ImagePart:
    """Return a part with a margin, whose first row and column are multiples of a number.

    Parameters
    ----------
    whole : FrameSource
    index : int
        Of the frame.
    rows, columns : slice
        They may reach beyond the frame.
    margin, multiple : int
        In pixels.

    Raises
    ------
    InputError
        If none of the frame is in these rows and columns.
    """
    sides, wanted = [], []
    for part, length in zip((rows, columns), whole.shape, strict=True):
        first, last = max(part.start, 0), min(part.stop, length)
        if first >= last:
            raise InputError("Nothing of the image is visible; move it into view (Home shows all).")
        wanted.append(slice(first, last))
        sides.append(slice(max(first - margin, 0) // multiple * multiple, min(last + margin, length)))
    return ImagePart(whole, index, sides[0], sides[1], (wanted[0], wanted[1]))
