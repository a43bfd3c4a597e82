"""Labels in an OME-Zarr, beside the image that they belong to."""

from __future__ import annotations

import colorsys
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError, Stopped, describe_error
from blunet.files import remove_leftovers
from blunet.images.image_files import is_zarr
from blunet.images.image_windows import ChunkedImage, ImageWindows
from blunet.images.ome_zarr import ZarrImage

if TYPE_CHECKING:
    from zarr import Group

#: Key of the attributes of a group of labels: what they were made with.
KEY = "blunet"
#: Up to this many objects their colours and measurements are stored with the labels; viewers read them as a whole.
MOST_PROPERTIES = 10_000
#: Labels are written in windows of about this side, in pixels.
WRITTEN = 2048
#: Turn of the hue from one colour to the next, which keeps colours apart for any number of them.
_HUE_STEP = 0.618034


def check_labels_name(name: str) -> None:
    """Check that labels can have a name.

    Raises
    ------
    InputError
        If not.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or name.casefold() == "zarr.json":
        raise InputError(f"'{name}' cannot be the name of labels; use letters, digits, '_', '-' and '.'.")


def labels_path(image: ZarrImage, name: str) -> Path:
    """Return the folder of labels of an image; see `check_labels_name`."""
    return image.path / "labels" / name


def read_labels_description(image: ZarrImage, name: str) -> dict[str, Any] | None:
    """Return what labels were made with; None if there are no such labels, empty if another program made them."""
    import zarr

    path = labels_path(image, name)
    if not path.exists():
        return None
    try:
        found: Any = zarr.open_group(path, mode="r").attrs.asdict().get(KEY, {})
    except Exception:  # it is no group, or is damaged: it is not ours
        return {}
    return dict(found) if isinstance(found, dict) else {}


def outdated_index(image: ZarrImage, name: str) -> Path | None:
    """Return the file of consolidated metadata that does not list labels which were written; None if there is none."""
    target = Path(os.path.abspath(labels_path(image, name)))
    place = target.parent.parent
    while is_zarr(place):
        listed = target.relative_to(place).as_posix()
        for file in (place / ".zmetadata", place / "zarr.json"):
            content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
            index = content if file.name == ".zmetadata" else content.get("consolidated_metadata") or {}
            groups = index.get("metadata")
            if groups is not None and not any(f"{group}/".startswith(f"{listed}/") for group in groups):
                return file
        place = place.parent
    return None


def read_labels(image: ZarrImage, name: str) -> Iterator[ImageWindows]:
    """Yield the labels of each frame (Y, X), which are read in windows."""
    import zarr

    array: Any = zarr.open_group(labels_path(image, name), mode="r")["0"]
    for index in np.ndindex(array.shape[:-2]):
        yield _frame_of(array, index)


def _frame_of(array: Any, index: tuple[int, ...]) -> ImageWindows:
    height, width = array.shape[-2:]

    def read(rows: slice, columns: slice) -> NDArray[Any]:
        return np.asarray(array[(*index, rows, columns)])

    return ChunkedImage((height, width), array.dtype, array.chunks[-2:], read)


def write_labels_group(
    image: ZarrImage,
    name: str,
    frames: Iterable[ImageWindows],
    *,
    axes: str,
    z: int | None = None,
    description: Mapping[str, Any],
    tables: Iterable[Mapping[str, NDArray[Any]]] = (),
) -> Path:
    """Write labels as ``labels/NAME`` beside an image, with as many resolution levels as the image has.

    Parameters
    ----------
    image : ZarrImage
    name : str
        Labels of this name are replaced when the new ones are complete.
    frames : iterable of ndarray of shape (Y, X), or of ImageWindows
        Of integers or booleans. What is read in windows is written chunk by chunk.
    axes : {"YX", "TYX", "ZYX"}
        What the frames run through.
    z : int, optional
        The slice that was segmented, where the image has slices and the frames are not these.
    description : mapping
        What the labels were made with, in values that JSON can hold.
    tables : iterable of mapping
        Measurements of the objects, with a column `label`. They are stored as properties if the objects are few.

    Returns
    -------
    Path
        The folder of the labels.

    Raises
    ------
    InputError
        If they cannot be written.

    Notes
    -----
    Zarr format 2 for OME-Zarr 0.4, 3 for 0.5, as the image has. Coarser levels take every second pixel. Labels have the
    image's axes without the channel.
    """
    target = labels_path(image, name)
    temporary = target.with_name(f".{name}.{os.getpid()}")
    try:
        target.parent.mkdir(exist_ok=True)
        remove_leftovers(target)
        labels = _write_levels(temporary, image, frames, axes)
        _describe(temporary, image, name, axes, z, description, labels, list(tables))
        _replace(temporary, target)
        _list(target.parent, name, image.version)
        remove_leftovers(target, r"\.earlier")
    except (InputError, Stopped):
        raise
    except Exception as e:  # stores and codecs raise many kinds of errors
        reason = e.strerror if isinstance(e, OSError) and e.strerror else describe_error(e)
        raise InputError(f"Labels cannot be written to '{target}': {reason}.") from e
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _write_levels(path: Path, image: ZarrImage, frames: Iterable[ImageWindows], axes: str) -> NDArray[np.int64]:
    """Write all levels, frame by frame, and return the numbers of the labels."""
    group: Any = _open_group(path, image.version, "w")
    kept = [axis for axis in image.axes if axis != "c"]
    lengths = {**dict.fromkeys("tz", 1), "y": image.size("y"), "x": image.size("x")}
    if axes != "YX":
        lengths[axes[0].lower()] = image.size(axes[0].lower())
    chunks = dict(zip(image.axes, image.array.chunks, strict=True)) | dict.fromkeys("tz", 1)
    options: dict[str, Any] = {"dtype": "uint32", "fill_value": 0}
    if image.version == "0.4":
        options["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
    else:
        options["dimension_names"] = kept
    arrays: list[Any] = []
    for level in range(image.levels):
        shape = [-(-lengths[axis] // 2**level) if axis in "yx" else lengths[axis] for axis in kept]
        pieces = [min(chunks[axis], length) for axis, length in zip(kept, shape, strict=True)]
        arrays.append(group.create_array(str(level), shape=shape, chunks=pieces, **options))
    present: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for index, frame in enumerate(frames):
        place = tuple((index if axis == axes[0].lower() else 0) for axis in kept if axis in "tz")
        for rows, columns in _split(frame.shape, (chunks["y"], chunks["x"])):
            labels = np.asarray(frame[rows, columns]).astype(np.uint32)
            present.append(np.unique(labels).astype(np.int64))
            for level, array in enumerate(arrays):
                step = 2**level
                part = labels[-rows.start % step :: step, -columns.start % step :: step]
                top, left = -(-rows.start // step), -(-columns.start // step)
                array[(*place, slice(top, top + part.shape[0]), slice(left, left + part.shape[1]))] = part
    found = np.unique(np.concatenate(present))
    return found[found > 0]


def _split(shape: tuple[int, ...], chunk: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Yield the windows of a frame that are written at once: whole chunks, of about `WRITTEN` pixels a side."""
    down, across = (max(side, WRITTEN // side * side) for side in chunk)
    for top in range(0, shape[0], down):
        for left in range(0, shape[1], across):
            yield slice(top, min(top + down, shape[0])), slice(left, min(left + across, shape[1]))


def _describe(
    path: Path,
    image: ZarrImage,
    name: str,
    axes: str,
    z: int | None,
    description: Mapping[str, Any],
    labels: NDArray[np.int64],
    tables: list[Mapping[str, NDArray[Any]]],
) -> None:
    """Write the metadata of the labels."""
    kept = [place for place, axis in enumerate(image.axes) if axis != "c"]
    kinds = {"t": "time", "z": "space", "y": "space", "x": "space"}
    named: list[dict[str, Any]] = []
    for place in kept:
        axis = image.axes[place]
        unit = image.units[place]
        named.append({"name": axis, "type": kinds[axis], **({"unit": unit} if unit else {})})
    datasets = []
    for level in range(image.levels):
        scale = [image.scale[place] * (2**level if image.axes[place] in "yx" else 1) for place in kept]
        transforms: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        moved = [
            image.translation[place] + (z or 0) * image.scale[place] * (image.axes[place] == "z") for place in kept
        ]
        if any(moved):
            transforms.append({"type": "translation", "translation": moved})
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    multiscale: dict[str, Any] = {"name": name, "axes": named, "datasets": datasets, "type": "nearest"}
    about: dict[str, Any] = {"source": {"image": "../../"}}
    if len(labels) <= MOST_PROPERTIES:
        about["colors"] = [{"label-value": int(label), "rgba": _colour(int(label))} for label in labels]
        about["properties"] = [row for table in tables for row in _rows(table)]
    about = {key: value for key, value in about.items() if value}
    content: dict[str, Any]
    if image.version == "0.4":
        content = {"multiscales": [{**multiscale, "version": "0.4"}], "image-label": {**about, "version": "0.4"}}
    else:
        content = {"ome": {"version": "0.5", "multiscales": [multiscale], "image-label": {**about, "version": "0.5"}}}
    _open_group(path, image.version, "a").attrs.update({**content, KEY: dict(description)})


def _rows(table: Mapping[str, NDArray[Any]]) -> Iterator[dict[str, Any]]:
    """Yield the measurements of one object after the other; what is not finite is left out, as JSON has none."""
    if "label" not in table:
        return
    columns = {name: values.tolist() for name, values in table.items() if name != "label"}
    for row, label in enumerate(table["label"].tolist()):
        values = {name: column[row] for name, column in columns.items() if np.isfinite(column[row])}
        yield {"label-value": label, **values}


def _colour(label: int) -> list[int]:
    red, green, blue = colorsys.hsv_to_rgb(label * _HUE_STEP % 1, 0.75, 1.0)
    return [round(255 * red), round(255 * green), round(255 * blue), 255]


def _replace(temporary: Path, target: Path) -> None:
    """Put a finished group in the place of an earlier one."""
    earlier = target.with_name(f".{target.name}.{os.getpid()}.earlier")
    if target.exists():
        target.rename(earlier)
    temporary.rename(target)
    shutil.rmtree(earlier, ignore_errors=True)


def _list(folder: Path, name: str, version: str) -> None:
    """Add labels to the list of an image's labels."""
    group: Any = _open_group(folder, version, "a")
    attributes = group.attrs.asdict()
    ome = attributes.get("ome", {}) if version == "0.5" else attributes
    names = [*ome.get("labels", [])]
    if name not in names:
        names.append(name)
    group.attrs.update({"labels": names} if version == "0.4" else {"ome": {**ome, "version": "0.5", "labels": names}})


def _open_group(path: Path, version: str, mode: Literal["w", "a"]) -> Group:
    """Make a new group ("w"), or open one and make it if there is none ("a")."""
    import zarr

    return zarr.open_group(path, mode=mode, zarr_format=2 if version == "0.4" else 3)
