"""Training data out of a viewer's layers, and what a folder of training data is worth."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.run_data import check_and_part
from blunet.compression.run_estimate import disk_bytes, duration
from blunet.errors import InputError
from blunet.files import output_folder, replacing
from blunet.jobs.events import CancelToken

#: Ends the name of the folder of pairs that are written out of layers; it stands beside the run's, which is empty.
SUFFIX = " data"


@dataclass(frozen=True)
class Written:
    """A pair was written: frame `t` of `frames` with labels."""

    t: int
    done: int
    frames: int


@dataclass(frozen=True)
class Checked:
    """The data can be trained on.

    Attributes
    ----------
    lines : tuple of str
        What they are, in plain language; what looks odd begins with "Warning: ".
    seconds : float
        Estimated duration of a run on this computer.
    bytes : int
        What it needs on disk.
    """

    lines: tuple[str, ...]
    seconds: float
    bytes: int


def check_data(folder: str | Path, settings: CompressionSettings, teacher: str) -> Iterator[Checked]:
    """Check a folder of training data and estimate a run on it.

    Raises
    ------
    InputError
        If the data cannot be trained on; the sentence says why.
    """
    report, (_, validation) = check_and_part(folder, settings, teacher)
    steps = settings.steps(teacher)
    seconds = duration(settings, steps, report.sizes(validation))
    yield Checked(tuple(report.lines()), seconds, disk_bytes(settings, steps))


def check_layers(
    image: Any, labels: Any, settings: CompressionSettings, teacher: str, token: CancelToken | None = None
) -> Iterator[Checked]:
    """Check layers as `check_data` does the folder that `write_pairs` makes of them.

    Raises
    ------
    InputError
        If they cannot be trained on; the sentence says why.
    Cancelled
        If asked to stop.
    """
    with tempfile.TemporaryDirectory(prefix="blunet-") as name:
        written = list(write_pairs(image, labels, name, token))
        try:
            (checked,) = check_data(name, settings, teacher)
        except InputError as e:
            raise InputError(str(e).replace(f" in '{name}'", "").replace(f"{name}{os.sep}", "")) from e
    used = f"{len(written)} of {len(labels)} frames have labels: these are used."
    yield replace(checked, lines=(used, *checked.lines[1:]))


def write_pairs(image: Any, labels: Any, folder: str | Path, token: CancelToken | None = None) -> Iterator[Written]:
    """Write the frames of an image that have labels as pairs that `check_dataset` reads.

    Parameters
    ----------
    image : array, shape (Y, X) or (T, Y, X)
    labels : array of int, same shape
        0 is background; frames without any label are left out.
    folder : str or Path
        Gets `images` and `masks`; pairs that are there already are replaced.
    token : CancelToken, optional
        Looked at between frames.

    Raises
    ------
    InputError
        If the shapes differ, fewer than two frames have labels, or the folder cannot be written.
    Cancelled
        If asked to stop.
    """
    token = token or CancelToken()
    if tuple(image.shape) != tuple(labels.shape):
        raise InputError(
            f"The image has the shape {tuple(image.shape)} and its labels {tuple(labels.shape)}; give equal shapes."
        )
    if len(image.shape) not in (2, 3):
        raise InputError(f"The image has {len(image.shape)} dimensions; give (Y, X) or (T, Y, X).")
    if len(image.shape) == 2:
        image, labels = image[None], labels[None]
    labelled = []
    for t in range(len(labels)):
        token.check()
        if np.any(np.asarray(labels[t])):
            labelled.append(t)
    if len(labelled) < 2:
        found = "no frame has" if not labelled else "only one frame has"
        raise InputError(
            f"Of the layers {found} labels; label at least two, one to train on and one to choose the best weights by."
        )
    folder = Path(folder)
    images, masks = output_folder(folder / "images"), output_folder(folder / "masks")
    for old in (*images.glob("frame_*.tif"), *masks.glob("frame_*.tif")):
        old.unlink()
    for done, t in enumerate(labelled, start=1):
        token.check()
        name = f"frame_{t + 1:04d}.tif"
        values = np.asarray(labels[t])
        kind = np.uint16 if values.max() <= np.iinfo(np.uint16).max else np.uint32
        try:
            with replacing(masks / name) as temporary:
                tifffile.imwrite(temporary, values.astype(kind), compression="zlib")
            with replacing(images / name) as temporary:
                tifffile.imwrite(temporary, np.asarray(image[t]), compression="zlib")
        except OSError as e:
            raise InputError(f"The training data cannot be written to '{folder}': {e.strerror or e}.") from e
        yield Written(t, done, len(labelled))
