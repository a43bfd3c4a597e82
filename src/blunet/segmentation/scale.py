"""Resampling an image to the scale that a model was trained at."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blunet.errors import InputError
from blunet.packed.model_card import ModelInfo

#: An image is enlarged or shrunk by at most this factor.
LARGEST_FACTOR = 16.0
#: An image is enlarged to at most this many pixels (16384 x 16384).
MOST_PIXELS = 2**28


def scale_factor(info: ModelInfo, diameter: float | None) -> float:
    """Return the factor by which an image is resampled to the scale that the model was trained at.

    Parameters
    ----------
    info : ModelInfo
        Its card states the diameter of the objects in the training images.
    diameter : float or None
        Typical diameter of the objects in the image, in pixels. None: no resampling.

    Returns
    -------
    float
        The model's diameter divided by `diameter`. Above 1, the image is enlarged.

    Raises
    ------
    InputError
        If `diameter` is not positive, the factor is too large or too small, or the model does not state a diameter.
    """
    if diameter is None:
        return 1.0
    if not (math.isfinite(diameter) and diameter > 0):
        raise InputError(f"The diameter is {diameter:g} px; give the objects' typical diameter in pixels.")
    trained = info.card.object_diameter
    if trained is None:
        raise InputError(
            f"The diameter {diameter:g} px cannot be used: the model does not state the size of the "
            "objects it was trained with; leave the diameter out."
        )
    factor = trained / diameter
    if not 1 / LARGEST_FACTOR <= factor <= LARGEST_FACTOR:
        raise InputError(
            f"The diameter is {diameter:g} px but the model was trained with objects of {trained:g} px; "
            f"give one from {trained / LARGEST_FACTOR:.3g} to {trained * LARGEST_FACTOR:.3g} px."
        )
    return factor


def rescale(image: NDArray[Any], factor: float) -> NDArray[Any]:
    """Resample a raw image. Shrinking averages pixels, which avoids aliasing.

    Parameters
    ----------
    image : ndarray of shape (Y, X)
        Any numeric type.
    factor : float
        Above 1, the image is enlarged. 1 returns the image itself.

    Returns
    -------
    ndarray
        Of shape (factor * Y, factor * X), rounded to at least one pixel, of the same type (booleans become float32),
        and within the range of the image. The interpolation is cubic, with a kernel that is widened by 1 / factor if
        the image is shrunk.

    Raises
    ------
    InputError
        If the result would be too large.
    """
    if factor == 1:
        return image
    height, width = (max(1, round(n * factor)) for n in image.shape)
    if factor > 1 and height * width > MOST_PIXELS:
        raise InputError(
            f"The image of {image.shape[0]} x {image.shape[1]} px would be enlarged to {height} x {width} px "
            "for this diameter; crop it, or give a larger diameter."
        )
    low, high = image.min(), image.max()
    # float32 is precise enough for differences from the smallest value, whatever the type and offset.
    differences = (image.astype(np.float64) - float(low)).astype(np.float32)
    values = resize(differences, (height, width)).astype(np.float64) + float(low)
    if image.dtype.kind in "ui":
        values = np.rint(values)
    clipped: NDArray[Any] = np.clip(values, float(low), float(high))
    return clipped.astype(np.float32 if image.dtype.kind == "b" else image.dtype)


def resize(values: NDArray[np.float32], shape: tuple[int, int], *, cubic: bool = True) -> NDArray[np.float32]:
    """Resample an image to exactly `shape`. Shrinking averages pixels.

    Parameters
    ----------
    values : ndarray of shape (Y, X), float32
    shape : (Y, X)
    cubic : bool
        Cubic interpolation is sharper, but overshoots by some percent at a step. False: linear, without overshoot.
    """
    method = Image.Resampling.BICUBIC if cubic else Image.Resampling.BILINEAR
    resized: NDArray[np.float32] = np.asarray(Image.fromarray(values).resize((shape[1], shape[0]), method))
    return resized
