"""Partly annotated images: what was reviewed counts, and the rest neither teaches nor is scored."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.pairs import Pair
from blunet.dataset.truth_masks import Truth, read_truth
from blunet.errors import InputError
from blunet.images.image_reader import read_values

#: Label of pixels of which nobody has said what they are.
NOT_REVIEWED = -1


def hide_unreviewed(labels: NDArray[np.int32], reviewed: NDArray[Any]) -> NDArray[np.int32]:
    """Return a copy of labels that is `NOT_REVIEWED` where nobody has said what the pixels are.

    Parameters
    ----------
    labels : ndarray of shape (Y, X), int32
        0 is background, 1..N are instances.
    reviewed : ndarray of shape (Y, X)
        Not 0 where the image was reviewed. As a region it covers cells: those that are covered by half or more count,
        and others do not, as they may be a program's guess. As strokes in the background it covers no cell by half:
        then all labelled cells count.

    Raises
    ------
    InputError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([[0, 1, 0, 0, 2]], np.int32)
    >>> hide_unreviewed(labels, np.array([[0, 0, 1, 0, 0]]))  # a stroke
    array([[-1,  1,  0, -1,  2]], dtype=int32)
    >>> hide_unreviewed(labels, np.array([[0, 1, 1, 0, 0]]))  # a region
    array([[-1,  1,  0, -1, -1]], dtype=int32)
    """
    if reviewed.shape != labels.shape:
        raise InputError(
            f"The reviewed region has the shape {reviewed.shape} and the labels {labels.shape}; give equal shapes."
        )
    marked = reviewed != 0
    numbers, places = np.unique(labels, return_inverse=True)
    places = places.reshape(labels.shape)
    covered = 2 * np.bincount(places[marked], minlength=numbers.size) >= np.bincount(places.ravel())
    cells = numbers > 0
    counts = cells & covered if (cells & covered).any() else cells
    return np.where(counts[places] | (marked & (labels == 0)), labels, np.int32(NOT_REVIEWED))


def read_pair_truth(pair: Pair, shape: tuple[int, int] | None = None) -> Truth:
    """Read the mask of a pair as `read_truth` does, and what of it was reviewed.

    Parameters
    ----------
    pair : Pair
    shape : (Y, X), optional
        Of the image.

    Returns
    -------
    Truth
        Its labels are `NOT_REVIEWED` where nothing is known. Without a file of reviewed pixels everything is known.

    Raises
    ------
    InputError
        If one of the files cannot be read, or has another size.
    """
    truth = read_truth(pair.mask, shape)
    if pair.reviewed is None:
        return truth
    reviewed, _, _ = read_values(pair.reviewed)
    if reviewed.shape != truth.labels.shape:
        (height, width), (rows, columns) = reviewed.shape, truth.labels.shape
        raise InputError(
            f"'{pair.reviewed}' is {height} x {width} pixels (Y x X) but its mask is {rows} x {columns}; give the "
            "reviewed pixels in the mask's size."
        )
    return truth._replace(labels=hide_unreviewed(truth.labels, reviewed))


def read_pair_labels(pair: Pair, shape: tuple[int, int] | None = None) -> NDArray[np.int32]:
    """Return the labels (Y, X) of `read_pair_truth`."""
    return read_pair_truth(pair, shape).labels


def keep_reviewed(values: NDArray[Any], truth: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Return foreground or labels (Y, X) that are 0 where the truth (Y, X) is `NOT_REVIEWED`."""
    return np.where(find_reviewed(truth), values, np.zeros((), values.dtype))


def find_reviewed(labels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Return where (Y, X) it is known what the pixels are."""
    return np.asarray(labels != NOT_REVIEWED)
