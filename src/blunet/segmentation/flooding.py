"""A watershed of one piece: each maximum of a smoothed distance gets a basin."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Standard deviation (pixels) of the Gaussian that smooths distances.
SMOOTHING = 1.0


def flood(
    foreground: NDArray[np.bool_], distance: NDArray[np.floating[Any]] | None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Part the foreground into basins.

    Parameters
    ----------
    foreground : ndarray of shape (Y, X), bool
    distance : ndarray of shape (Y, X), optional
        None: the distance to the background in pixels.

    Returns
    -------
    basins : ndarray of shape (Y, X), int32
        Numbered by the places of their maxima, 0 in the background.
    heights : ndarray of shape (Y, X), float32
        The smoothed distance.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    if distance is not None:
        smooth = gaussian_filter(distance.astype(np.float32), SMOOTHING)
        smooth[~foreground] = -1  # else a maximum just outside would take the place of one inside
    elif foreground.all():  # there is no background, and no distance to it
        smooth = foreground.astype(np.float32)
    else:
        smooth = gaussian_filter(distance_transform_edt(foreground).astype(np.float32), SMOOTHING)
    return flood_smooth(foreground, smooth), smooth


def flood_smooth(foreground: NDArray[np.bool_], smooth: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the basins of a distance (Y, X) that is smooth already; see `flood`."""
    from skimage.segmentation import watershed

    if smooth.size and smooth.max() > smooth.min():
        basins: NDArray[np.int32] = watershed(-smooth, mask=foreground, connectivity=1).astype(np.int32, copy=False)
        return basins
    return foreground.astype(np.int32)  # the watershed finds no basin in a constant image


def find_saddles(basins: NDArray[Any], heights: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return the pairs (N, 2) of basins that touch, and the heights (N,) of the highest saddles between them."""
    found = []
    for axis in (0, 1):
        first_axis, high = np.moveaxis(basins, axis, 0), np.moveaxis(heights, axis, 0)
        found.append(find_contacts(first_axis[:-1], high[:-1], first_axis[1:], high[1:]))
    pairs, saddles = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return keep_highest(pairs, saddles)


def find_contacts(
    here: NDArray[Any], height: NDArray[np.float32], there: NDArray[Any], height_there: NDArray[np.float32]
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return the pairs (N, 2) of different basins of pixels and their neighbours, and the heights (N,) between them."""
    border = (here != there) & (here > 0) & (there > 0)
    return np.stack([here[border], there[border]], axis=1), np.minimum(height[border], height_there[border])


def keep_highest(pairs: NDArray[Any], height: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return each pair once, the smaller number first, with the greatest of its heights."""
    pairs = np.sort(pairs, axis=1)
    order = np.lexsort((-height, pairs[:, 1], pairs[:, 0]))
    pairs = pairs[order]
    new = np.ones(len(pairs), bool)
    new[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[new], height[order][new]
