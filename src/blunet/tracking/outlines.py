"""The outlines of objects that are mended: kept from one frame, moved, and put into another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Outline:
    """Which pixels an object covers.

    Attributes
    ----------
    top, left : int
        Of the mask, in pixels; may be outside the field.
    mask : ndarray of shape (Y, X), bool
    """

    top: int
    left: int
    mask: NDArray[np.bool_]

    def moved(self, step: NDArray[np.float64]) -> Outline:
        """Return the outline moved by rows and columns, rounded to pixels."""
        down, right = np.rint(step).astype(int).tolist()
        return replace(self, top=self.top + down, left=self.left + right)

    def within(self, box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
        """Return which pixels of a box (top, left, bottom, right) it covers."""
        top, left, bottom, right = box
        covered = np.zeros((bottom - top, right - left), bool)
        height, width = self.mask.shape
        first, last = max(top, self.top), min(bottom, self.top + height)
        start, end = max(left, self.left), min(right, self.left + width)
        if first < last and start < end:
            part = self.mask[first - self.top : last - self.top, start - self.left : end - self.left]
            covered[first - top : last - top, start - left : end - left] = part
        return covered


def take_outline(labels: NDArray[np.int32], box: NDArray[np.int64], label: int) -> Outline:
    """Return the outline of an object within a box (top, left, bottom, right)."""
    top, left, bottom, right = box.tolist()
    return Outline(top, left, labels[top:bottom, left:right] == label)


def fill_in(labels: NDArray[np.int32], outline: Outline, label: int) -> bool:
    """Give the background within an outline a label; False if there is none. `labels` (Y, X) is changed."""
    height, width = outline.mask.shape
    top, left = max(outline.top, 0), max(outline.left, 0)
    bottom, right = min(outline.top + height, labels.shape[0]), min(outline.left + width, labels.shape[1])
    if top >= bottom or left >= right:
        return False
    part = labels[top:bottom, left:right]
    free = outline.within((top, left, bottom, right)) & (part == 0)
    part[free] = label
    return bool(free.any())


def share_out(
    region: NDArray[np.bool_], box: NDArray[np.int64], outlines: Mapping[int, Outline], labels: NDArray[np.int32]
) -> set[int]:
    """Part a merged object among the tracks that it consists of.

    Parameters
    ----------
    region : ndarray of shape (Y, X), bool
        The merged object.
    box : ndarray of 4 int64
        Top, left, bottom and right around it.
    outlines : mapping of int to Outline
        Where each track is expected.
    labels : ndarray of shape (Y, X), int32
        Changed within the region: each pixel gets the track whose outline is nearest; pixels within several outlines
        go with the nearest pixel of one alone.

    Returns
    -------
    set of int
        The tracks that got pixels.
    """
    from scipy.ndimage import distance_transform_edt

    top, left, bottom, right = box.tolist()
    inside, part = region[top:bottom, left:right], labels[top:bottom, left:right]
    covered = {track: outline.within((top, left, bottom, right)) & inside for track, outline in outlines.items()}
    claims = sum((mask.astype(np.int32) for mask in covered.values()), np.zeros(inside.shape, np.int32))
    seeds = np.zeros(inside.shape, np.int32)
    for track, mask in covered.items():
        seeds[mask & (claims == 1)] = track
    if not seeds.any():
        return set()
    nearest = distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    part[inside] = seeds[tuple(nearest)][inside]
    return {int(track) for track in np.unique(part[inside])}
