"""What a network with maps learns to give: the foreground, and the distance to the border of each object."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.reviewed import NOT_REVIEWED, find_reviewed
from blunet.errors import InputError


def stack_targets(labels: NDArray[np.int32], distance: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Return what a network learns of one image or of a batch.

    Parameters
    ----------
    labels : ndarray of shape (..., Y, X), int32
    distance : ndarray of the same shape, float32, or None
        The distance map, where it is learnt.

    Returns
    -------
    ndarray of shape (..., Y, X, K), float32
        The foreground, 0 or 1, and behind it the distance map. Both are `NOT_REVIEWED` where nothing is known.
    """
    foreground = (labels > 0).astype(np.float32)
    targets = np.stack([foreground] if distance is None else [foreground, distance], axis=-1)
    targets[~find_reviewed(labels)] = NOT_REVIEWED
    return targets


def compute_distance_map(labels: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """Return the distance of each pixel to the border of its own object, relative to the object's largest distance.

    Touching objects have a valley between them, so that a network that gives this map can tell them apart.

    Parameters
    ----------
    labels : ndarray of shape (Y, X), integers
        0 is background, other values are objects.

    Returns
    -------
    ndarray of shape (Y, X), float32
        In [0, 1]: 0 in the background, above 0 at the border of an object, 1 in its middle. The edge of the image is
        no border of an object: a cell that is cut off by it goes on outside.

    Raises
    ------
    InputError
        If the labels are not two-dimensional integers.

    Notes
    -----
    The relative distance is that of Scherr et al. (PLoS ONE 15, e0243219, 2020), without their neighbour map.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.zeros((5, 7), int)
    >>> labels[1:4, 1:4], labels[1:4, 4:6] = 1, 2
    >>> compute_distance_map(labels)[2].tolist()
    [0.0, 0.5, 1.0, 0.5, 1.0, 1.0, 0.0]
    """
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise InputError(f"The labels are {labels.dtype}, {labels.shape}; give integers of shape (Y, X).")
    from scipy.ndimage import distance_transform_edt, find_objects

    numbers, objects = np.unique(labels, return_inverse=True)
    objects = objects.reshape(labels.shape).astype(np.int32) + int(numbers[0] != 0)
    result = np.zeros(labels.shape, np.float32)
    height, width = labels.shape
    for number, box in enumerate(find_objects(objects), start=1):
        rows, columns = box
        # One pixel of surroundings inside the image shows where the object ends.
        around = (
            slice(max(rows.start - 1, 0), min(rows.stop + 1, height)),
            slice(max(columns.start - 1, 0), min(columns.stop + 1, width)),
        )
        inside = objects[around] == number
        if inside.all():  # the object fills the image
            result[around] = 1
            continue
        distance = distance_transform_edt(inside).astype(np.float32)
        result[around][inside] = distance[inside] / distance.max()
    return result
