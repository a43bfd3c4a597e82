"""Normalising images: from a microscope's grey values to [0, 1]."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.grey_image import GreyImage, check_image
from blunet.images.normalisation_settings import Normalisation
from blunet.images.slow_background import SlowBackground

#: The percentiles of a frame are those of about this many of its pixels, on a regular grid.
PIXELS_PER_FRAME = 2**18
#: Images are processed in bands of whole rows with about this many pixels.
PIXELS_PER_BAND = 2**21


class Limits(NamedTuple):
    """The values that become 0 and 1: grey values, or differences from the background if shading is removed."""

    low: float
    high: float


def estimate_limits(frames: Iterable[NDArray[Any] | GreyImage], settings: Normalisation) -> Limits:
    """Find the one pair of limits that all frames of a stack share.

    Parameters
    ----------
    frames : iterable of ndarray of shape (Y, X), or of GreyImage
        All frames of a stack, or some that are spread evenly over it (see `FrameSource.sample`). About
        `PIXELS_PER_FRAME` values of each are kept in memory. All have one type.
    settings : Normalisation
        With `range`, only the type of the first frame matters.

    Returns
    -------
    Limits
        Percentiles of the pixels of all frames together. If both percentiles are the same value, as with a few bright
        pixels on an even background, the smallest and largest value. `low` equals `high` only if all pixels are equal.

    Raises
    ------
    InputError
        If there is no frame, or a frame is not a finite grey image.
    """

    def corrected() -> Iterator[_Corrected]:
        for image in frames:
            yield _Corrected(image if isinstance(image, GreyImage) else check_image(image), settings.shading)

    if settings.method == "range":
        for image in frames:
            return type_limits((image if isinstance(image, GreyImage) else check_image(image)).dtype)
    return _estimate(corrected(), settings)


def _estimate(frames: Iterable[_Corrected], settings: Normalisation) -> Limits:
    """Do what `estimate_limits` does, with percentiles."""
    samples, lowest, highest = [], math.inf, -math.inf
    for frame in frames:
        step = math.ceil(math.sqrt(math.prod(frame.shape) / PIXELS_PER_FRAME))
        for rows, values in frame.bands():
            lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
            samples.append(values[-rows.start % step :: step, ::step].ravel())
    if not samples:
        raise InputError("There is no frame to normalise; give at least one.")
    low, high = np.percentile(np.concatenate(samples), [settings.low, settings.high])
    return Limits(float(low), float(high)) if low < high else Limits(lowest, highest)


def normalise(
    image: NDArray[Any] | GreyImage, settings: Normalisation, limits: Limits | None = None
) -> NDArray[np.float32]:
    """Bring a raw image to [0, 1].

    Parameters
    ----------
    image : ndarray of shape (Y, X), or GreyImage
        The whole frame, before any cropping or tiling: integers, floats or booleans.
    settings : Normalisation
        The model's own settings.
    limits : Limits, optional
        From `estimate_limits`, shared by the frames of a stack. None: this image's own.

    Returns
    -------
    ndarray of shape (Y, X), float32
        In [0, 1], clipped. With `percentile`, a constant image becomes zeros.

    Raises
    ------
    InputError
        If the image is not a finite grey image (see `check_image`).

    Warns
    -----
    UserWarning
        If an array is constant. Not about a `GreyImage`: its `warning` says so.

    Examples
    --------
    >>> image = np.array([[100, 150, 200]], np.uint16)
    >>> normalise(image, Normalisation(method="percentile", low=0, high=100))
    array([[0. , 0.5, 1. ]], dtype=float32)
    """
    return Normaliser(image, settings, limits).part(slice(None), slice(None))


class Normaliser:
    """Normalises parts of an image, in memory for the part only; each part is as `normalise` would make it.

    Parameters
    ----------
    image, settings, limits
        As in `normalise`, and with the same errors and warnings.
    """

    def __init__(self, image: NDArray[Any] | GreyImage, settings: Normalisation, limits: Limits | None = None) -> None:
        if not isinstance(image, GreyImage):
            image = check_image(np.asarray(image))
            if image.warning:
                warnings.warn(image.warning, UserWarning, stacklevel=3)
        self.shape = image.shape
        self._corrected = _Corrected(image, settings.shading)
        if limits is None:
            known = settings.method == "range"
            limits = type_limits(image.dtype) if known else _estimate([self._corrected], settings)
        self._limits = limits

    def part(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return the part of the image between these rows and columns as float32 in [0, 1]."""
        values = self._corrected.part(rows, columns)
        low, high = self._limits
        if not low < high:
            return np.zeros(values.shape, np.float32)
        values -= values.dtype.type(low)
        values *= 1 / (high - low)
        return np.clip(values, 0, 1, out=values).astype(np.float32, copy=False)


def type_limits(dtype: np.dtype[Any]) -> Limits:
    """Return 0 and the largest value of an integer type; 0 and 1 for floats and booleans."""
    return Limits(0.0, float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1.0)


class _Corrected:
    """An image as floats, minus its slow background if `sigma` is given; made part by part."""

    def __init__(self, image: GreyImage, sigma: float | None) -> None:
        self._image, self.shape = image.values, image.shape
        # float32 holds integers of 16 bits exactly; wider types may carry a large offset.
        self._wide = image.dtype.itemsize > (4 if image.dtype.kind == "f" else 2)
        self._background: SlowBackground | None = None
        self._lowest = None
        if sigma is not None:
            self._lowest = image.darkest
            if not np.isfinite(self._as_floats(image.brightest[np.newaxis])).all():
                raise InputError(
                    f"The image's values reach {float(image.brightest):.3g}, beyond 32-bit floats; rescale them."
                )
            self._background = SlowBackground(image.shape, sigma, self.bands())

    def bands(self) -> Iterator[tuple[slice, NDArray[np.floating[Any]]]]:
        """Yield the image's rows in bands of about `PIXELS_PER_BAND`."""
        height, width = self.shape
        step = max(1, PIXELS_PER_BAND // width)
        for start in range(0, height, step):
            rows = slice(start, min(start + step, height))
            yield rows, self.part(rows, slice(0, width))

    def part(self, rows: slice, columns: slice) -> NDArray[np.floating[Any]]:
        """Return a copy of a part; exactly 0 if the image is constant and its shading is removed."""
        values = self._as_floats(self._image[rows, columns])
        if self._background is not None:
            values -= self._background.part(rows, columns)
        return values

    def _as_floats(self, part: NDArray[Any]) -> NDArray[np.floating[Any]]:
        values: NDArray[np.floating[Any]] = part.astype(np.float64 if self._wide else np.float32)
        if self._lowest is None:
            return values
        return (values - values.dtype.type(self._lowest)).astype(np.float32, copy=False)
