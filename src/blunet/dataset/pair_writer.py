"""Writing an image and its labels as a pair of training data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.files import output_folder, replacing


def write_pair(
    image: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    name: str,
    folder: str | Path,
    reviewed: NDArray[Any] | None = None,
) -> None:
    """Write ``images/NAME.tif`` and ``masks/NAME.tif``, which `blunet.dataset.pairs.find_pairs` finds.

    Parameters
    ----------
    image, labels : ndarray of shape (Y, X)
    name : str
    folder : str or Path
        It and its folders are made if there are none.
    reviewed : ndarray of shape (Y, X), optional
        Not 0 where the image was reviewed; it becomes ``reviewed/NAME.tif``. None: all of it.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    images, masks = output_folder(Path(folder) / "images"), output_folder(Path(folder) / "masks")
    kind = np.uint16 if labels.max() <= np.iinfo(np.uint16).max else np.uint32
    written = [(masks, labels.astype(kind)), (images, image)]
    if reviewed is not None:
        written.insert(0, (output_folder(Path(folder) / "reviewed"), (reviewed != 0).astype(np.uint8)))
    with reporting(folder):  # the image last: a mask alone is no pair
        for target, values in written:
            with replacing(target / f"{name}.tif") as temporary:
                tifffile.imwrite(temporary, np.ascontiguousarray(values), compression="zlib")


@contextmanager
def reporting(folder: str | Path) -> Iterator[None]:
    """Turn an error of the system while training data are written into an InputError that names the folder."""
    try:
        yield
    except OSError as e:
        raise InputError(f"The training data cannot be written to '{folder}': {e.strerror or e}.") from e
