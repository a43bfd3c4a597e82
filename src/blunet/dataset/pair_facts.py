"""What one pair of an image and its mask holds, and how it is named to the user."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.pairs import Pair
from blunet.dataset.time_lapse import outline
from blunet.dataset.truth_masks import read_mask, typical_diameter
from blunet.errors import InputError
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
    shape : (Y, X)
        In pixels, of both.
    dtype : str
        Type of the image's values, such as "uint16".
    foreground : float
        Share of the pixels that belong to an object, 0 to 1.
    objects : int
    object_diameter : float or None
        Median equivalent diameter of this image's objects in pixels; None without objects.
    uniform : bool
        Whether all pixels of the image have the same value.
    image_sha256, mask_sha256 : str
        Of the files' bytes, in hexadecimal digits.
    outline : bytes
        Where objects are, coarsely: see `blunet.dataset.time_lapse.outline`.
    """

    name: str
    image: Path
    mask: Path
    shape: tuple[int, int]
    dtype: str
    foreground: float
    objects: int
    object_diameter: float | None
    uniform: bool
    image_sha256: str
    mask_sha256: str
    outline: bytes


def examined(pairs: Iterable[Pair], facts: list[PairFacts]) -> Iterator[NDArray[np.int32]]:
    """Yield the labels (Y, X) of each pair, one in memory at a time, and add what was found to `facts`."""
    for pair in pairs:
        image = read_image(pair.image)
        try:
            check_image(image)
        except InputError as e:
            raise InputError(f"'{pair.image}': {e}") from e
        shape = (image.shape[0], image.shape[1])
        labels = read_mask(pair.mask, shape)
        facts.append(
            PairFacts(
                name=pair.name,
                image=pair.image,
                mask=pair.mask,
                shape=shape,
                dtype=str(image.dtype),
                foreground=np.count_nonzero(labels) / labels.size,
                objects=np.unique(labels[labels > 0]).size,
                object_diameter=typical_diameter([labels]),
                uniform=bool(image.min() == image.max()),
                image_sha256=sha256(pair.image),
                mask_sha256=sha256(pair.mask),
                outline=outline(labels),
            )
        )
        yield labels


def sha256(path: Path) -> str:
    """Return the hash of a file's bytes in hexadecimal digits."""
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def named(paths: Iterable[Path], most: int = 5) -> str:
    """Name the first files, with the folder in which an image and its mask may share a name."""
    names = [
        f"'{path.parent.name}/{path.name}'" if path.parent.name in ("images", "masks") else f"'{path.name}'"
        for path in paths
    ]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def size(pair: PairFacts) -> str:
    """Write the size of a pair's image, Y x X."""
    return f"{pair.shape[0]} x {pair.shape[1]}"
