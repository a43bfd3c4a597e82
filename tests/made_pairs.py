"""Pairs of images and masks for tests."""

from __future__ import annotations

import numpy as np
import tifffile
from PIL import Image

SIZE = 32


def grey(seed, shape=(SIZE, SIZE), dtype=np.uint8):
    return np.random.default_rng(seed).integers(1, 200, shape).astype(dtype)


def put(folder, name, image, mask):
    """Write an image as TIFF and its mask as PNG."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(folder / "images" / f"{name}.tif", image)
    Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
