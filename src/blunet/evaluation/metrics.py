"""Measures of how well a segmentation agrees with the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError

#: Intersections over union at which objects match, for the mean average precision.
IOUS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
#: 55 of 100 pixels are an IoU of 0.55, although 0.55 x 100 is more than 55 in floating point.
ROUNDING = 1e-6


def iou(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    """Return the intersection over union of two foregrounds, 0 to 1; 1 if both are empty.

    Parameters
    ----------
    truth, predicted : ndarray of shape (Y, X), bool

    Raises
    ------
    InputError
        If their shapes differ.

    Examples
    --------
    >>> iou(np.array([[True, True, False, False]]), np.array([[True, False, False, False]]))
    0.5
    """
    both, first, second = _counts(truth, predicted)
    return both / (first + second - both) if first + second else 1.0


def f1(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    """Return the F1 score (Dice coefficient) of two foregrounds, 0 to 1; 1 if both are empty.

    The F1 score is 2 TP / (2 TP + FP + FN), where TP, FP and FN are numbers of pixels.

    Parameters
    ----------
    truth, predicted : ndarray of shape (Y, X), bool

    Raises
    ------
    InputError
        If their shapes differ.

    Examples
    --------
    >>> f1(np.array([[True, True, True, False]]), np.array([[True, False, False, False]]))
    0.5
    """
    both, first, second = _counts(truth, predicted)
    return 2 * both / (first + second) if first + second else 1.0


def average_precision(truth: NDArray[np.integer[Any]], predicted: NDArray[np.integer[Any]], iou: float = 0.5) -> float:
    """Return the average precision of objects, TP / (TP + FP + FN), as in the Data Science Bowl 2018 and Cellpose.

    Parameters
    ----------
    truth, predicted : ndarray of shape (Y, X), int
        Labels; 0 is background.
    iou : float
        See `average_precisions`.

    Returns
    -------
    float
        0 to 1; 1 if there are neither true nor predicted objects.

    Raises
    ------
    InputError
        If the shapes differ.

    References
    ----------
    J. C. Caicedo et al., "Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl",
    Nat. Methods 16, 1247-1253 (2019).

    Examples
    --------
    >>> truth = np.array([[1, 1, 0, 2, 2]])
    >>> average_precision(truth, np.array([[1, 1, 0, 0, 0]]))
    0.5
    """
    return average_precisions(truth, predicted, [iou])[0]


def average_precisions(
    truth: NDArray[np.integer[Any]], predicted: NDArray[np.integer[Any]], ious: Sequence[float] = IOUS
) -> list[float]:
    """Return the average precision of objects at each of several IoUs; the overlaps are counted once.

    Parameters
    ----------
    truth, predicted : ndarray of shape (Y, X), int
        Labels; 0 is background.
    ious : sequence of float
        A predicted and a true object match if their intersection over union is at least this. Matches are one to one,
        and as many as possible; above 0.5, there is only one way to match.

    Returns
    -------
    list of float
        0 to 1; 1 if there are neither true nor predicted objects.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    return ObjectOverlaps(truth, predicted).average_precisions(ious)


@dataclass(frozen=True)
class CellCounts:
    """What became of the true cells of one or more images; every cell is counted once.

    Attributes
    ----------
    cells : int
        True cells.
    found : int
        Cells that were found singly: an object of their own overlaps them with an IoU of at least 0.5. Their share is
        the recall at which AP50 is measured.
    merged : int
        Other cells of which at least half lies in an object that also covers at least half of another cell.
    split : int
        Other cells in which two or more objects lie with more than half of their area.
    extra : int
        Objects that lie with more than half of their area in the background.
    """

    cells: int = 0
    found: int = 0
    merged: int = 0
    split: int = 0
    extra: int = 0

    @property
    def missed(self) -> int:
        """Cells that were neither found, nor merged, nor split."""
        return self.cells - self.found - self.merged - self.split

    def __add__(self, other: CellCounts) -> CellCounts:
        return CellCounts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def sentence(self) -> str:
        """The counts in words, such as "31 of 40 cells found singly, 6 merged, 3 missed; 2 objects are no cell"."""
        others = ((self.merged, "merged"), (self.split, "split"), (self.missed, "missed"))
        rest = [f"{count} {what}" for count, what in others if count]
        found = ", ".join([f"{self.found} of {self.cells} cells found singly", *rest])
        if not self.extra:
            return found
        return f"{found}; {self.extra} " + ("object is no cell" if self.extra == 1 else "objects are no cells")


def count_cells(truth: NDArray[np.integer[Any]], predicted: NDArray[np.integer[Any]]) -> CellCounts:
    """Count how many true cells were found singly, merged with others, split or missed.

    Parameters
    ----------
    truth, predicted : ndarray of shape (Y, X), int
        Labels; 0 is background.

    Raises
    ------
    InputError
        If the shapes differ.

    Examples
    --------
    >>> truth = np.array([[1, 1, 0, 2, 2, 0, 3, 3]])
    >>> count_cells(truth, np.array([[4, 4, 0, 5, 5, 5, 5, 5]])).sentence
    '1 of 3 cells found singly, 2 merged'
    """
    return ObjectOverlaps(truth, predicted).count_cells()


