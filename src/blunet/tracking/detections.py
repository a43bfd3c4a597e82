"""What linking needs to know about the objects of all frames, read frame by frame."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.images.frame_source import FrameSource
from blunet.tracking.placed_objects import PlacedObjects, place_objects

#: A frame with more labels than this fraction of its pixels is an image, not labels.
MOST_LABELS = 0.1
#: Frames smaller than this, in pixels, are too small for that rule.
_FEW_PIXELS = 1000


@dataclass(frozen=True, eq=False)
class Detections:
    """The objects of all frames, sorted by frame and label. A few numbers an object: label images are not kept.

    Attributes
    ----------
    shape : (Y, X)
        Of a frame, in pixels.
    starts : ndarray of shape (frames + 1,), int64
        The objects of frame `t` are those from `starts[t]` up to, but without, `starts[t + 1]`.
    label : ndarray of shape (N,), int64
    centre : ndarray of shape (N, 2), float64
        Mean row and column in pixels.
    area : ndarray of shape (N,), int64
        In pixels.
    box : ndarray of shape (N, 4), int64
        Top, left, bottom and right in pixels; the object is within `[top:bottom, left:right]`.
    overlaps : ndarray of shape (M, 3), int64
        Index of an object, index of an object in the next frame, and the number of pixels that they share. Sorted.
    """

    shape: tuple[int, int]
    starts: NDArray[np.int64]
    label: NDArray[np.int64]
    centre: NDArray[np.float64]
    area: NDArray[np.int64]
    box: NDArray[np.int64]
    overlaps: NDArray[np.int64]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.starts.size - 1

    @property
    def count(self) -> int:
        """Number of objects in all frames."""
        return self.label.size

    @property
    def frame(self) -> NDArray[np.int64]:
        """Frame of each object, counted from 0."""
        return np.repeat(np.arange(self.frames), np.diff(self.starts))

    def within(self, t: int) -> slice:
        """Return the slice of the objects of a frame."""
        return slice(int(self.starts[t]), int(self.starts[t + 1]))

    def touches_edge(self, margin: float = 0.0) -> NDArray[np.bool_]:
        """Tell which objects lie within `margin` pixels of the edge of the field."""
        top, left, bottom, right = self.box.T
        height, width = self.shape
        near: NDArray[np.bool_] = (
            (top <= margin) | (left <= margin) | (height - bottom <= margin) | (width - right <= margin)
        )
        return near


def detect_objects(source: FrameSource) -> Generator[int, None, Detections]:
    """Measure the objects of all frames and how they overlap from frame to frame; two frames are in memory.

    Parameters
    ----------
    source : FrameSource
        Frames of labels: whole numbers, 0 is background. Labels need not agree from frame to frame.

    Yields
    ------
    int
        After each frame the number of frames that are done.

    Returns
    -------
    Detections

    Raises
    ------
    InputError
        If a frame cannot be read or holds no labels but an image.
    """
    found = _Columns()
    before: PlacedObjects | None = None
    for t, labels in enumerate(each_labels(source)):
        placed = place_objects(labels)
        check_is_labels(source, t, labels, placed.label.size)
        if before is not None:
            found.add_overlaps(_count_shared(before, placed))
        found.add(placed)
        before = placed
        yield t + 1
    return found.join(source.shape)


class _Columns:
    """The columns of `Detections`, frame by frame."""

    def __init__(self) -> None:
        self._starts = [0]
        self._tables: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]] = []
        self._overlaps = [np.zeros((0, 3), np.int64)]

    def add(self, placed: PlacedObjects) -> None:
        """Keep the objects of the next frame."""
        self._tables.append((placed.label, placed.centre, placed.area, placed.box))
        self._starts.append(self._starts[-1] + placed.label.size)

    def add_overlaps(self, shared: NDArray[np.int64]) -> None:
        """Keep which objects of the last frame share pixels with those of the frame that is added next."""
        self._overlaps.append(shared + np.array([self._starts[-2], self._starts[-1], 0]))

    def join(self, shape: tuple[int, int]) -> Detections:
        """Return the objects of all frames."""
        label, centre, area, box = (np.concatenate(column) for column in zip(*self._tables, strict=True))
        starts = np.array(self._starts, np.int64)
        return Detections(shape, starts, label, centre, area, box, np.concatenate(self._overlaps))


def in_pixels(table: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return centre (N, 2), area (N,) and box (N, 4) of the objects in a table that `measure` made in pixels."""
    centre = np.stack([table[f"centroid_{axis}_px"] for axis in "yx"], axis=1)
    box = np.stack([table[f"bbox_{side}_px"] for side in ("top", "left", "bottom", "right")], axis=1)
    return centre, table["area_px2"].astype(np.int64), box.astype(np.int64)


def each_labels(source: FrameSource) -> Iterator[NDArray[Any]]:
    """Yield the labels of the frames as they are, each checked.

    Raises
    ------
    InputError
        If the values are no whole numbers, negative, or so many that the frame is a grey image.
    """
    if source.dtype.kind not in "bui":
        raise source.error(0, f"the values are of type {source.dtype}; labels are whole numbers, 0 is background.")
    for t, labels in enumerate(source.each()):
        if source.dtype.kind == "i" and int(labels.min(initial=0)) < 0:
            raise source.error(t, f"the smallest label is {int(labels.min())}; labels are 0 or above.")
        yield labels


def check_is_labels(source: FrameSource, t: int, labels: NDArray[Any], count: int) -> None:
    """Check that a frame with `count` different values holds labels.

    Raises
    ------
    InputError
        If there is an object for every few pixels, as in a grey image.
    """
    if labels.size >= _FEW_PIXELS and count > MOST_LABELS * labels.size:
        raise source.error(t, f"{count} different values in {labels.size} pixels are an image, no labels; give labels.")


def _count_shared(first: PlacedObjects, second: PlacedObjects) -> NDArray[np.int64]:
    """Return which objects of two frames share pixels: index, index and number of pixels, sorted."""
    both = (first.place > 0) & (second.place > 0)
    wide = max(second.label.size, 1)
    pairs, pixels = np.unique(
        (first.place[both].astype(np.int64) - 1) * wide + (second.place[both] - 1), return_counts=True
    )
    return np.stack([pairs // wide, pairs % wide, pixels], axis=1).astype(np.int64)
