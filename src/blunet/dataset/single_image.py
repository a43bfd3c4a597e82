"""One large annotated image as training data: it is cut into a part to train on and a part to validate on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.data_origin import read_origins, write_origins
from blunet.dataset.pair_writer import reporting, write_pair
from blunet.dataset.pairs import find_pairs
from blunet.dataset.reviewed import find_reviewed, read_pair_labels
from blunet.dataset.splits import VALIDATION_LIST
from blunet.dataset.truth_masks import measure_diameter
from blunet.errors import InputError
from blunet.files import replacing
from blunet.images.frame_source import read_image

#: Share of the longer side that validates, and the smallest side of a part in pixels.
VALIDATION_SHARE, SMALLEST_SIDE = 0.25, 64


class Parts(NamedTuple):
    """Where an image is cut: regions (Y, X) of the part to train on and of the part to validate on."""

    training: tuple[slice, slice]
    validation: tuple[slice, slice]


def divide(labels: NDArray[np.integer[Any]]) -> Parts | None:
    """Find where an image can be cut in two, with cells in both parts.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        0 is background.

    Returns
    -------
    Parts or None
        The part to validate on is a quarter at the end of the longer side, or else at its beginning. Between the parts
        is a gap of a typical cell's diameter, so that no cell is in both. None: the image is too small, or its cells
        are too few.
    """
    diameter = measure_diameter([labels])
    if diameter is None:
        return None
    axis = int(np.argmax(labels.shape))
    length, gap = labels.shape[axis], int(np.ceil(diameter))
    part = int(VALIDATION_SHARE * length)
    rest = length - gap - part
    if min(part, rest, labels.shape[1 - axis]) < SMALLEST_SIDE:
        return None
    whole = [slice(0, size) for size in labels.shape]

    def along(start: int, stop: int) -> tuple[slice, slice]:
        region = list(whole)
        region[axis] = slice(start, stop)
        return region[0], region[1]

    for parts in (
        Parts(along(0, rest), along(length - part, length)),
        Parts(along(part + gap, length), along(0, part)),
    ):
        if all(np.any(labels[region]) for region in parts):
            return parts
    return None


def write_parts(
    image: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    name: str,
    folder: str | Path,
    reviewed: NDArray[Any] | None = None,
) -> bool:
    """Write an image as two pairs, with a list that names the one to validate on.

    Parameters
    ----------
    image, labels : ndarray of shape (Y, X)
    name : str
        Beginning of the pairs' names.
    folder : str or Path
        Gets `images`, `masks` and the list, and `reviewed` where it is given.
    reviewed : ndarray of shape (Y, X), optional
        As in `write_pair`.

    Returns
    -------
    bool
        False if the image cannot be cut (`divide`); then nothing is written.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    parts = divide(labels)
    if parts is None:
        return False
    for use, region in parts._asdict().items():
        part = None if reviewed is None else reviewed[region]
        write_pair(image[region], labels[region], f"{name}_{use}", folder, part)
    with reporting(folder), replacing(Path(folder) / VALIDATION_LIST) as temporary:
        temporary.write_text(f"{name}_validation\n", encoding="utf-8")
    return True


def cut_if_single(data: str | Path, folder: str | Path) -> Path:
    """Cut the image of a folder with one pair in two, so that it can be trained on.

    Parameters
    ----------
    data : str or Path
        Training data as `find_pairs` expects them.
    folder : str or Path
        Where the parts are written, if there is one pair.

    Returns
    -------
    Path
        The folder to train on: `data` if it holds more pairs than one, or none, which the check that follows says.

    Raises
    ------
    InputError
        If the pair cannot be read or cut, or `folder` cannot be written to.
    """
    try:
        pairs = find_pairs(data).pairs
    except InputError:
        return Path(data)
    if len(pairs) > 1:
        return Path(data)
    (pair,) = pairs
    image = read_image(pair.image)
    truth = read_pair_labels(pair, (image.shape[0], image.shape[1]))
    reviewed = None if pair.reviewed is None else find_reviewed(truth)
    if not write_parts(image, np.maximum(truth, 0), pair.name, folder, reviewed):
        raise InputError(
            f"The folder '{data}' holds one image with a mask, '{pair.image.name}', which is too small, or has too few "
            "cells, to be cut into a part to train on and a part to choose the best weights by; give at least two."
        )
    if origins := read_origins(Path(data)):
        write_origins(Path(folder), origins)
    return Path(folder)
