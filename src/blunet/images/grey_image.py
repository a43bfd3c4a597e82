"""An image that has been checked, with its darkest and brightest value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError


@dataclass(frozen=True, eq=False)
class GreyImage:
    """A grey image without NaN and infinite values, as `check_image` returns it.

    Attributes
    ----------
    values : ndarray of shape (Y, X)
        Not empty; integers, floats or booleans.
    darkest, brightest : NumPy scalar
        Smallest and largest value.
    """

    values: NDArray[Any]
    darkest: Any
    brightest: Any

    @classmethod
    def of(cls, values: NDArray[Any]) -> GreyImage:
        """Take values (Y, X) that are known to be finite."""
        return cls(values, values.min(), values.max())

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.values.dtype

    @property
    def constant(self) -> bool:
        """Whether all pixels have one value."""
        return bool(self.darkest == self.brightest)

    @property
    def warning(self) -> str:
        """A sentence about a constant image; empty for others."""
        if not self.constant:
            return ""
        return f"The image is constant (every pixel is {self.darkest}): no object can be seen in it."


def check_image(image: NDArray[Any]) -> GreyImage:
    """Check that an array is a grey image.

    Parameters
    ----------
    image : ndarray of shape (Y, X)

    Returns
    -------
    GreyImage

    Raises
    ------
    InputError
        If the array is not two-dimensional, is empty, does not hold real numbers, or holds NaN or infinite values.
    """
    if image.ndim != 2 or image.size == 0:
        raise InputError(f"The image has the shape {image.shape}; give a grey image of shape (Y, X).")
    if image.dtype.kind not in "buif":
        raise InputError(f"The image's values are of type {image.dtype}; give integers or real numbers.")
    checked = GreyImage.of(image)
    if not (np.isfinite(checked.darkest) and np.isfinite(checked.brightest)):  # both are NaN if a single value is
        bad = image.size - int(np.count_nonzero(np.isfinite(image)))
        raise InputError(f"The image holds {bad} NaN or infinite value{'s' if bad > 1 else ''}; replace them first.")
    return checked
