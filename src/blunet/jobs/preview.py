"""What a network in training finds in a validation image, as a run leaves it behind once an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.pairs import find_pairs
from blunet.images.read import open_image


@dataclass(frozen=True)
class Preview:
    """Grey values of a validation image, or of the middle of a large one, and the mask found: both (Y, X)."""

    image: NDArray[Any]
    mask: NDArray[np.bool_]


def read_preview(picture: Path, data: Path, name: str) -> Iterator[Preview]:
    """Yield what a run shows of its latest epoch; nothing where the files have gone meanwhile.

    Parameters
    ----------
    picture : Path
        Of the mask.
    data : Path
        Folder of the run's images and masks.
    name : str
        Of the validation image, as pairs are named.
    """
    from PIL import Image

    try:
        with Image.open(picture) as opened:
            mask = np.asarray(opened) > 0
        (path,) = (pair.image for pair in find_pairs(data).pairs if pair.name == name)
        image = open_image(path).frame()
    except (InputError, OSError, ValueError):
        return
    top, left = ((whole - part) // 2 for whole, part in zip(image.shape, mask.shape, strict=True))
    yield Preview(image[top : top + mask.shape[0], left : left + mask.shape[1]], mask)
