"""OME-Zarr 0.4 and 0.5: the images of a file, a plate or a collection, and what their metadata say."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError, describe_error
from blunet.images.image_files import is_zarr
from blunet.images.image_windows import ChunkedImage
from blunet.images.pixel_size import SECONDS, PixelSize, make_pixel_size

if TYPE_CHECKING:
    from zarr import Array, Group

#: Endings of the names of groups, which are no part of a stem.
_ENDINGS = (".zarr", ".ome")


@dataclass(frozen=True, eq=False)
class ZarrImage:
    """An image in an OME-Zarr.

    Attributes
    ----------
    path : Path
        Folder of the image's group.
    stem : str
        For the names of results: that of the file, and in a plate the well and the field, such as ``plate_B3_0``.
    axes : str
        Letters of the axes in the file's order, such as "tczyx"; rows and columns are the last.
    array : zarr.Array
        The finest level.
    version : str
        "0.4" or "0.5".
    scale, translation : tuple of float
        Of the finest level, one number an axis, in the units of the axes.
    units : tuple of str or None
        Of the axes.
    channels : tuple of str
        Their names; empty if the file has none.
    levels : int
        Number of resolution levels.
    contrasts : tuple of str
        Contrast methods of the channels: the format has none.
    """

    path: Path
    stem: str
    axes: str
    array: Array[Any] = field(repr=False)
    version: str
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    units: tuple[str | None, ...]
    channels: tuple[str, ...]
    levels: int
    contrasts: tuple[str, ...] = ()

    def size(self, axis: str) -> int:
        """Return the length of an axis; 1 if there is none."""
        return int(self.array.shape[self.axes.index(axis)]) if axis in self.axes else 1

    def step(self, axis: str) -> tuple[float, str | None]:
        """Return the distance of two neighbours along an axis, and its unit; 1 without a unit if there is none."""
        if axis not in self.axes:
            return 1.0, None
        place = self.axes.index(axis)
        return self.scale[place], self.units[place]

    @property
    def pixel_size(self) -> PixelSize | None:
        """Size of a pixel; None where the file names no unit of length."""
        (y, unit_y), (x, unit_x) = self.step("y"), self.step("x")
        return make_pixel_size(y, x, unit_y, unit_x) if unit_y and unit_x else None

    @property
    def interval(self) -> float | None:
        """Seconds from frame to frame; None where the file does not say."""
        step, unit = self.step("t")
        seconds = SECONDS.get((unit or "").lower())
        return step * seconds if seconds and math.isfinite(step) and step > 0 else None

    @property
    def spacing(self) -> float | None:
        """Distance of slices in the unit of the pixel size; None where the file does not say."""
        step, unit = self.step("z")
        size = make_pixel_size(step, step, unit) if unit else None
        if size is None or self.pixel_size is None:
            return None
        return size.in_micrometres.x * self.pixel_size.x / self.pixel_size.in_micrometres.x

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values, in this machine's byte order."""
        return np.dtype(self.array.dtype).newbyteorder("=")

    @contextlib.contextmanager
    def opened(self) -> Iterator[Callable[[int, int, int], NDArray[Any]]]:
        """Yield `read`: a Zarr has nothing to open."""
        yield self.read

    def read(self, t: int, channel: int, z: int) -> NDArray[Any]:
        """Read one plane (Y, X).

        Raises
        ------
        InputError
            If a chunk is damaged.
        """
        return self._read({"t": t, "c": channel, "z": z, "y": slice(None), "x": slice(None)})

    @contextlib.contextmanager
    def windows(self, t: int, channel: int, z: int) -> Iterator[ChunkedImage]:
        """Yield one plane, which is read in windows; see `read`."""

        def read(rows: slice, columns: slice) -> NDArray[Any]:
            values = self._read({"t": t, "c": channel, "z": z, "y": rows, "x": columns})
            return values.astype(self.dtype, copy=False)

        chunk = self.array.chunks[-2], self.array.chunks[-1]
        yield ChunkedImage((self.size("y"), self.size("x")), self.dtype, chunk, read)

    def describe_missing_chunks(self) -> str:
        """Say how many chunks of the finest level are not there; empty if all are."""
        try:
            count, there = int(self.array.nchunks), int(self.array.nchunks_initialized)
        except Exception:  # a store that cannot be listed
            return ""
        if there >= count:
            return ""
        return (
            f"'{self.path}' lacks {count - there} of its {count} chunks, which count as {self.array.fill_value}: it "
            "was not copied completely, or is empty there."
        )

    def _read(self, places: dict[str, Any]) -> NDArray[Any]:
        try:
            return np.asarray(self.array[tuple(places[axis] for axis in self.axes)])
        except Exception as e:  # codecs raise many kinds of errors
            y, x = places["y"], places["x"]
            where = "" if y.start is None else f" in rows {y.start} to {y.stop} and columns {x.start} to {x.stop}"
            raise InputError(
                f"'{self.path}' cannot be read{where} ({describe_error(e)}): a chunk is damaged; copy the file again."
            ) from e


