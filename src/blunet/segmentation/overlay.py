"""A picture of the objects: their outlines on the image."""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from blunet.errors import InputError
from blunet.files import replacing

#: Percentiles of the image that are shown black and white.
CONTRAST = (0.2, 99.8)
#: Outlines are drawn enlarged by this factor and then averaged, which smooths their steps.
SUPERSAMPLING = 4
#: Width of an outline in pixels of the picture.
WIDTH = 2.0
#: Opacity of the tint inside an object.
TINT = 0.13
#: Range of the hues, from yellow (0.13) over green to blue (0.57): bright on grey, and without red, which colour-blind
#: people confuse with green.
HUES = (0.13, 0.57)
#: Standard deviation (pixels) of the Gaussian that smooths an outline.
ROUNDING = 0.8


def draw_overlay(image: NDArray[Any], labels: NDArray[np.integer[Any]], *, scale: int = 1) -> NDArray[np.uint8]:
    """Draw the outlines of the objects, in different colours, on the grey image.

    Parameters
    ----------
    image : ndarray of shape (Y, X)
        Raw grey values; shown from their 0.2 % to their 99.8 % percentile.
    labels : ndarray of shape (Y, X)
        0 is background.
    scale : int
        Enlargement of the picture, at least 1.

    Returns
    -------
    ndarray of shape (scale Y, scale X, 3), uint8
        Red, green and blue.

    Raises
    ------
    InputError
        If the image has another shape than the labels.
    """
    if image.shape != labels.shape:
        raise InputError(f"The image has the shape {image.shape} and its labels {labels.shape}; give equal shapes.")
    size = (image.shape[1] * scale, image.shape[0] * scale)
    picture = Image.fromarray(_grey(image)).convert("RGB").resize(size, Image.Resampling.BICUBIC)
    outlines = _outlines(np.asarray(labels), scale)
    picture.paste(outlines.convert("RGB"), mask=outlines.getchannel("A"))
    return np.asarray(picture)


def write_overlay(path: str | Path, overlay: NDArray[np.uint8]) -> None:
    """Write a picture (Y, X, 3) of uint8 as PNG.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    try:
        with replacing(path) as temporary:
            Image.fromarray(overlay).save(temporary, format="PNG", optimize=True)
    except OSError as e:
        raise InputError(f"'{path}' cannot be written: {e.strerror or e}; choose another place.") from e


def _grey(image: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = np.percentile(image, CONTRAST)
    values = (image.astype(np.float32) - np.float32(low)) / np.float32(max(high - low, 1e-12))
    grey: NDArray[np.uint8] = (np.clip(values, 0, 1) * 255).astype(np.uint8)
    return grey


def _outlines(labels: NDArray[Any], scale: int) -> Image.Image:
    """Draw tints and outlines on a transparent picture, `scale` times as large as the labels."""
    from scipy.ndimage import find_objects

    fine = scale * SUPERSAMPLING
    height, width = labels.shape
    canvas = Image.new("RGBA", (width * fine, height * fine))
    draw = ImageDraw.Draw(canvas)
    boxes = find_objects(labels.astype(np.int32))
    shapes = [
        (number, _contours(labels[box] == number, box[0].start, box[1].start, fine))
        for number, box in enumerate(boxes, start=1)
        if box is not None
    ]
    for number, contours in shapes:
        for contour in contours:
            draw.polygon(contour, fill=(*_colour(number), round(255 * TINT)))
    for number, contours in shapes:
        for contour in contours:
            line = [*contour, contour[1]]  # beyond the first point, so that its corner is round too
            draw.line(line, fill=(*_colour(number), 255), width=round(WIDTH * SUPERSAMPLING), joint="curve")
    # The average of colours is weighted by opacity, so that the edges of lines do not darken.
    return canvas.resize((width * scale, height * scale), Image.Resampling.BOX)


def _contours(inside: NDArray[np.bool_], top: int, left: int, fine: int) -> list[list[tuple[float, float]]]:
    """Return the smooth closed contours of an object, as points (x, y) of the enlarged canvas."""
    from scipy.ndimage import gaussian_filter
    from skimage.measure import find_contours

    margin = 4
    soft = gaussian_filter(np.pad(inside, margin).astype(np.float32), ROUNDING)
    level = min(0.5, float(soft.max()) / 2)
    return [
        [((x - margin + left + 0.5) * fine, (y - margin + top + 0.5) * fine) for y, x in contour.tolist()]
        for contour in find_contours(soft, level)
        if len(contour) > 2
    ]


def _colour(number: int) -> tuple[int, int, int]:
    """Return a bright colour; the colours of successive numbers differ much (golden ratio)."""
    low, high = HUES
    hue = low + (high - low) * ((number * 0.618033988749895) % 1)
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)
