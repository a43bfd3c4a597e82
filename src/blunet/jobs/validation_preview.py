"""The mask that a network in training finds in a validation image, which a run saves after each epoch."""

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
    """A validation image and what the network finds in it.

    Attributes
    ----------
    image : ndarray of shape (Y, X)
        Grey values, cropped as for the validation.
    mask : ndarray of shape (Y, X), bool
    """

    image: NDArray[Any]
    mask: NDArray[np.bool_]


def read_preview(picture: Path, data: Path, name: str) -> Iterator[Preview]:
    """Yield the preview of a run's latest epoch; nothing if its files no longer exist.

    Parameters
    ----------
    picture : Path
        Picture of the mask.
    data : Path
        Folder of the run's images and masks.
    name : str
        Name of the pair of the validation image.
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
    crop = image[find_validation_crop(truth, max(mask.shape))]
    if crop.shape == mask.shape:
        yield Preview(crop, mask)
