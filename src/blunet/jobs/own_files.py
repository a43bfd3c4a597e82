"""Which files in an output folder are this program's, unchanged since: only these may be replaced without asking."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from blunet.errors import InputError
from blunet.files import sha256_of
from blunet.images.frame_source import FrameSource
from blunet.images.image_writer import read_description
from blunet.images.ome_zarr import ZarrImage
from blunet.images.ome_zarr_labels import labels_path, read_labels, read_labels_description
from blunet.jobs.result_files import LABELS, OBJECTS, PROBABILITY
from blunet.segmentation.provenance import LABELS_HASH, TABLE_HASH, hash_labels


def check_results(folder: Path, stem: str, files: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Check that the results of one image replace only results of this program that nobody has edited.

    Parameters
    ----------
    folder : Path
        Of the results.
    stem : str
        The names of the results begin with it.
    files : sequence of str
        Which of `LABELS`, `PROBABILITY` and `OBJECTS` will be written.

    Returns
    -------
    outdated : list of Path
        Files of an earlier run that do not belong to the new labels, and are not written again.
    remarks : list of str
        Sentences about files of others that will lie beside the new labels.

    Raises
    ------
    InputError
        If a file would be overwritten that is not this program's or was edited, or a folder has the name of a result.
    OSError
        If the system refuses the name of a result, such as one that is too long.
    """
    outdated, remarks = [], []
    for file in (LABELS, PROBABILITY, OBJECTS):
        path = folder / f"{stem}_{file}"
        if path.is_dir() and file in files:
            raise InputError(f"The result '{path}' cannot be written: there is a folder of this name.")
        if not path.is_file():
            continue
        fault = describe_fault(path, folder / f"{stem}_{LABELS}")
        if file in files and fault:
            raise InputError(f"'{path}' {fault} and would be overwritten; choose another output folder.")
        if file not in files and fault:
            remarks.append(f"'{path}' {fault}; it stays, and does not belong to the new labels.")
        if file not in files and not fault:
            outdated.append(path)
    return outdated, remarks


def check_labels(image: ZarrImage, name: str) -> None:
    """Check that labels in an OME-Zarr replace only labels of this program that nobody has edited.

    Raises
    ------
    InputError
        If they would replace others, or cannot have this name.
    """
    made = read_labels_description(image, name)
    if made is None:
        return
    path = labels_path(image, name)
    if LABELS_HASH not in made:
        raise InputError(f"'{path}' was not made by BLU-Net and would be overwritten; choose another name of labels.")
    if made[LABELS_HASH] != hash_labels(read_labels(image, name)):
        raise InputError(f"'{path}' was edited and would be overwritten; choose another name of labels.")


def is_own_table(table: Path, labels: Path) -> bool:
    """Whether the description of a file of labels says that the table was written with it."""
    return labels.is_file() and _describe(labels).get(TABLE_HASH) == sha256_of(table)


def describe_fault(path: Path, labels: Path) -> str:
    """Return why a result may not be replaced, empty if it may be; `labels` is the file of labels beside it."""
    if path.suffix == ".png":
        return "" if "model" in _describe(labels) else "was not made by BLU-Net with the labels beside it,"
    if path.suffix == ".csv":
        return "" if is_own_table(path, labels) else "was edited, or not made by BLU-Net with the labels beside it,"
    made = _describe(path)
    if "model" not in made:
        return "was edited after BLU-Net made it" if made.get("edited") else "was not made by BLU-Net"
    if path == labels and made.get(LABELS_HASH) != _hash_file(path):
        return "was edited after BLU-Net made it, or made by an earlier version,"
    return ""


def _hash_file(labels: Path) -> str:
    """Return the hash of a file of labels, as `hash_labels` does."""
    source = FrameSource.from_file(labels)
    if source.stack:
        return hash_labels(source.each())
    with source.windows() as windows:
        return hash_labels([windows])


def _describe(path: Path) -> dict[str, object]:
    try:
        return read_description(path)
    except InputError:
        return {}
