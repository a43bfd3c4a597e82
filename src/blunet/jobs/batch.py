"""Segmenting a folder, a plate or the files of a pattern from a window: results and tables in one folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from blunet.files import expand_user
from blunet.images.frame_source import ALL_PLANES
from blunet.images.image_files import is_zarr, stem_of
from blunet.images.plane_choice import PlaneChoice
from blunet.jobs.batch_tables import OBJECT_COLUMNS, SUMMARY_COLUMNS, check_own, recording
from blunet.jobs.events import CancelToken, Warned
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
    path = Path(os.path.abspath(expand_user(source.strip())))
    while not path.is_dir() and path != path.parent:  # a file, or a pattern such as plates/*/x.tif
        path = path.parent
    around = [each for each in (path, *path.parents) if is_zarr(each)]
    if around:  # a well's results lie beside its plate
        return str(around[-1].with_name(f"{stem_of(around[-1])} labels"))
    return str(path / "labels")


def segment_batch(
    source: str,
    out: str,
    model: Path | None,
    settings: SegmentationSettings,
    token: CancelToken,
    *,
    planes: PlaneChoice = ALL_PLANES,
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
    planes : PlaneChoice
        Channel and slice to segment.
    measured : bool
        Whether to measure the objects.
    resume : bool
        Whether to leave out what is finished (see `segment_files`).
    threads : int, optional
        None: one for each processor.

    Yields
    ------
    As `segment_files`, and Warned about a table of objects of an earlier run that does not belong to the new labels.

    Raises
    ------
    InputError
        As `segment_files`, and if a table would replace a file that is none of a batch.
    Cancelled
        If the token was cancelled.
    """
    folder = expand_user(out)
    for name, columns in ((IMAGES_TABLE, SUMMARY_COLUMNS), (OBJECTS_TABLE, OBJECT_COLUMNS)):
        check_own(folder / name, columns)
    events = segment_files(
        [source],
        folder,
        load_model(model, threads=threads),
        settings,
        save_measurements=measured,
        planes=planes,
        resume=resume,
        cancel=token,
    )
    with recording(folder / IMAGES_TABLE, folder / OBJECTS_TABLE if measured else None) as record:
        for event in events:
            record.add(event)
            yield event
    if not measured and (table := folder / OBJECTS_TABLE).exists():
        yield Warned(table, f"'{table}' is of an earlier batch; it stays, and may not belong to these labels.")
