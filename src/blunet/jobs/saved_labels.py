"""Labels that Segment or `blunet segment` has saved: found beside their images, and read with their tables."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.allocation import allocate
from blunet.images.file_sets import spans_of
from blunet.images.frame_source import FrameSource
from blunet.images.image_files import images_in, stem_of, stem_without, strip_suffix
from blunet.images.pixel_size import PixelSize
from blunet.jobs.events import CancelToken
from blunet.jobs.layer_measurement import measure_frames
from blunet.jobs.result_files import LABELS_SUFFIX, table_beside
from blunet.jobs.table_choice import is_table_of

#: Endings of a file of labels.
ENDINGS = (".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class SavedLabels:
    """The labels of an image, or of the frames of a time-lapse.

    Attributes
    ----------
    values : ndarray of shape (Y, X) or (T, Y, X), int32
        0 is background. Labels that were saved frame by frame are numbered on from frame to frame.
    table : mapping of str to ndarray of shape (N,)
        One row for each label; empty if there is no table of these labels.
    files : tuple of str
        Names of the files of labels.
    problems : tuple of str
        Sentences about what was left out.
    """

    values: NDArray[np.int32]
    table: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def is_labels_file(path: Path) -> bool:
    """Return whether a file is one of labels, by its name: `x_labels.tif`."""
    return path.suffix.lower() in ENDINGS and strip_suffix(stem_of(path), LABELS_SUFFIX) is not None


def find_saved_labels(images: Iterable[Path]) -> dict[Path, Path]:
    """Return the saved labels `x_labels.tif` of those images `x.tif` that have some beside them."""

    @cache
    def labels_in(folder: Path) -> dict[str, Path]:
        files = [path for path in images_in(folder, made=True) if is_labels_file(path)]
        return {stem_without(path, LABELS_SUFFIX): path for path in files}

    found = {image: labels_in(image.parent).get(stem_of(image)) for image in images if not is_labels_file(image)}
    return {image: labels for image, labels in found.items() if labels is not None}


def read_saved_labels(labels: Mapping[int, Path], image: FrameSource) -> SavedLabels:
    """Read saved labels and their tables.

    Parameters
    ----------
    labels : mapping of int to Path
        By the first frame that they belong to, of a time-lapse of several files; otherwise one file, of frame 0.
    image : FrameSource
        The image or time-lapse that they belong to, or the labels' own file.

    Returns
    -------
    SavedLabels
        A file that cannot be read, or does not fit, is named in `problems`. Frames without labels are empty.
    """
    values = allocate(image.array_shape, np.int32)
    by_frame = image.stack and len(image.paths) > 1
    spans = {span.start: span for _, span in spans_of(image.paths, image.count)}
    tables: list[dict[str, NDArray[Any]]] = []
    files: list[str] = []
    problems: list[str] = []
    last = 0
    for t, path in sorted(labels.items()):
        try:
            held = spans[t].stop - t if by_frame else 1
            shape = image.array_shape if not by_frame else image.shape if held == 1 else (held, *image.shape)
            found, size = _read(path, shape)
            table = _read_table(path, found, size)
        except InputError as e:
            problems.append(str(e))
            continue
        if table is None:
            problems.append(f"The table beside '{path.name}' is not that of its labels and was left out.")
        elif table and by_frame:
            frame = table["frame"] if held > 1 and "frame" in table else np.zeros(table["label"].size, np.int64)
            table = {"label": table["label"] + last, "frame": frame + t, **_others(table)}
        tables.append(table or {})
        files.append(path.name)
        if by_frame:
            values[t : t + held] = np.where(found, found + last, 0)
            last = max(last, int(values[t : t + held].max(initial=0)))
        else:
            values[...] = found
    return SavedLabels(values, _joined(tables), tuple(files), tuple(problems))


def _read(path: Path, shape: tuple[int, ...]) -> tuple[NDArray[np.int32], PixelSize | None]:
    source = FrameSource.from_file(path)
    if source.dtype.kind not in "ui":
        raise InputError(f"'{path}' holds values of type {source.dtype} and no labels; labels are whole numbers.")
    if source.array_shape != shape:
        raise InputError(
            f"The labels '{path}' have the shape {source.array_shape} but their image {shape}; they were left out."
        )
    values = allocate(shape, np.int32)
    for t, frame in enumerate(source.each()):
        (values[t] if source.stack else values)[...] = frame
    return values, source.pixel_size


def _read_table(path: Path, values: NDArray[np.int32], size: PixelSize | None) -> dict[str, NDArray[Any]] | None:
    """Return the table beside a file of labels, empty if there is none; None if it is one of other labels."""
    table = table_beside(path)
    if not table.is_file():
        return {}
    try:
        with table.open(newline="", encoding="utf-8") as file:
            names, *rows = list(csv.reader(file))
        columns = {name: np.array(list(map(float, column))) for name, column in _columns(names, rows)}
        whole = {name: column.astype(np.int64) for name, column in columns.items() if (column == np.rint(column)).all()}
        columns |= whole
        numbers = columns.get("label", columns.get("index"))
    except (OSError, ValueError):
        return None
    (measured,) = measure_frames(FrameSource.from_array(values), None, size, CancelToken())
    if numbers is None or not is_table_of(columns, measured):
        return None
    return {"label": numbers, **{name: column for name, column in columns.items() if name not in ("label", "index")}}


def _columns(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[tuple[str, Sequence[str]]]:
    return zip(names, zip(*rows, strict=True), strict=True) if rows else ((name, ()) for name in names)


def _others(table: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: column for name, column in table.items() if name not in ("label", "frame")}


def _joined(tables: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Join the tables of the frames; empty if a table is missing or one has other columns."""
    filled = [table for table in tables if table]
    if not filled or len(filled) < len(tables) or any(set(table) != set(filled[0]) for table in filled):
        return {}
    return {name: np.concatenate([table[name] for table in filled]) for name in filled[0]}
