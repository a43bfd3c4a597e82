"""Resampling an image to the scale that a model was trained at."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blunet.errors import InputError
from blunet.images.grey_image import GreyImage
from blunet.packed.model_card import ModelInfo

if TYPE_CHECKING:
    from scipy.sparse import csr_array

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
    height, width = _scaled_shape(image.shape, factor)
    if factor > 1 and height * width > MOST_PIXELS:
        raise InputError(
            f"The image of {image.shape[0]} x {image.shape[1]} px would be enlarged to {height} x {width} px "
            "for this diameter; crop it, or give a larger diameter."
        )
    low, high = image.min(), image.max()
    return _finish(resize(_differences(image, low), (height, width)), image.dtype, low, high)


def _scaled_shape(shape: tuple[int, ...], factor: float) -> tuple[int, int]:
    height, width = (max(1, round(n * factor)) for n in shape)
    return height, width


def _differences(image: NDArray[Any], low: Any) -> NDArray[np.float32]:
    """Return differences from the smallest value: float32 is precise enough for them, whatever the type and offset."""
    return (image.astype(np.float64) - float(low)).astype(np.float32)


def _finish(differences: NDArray[np.float32], dtype: np.dtype[Any], low: Any, high: Any) -> NDArray[Any]:
    """Return grey values from differences that were resampled."""
    values = differences.astype(np.float64) + float(low)
    if dtype.kind in "ui":
        values = np.rint(values)
    clipped: NDArray[Any] = np.clip(values, float(low), float(high))
    return clipped.astype(_type_of(dtype))


def _type_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.float32) if dtype.kind == "b" else dtype


class RescaledImage:
    """An image that is read in windows, resampled as `rescale` does it, window by window.

    Parameters
    ----------
    image : GreyImage
        Its values may be read in windows.
    factor : float
    """

    def __init__(self, image: GreyImage, factor: float) -> None:
        self._image = image
        self.shape = _scaled_shape(image.shape, factor)
        self.dtype = _type_of(image.dtype)

    def __getitem__(self, window: tuple[slice, slice], /) -> NDArray[Any]:
        """Return the pixels of these rows and columns, without steps."""
        low, high = self._image.darkest, self._image.brightest
        values = resize_window(
            lambda part: _differences(self._image.values[part], low), self._image.shape, self.shape, window
        )
        return _finish(values, self._image.dtype, low, high)


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


def resize_window(
    read: Callable[[tuple[slice, slice]], NDArray[np.float32]],
    shape: tuple[int, int],
    target: tuple[int, int],
    window: tuple[slice, slice],
    *,
    cubic: bool = True,
) -> NDArray[np.float32]:
    """Return a window of what `resize` makes of a whole image.

    Parameters
    ----------
    read : callable
        Given rows and columns, returns the image's pixels there.
    shape, target : (Y, X)
        Of the image, and of the whole result.
    window : (slice, slice)
        Rows and columns of the result.
    cubic : bool
        As in `resize`.
    """
    (rows, first_row), (columns, first_column) = (
        _weights(length, whole, part.indices(whole)[:2], cubic=cubic)
        for length, whole, part in zip(shape, target, window, strict=True)
    )
    if not rows.shape[0] or not columns.shape[0]:
        return np.zeros((rows.shape[0], columns.shape[0]), np.float32)
    part = read((slice(first_row, first_row + rows.shape[1]), slice(first_column, first_column + columns.shape[1])))
    # Along the rows first, with sums in float64, as Pillow does it.
    across = (columns @ np.ascontiguousarray(part.T, np.float64)).astype(np.float32)
    resized: NDArray[np.float32] = (rows @ np.ascontiguousarray(across.T, np.float64)).astype(np.float32)
    return resized


def _weights(length: int, target: int, window: tuple[int, int], *, cubic: bool) -> tuple[csr_array, int]:
    """Return how pixels of an axis are weighted for a window of the resampled axis, as in Pillow.

    Parameters
    ----------
    length, target : int
        Of the axis, and of the whole result.
    window : (int, int)
        Where the window begins and ends in the result.
    cubic : bool
        As in `resize`.

    Returns
    -------
    weights : csr_array of shape (M, N)
        Of N pixels of the axis for M of the result.
    first : int
        The first of these pixels.
    """
    from scipy.sparse import csr_array

    step = length / target
    widening = max(step, 1.0)
    reach = (2.0 if cubic else 1.0) * widening
    centre = (np.arange(*window) + 0.5) * step
    first = np.maximum((centre - reach + 0.5).astype(int), 0)
    last = np.minimum((centre + reach + 0.5).astype(int), length)
    pixels = first[:, np.newaxis] + np.arange(int(np.max(last - first, initial=0)))
    distance = np.abs((pixels - centre[:, np.newaxis] + 0.5) * (1 / widening))
    weights = np.maximum(1 - distance, 0)
    if cubic:  # Keys' kernel with a = -0.5
        near = ((1.5 * distance - 2.5) * distance) * distance + 1
        far = (((distance - 5) * distance + 8) * distance - 4) * -0.5
        weights = np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
    inside = pixels < last[:, np.newaxis]
    weights = np.where(inside, weights, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    start = int(first.min(initial=length))
    count = int(last.max(initial=start)) - start
    starts = np.concatenate([[0], np.cumsum(inside.sum(axis=1))])
    return csr_array((weights[inside], pixels[inside] - start, starts), shape=(len(centre), count)), start
