"""The wells of a plate in an OME-Zarr, as its metadata list them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from blunet.errors import InputError
from blunet.images.image_files import is_zarr
from blunet.images.ome_zarr import name_well, read_metadata


@dataclass(frozen=True)
class Well:
    """A well of a plate.

    Attributes
    ----------
    row, column : str
        Their names.
    path : Path
        Folder of the well's group.
    fields : tuple of str
        Names of its images; empty if there are none.
    reason : str
        Why there are no images; empty if there are some.
    """

    row: str
    column: str
    path: Path
    fields: tuple[str, ...] = ()
    reason: str = ""

    @property
    def name(self) -> str:
        """Such as "B3"."""
        return name_well(self.row, self.column)

    def image(self, field: str) -> Path:
        """Return the folder of the image of a field."""
        return self.path / field


@dataclass(frozen=True)
class Plate:
    """A plate: its rows and columns, and the wells that it lists."""

    path: Path
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    wells: tuple[Well, ...]


def read_plate(path: Path) -> Plate | None:
    """Read which wells a plate has and which images these have, not the images; None if it is no plate.

    Raises
    ------
    InputError
        If the metadata of the plate cannot be read.
    """
    if not is_zarr(path):
        return None
    about = getattr(read_metadata(path), "plate", None)
    if about is None:
        return None
    rows, columns = (tuple(each.name for each in axis) for axis in (about.rows, about.columns))
    return Plate(path, rows, columns, tuple(_read_well(path, well.path) for well in about.wells))


def _read_well(plate: Path, place: str) -> Well:
    row, column = place.split("/")
    path = plate / row / column
    try:
        images = getattr(getattr(read_metadata(path), "well", None), "images", [])
    except InputError as e:
        return Well(row, column, path, reason=str(e))
    fields = tuple(image.path for image in images)
    return Well(row, column, path, fields, "" if fields else f"The well '{path}' is empty: it names no images.")
