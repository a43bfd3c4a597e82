"""Recognising images that a model cannot segment well."""

from __future__ import annotations

import math

import numpy as np

from blunet.images.grey_image import GreyImage
from blunet.images.normalisation import type_limits
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


def describe_mismatch(image: GreyImage, model: ModelInfo, diameter: float | None = None) -> str:
    """Return a warning if an image looks unlike the images that a model can use, else an empty string.

    Parameters
    ----------
    image : GreyImage
    model : ModelInfo
    diameter : float, optional
        Typical diameter of the objects (pixels), as the user has set it.
    """
    if min(image.shape) < SMALL:
        return f"The image has only {image.shape[0]} × {image.shape[1]} pixels: a cell hardly fits into it."
    if diameter is not None and diameter > max(image.shape):
        return f"A diameter of {diameter:g} px is larger than the image."
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


def describe_size_mismatch(found: float, model: ModelInfo, settings: SegmentationSettings) -> str:
    """Return a warning if the objects found are of another size than the cells of the model, else an empty string.

    Parameters
    ----------
    found : float
        Median diameter of the objects (pixels); NaN if there are none.
    model : ModelInfo
    settings : SegmentationSettings
        Nothing is said if they have a diameter, or ask for a mask.
    """
    known = model.card.object_diameter
    if settings.diameter is not None or settings.objects == "mask" or not known or not math.isfinite(found):
        return ""
    if 1 / SIZE_RATIO < found / known < SIZE_RATIO:
        return ""
    return (
        f"The objects found are about {found:.0f} px wide, but the model was trained with cells of {known:.0f} px. If "
        "your cells are of another size, set their diameter and segment again."
    )
