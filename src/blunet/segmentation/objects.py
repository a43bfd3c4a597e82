"""From the maps of a network to labelled objects."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.segmentation.bands import PIXELS_PER_BAND, split_into_bands
from blunet.segmentation.segmentation_settings import DEFAULT_SPLITTING, DEFAULTS, Objects, SegmentationSettings

#: Basins of larger images are found in tiles of this side, which overlap by twice this margin (pixels).
TILE, MARGIN = 2048, 256
#: Standard deviation (pixels) of the Gaussian that smooths distances.
SMOOTHING = 1.0
#: What is never this high in a network's map is no object: the map should be 1 in the middle of each.
MIDDLE = 0.5
#: Valleys between objects are shallower in a network's map than in the distance to the background, so that they are
#: compared with the square root of the splitting.
MAP_EXPONENT = 0.5


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
    _renumber(labels, np.where(keep, np.cumsum(keep), 0).astype(np.int32))


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
    _renumber(basins.labels, _find_roots(basins, splitting))  # in place: the basins are not needed any more
    return basins.labels


@dataclass(frozen=True, eq=False)
class Basins:
    """The parts of a foreground, of which those that belong to one object are to be joined.

    Attributes
    ----------
    labels : ndarray of shape (Y, X), int32
        The number of each pixel's basin, 0 in the background.
    maxima : ndarray of shape (N + 1,), float32
        The highest distance in each basin; the first is the background's.
    pairs : ndarray of shape (M, 2)
        Basins that touch.
    saddles : ndarray of shape (M,), float32
        The highest distance between them.
    mapped : bool
        Whether the distance is that of a network's map.
    """

    labels: NDArray[np.int32]
    maxima: NDArray[np.float32]
    pairs: NDArray[Any]
    saddles: NDArray[np.float32]
    mapped: bool


def find_basins(
    foreground: NDArray[np.bool_], distance: NDArray[np.floating[Any]] | None = None, *, tile: int = TILE
) -> Basins:
    """Part the foreground (Y, X) into the basins of a distance (Y, X); see `split_touching`.

    With a network's map the work on large images is done in tiles of about `tile` pixels, which takes less memory. The
    result is that of the whole image, but where a basin reaches further than `MARGIN` pixels into another tile, or
    where two basins reach a pixel at the same height.
    """
    if distance is not None and max(foreground.shape) > tile:
        return _find_basins_in_tiles(foreground, distance, tile)
    labels, smooth = _flood(foreground, distance)
    maxima = np.zeros(int(labels.max(initial=0)) + 1, np.float32)
    np.maximum.at(maxima, labels.ravel(), smooth.ravel())
    return Basins(labels, maxima, *_saddles(labels, smooth), distance is not None)


def _flood(
    foreground: NDArray[np.bool_], distance: NDArray[np.floating[Any]] | None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the basins of the smoothed distance, numbered by the places of their maxima, and the smoothed distance."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter
    from skimage.segmentation import watershed

    if distance is not None:
        smooth = gaussian_filter(distance.astype(np.float32), SMOOTHING)
        smooth[~foreground] = -1  # else a maximum just outside would take the place of one inside
    elif foreground.all():  # there is no background, and no distance to it
        smooth = foreground.astype(np.float32)
    else:
        smooth = gaussian_filter(distance_transform_edt(foreground).astype(np.float32), SMOOTHING)
    if smooth.size and smooth.max() > smooth.min():
        labels = watershed(-smooth, mask=foreground, connectivity=1).astype(np.int32, copy=False)
    else:  # the watershed finds no basin in a constant image
        labels = foreground.astype(np.int32)
    return labels, smooth


def _find_basins_in_tiles(foreground: NDArray[np.bool_], distance: NDArray[np.floating[Any]], tile: int) -> Basins:
    """Find basins tile by tile. A basin has the place of its maximum as its name, the same in every tile."""
    height, width = foreground.shape
    labels = np.zeros(foreground.shape, np.int32)
    number_at: dict[int, int] = {}
    maxima, pairs, saddles = [0.0], [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    for top, left in itertools.product(range(0, height, tile), range(0, width, tile)):
        first = max(top - MARGIN, 0), max(left - MARGIN, 0)
        extent = tuple(slice(start, start0 + tile + MARGIN) for start, start0 in zip(first, (top, left), strict=True))
        found, smooth = _flood(foreground[extent], distance[extent])
        # The tile, and the first row and column of the tiles below and beside it, to see which basins touch there.
        inner = slice(top - first[0], top - first[0] + tile + 1), slice(left - first[1], left - first[1] + tile + 1)
        numbers = np.zeros(int(found.max(initial=0)) + 1, np.int32)
        for basin, place in _places_of_maxima(found, smooth, np.unique(found[inner])):
            row, column = divmod(place, found.shape[1])
            name = (row + first[0]) * width + column + first[1]
            if name not in number_at:
                number_at[name] = len(maxima)
                maxima.append(float(smooth.flat[place]))
            numbers[basin] = number_at[name]
        part = numbers[found[inner]]
        touching, highest = _saddles(part, smooth[inner])
        pairs.append(touching)
        saddles.append(highest)
        core = part[:tile, :tile]
        labels[top : top + tile, left : left + tile] = core
    # Numbers in the order of the places, as the whole image has them.
    order = np.zeros(len(maxima), np.int32)
    order[1:][np.argsort(np.array(list(number_at), np.int64))] = np.arange(1, len(maxima))
    heights = np.zeros(len(maxima), np.float32)
    heights[order] = maxima
    _renumber(labels, order)
    joined, highest = _highest(order[np.concatenate(pairs)], np.concatenate(saddles))
    return Basins(labels, heights, joined, highest, True)


def _places_of_maxima(
    labels: NDArray[np.int32], heights: NDArray[np.float32], wanted: NDArray[np.int32]
) -> list[tuple[int, int]]:
    """Return for each wanted label above 0 the first place (in the flat image) of its highest pixel."""
    from scipy.ndimage import find_objects

    boxes, width = find_objects(labels), labels.shape[1]
    places = []
    for label in wanted[wanted > 0].tolist():
        rows, columns = boxes[label - 1]
        own = np.where(labels[rows, columns] == label, heights[rows, columns], -np.inf)
        row, column = divmod(int(own.argmax()), own.shape[1])
        places.append((label, (row + rows.start) * width + column + columns.start))
    return places


def _renumber(labels: NDArray[np.int32], numbers: NDArray[np.int32]) -> None:
    """Replace each label by its number, in place and in bands of rows."""
    for rows in split_into_bands(labels.shape, PIXELS_PER_BAND):
        labels[rows] = numbers[labels[rows]]


def join_basins(basins: Basins, splitting: float) -> NDArray[np.int32]:
    """Return the labels (Y, X) of the objects that the basins belong to; see `split_touching`."""
    labels = basins.labels.copy()
    _renumber(labels, _find_roots(basins, splitting))
    return labels


def _find_roots(basins: Basins, splitting: float) -> NDArray[np.int32]:
    """Return for each basin the first basin of its object, 0 if it belongs to none."""
    fraction, middle = (splitting**MAP_EXPONENT, MIDDLE) if basins.mapped else (splitting, 0.0)
    parent = list(range(basins.maxima.size))
    height = basins.maxima.tolist()

    def root(basin: int) -> int:
        while parent[basin] != basin:
            parent[basin] = parent[parent[basin]]
            basin = parent[basin]
        return basin

    order = np.argsort(-basins.saddles, kind="stable")
    for (first, second), saddle in zip(basins.pairs[order].tolist(), basins.saddles[order].tolist(), strict=True):
        a, b = root(first), root(second)
        lower = min(height[a], height[b])
        if a != b and (saddle >= fraction * lower or lower < middle):
            parent[max(a, b)] = min(a, b)
            height[min(a, b)] = max(height[a], height[b])
    roots = np.array([root(basin) for basin in parent], np.int32)
    roots[np.array(height)[roots] < middle] = 0
    return roots


def _saddles(basins: NDArray[Any], distance: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return the pairs (N, 2) of basins that touch, and the heights (N,) of the highest saddles between them."""
    firsts, seconds, heights = [], [], []
    for axis in (0, 1):
        first_axis, high = np.moveaxis(basins, axis, 0), np.moveaxis(distance, axis, 0)
        here, there = first_axis[:-1], first_axis[1:]
        border = (here != there) & (here > 0) & (there > 0)
        firsts.append(np.minimum(here[border], there[border]))
        seconds.append(np.maximum(here[border], there[border]))
        heights.append(np.minimum(high[:-1][border], high[1:][border]))
    first, second, height = (np.concatenate(parts) for parts in (firsts, seconds, heights))
    return _highest(np.stack([first, second], axis=1), height)


def _highest(pairs: NDArray[Any], height: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return each pair once, the smaller number first, with the greatest of its heights."""
    pairs = np.sort(pairs, axis=1)
    order = np.lexsort((-height, pairs[:, 1], pairs[:, 0]))
    pairs = pairs[order]
    new = np.ones(len(pairs), bool)
    new[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[new], height[order][new]
