"""Exporting labels to the files of other programs."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError, describe_error, naming_errors
from blunet.files import expand_user, output_folder, replacing
from blunet.images.frame_source import FrameSource
from blunet.images.image_files import ENDINGS, images_in, stem_of, stem_without
from blunet.images.pixel_size import PixelSize
from blunet.jobs.challenge_export import write_challenge
from blunet.jobs.events import CancelToken, Skipped, Started
from blunet.jobs.layer_measurement import measure_frames
from blunet.jobs.table_files import check_parquet, write_columns
from blunet.outlines.geojson import write_geojson
from blunet.outlines.imagej_rois import write_rois
from blunet.outlines.outline import Outline
from blunet.outlines.tracing import trace_outlines
from blunet.segmentation.provenance import describe_software

#: Names of the formats, and what a file of labels becomes in them.
FILES = {
    "roi": "{}_RoiSet.zip",
    "geojson": "{}.geojson",
    "ctc": "{}_RES",
    "ome-zarr": "{}.ome.zarr",
    "csv": "{}_objects.csv",
    "parquet": "{}_objects.parquet",
}
#: Endings of the files that one layer can be saved as.
FORMAT_OF_ENDING = {".zip": "roi", ".geojson": "geojson", ".csv": "csv", ".parquet": "parquet"}
#: Ends of stems that are no part of the image's name.
SUFFIXES = ("_labels", "_cp_masks", "_masks", "_mask")
#: Name of the labels in an OME-Zarr.
LABELS_NAME = "cells"

Table = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Exported:
    """Labels were written as `path`; `objects` is their number in all frames."""

    labels: Path
    path: Path
    objects: int


def export_labels(
    sources: Sequence[str | Path],
    out: str | Path,
    format: str,
    *,
    image: str | Path | None = None,
    token: CancelToken | None = None,
) -> Iterator[Started | Skipped | Exported]:
    """Write files of labels in the format of another program.

    Parameters
    ----------
    sources : sequence of str or Path
        Files of labels, and folders, which stand for their `x_labels` files.
    out : str or Path
        Nothing in it is overwritten.
    format : str
        One of `FILES`.
    image : str or Path, optional
        The image of a single file of labels, or the folder of the images: grey values for measurements, and what an
        OME-Zarr holds beside the labels.
    token : CancelToken, optional
        Checked between frames.

    Raises
    ------
    InputError
        If the format or an input is unknown, two outputs would have one name, or all labels are refused.
    Cancelled
        If asked to stop.
    """
    token = token or CancelToken()
    if format not in FILES:
        raise InputError(f"There is no format '{format}'; known are {', '.join(FILES)}.")
    if format == "parquet":
        check_parquet()
    paths = _find_labels(sources)
    folder = expand_user(out)
    targets = {path: folder / FILES[format].format(stem_without(path, *SUFFIXES)) for path in paths}
    twice = {target: path for path, target in targets.items()}
    for path, target in targets.items():
        if twice[target] != path:
            raise InputError(f"'{path}' and '{twice[target]}' would both become '{target}'; export them one by one.")
        if target.exists():
            raise InputError(f"'{target}' exists already and would be overwritten; choose another output folder.")
    images = {path: _find_image(path, image, paths) for path in paths}
    if format == "ome-zarr" and image is None:
        raise InputError("An OME-Zarr holds labels beside their image; name the image, or the folder, with --image.")
    output_folder(folder)
    yield Started(tuple(paths))
    for path, target in targets.items():
        try:
            with naming_errors(path):
                labels = FrameSource.from_file(path)
                grey = None if images[path] is None else FrameSource.from_file(str(images[path]))
                objects = write_export(target, format, labels, grey, token=token)
        except InputError as e:
            yield Skipped(path, str(e))
        else:
            yield Exported(path, target, objects)


def write_export(
    path: Path,
    format: str,
    labels: FrameSource,
    image: FrameSource | None = None,
    *,
    pixel_size: PixelSize | None = None,
    token: CancelToken | None = None,
) -> int:
    """Write labels in a format, and return the number of objects in all frames.

    Parameters
    ----------
    path : Path
    format : str
        One of `FILES`.
    labels, image : FrameSource
        Of the same shape.
    pixel_size : PixelSize, optional
        None: that of the labels, or else of the image.
    token : CancelToken, optional
        Checked between frames.

    Raises
    ------
    InputError
        If the labels are no integers, the shapes differ, or the file cannot be written.
    Cancelled
        If asked to stop.
    """
    token = token or CancelToken()
    if labels.dtype.kind not in "bui":
        raise InputError(
            f"'{labels.name}' holds values of type {labels.dtype} and no labels; labels are whole numbers."
        )
    if image is not None and image.array_shape != labels.array_shape:
        raise InputError(
            f"'{labels.name}' has the shape {labels.array_shape} and the image '{image.name}' {image.array_shape}; "
            "give the image of these labels."
        )
    size = pixel_size or labels.pixel_size or (None if image is None else image.pixel_size)
    try:
        if format == "roi":
            with replacing(path) as temporary:
                return write_rois(temporary, _trace(labels, token))
        if format == "ctc":
            with _new_folder(path) as temporary:
                temporary.mkdir()
                return write_challenge(temporary, labels, token)
        (table,) = measure_frames(labels, image, size, token)
        if format == "geojson":
            with replacing(path) as temporary:
                write_geojson(temporary, _trace(labels, token), _by_object(table))
        elif format in ("csv", "parquet"):
            with replacing(path) as temporary:
                write_columns(temporary, table)
        else:
            assert image is not None
            _write_zarr(path, labels, image, table)
        return int(table["label"].size)
    except OSError as e:
        raise InputError(f"'{path}' cannot be written: {e.strerror or describe_error(e)}; choose another place.") from e


def _trace(labels: FrameSource, token: CancelToken) -> Iterator[Outline]:
    for index, frame in enumerate(labels.each()):
        token.check()
        yield from trace_outlines(frame, frame=index if labels.stack else None)


def _by_object(table: Table) -> dict[tuple[int, int], dict[str, float]]:
    """Return the measurements of each object, by its frame and label."""
    names = [name for name in table if name not in ("label", "frame") and not name.startswith("bbox_")]
    columns = [table[name].tolist() for name in names]
    frames = table.get("frame", np.zeros(table["label"].size, int)).tolist()
    rows = zip(*columns, strict=True)
    return {
        key: dict(zip(names, row, strict=True))
        for key, row in zip(zip(frames, table["label"].tolist(), strict=True), rows, strict=True)
    }


def _write_zarr(path: Path, labels: FrameSource, image: FrameSource, table: Table) -> None:
    from blunet.images.ome_zarr_image import write_image_group
    from blunet.images.ome_zarr_labels import write_labels_group

    with _new_folder(path) as temporary:
        group = write_image_group(temporary, image)
        write_labels_group(
            group, LABELS_NAME, labels.each(), axes=labels.axes, description=describe_software(), tables=[table]
        )


@contextlib.contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary folder beside `path`, which gets this name on success."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _find_labels(sources: Sequence[str | Path]) -> list[Path]:
    """Return the files of labels that are named, or lie in a folder that is named."""
    found: list[Path] = []
    for source in sources:
        path = expand_user(source)
        if path.is_dir():
            inside = [each for each in images_in(path, made=True) if stem_of(each).casefold().endswith(SUFFIXES)]
            if not inside:
                raise InputError(f"The folder '{source}' holds no labels, such as 'x_labels.tif'; name the files.")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"There is no file or folder '{source}'; give files of labels.")
    return list(dict.fromkeys(found))


def _find_image(labels: Path, image: str | Path | None, all_labels: Sequence[Path]) -> Path | None:
    if image is None:
        return None
    place = expand_user(image)
    if not place.exists():
        raise InputError(f"There is no file or folder '{image}'; give the image of the labels.")
    if place.is_file() or not any(each.suffix.lower() in ENDINGS for each in place.iterdir()):
        if len(all_labels) > 1:
            raise InputError(f"'{image}' is one image for {len(all_labels)} files of labels; give the images' folder.")
        return place
    stem = stem_without(labels, *SUFFIXES).casefold()
    fitting = [each for each in images_in(place) if stem_of(each).casefold() == stem and each != labels]
    if not fitting:
        raise InputError(f"There is no image '{stem_without(labels, *SUFFIXES)}' in '{image}' for '{labels}'.")
    return fitting[0]