class ObjectOverlaps:
    """The overlaps of the true and the predicted objects of an image, counted once for several measures.

    Parameters
    ----------
    truth, predicted : ndarray of shape (Y, X), int
        Labels; 0 is background.

    Raises
    ------
    InputError
        If the shapes differ.
    """

    def __init__(self, truth: NDArray[np.integer[Any]], predicted: NDArray[np.integer[Any]]) -> None:
        _check_shapes(truth, predicted)
        self._shared, self._true_sizes, self._predicted_sizes = _overlaps(truth, predicted)
        sizes = self._true_sizes[self._shared.row] + self._predicted_sizes[self._shared.col]
        self._either = sizes - self._shared.data

    def average_precisions(self, ious: Sequence[float] = IOUS) -> list[float]:
        """Return what the function of this name returns."""
        objects = self._true_sizes.size + self._predicted_sizes.size
        matches = [len(self._match(iou)) for iou in ious]
        return [count / (objects - count) if objects else 1.0 for count in matches]

    def count_cells(self) -> CellCounts:
        """Return what the function of this name returns."""
        shared = self._shared
        found = self._match(IOUS[0])
        left = np.ones(self._true_sizes.size, bool)
        left[found] = False
        covering = 2 * shared.data >= self._true_sizes[shared.row]
        several = np.bincount(shared.col[covering], minlength=self._predicted_sizes.size) > 1
        merged = left & np.isin(np.arange(left.size), shared.row[covering & several[shared.col]])
        inside = 2 * shared.data > self._predicted_sizes[shared.col]
        split = left & ~merged & (np.bincount(shared.row[inside], minlength=left.size) > 1)
        on_cells = np.bincount(shared.col, shared.data, minlength=self._predicted_sizes.size)
        extra = 2 * on_cells < self._predicted_sizes
        return CellCounts(left.size, len(found), *(int(np.count_nonzero(mask)) for mask in (merged, split, extra)))

    def _match(self, iou: float) -> NDArray[np.intp]:
        """Return the true objects, by their place, that match a predicted one with at least this IoU."""
        alike = self._shared.data >= iou * self._either - ROUNDING
        return _match(self._shared.row[alike], self._shared.col[alike], self._shared.shape)


def _counts(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Return the sizes (pixels) of the intersection, of the truth and of the prediction."""
    _check_shapes(truth, predicted)
    both = int(np.count_nonzero(truth & predicted))
    return both, int(np.count_nonzero(truth)), int(np.count_nonzero(predicted))


def _check_shapes(truth: NDArray[Any], predicted: NDArray[Any]) -> None:
    if truth.shape != predicted.shape:
        raise InputError(
            f"The truth has the shape {truth.shape} and the prediction {predicted.shape}; give equal shapes."
        )


def _overlaps(truth: NDArray[Any], predicted: NDArray[Any]) -> tuple[Any, NDArray[Any], NDArray[Any]]:
    """Return the sparse table (true, predicted) of the numbers of shared pixels, and the sizes of both."""
    from scipy.sparse import coo_array

    true_values, true_index, true_sizes = _numbered(truth)
    predicted_values, predicted_index, predicted_sizes = _numbered(predicted)
    shape = (true_values.size, predicted_values.size)
    shared, counts = np.unique(true_index * np.int64(max(shape[1], 1)) + predicted_index, return_counts=True)
    row, column = np.divmod(shared, max(shape[1], 1))
    first, second = (int(values.size > 0 and values[0] == 0) for values in (true_values, predicted_values))
    inside = (row >= first) & (column >= second)
    table = coo_array(
        (counts[inside], (row[inside] - first, column[inside] - second)),
        shape=(shape[0] - first, shape[1] - second),
    )
    return table, true_sizes[first:], predicted_sizes[second:]


def _numbered(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the sorted values of an image, the index of each pixel's value (flat), and the size of each value."""
    flat = labels.ravel()
    if flat.size and flat.dtype.kind in "iu" and flat.min() >= 0 and flat.max() <= 4 * flat.size:
        counts = np.bincount(flat)  # without the sort that `unique` does
        values = np.flatnonzero(counts)
        return values, (np.cumsum(counts > 0) - 1)[flat], counts[values]
    values, index, sizes = np.unique(flat, return_inverse=True, return_counts=True)
    return values, index, sizes


def _match(row: NDArray[Any], column: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.intp]:
    """Return the rows that the largest one-to-one matching among the pairs (row, column) matches."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    if not row.size:
        return np.empty(0, np.intp)
    graph = coo_array((np.ones(row.size, np.int8), (row, column)), shape=shape).tocsr()
    return np.flatnonzero(maximum_bipartite_matching(graph, perm_type="column") >= 0)
