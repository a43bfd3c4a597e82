"""Small pictures of what the networks found, as PNG in memory."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: The middle of an image of at most so many pixels a side is shown, in a picture of at most so many.
SHOWN, SIDE = 512, 400
CONTRAST = (0.5, 99.5)
#: Red, green and blue of pixels that are neither, found rightly, missed and made up: also apart for the colour-blind.
NOTHING, FOUND, MISSED, MADE_UP = (24, 24, 27), (244, 244, 245), (230, 159, 0), (64, 145, 225)


def picture_of(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> bytes:
    """Show the middle of a foreground (Y, X) in four colours: right, missed, made up, neither."""
    found, truth = _middle(found), _middle(truth)
    colours = np.array([NOTHING, MISSED, MADE_UP, FOUND], np.uint8)
    return _png(Image.fromarray(colours[truth + 2 * found.astype(np.uint8)]))


def picture_of_image(image: NDArray[np.float32]) -> bytes:
    """Show the middle of an image (Y, X), black and white at its percentiles `CONTRAST`."""
    grey = _middle(image)
    low, high = np.percentile(grey, CONTRAST)
    return _png(Image.fromarray((np.clip((grey - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)))


def _middle(values: NDArray[Any]) -> NDArray[Any]:
    height, width = (min(n, SHOWN) for n in values.shape)
    top, left = (values.shape[0] - height) // 2, (values.shape[1] - width) // 2
    return values[top : top + height, left : left + width]


def _png(picture: Image.Image) -> bytes:
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return file.getvalue()
