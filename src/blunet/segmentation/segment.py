"""The whole way from an image to labels, as `blunet.segment`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.segmentation.objects import MIN_SIZE, Objects, check_settings, label_objects
from blunet.segmentation.predict import probability
from blunet.segmentation.predictor import Predictor


def segment(
    image: NDArray[Any],
    model: Predictor | str | Path | None = None,
    *,
    threshold: float | None = None,
    min_size: int = MIN_SIZE,
    objects: Objects = "watershed",
    diameter: float | None = None,
) -> NDArray[np.int32]:
    """Find the objects in an image.

    Parameters
    ----------
    image : ndarray of shape (Y, X)
        Grey values as the microscope gave them, of any size and numeric type.
    model : Predictor, str or Path, optional
        From `blunet.load_model`, or the `.blunet` file. None: the model that comes with the package.
    threshold : float, optional
        Foreground is where the probability is greater, 0 to 1. None: the model's own.
    min_size : int
        Objects of at least this many pixels stay.
    objects : {"watershed", "components", "mask"}
        `watershed`: connected parts, split where they touch. `components`: connected parts. `mask`: 0 and 1.
    diameter : float, optional
        Typical diameter of the objects in this image, in pixels, if it differs from what the model was
        trained with. None: no resampling.

    Returns
    -------
    ndarray of shape (Y, X), int32
        0 is background; the objects are numbered from 1 without gaps.

    Raises
    ------
    InputError
        If a setting is out of range or the image cannot be used.

    Examples
    --------
    >>> import blunet                                        # doctest: +SKIP
    >>> labels = blunet.segment(image)                       # doctest: +SKIP
    """
    if model is None or isinstance(model, str | Path):
        from blunet.packed.packed_model import load_model

        model = load_model(model)
    if threshold is None:
        threshold = model.info.threshold
    check_settings(threshold, objects, min_size)
    found = probability(np.asarray(image), model, diameter=diameter)
    return label_objects(found, threshold, objects, min_size)
