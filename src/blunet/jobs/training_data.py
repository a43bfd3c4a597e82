"""Checking training data before a run, and writing layers as training data."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blunet.dataset.dataset_check import check_dataset
from blunet.dataset.dataset_report import DatasetReport
from blunet.dataset.pair_writer import reporting, write_pair
from blunet.dataset.single_image import cut_if_single, write_parts
from blunet.dataset.split_settings import SplitSettings
from blunet.dataset.splits import VALIDATION_LIST
from blunet.errors import InputError
from blunet.jobs.events import CancelToken

#: Pairs that are written from layers lie in a folder beside the run's, with its name and this ending.
DATA_FOLDER_SUFFIX = " data"
#: What is said of a single image.
CUT = "{}: a part of it trains, and a part beyond a gap chooses the best weights."


@dataclass(frozen=True)
class Written:
    """Pair number `done` of `frames` was written: frame `t` of the layers, counted from 0."""

    t: int
    done: int
    frames: int


@dataclass(frozen=True)
class Checked:
    """The data can be trained on.

    Attributes
    ----------
    lines : tuple of str
        A description in plain language; warnings begin with "Warning: ".
    validation_sizes : tuple of (Y, X)
        Sizes of the validation images in pixels.
    """

    lines: tuple[str, ...]
    validation_sizes: tuple[tuple[int, int], ...]


def check_data(folder: str | Path, crop: int, split: SplitSettings) -> Iterator[Checked]:
    """Check a folder of training data.

    Parameters
    ----------
    folder : str or Path
    crop : int
        Side of the largest training crops in pixels.
    split : SplitSettings

    Raises
    ------
    InputError
        If the data cannot be trained on; the sentence says why.
    """
    with tempfile.TemporaryDirectory(prefix="blunet-") as name:
        used = cut_if_single(folder, name)
        report = _check(used, crop, split, name)
    lines = report.describe()
    if used != Path(folder):
        lines[0] = CUT.format(f"One image with a mask in '{folder}'")
    yield Checked(tuple(lines), tuple(report.validation_sizes))


def _check(folder: Path, crop: int, split: SplitSettings, temporary: str) -> DatasetReport:
    """Check a folder; an error names no temporary folder."""
    try:
        return check_dataset(folder, crop=crop, split=split)
    except InputError as e:
        raise InputError(str(e).replace(f" in '{temporary}'", "").replace(f"{temporary}{os.sep}", "")) from e


def check_layers(
    image: Any,
    labels: Any,
    crop: int,
    split: SplitSettings,
    token: CancelToken | None = None,
    reviewed: Any | None = None,
) -> Iterator[Checked]:
    """Check layers as `check_data` checks the folder that `write_pairs` writes of them.

    Raises
    ------
    InputError
        If they cannot be trained on; the sentence says why.
    Cancelled
        If asked to stop.
    """
    with tempfile.TemporaryDirectory(prefix="blunet-") as name:
        written = list(write_pairs(image, labels, name, token, reviewed))
        report = _check(Path(name), crop, split, name)
    frames = 1 if len(labels.shape) == 2 else len(labels)
    what = "have labels" if reviewed is None else "were reviewed"
    used = f"{len(written)} of {frames} frames {what}: these are used."
    if len(written) == 1:
        one = "One frame has labels" if reviewed is None else "One frame was reviewed"
        used = CUT.format(one if frames > 1 else "One image with labels")
    yield Checked((used, *report.describe()[1:]), tuple(report.validation_sizes))


def write_pairs(
    image: Any, labels: Any, folder: str | Path, token: CancelToken | None = None, reviewed: Any | None = None
) -> Iterator[Written]:
    """Write the labelled frames of an image as pairs that `check_dataset` reads.

    Parameters
    ----------
    image : array, shape (Y, X) or (T, Y, X)
    labels : array of int, same shape
        0 is background; frames without labels are not written.
    folder : str or Path
        Where `images` and `masks` are made; pairs of an earlier call are replaced. A single labelled frame is cut into
        two pairs.
    token : CancelToken, optional
        Checked between frames.
    reviewed : array, same shape, optional
        Not 0 where the image was reviewed; frames of which nothing was reviewed are not written. None: what has labels
        was reviewed as a whole.

    Raises
    ------
    InputError
        If the shapes differ, no frame has labels or was reviewed, only one has and it cannot be cut in two
        (`blunet.dataset.single_image.divide`), or the folder cannot be written.
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
    if reviewed is not None and tuple(reviewed.shape) != tuple(labels.shape):
        raise InputError(
            f"The labels have the shape {tuple(labels.shape)} and the reviewed region {tuple(reviewed.shape)}; give "
            "equal shapes."
        )
    if len(image.shape) == 2:
        image, labels, reviewed = image[None], labels[None], None if reviewed is None else reviewed[None]
    marked = labels if reviewed is None else reviewed
    labelled = []
    for t in range(len(labels)):
        token.check()
        if np.any(np.asarray(marked[t])):
            labelled.append(t)
    if not labelled and reviewed is not None:
        raise InputError("Of the layers no frame was reviewed; paint over what you have checked, or leave it out.")
    if not labelled:
        raise InputError("Of the layers no frame has labels; label at least one large image, or two.")
    folder = Path(folder)
    with reporting(folder):
        for kind in ("images", "masks", "reviewed"):
            for old in (folder / kind).glob("frame_*.tif"):
                old.unlink()
        (folder / VALIDATION_LIST).unlink(missing_ok=True)
    names = {t: f"frame_{t + 1:04d}" for t in labelled}

    def planes(t: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], str, Path, np.ndarray[Any, Any] | None]:
        known = None if reviewed is None else np.asarray(reviewed[t])
        return np.asarray(image[t]), np.asarray(labels[t]), names[t], folder, known

    if len(labelled) == 1:
        (t,) = labelled
        if not write_parts(*planes(t)):
            raise InputError(
                "Of the layers only one frame has labels, and it is too small, or has too few cells, to be cut into a "
                "part to train on and a part to choose the best weights by; label a second one."
            )
        yield Written(t, 1, 1)
        return
    for done, t in enumerate(labelled, start=1):
        token.check()
        write_pair(*planes(t))
        yield Written(t, done, len(labelled))
