"""From the maps of a network to labelled objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.segmentation.bands import PIXELS_PER_BAND, split_into_bands
from blunet.segmentation.basins import find_basins, renumber
from blunet.segmentation.segmentation_settings import DEFAULT_SPLITTING, DEFAULTS, Objects, SegmentationSettings


def label_objects(
    probability: NDArray[np.floating[Any]],
    threshold: float,
    objects: Objects = DEFAULTS.objects,
    min_size: int = DEFAULTS.min_size,
    splitting: float = DEFAULT_SPLITTING,
    distance: NDArray[np.floating[Any]] | None = None,
) -> NDArray[np.int32]:
    """Turn a probability map into labelled objects.

    Parameters
    ----------
    probability : ndarray of shape (Y, X)
        In [0, 1].
    threshold : float
        Foreground is where the probability is greater, 0 to 1.
    objects : {"mask", "components", "watershed"}
        `mask`: 0 and 1. `components`: the 4-connected components of the foreground. `watershed`: components that are
        split where objects touch (see `split_touching`).
    min_size : int
        Area of the smallest object that is kept, in pixels, after splitting. Of a mask, of its smallest component.
    splitting : float
        How readily `watershed` splits objects: 0 never, 1 at every constriction.
    distance : ndarray of shape (Y, X), optional
        Distance map of the network, 0 to 1, which `watershed` then uses.

    Returns
    -------
    ndarray of shape (Y, X), int32
        0 is background; the objects are numbered from 1 without gaps.

    Raises
    ------
    InputError
        If a setting is out of range, or the maps are not two-dimensional and of one shape.

    Examples
    --------
    >>> import numpy as np
    >>> label_objects(np.array([[0.9, 0.2, 0.8, 0.6]]), 0.5, "components", min_size=1)
    array([[1, 0, 2, 2]], dtype=int32)
    """
    settings = SegmentationSettings(threshold=threshold, splitting=splitting, objects=objects, min_size=min_size)
    if probability.ndim != 2:
        raise InputError(f"The probability map has the shape {probability.shape}; give one of shape (Y, X).")
    if distance is not None and distance.shape != probability.shape:
        raise InputError(f"The maps have the shapes {probability.shape} and {distance.shape}; give equal shapes.")
    labels = label_foreground(probability > threshold, settings.objects, settings.min_size, splitting, distance)
    return labels.astype(np.int32, copy=False)


def label_foreground(
    foreground: NDArray[np.bool_],
    objects: Objects,
    min_size: int,
    splitting: float,
    distance: NDArray[np.floating[Any]] | None = None,
) -> NDArray[Any]:
    """Turn foreground (Y, X) into labelled objects, int32, or into a mask without small components, bool.

    The parameters are those of `label_objects`.
    """
    return label_and_count(foreground, objects, min_size, splitting, distance)[0]


def label_and_count(
    foreground: NDArray[np.bool_],
    objects: Objects,
    min_size: int,
    splitting: float,
    distance: NDArray[np.floating[Any]] | None = None,
) -> tuple[NDArray[Any], int]:
    """Return what `label_foreground` does, and how many objects were smaller than `min_size`; of a mask 0."""
    if objects == "mask":
        return remove_small_components(foreground, min_size), 0
    if objects == "components":
        labels = label_components(foreground)
    else:
        labels = split_touching(foreground, splitting, distance)
    sizes = count_pixels(labels)
    _drop_small(labels, sizes, min_size)
    return labels, int(np.count_nonzero((sizes[1:] > 0) & (sizes[1:] < min_size)))


def count_pixels(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the number of pixels of each label from 0 on, as `numpy.bincount` does, in bands of rows."""
    counts = np.zeros(int(labels.max(initial=0)) + 1, np.int64)
    for rows in split_into_bands(labels.shape, PIXELS_PER_BAND):
        counts += np.bincount(labels[rows].ravel(), minlength=counts.size)
    return counts


def typical_diameter(sizes: NDArray[np.integer[Any]]) -> float:
    """Return the diameter of a typical object: half of the area belongs to objects that are not larger.

    Small crumbs, however many, change it little, as a median of the objects would not.

    Parameters
    ----------
    sizes : ndarray of shape (N,)
        Areas in pixels.

    Returns
    -------
    float
        In pixels, of a circle of equal area; NaN without objects.

    Examples
    --------
    >>> import numpy as np
    >>> round(typical_diameter(np.array([4] * 30 + [1000, 1100, 1200])), 1)
    37.4
    """
    if not sizes.size:
        return float("nan")
    ordered = np.sort(sizes)
    middle = ordered[np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)]
    return float(np.sqrt(4 / np.pi * middle))


