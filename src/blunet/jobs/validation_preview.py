"""What a network in training finds in a validation image, as a run leaves it behind once an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.pairs import find_pairs
from blunet.dataset.truth_masks import read_mask
from blunet.dataset.validation_crop import find_validation_crop
from blunet.errors import InputError
from blunet.images.frame_source import read_image


@dataclass(frozen=True)
class Preview:
    """Grey values of a validation image, or of the part of it that is looked at, and the mask found: both (Y, X)."""

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
        (pair,) = (pair for pair in find_pairs(data).pairs if pair.name == name)
        image = read_image(pair.image)
        truth = read_mask(pair.mask, (image.shape[0], image.shape[1]))
    except (InputError, OSError, ValueError):
        return
    part = image[find_validation_crop(truth, max(mask.shape))]
    if part.shape == mask.shape:
        yield Preview(part, mask)
