"""What one pair of an image and its mask holds, and how its files are named in messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.mask_doubts import Doubt
from blunet.dataset.pairs import Pair
from blunet.dataset.reviewed import find_reviewed, read_pair_truth
from blunet.dataset.time_lapse import Outline, outline_objects
from blunet.dataset.truth_masks import measure_diameter
from blunet.errors import naming_errors
from blunet.files import sha256_of
from blunet.images.frame_source import read_image
from blunet.images.grey_image import check_image
from blunet.images.image_reader import reading


@dataclass(frozen=True)
class PairFacts:
    """What one pair of files holds.

    Attributes
    ----------
    name : str
        The stem that both files share.
    image, mask : Path
    reviewed : Path or None
        File of the pixels that were reviewed; None: all were.
    reviewed_share : float
        Fraction of the pixels that were reviewed, 0 to 1.
    shape : (Y, X)
        Of both, in pixels.
    dtype : str
        Type of the image's values, such as "uint16".
    foreground : float
        Fraction of the reviewed pixels that belong to an object, 0 to 1.
    objects : int
    object_diameter : float or None
        Median equivalent diameter of this image's objects in pixels; None without objects.
    uniform : bool
        Whether all pixels of the image have the same value.
    image_sha256, mask_sha256 : str
        Hashes of the files, in hexadecimal digits.
    reviewed_sha256 : str or None
    outline : Outline
        Where the objects are.
    instances : bool
        Whether the mask's values tell objects apart, see `Truth`.
    doubts : tuple of Doubt
        What may be wrong with the mask.
    """

    name: str
    image: Path
    mask: Path
    reviewed: Path | None
    reviewed_share: float
    shape: tuple[int, int]
    dtype: str
    foreground: float
    objects: int
    object_diameter: float | None
    uniform: bool
    image_sha256: str
    mask_sha256: str
    reviewed_sha256: str | None
    outline: Outline
    instances: bool
    doubts: tuple[Doubt, ...]


def examine_pairs(pairs: Iterable[Pair], facts: list[PairFacts]) -> Iterator[NDArray[np.int32]]:
    """Yield the labels (Y, X) of each pair, one in memory at a time, and append its facts to `facts`.

    Raises
    ------
    InputError
        If an image or a mask cannot be used.
    """
    for pair in pairs:
        with naming_errors(pair.image):
            image = read_image(pair.image)
            check_image(image)
            shape = (image.shape[0], image.shape[1])
            truth, instances, doubts = read_pair_truth(pair, shape)
            known = int(np.count_nonzero(find_reviewed(truth)))
            labels = np.maximum(truth, 0)
            facts.append(
                PairFacts(
                    name=pair.name,
                    image=pair.image,
                    mask=pair.mask,
                    reviewed=pair.reviewed,
                    reviewed_share=known / labels.size,
                    shape=shape,
                    dtype=str(image.dtype),
                    foreground=np.count_nonzero(labels) / max(known, 1),
                    objects=np.unique(labels[labels > 0]).size,
                    object_diameter=measure_diameter([labels]),
                    uniform=bool(image.min() == image.max()),
                    image_sha256=hash_file(pair.image),
                    mask_sha256=hash_file(pair.mask),
                    reviewed_sha256=None if pair.reviewed is None else hash_file(pair.reviewed),
                    outline=outline_objects(labels),
                    instances=instances,
                    doubts=doubts,
                )
            )
        yield labels


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with reading(path):
        return sha256_of(path)


def format_size(pair: PairFacts) -> str:
    """Write the size of a pair's image in pixels, Y x X."""
    return f"{pair.shape[0]} x {pair.shape[1]}"