def open_images(path: Path) -> tuple[list[ZarrImage], list[tuple[Path, str]]]:
    """Open the images of an OME-Zarr; their pixels are not read yet.

    Parameters
    ----------
    path : Path
        An image, a plate, a well, or a collection as bioformats2raw writes it.

    Returns
    -------
    images : list of ZarrImage
        In the file's order.
    refused : list of (Path, str)
        Images and wells that cannot be opened, and why.

    Raises
    ------
    InputError
        If the file is no OME-Zarr of version 0.4 or 0.5, or holds no image that can be opened.
    """
    images: list[ZarrImage] = []
    refused: list[tuple[Path, str]] = []
    for place, stem in _find_groups(path, refused):
        try:
            images.append(_open_image(place, stem))
        except InputError as e:
            refused.append((place, str(e)))
    if not images:
        named = f"'{path}' holds no image that can be opened"
        reasons = [reason for _, reason in refused]
        raise InputError(reasons[0] if len(reasons) == 1 else f"{': '.join([named, *reasons[:1]]).rstrip('.')}.")
    return images, refused


def open_image(path: Path) -> ZarrImage:
    """Open the only image of an OME-Zarr.

    Raises
    ------
    InputError
        As `open_images`, and if it holds several images.
    """
    images, _ = open_images(path)
    if len(images) > 1:
        raise InputError(f"'{path}' holds {len(images)} images; give one of them, such as '{images[0].path}'.")
    return images[0]


def _find_groups(path: Path, refused: list[tuple[Path, str]]) -> Iterator[tuple[Path, str]]:
    """Yield the folders of the images and the stems of their results; wells without images are added to `refused`."""
    from yaozarrs import v04, v05

    stem = stem_of_group(path)
    about = read_metadata(path)
    if isinstance(about, v04.Plate | v05.Plate):
        for well in about.plate.wells:
            try:
                for place, number in _fields(path / well.path):
                    yield place, f"{stem}_{name_well(*well.path.split('/'))}_{number}"
            except InputError as e:
                refused.append((path / well.path, str(e)))
    elif isinstance(about, v04.Well | v05.Well):
        for place, number in _fields(path):
            yield place, f"{stem}_{number}"
    elif isinstance(about, v04.Bf2Raw | v05.Bf2Raw):
        series = _list_series(path)
        for name in series:
            yield path / name, stem if len(series) == 1 else f"{stem}_{name}"
    elif isinstance(about, v04.LabelImage | v05.LabelImage | v04.LabelsGroup | v05.LabelsGroup):
        raise InputError(f"'{path}' holds labels; give the image that they belong to.")
    else:
        yield path, stem


def _fields(well: Path) -> Iterator[tuple[Path, str]]:
    """Yield the folders of the fields of a well, and their names."""
    about = read_metadata(well)
    images = getattr(getattr(about, "well", None), "images", [])
    if not images:
        raise InputError(f"The well '{well}' is empty: it names no images.")
    for image in images:
        yield well / image.path, image.path


def _list_series(collection: Path) -> list[str]:
    """Return the names of the images of a collection: those that its group OME lists, or else the numbered ones."""
    with contextlib.suppress(InputError):
        if listed := getattr(read_metadata(collection / "OME"), "series", None):
            return [str(name) for name in listed]
    return sorted((each.name for each in collection.iterdir() if each.name.isdecimal()), key=int)


def _open_image(path: Path, stem: str) -> ZarrImage:
    about = read_metadata(path)
    scales = getattr(about, "multiscales", None)
    if not scales:
        raise InputError(f"'{path}' is no image: its metadata name no resolution levels.")
    multiscale = scales[0]
    axes = "".join(axis.name.lower() for axis in multiscale.axes)
    if not axes.endswith("yx") or set(axes) - set("tczyx") or len(axes) != len(multiscale.axes):
        names = ", ".join(axis.name for axis in multiscale.axes)
        raise InputError(f"'{path}' has the axes {names}; time, channel, z, y and x are read, rows and columns last.")
    finest = multiscale.datasets[0]
    with _opening(path):
        try:
            array: Any = _open_group(path)[finest.path]
        except KeyError as e:
            raise InputError(f"'{path}' has no array '{finest.path}', which its metadata name; copy it again.") from e
    if array.ndim != len(axes) or 0 in array.shape:
        raise InputError(f"'{path}' holds an array of the shape {array.shape} for the axes {axes}.")
    if array.dtype.kind not in "buif":
        raise InputError(f"'{path}' holds values of type {array.dtype}; export it as integers or floats.")
    scale, translation = np.ones(len(axes)), np.zeros(len(axes))
    for transform in [*finest.coordinateTransformations, *(multiscale.coordinateTransformations or [])]:
        factors = getattr(transform, "scale", None)
        if factors is not None:
            scale, translation = scale * factors, translation * factors
        translation = translation + (getattr(transform, "translation", None) or np.zeros(len(axes)))
    return ZarrImage(
        path=path,
        stem=stem,
        axes=axes,
        array=array,
        version="0.5" if array.metadata.zarr_format == 3 else "0.4",
        scale=tuple(scale.tolist()),
        translation=tuple(translation.tolist()),
        units=tuple(getattr(axis, "unit", None) for axis in multiscale.axes),
        channels=_name_channels(path),
        levels=len(multiscale.datasets),
    )


