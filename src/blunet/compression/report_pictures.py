"""Small pictures of images and of what the networks found, as PNG in memory."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Largest side of the crop in an image's middle that is shown, and of its picture, in pixels.
CROP_SIDE, PICTURE_SIDE = 512, 400
#: Percentiles of the image that are black and white.
CONTRAST = (0.5, 99.5)
#: Red, green and blue of true and false negatives and positives, distinguishable by the colour-blind too.
BACKGROUND, FOUND, MISSED, FALSE_POSITIVE = (24, 24, 27), (244, 244, 245), (230, 159, 0), (64, 145, 225)


def draw_foreground(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> bytes:
    """Draw the middle of a foreground (Y, X) in four colours: found, missed, false positive, background."""
    found, truth = _crop_middle(found), _crop_middle(truth)
    colours = np.array([BACKGROUND, MISSED, FALSE_POSITIVE, FOUND], np.uint8)
    return _to_png(Image.fromarray(colours[truth + 2 * found.astype(np.uint8)]))


def draw_image(image: NDArray[np.float32]) -> bytes:
    """Draw the middle of an image (Y, X) in grey."""
    grey = _crop_middle(image)
    low, high = np.percentile(grey, CONTRAST)
    return _to_png(Image.fromarray((np.clip((grey - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)))


def _crop_middle(values: NDArray[Any]) -> NDArray[Any]:
    height, width = (min(n, CROP_SIDE) for n in values.shape)
    top, left = (values.shape[0] - height) // 2, (values.shape[1] - width) // 2
    return values[top : top + height, left : left + width]


def _to_png(picture: Image.Image) -> bytes:
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BOX)
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return file.getvalue()
