"""The outline of one object, as files of annotations hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Coordinates beyond this many pixels are errors in the file.
FARTHEST = 1e7

Ring = NDArray[np.float64]
"""Corners (x, y) of a closed line, shape (N, 2); the last is joined to the first."""


class Patch(NamedTuple):
    """Pixels of an object: a mask (Y, X) whose first pixel is at `top`, `left` of the image."""

    mask: NDArray[np.bool_]
    top: int
    left: int


@dataclass(frozen=True, eq=False)
class Outline:
    """Where one object is.

    Attributes
    ----------
    parts : tuple of tuple of ndarray of shape (N, 2)
        Rings of corners (x, y) in pixels. Whole numbers are the corners of pixels: the first pixel of an image reaches
        from 0 to 1, and its centre is at 0.5. What an odd number of a part's rings surround is inside, so that a ring
        within another one is a hole. The object is all parts together.
    patch : Patch, optional
        The pixels of an object that is given by a mask instead.
    number : int, optional
        Its label, if the file tells one.
    kind : str
        Class that it belongs to; empty: none.
    frame : int, optional
        Frame of a stack that it belongs to, counted from 0. None: the file does not say.
    """

    parts: tuple[tuple[Ring, ...], ...] = ()
    patch: Patch | None = None
    number: int | None = None
    kind: str = ""
    frame: int | None = None

    @property
    def usable(self) -> bool:
        """Whether there are three corners or more in each ring, all of them finite and not absurdly far away."""
        if self.patch is not None:
            return True
        rings = [ring for part in self.parts for ring in part]
        return bool(rings) and all(
            ring.ndim == 2 and ring.shape[1] == 2 and len(ring) >= 3 and bool((np.abs(ring) <= FARTHEST).all())
            for ring in rings
        )

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Smallest y and x, largest y and x."""
        if self.patch is not None:
            mask, top, left = self.patch
            return top, left, top + mask.shape[0], left + mask.shape[1]
        corners = np.concatenate([ring for part in self.parts for ring in part])
        (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return top, left, bottom, right

    def moved(self, x: float, y: float) -> Outline:
        """Return the outline moved by so many pixels; a mask by the nearest whole number."""
        parts = tuple(tuple(ring + np.array([x, y]) for ring in part) for part in self.parts)
        patch = self.patch
        if patch is not None:
            patch = Patch(patch.mask, patch.top + round(y), patch.left + round(x))
        return Outline(parts, patch, self.number, self.kind, self.frame)
