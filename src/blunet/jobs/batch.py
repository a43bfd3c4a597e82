"""Segmenting a folder, a plate or the files of a pattern from a window: results and tables in one folder."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from blunet.errors import InputError
from blunet.files import expand_user
from blunet.images.image_files import is_zarr, stem_of
from blunet.jobs.batch_tables import SUMMARY_COLUMNS, BatchRecord
from blunet.jobs.events import Cancelled, CancelToken, Segmented
from blunet.jobs.file_segmentation import segment_files
from blunet.jobs.image_segmentation import Event
from blunet.packed.packed_model import load_model
from blunet.segmentation.segmentation_settings import SegmentationSettings

#: Names of the tables of a batch, in the folder of its results.
IMAGES_TABLE, OBJECTS_TABLE = "batch_images.csv", "batch_objects.csv"


def suggest_results(source: str) -> str:
    """Return the folder in which the results of a folder, an OME-Zarr or a pattern are expected; empty without one."""
    if not source.strip():
        return ""
    path = expand_user(source.strip())
    if is_zarr(path):
        return str(path.with_name(f"{stem_of(path)} labels"))
    return str((path if path.is_dir() else path.parent) / "labels")


def segment_batch(
    source: str,
    out: str,
    model: Path | None,
    settings: SegmentationSettings,
    token: CancelToken,
    *,
    measured: bool = False,
    resume: bool = True,
    threads: int | None = None,
) -> Iterator[Event]:
    """Segment all images of a source, and write tables of the whole batch.

    Parameters
    ----------
    source : str
        A folder, an OME-Zarr, a file or a pattern.
    out : str
        Folder of the results. The tables `IMAGES_TABLE` and, if objects are measured, `OBJECTS_TABLE` lie in it too;
        they are written also when the batch is stopped.
    model : Path, optional
        None: the bundled model.
    settings : SegmentationSettings
    token : CancelToken
    measured : bool
        Whether to measure the objects.
    resume : bool
        Whether to leave out what is finished (see `segment_files`).
    threads : int, optional
        None: one for each processor.

    Yields
    ------
    As `segment_files`.

    Raises
    ------
    InputError
        As `segment_files`, and if a table would replace a file that is none of a batch.
    Cancelled
        If the token was cancelled.
    """
    folder = expand_user(out)
    for name, first in ((IMAGES_TABLE, list(SUMMARY_COLUMNS)), (OBJECTS_TABLE, ["image", "label"])):
        _check_own(folder / name, first)
    record = BatchRecord()
    events = segment_files(
        [source],
        folder,
        load_model(model, threads=threads),
        settings,
        save_measurements=measured,
        resume=resume,
        cancel=token,
    )
    done = 0
    try:
        for event in events:
            record.add(event)
            done += isinstance(event, Segmented)
            yield event
    except Cancelled:
        if done:
            record.write(folder / IMAGES_TABLE, folder / OBJECTS_TABLE if measured else None)
        raise
    record.write(folder / IMAGES_TABLE, folder / OBJECTS_TABLE if measured else None)


def _check_own(table: Path, first: list[str]) -> None:
    """Check that a file is a table of a batch, by its first columns, or does not exist."""
    if not table.exists():
        return
    try:
        with table.open(newline="", encoding="utf-8") as file:
            columns = next(csv.reader(file), [])
    except (OSError, ValueError) as e:
        raise InputError(f"'{table}' cannot be replaced: {e}; choose another folder for the results.") from e
    if columns[: len(first)] != first and columns != first[:1]:
        raise InputError(f"'{table}' is no table of a batch and would be overwritten; choose another folder.")