def label_components(foreground: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Label the 4-connected components of the foreground (Y, X) from 1."""
    from scipy.ndimage import label

    labels, _ = label(foreground)
    parts: NDArray[np.int32] = labels.astype(np.int32, copy=False)
    return parts


def remove_small_objects(labels: NDArray[np.int32], min_size: int) -> NDArray[np.int32]:
    """Remove small objects, and number the others from 1 without gaps.

    Parameters
    ----------
    labels : ndarray of shape (Y, X), int32
        0 is background.
    min_size : int
        In pixels.

    Returns
    -------
    ndarray of shape (Y, X), int32
    """
    kept = labels.copy()
    _drop_small(kept, count_pixels(labels), min_size)
    return kept


def _drop_small(labels: NDArray[np.int32], sizes: NDArray[np.int64], min_size: int) -> None:
    """Do what `remove_small_objects` does, in place."""
    keep = sizes >= max(min_size, 1)
    keep[0] = False
    renumber(labels, np.where(keep, np.cumsum(keep), 0).astype(np.int32))


def remove_small_components(foreground: NDArray[np.bool_], min_size: int) -> NDArray[np.bool_]:
    """Remove small 4-connected components, with the labels of only one band of rows in memory at a time.

    Parameters
    ----------
    foreground : ndarray of shape (Y, X), bool
    min_size : int
        In pixels.

    Returns
    -------
    ndarray of shape (Y, X), bool
    """
    if min_size <= 1:
        return foreground
    bands = list(split_into_bands(foreground.shape, PIXELS_PER_BAND))
    sizes, pairs, above, first = [np.zeros(1, np.int64)], [], None, 1
    for rows in bands:  # the components of a band are numbered from `first` on
        parts = label_components(foreground[rows])
        counts = np.bincount(parts.ravel())[1:]
        if above is not None:
            touching = (above > 0) & (parts[0] > 0)
            pairs.append(np.stack([above[touching], parts[0][touching] + (first - 1)]))
        above = np.where(parts[-1] > 0, parts[-1].astype(np.int64) + (first - 1), 0)
        sizes.append(counts)
        first += len(counts)
    keep = _joined_sizes(np.concatenate(sizes), pairs) >= min_size
    keep[0] = False
    result = np.empty_like(foreground)
    first = 1
    for rows, counts in zip(bands, sizes[1:], strict=True):
        parts = label_components(foreground[rows])
        result[rows] = np.concatenate([[False], keep[first : first + len(counts)]])[parts]
        first += len(counts)
    return result


def _joined_sizes(sizes: NDArray[np.int64], pairs: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return for each component of a band the size of the whole component that it belongs to."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not pairs:
        return sizes
    a, b = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(a.size, np.bool_), (a, b)), shape=(sizes.size, sizes.size))
    _, whole = connected_components(graph, directed=False)
    joined: NDArray[np.int64] = np.bincount(whole, weights=sizes)[whole].astype(np.int64)
    return joined


def split_touching(
    foreground: NDArray[np.bool_],
    splitting: float = DEFAULT_SPLITTING,
    distance: NDArray[np.floating[Any]] | None = None,
) -> NDArray[np.int32]:
    """Label the connected components of the foreground, split where objects touch.

    Parameters
    ----------
    foreground : ndarray of shape (Y, X), bool
    splitting : float
        How readily objects are split: 0 never, 1 at every constriction. The number of objects does not fall as it
        rises.
    distance : ndarray of shape (Y, X), optional
        Distance to the border of the object relative to its largest, 0 to 1, as a network gives it. None: the distance
        to the background in pixels, so that objects are split where they are narrow.

    Returns
    -------
    ndarray of shape (Y, X), int32
        0 is background; each object is 4-connected.

    Notes
    -----
    The smoothed distance has a maximum in each bulge, and a saddle between two bulges. A watershed gives each maximum a
    basin. Two basins are joined, starting from the highest saddle, unless the saddle is lower than a fraction of the
    lower of the two maxima. Without a map, the fraction is `splitting`: a ratio of widths, which does not depend on the
    size of the objects, and an elongated object of even width is not split. With a map, the fraction is the square root
    of `splitting`, and objects of even width are split where they touch; a basin whose maximum is below `MIDDLE` is
    joined to its neighbour, and left out if it has none.

    References
    ----------
    Priority-flood watershed of the distance transform (S. Beucher and F. Meyer, 1993); basins are joined by the
    persistence of their maxima.
    """
    basins = find_basins(foreground, distance)
    renumber(basins.labels, basins.find_roots(splitting))  # in place: the basins are not needed any more
    return basins.labels
