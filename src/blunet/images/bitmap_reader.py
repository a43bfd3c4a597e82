"""PNG and JPEG files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from blunet.images.tiff_reader import Layout

PNG = b"\x89PNG\r\n\x1a\n"
#: Types of the values in Pillow's modes; in all other modes a sample is a uint8.
DTYPES = {"1": np.bool_, "I;16": np.uint16, "I;16B": np.uint16, "I": np.uint16, "F": np.float32}


class _WithoutLimits:
    """Lifts Pillow's limits of pixels and of text, which are for images from the web, while any image is open.

    The limits are the process's: the first of several threads lifts them, the last one restores them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0
        self._before: tuple[int | None, int, int] = (None, 0, 0)

    def __enter__(self) -> None:
        with self._lock:
            if not self._open:
                self._before = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
                self._set(None, 2**30, 2**30)
            self._open += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._open -= 1
            if not self._open:
                self._set(*self._before)

    def _set(self, pixels: int | None, chunk: int, memory: int) -> None:
        Image.MAX_IMAGE_PIXELS = pixels
        PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = chunk, memory


_WITHOUT_LIMITS = _WithoutLimits()


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image of any size."""
    with _WITHOUT_LIMITS, Image.open(path) as image:
        yield image


def read_bitmap_layout(path: Path) -> Layout:
    """Read the layout of a PNG or JPEG from its header."""
    with _opened(path) as image:
        dtype = np.uint16 if _has_deep_samples(path) else DTYPES.get(image.mode, np.uint8)
        return Layout(frames=1, shape=(image.height, image.width), axis="", dtype=np.dtype(dtype))


def read_bitmap(path: Path) -> NDArray[Any]:
    """Decode a PNG or JPEG to (Y, X), or (Y, X, S) with 2 to 4 samples S; a palette becomes colours."""
    if _has_deep_samples(path):
        import imagecodecs

        deep: NDArray[np.uint16] = imagecodecs.png_decode(path.read_bytes())
        return deep
    with _opened(path) as image:
        if image.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
            return np.asarray(image.convert("RGB"))
        return np.asarray(image).astype(DTYPES.get(image.mode, np.uint8), copy=False)


def read_palette(path: Path) -> NDArray[np.uint16] | None:
    """Return the palette indices of an image plus one, and 0 where it is black or transparent; None without a palette.

    Unlike in `read_bitmap`, two indices of the same colour stay different. The indices themselves are returned where
    the palette runs from white to black: it is ImageJ's inverted look-up table, which only changes what is shown.
    """
    with _opened(path) as image:
        if image.mode != "P":
            return None
        colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        black = np.asarray(~colours.any(axis=1))
        opaque = image.info.get("transparency", b"")
        clear = [opaque] if isinstance(opaque, int) else [index for index, alpha in enumerate(opaque) if not alpha]
        black[[index for index in clear if index < black.size]] = True
        indices = np.asarray(image)
    if np.array_equal(colours, np.repeat(np.arange(256)[::-1, None], 3, axis=1)):
        return indices.astype(np.uint16)
    numbers = np.zeros(256, np.uint16)
    numbers[: len(colours)] = np.where(black, 0, np.arange(len(colours)) + 1)
    values: NDArray[np.uint16] = numbers[indices]
    return values


def _has_deep_samples(path: Path) -> bool:
    """Return whether a PNG has several samples of 16 bits per pixel, which Pillow would reduce to 8 bits."""
    with path.open("rb") as file:
        header = file.read(26)
    # The first chunk holds the size, bit depth and colour type (2: RGB, 4: grey + alpha, 6: RGB + alpha).
    return header.startswith(PNG) and header[24] == 16 and header[25] in (2, 4, 6)
