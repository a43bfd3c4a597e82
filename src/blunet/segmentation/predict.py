"""From a raw image to the probability of foreground, at the model's scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.images.normalise import Limits, check_image, estimate
from blunet.packed.packed_model import PackedModel
from blunet.segmentation.predictor import Predictor
from blunet.segmentation.scale import rescale, resize, scale_factor


def probability(
    image: NDArray[Any],
    model: Predictor,
    *,
    diameter: float | None = None,
    limits: Limits | None = None,
    check: Callable[[], None] | None = None,
) -> NDArray[np.float32]:
    """Return the probability that a pixel is foreground.

    Parameters
    ----------
    image : ndarray of shape (Y, X)
        Grey values as the microscope gave them.
    model : Predictor
    diameter : float, optional
        Typical diameter of the objects in this image, in pixels: the image is resampled to the scale that the
        model was trained at, and the probability back. None: no resampling.
    limits : Limits, optional
        From `shared_limits`, for the frames of a stack. None: this image's own.
    check : callable, optional
        Called again and again while the network runs; what it raises, `Cancelled` for instance, ends the work.

    Returns
    -------
    ndarray of shape (Y, X), float32
        In [0, 1].

    Raises
    ------
    InputError
        If the image is not a finite grey image, or the diameter cannot be used (see `scale_factor`).
    """
    check_image(image)
    scaled = rescale(image, scale_factor(model.info, diameter))
    found = model.predict(scaled, limits=limits, check=check)
    height, width = image.shape
    return found if found.shape == image.shape else resize(found, (height, width), cubic=False)


def foreground(
    image: NDArray[Any],
    model: Predictor,
    threshold: float,
    *,
    diameter: float | None = None,
    limits: Limits | None = None,
    check: Callable[[], None] | None = None,
) -> NDArray[np.bool_]:
    """Return where the probability is greater than `threshold`, (Y, X).

    A packed model's probability is never there as a whole, unless the image is resampled; else as `probability`.
    """
    if not isinstance(model, PackedModel) or scale_factor(model.info, diameter) != 1:
        return probability(image, model, diameter=diameter, limits=limits, check=check) > threshold
    check_image(image)
    result = np.empty(image.shape, np.bool_)
    for window, part in model.predict_parts(image, limits=limits, check=check):
        np.greater(part, threshold, out=result[window])
    return result


def shared_limits(frames: Iterable[NDArray[Any]], model: Predictor, diameter: float | None = None) -> Limits:
    """Estimate the one normalisation that all frames of a stack share.

    Parameters
    ----------
    frames : iterable of ndarray of shape (Y, X)
        All frames, or some spread evenly over the stack.
    model : Predictor
    diameter : float, optional
        As in `probability`: the frames are resampled first.

    Raises
    ------
    InputError
        As `probability`.
    """
    factor = scale_factor(model.info, diameter)

    def scaled() -> Iterable[NDArray[Any]]:
        for frame in frames:
            check_image(frame)
            yield rescale(frame, factor)

    return estimate(scaled(), model.info.normalisation)
