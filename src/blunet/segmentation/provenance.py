"""What files and layers say about how they were made."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from blunet.architecture import NetworkSettings
from blunet.files import sha256_of
from blunet.images.image_windows import ImageWindows
from blunet.packed.model_card import ModelInfo
from blunet.segmentation.segmentation_settings import SegmentationSettings
from blunet.version import __version__

#: Keys of a description: hashes of the labels as they were found, and of the table that was written with them.
LABELS_HASH, TABLE_HASH = "labels_sha256", "table_sha256"

#: Rows of labels that are hashed at once.
ROWS_AT_ONCE = 256


def describe_software() -> dict[str, Any]:
    """Return the name and version of this package."""
    return {"software": f"napari-blunet {__version__}"}


def describe_segmentation(
    network: NetworkSettings, info: ModelInfo, file: Path | None, settings: SegmentationSettings
) -> dict[str, Any]:
    """Return the model and settings of a segmentation, as JSON can hold them.

    Parameters
    ----------
    network : NetworkSettings
    info : ModelInfo
    file : Path, optional
        The model's file, of which the name and the hash are kept.
    settings : SegmentationSettings
    """
    model: dict[str, Any] = {"name": info.card.name, "date": info.card.date}
    if file is not None:
        model["file"] = file.name
        with contextlib.suppress(OSError):  # a file that has gone meanwhile is named by what reads it
            model["sha256"] = sha256_of(file)
    return {
        **describe_software(),
        "model": {**model, "network": network.to_dict()},
        "settings": settings.to_dict(),
    }


def hash_frame(labels: ImageWindows) -> bytes:
    """Return the SHA-256 of the labels (Y, X) of one frame."""
    found = hashlib.sha256()
    for start in range(0, labels.shape[0], ROWS_AT_ONCE):  # the memory is that for a band of rows
        found.update(np.ascontiguousarray(labels[start : start + ROWS_AT_ONCE, :], "<u4").data)
    return found.digest()


def join_hashes(frames: Iterable[bytes]) -> str:
    """Return one hash of all frames in hexadecimal digits, from those of `hash_frame`."""
    return hashlib.sha256(b"".join(frames)).hexdigest()


def hash_labels(frames: Iterable[ImageWindows]) -> str:
    """Return the hash of labels, frame by frame (Y, X): other labels have another one."""
    return join_hashes(map(hash_frame, frames))
