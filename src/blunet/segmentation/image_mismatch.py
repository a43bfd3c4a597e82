"""Recognising images that a model cannot segment well."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.images.grey_image import GreyImage
from blunet.images.image_windows import sample_blocks
from blunet.images.normalisation import type_limits
from blunet.images.normalisation_settings import Normalisation
from blunet.packed.model_card import ModelInfo
from blunet.segmentation.segmentation_settings import SegmentationSettings

#: Warn about images with fewer pixels than this along a side: a cell hardly fits.
SMALL = 32
#: Warn about images with at most this many grey values: DIC images have more.
FEW_VALUES = 4
#: Warn if objects are larger or smaller than the cells of the model by more than this factor.
SIZE_RATIO = 1.7
#: Warn about images whose grey values span less than this fraction of the model's black to white.
NARROW = 1 / 8
#: Warn if the span from black to white shrinks to less than this fraction when every pixel is replaced by the median of
#: those around it.
SINGLE = 1 / 4
#: Pairs of nine values to put in order, one pair after the other: then the fifth is the median.
MEDIAN_OF_NINE = (
    (1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3), (5, 8), (4, 7), (3, 6), (1, 4),
    (2, 5), (4, 7), (4, 2), (6, 4), (4, 2),
)  # fmt: skip
HOT_PIXELS = (
    "Single pixels that are far brighter or darker than those around them (hot pixels) set what is black and white for "
    "the model, so that it may take too much or too little for cells. Remove them first, for instance with a median "
    "filter."
)


def describe_mismatch(
    image: GreyImage, model: ModelInfo, diameter: float | None = None, sample: NDArray[Any] | None = None
) -> str:
    """Return a warning if an image looks unlike the images that a model can use, else an empty string.

    Parameters
    ----------
    image : GreyImage
    model : ModelInfo
    diameter : float, optional
        Typical diameter of the objects (pixels), as the user has set it.
    sample : ndarray, optional
        Pixels that are spread over the image. None: they are taken here.
    """
    if min(image.shape) < SMALL:
        return f"The image has only {image.shape[0]} × {image.shape[1]} pixels: a cell hardly fits into it."
    if diameter is not None and diameter > max(image.shape):
        return f"A diameter of {diameter:g} px is larger than the image."
    if sample is None:
        sample = image.values[:: max(1, image.shape[0] // 512), :: max(1, image.shape[1] // 512)]
    if np.unique(sample).size <= FEW_VALUES:
        return "The image has hardly any grey values: is it a mask rather than a DIC image?"
    if model.normalisation.method == "range":
        low, high = type_limits(image.dtype)
        darkest, brightest = float(sample.min()), float(sample.max())
        if brightest > high or brightest - darkest < NARROW * (high - low):
            return (
                f"The image has grey values from {darkest:g} to {brightest:g}, but this model takes {low:g} for black "
                f"and {high:g} for white, so that it may find little. Stretch the grey values, or use a model that "
                "adapts to them."
            )
    return ""


def describe_size_mismatch(found: float, trained: float | None, settings: SegmentationSettings) -> str:
    """Return a warning if the objects found are of another size than the cells of the model, else an empty string.

    Parameters
    ----------
    found : float
        Typical diameter of the objects (pixels); NaN if there are none.
    trained : float or None
        Diameter of the cells that the model was trained with, in pixels of the same image; None if it is not known.
    settings : SegmentationSettings
        Nothing is said if they have a diameter, or ask for a mask.
    """
    if settings.diameter is not None or settings.objects == "mask":
        return ""
    if not trained or not math.isfinite(found) or 1 / SIZE_RATIO < found / trained < SIZE_RATIO:
        return ""
    return (
        f"The objects found are about {found:.0f} px wide, but the model was trained with cells of {trained:.0f} px. "
        "If your cells are of another size, set their diameter and segment again."
    )


class HotPixels:
    """Recognises the first frame in which single pixels set what is black and white for a model.

    Parameters
    ----------
    settings : Normalisation
        The model's.
    """

    def __init__(self, settings: Normalisation) -> None:
        self._settings = settings
        self._done = settings.method == "range"

    def add(self, image: GreyImage, sample: NDArray[Any] | None = None) -> str:
        """Return a warning if a frame is the first with such pixels, else an empty string.

        The `sample` is that of `sample_blocks`; None: it is taken here.
        """
        if self._done or min(image.shape) < SMALL:
            return ""
        values, medians = _find_medians(sample_blocks(image.values) if sample is None else sample)
        percentiles = (self._settings.low, self._settings.high)
        (low, high), (low_without, high_without) = (np.percentile(each, percentiles) for each in (values, medians))
        self._done = bool(high_without - low_without < SINGLE * (high - low))
        return HOT_PIXELS if self._done else ""


def _find_medians(blocks: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the middles of blocks of 3 x 3 pixels (see `sample_blocks`), and their medians."""
    nine = [np.asarray(blocks[y::3, x::3], blocks.dtype.newbyteorder("=")) for y in range(3) for x in range(3)]
    middle = nine[4]
    for i, j in MEDIAN_OF_NINE:
        nine[i], nine[j] = np.minimum(nine[i], nine[j]), np.maximum(nine[i], nine[j])
    return middle.astype(np.float64), nine[4].astype(np.float64)


class RepeatedFrames:
    """Recognises the first frame of a stack that equals a neighbour in every pixel."""

    def __init__(self) -> None:
        self._hashes: dict[int, bytes] = {}
        self._said = False

    def add(self, t: int, image: GreyImage) -> str:
        """Return a warning if frame `t` is the first that equals the one before or after, else an empty string."""
        found = hashlib.blake2b(image.values.tobytes(), digest_size=16).digest()
        self._hashes[t] = found
        equal = next((other for other in (t - 1, t + 1) if self._hashes.get(other) == found), None)
        if equal is None or self._said:
            return ""
        self._said = True
        return (
            f"This frame and frame {equal + 1} are equal in every pixel, perhaps others too: was a frame saved twice?"
        )