def _read_attributes(path: Path) -> Any:
    with _opening(path):
        attributes = _open_group(path).attrs.asdict()
    return attributes.get("ome", attributes)


def _name_channels(path: Path) -> tuple[str, ...]:
    """Return the names of an image's channels as far as it has them, whatever other metadata of display it lacks."""
    omero = _read_attributes(path).get("omero")
    listed = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(listed, list):
        return ()
    return tuple(str(each.get("label") or "") if isinstance(each, dict) else "" for each in listed)


def read_metadata(path: Path) -> object:
    """Return what the OME metadata of a group say, checked against their version's rules but for those of display."""
    import warnings

    from pydantic import ValidationError
    from yaozarrs import validate_ome_object

    about: Any = _read_attributes(path)
    kinds = ("multiscales", "plate", "well", "labels", "bioformats2raw.layout", "series", "image-label")
    if not isinstance(about, dict) or not any(kind in about for kind in kinds):
        raise InputError(f"'{path}' is a Zarr without OME metadata; write it as OME-Zarr 0.4 or 0.5.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of units and names that the rules advise against
            return validate_ome_object({key: value for key, value in about.items() if key != "omero"})
    except ValidationError as e:
        first = e.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if "[" not in str(part))
        raise InputError(
            f"'{path}' is no OME-Zarr of version 0.4 or 0.5: {first['msg'].rstrip('.')} ('{place}')."
        ) from e
    except (ValueError, TypeError) as e:
        raise InputError(f"'{path}' is no OME-Zarr of version 0.4 or 0.5: {describe_error(e)}.") from e


def _open_group(path: Path) -> Group:
    import zarr

    found = zarr.open(path, mode="r")  # a Path, as a text with '::' would be taken for an address
    if not isinstance(found, zarr.Group):
        raise InputError(f"'{path}' is a Zarr array without OME metadata; give the folder of an OME-Zarr.")
    return found


@contextlib.contextmanager
def _opening(path: Path) -> Iterator[None]:
    """Turn errors while a group is opened into an InputError that names it."""
    try:
        yield
    except InputError:
        raise
    except PermissionError as e:
        raise InputError(f"'{path}' cannot be opened: {e.strerror or e}; ask for the right to read it.") from e
    except FileNotFoundError as e:
        raise InputError(f"There is no Zarr group '{path}', or a part of it is missing; check the name.") from e
    except Exception as e:  # broken metadata raise many kinds of errors
        raise InputError(f"'{path}' cannot be opened as Zarr ({describe_error(e)}); it may be damaged.") from e


def stem_of_group(path: Path) -> str:
    """Return the name of a group for those of results, after the names of the groups that it lies in."""
    place, *within = _lineage(path)
    stem = _without_endings(place.name)
    names = [_without_endings(each.name) for each in within]
    if len(names) in (2, 3) and _holds_wells(place):  # a well of a plate, or a field of one
        names[:2] = [name_well(*names[:2])]
    return "_".join([stem, *names])


def _lineage(path: Path) -> list[Path]:
    """Return the groups that a group lies in, the outermost first, and the group itself."""
    lineage = [Path(os.path.abspath(path))]  # the name that was given, also where it is a link
    while is_zarr(lineage[0].parent):
        lineage.insert(0, lineage[0].parent)
    return lineage


def _holds_wells(path: Path) -> bool:
    try:
        return hasattr(read_metadata(path), "plate")
    except InputError:
        return False


def name_well(row: str, column: str) -> str:
    """Return ``B3`` for row B and column 3; a name that could mean two wells has a hyphen, such as ``A1-1``."""
    return row + column if row.isalpha() and column.isdecimal() else f"{row}-{column}"


def _without_endings(name: str) -> str:
    for ending in _ENDINGS:
        if name.lower().endswith(ending) and len(name) > len(ending):
            name = name[: -len(ending)]
    return name
