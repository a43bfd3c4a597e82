"""Colours that cells keep while a setting changes their numbers."""

from __future__ import annotations

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap, label_colormap
from numpy.typing import NDArray

#: Number of colours of napari's own colormap of labels, and the number of more labels that get one of these.
COLOURS = 49
#: Above this label the colours are napari's own: its colormaps have no more than 65,535.
LARGEST = 60_000


class LabelColours:
    """Numbers the colours of labels: at first as the labels themselves, later as those of the objects they overlap."""

    def __init__(self) -> None:
        self._frames: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}

    def follow(self, t: int, before: NDArray[np.int32], after: NDArray[np.int32]) -> None:
        """Give the new labels of a frame the colours of the old ones that they share most pixels with.

        Parameters
        ----------
        t : int
            Index of the frame.
        before, after : ndarray of shape (Y, X)
            Its labels; 0 is background.
        """
        labels = _present(after)
        if t not in self._frames:
            self._frames[t] = labels, labels.copy()
            return
        old_labels, old_colours = self._frames[t]
        colours = np.zeros(labels.size, np.int64)
        free = int(max(labels.max(initial=0), old_colours.max(initial=0)))
        taken = set()
        for new, old in _overlaps(before, after):
            i, j = np.searchsorted(labels, new), np.searchsorted(old_labels, old)
            known = j < old_labels.size and old_labels[j] == old
            if known and not colours[i] and old_colours[j] not in taken:
                colours[i] = old_colours[j]
                taken.add(int(old_colours[j]))
        missing = colours == 0
        colours[missing] = free + 1 + np.arange(np.count_nonzero(missing))
        self._frames[t] = labels, colours

    def apply(self, layer: Labels) -> None:
        """Colour a layer, unless the user has chosen colours for single labels."""
        largest = max((int(labels.max(initial=0)) for labels, _ in self._frames.values()), default=0)
        kept = all(np.array_equal(*numbers) for numbers in self._frames.values())
        ours = layer.colormap.name == NAME
        if largest > LARGEST or (kept and not ours) or not isinstance(layer.colormap, CyclicLabelColormap):
            return
        numbers = np.arange(largest + COLOURS + 1)
        for labels, colours in self._frames.values():
            numbers[labels] = colours
        palette = np.asarray(label_colormap(COLOURS).colors)
        colours = palette[(numbers - 1) % COLOURS + 1]
        colours[0] = 0
        layer.colormap = CyclicLabelColormap(colors=colours, name=NAME)


#: Name of the colormap of a layer whose cells have kept their colours.
NAME = "cells that keep their colours"


def _present(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    present = np.unique(labels)
    return present[present > 0].astype(np.int64)


def _overlaps(before: NDArray[np.int32], after: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Return the pairs of a new and an old label that share pixels, those that share most first."""
    from scipy.sparse import coo_array

    inside = (before > 0) & (after > 0)
    new, old = after[inside], before[inside]
    if not new.size:
        return []
    counts = coo_array((np.ones(new.size, np.int64), (new, old))).tocsr().tocoo()
    order = np.argsort(-counts.data, kind="stable")
    return list(zip(counts.row[order].tolist(), counts.col[order].tolist(), strict=True))
