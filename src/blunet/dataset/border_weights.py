"""Weights of the pixels in the training loss: balanced classes, and stress on thin borders between cells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError

#: The border's weight is computed where d1 + d2 is at most this many sigmas: beyond, it is below 0.04 % of `border`.
MAX_SIGMAS = 4.0


def compute_border_weights(
    labels: NDArray[np.integer[Any]],
    *,
    border: float = 10.0,
    sigma: float = 5.0,
    largest_ratio: float = 10.0,
) -> NDArray[np.float32]:
    """Return weights that balance the classes and stress thin gaps between instances.

    ``w = w_class + border * exp(-(d1 + d2)^2 / (2 sigma^2))``, where d1 and d2 are the distances to the
    nearest and to the second nearest instance.

    Parameters
    ----------
    labels : ndarray of shape (Y, X), integers
        0 is background, other values are instances. There is no background between instances that touch:
        separate these first (`blunet.dataset.truth_masks.separate_touching`).
    border : float
        Weight added in the thinnest gaps, at least 0.
    sigma : float
        Width of the stressed gaps in pixels, above 0.
    largest_ratio : float
        Foreground and background get equal total weights, unless the weight of a foreground pixel and that of a
        background pixel would differ by more than this factor: else each pixel of a single small cell would outweigh
        thousands of others. At least 1, which means no balancing.

    Returns
    -------
    ndarray of shape (Y, X), float32
        Above 0. Without the weight of borders, the mean is 1.

    Raises
    ------
    InputError
        If the labels are not integers of shape (Y, X), or another parameter is out of range.

    Notes
    -----
    The formula is the U-Net's (Ronneberger, Fischer and Brox, MICCAI 2015); DeLTA 2.0 (O'Connor et al., PLoS
    Comput. Biol. 2022) stresses the gaps between cells for the same reason. Distances run between the centres
    of pixels and are exact; only gaps with d1 + d2 above 4 sigma get no weight.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.zeros((20, 40), np.int32)
    >>> labels[:, 5:15], labels[:, 16:25] = 1, 2
    >>> weights = compute_border_weights(labels)
    >>> bool(weights[10, 15] > weights[10, 30])
    True
    """
    if labels.ndim != 2 or labels.size == 0 or labels.dtype.kind not in "iu":
        raise InputError(f"The labels are {labels.dtype}, {labels.shape}; give integers of shape (Y, X).")
    if labels.min() < 0:
        raise InputError(f"The labels hold {labels.min()}; give 0 for background and numbers above it.")
    for name, value, low in (("border", border, 0.0), ("largest_ratio", largest_ratio, 1.0)):
        if not (math.isfinite(value) and value >= low):
            raise InputError(f"'{name}' of the weights is {value!r}; give a number from {low:g} on.")
    if not (math.isfinite(sigma) and sigma > 0):
        raise InputError(f"'sigma' of the weights is {sigma!r}; give a number of pixels above 0.")
    background = labels == 0
    weights = _balance_classes(background, largest_ratio)
    if border > 0:
        first, second = _measure_two_nearest(labels, MAX_SIGMAS * sigma)
        near = background & (first + second <= MAX_SIGMAS * sigma)
        weights[near] += border * np.exp(-((first[near] + second[near]) ** 2) / np.float32(2 * sigma**2))
    return weights


def _balance_classes(background: NDArray[np.bool_], largest_ratio: float) -> NDArray[np.float32]:
    """Return weights (Y, X) with a mean of 1 that give both classes equal totals, within the ratio."""
    share = float(background.mean())
    if share in (0.0, 1.0):
        return np.ones(background.shape, np.float32)
    ratio = min(max(share / (1 - share), 1 / largest_ratio), largest_ratio)
    unit = 1 / (share + (1 - share) * ratio)
    return np.where(background, np.float32(unit), np.float32(unit * ratio))


def _measure_two_nearest(
    labels: NDArray[np.integer[Any]], reach: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the distances (Y, X) to the nearest and second nearest instance, infinite beyond `reach`.

    Distances from an instance are computed in its bounding box and `reach` around it, so that many cells take little
    longer than one distance transform of the whole image.
    """
    from scipy.ndimage import distance_transform_edt, find_objects

    first = np.full(labels.shape, np.inf, np.float32)
    second = first.copy()
    numbers, instances = np.unique(labels, return_inverse=True)
    instances = instances.reshape(labels.shape).astype(np.int32)
    if numbers[0] != 0:
        instances += 1
    margin = math.ceil(reach)
    for number, box in enumerate(find_objects(instances), start=1):
        around = tuple(slice(max(0, side.start - margin), side.stop + margin) for side in box)
        distance = distance_transform_edt(instances[around] != number).astype(np.float32)
        distance[distance > reach] = np.inf
        second[around] = np.minimum(second[around], np.maximum(first[around], distance))
        first[around] = np.minimum(first[around], distance)
    return first, second
