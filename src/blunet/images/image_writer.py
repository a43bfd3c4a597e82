"""Files of labels and probabilities that other programs can open."""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeGuard, cast

import numpy as np
import tifffile
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.files import replacing
from blunet.images.image_reader import reading
from blunet.images.image_windows import ImageWindows
from blunet.images.pixel_size import PixelSize

#: Our key in ImageJ's description, and in the JSON of OME's.
KEY = "blunet"
#: From this many bytes of pixels on, a BigTIFF for OME is written, as ImageJ's files end at 4 GiB.
IMAGEJ_BYTES = 2**32 - 2**25
#: Side of the tiles of a file that is written in windows, in pixels.
TILE = 512


def write_labels(
    path: str | Path,
    labels: NDArray[Any] | Iterable[NDArray[Any]] | ImageWindows,
    *,
    largest: int | None = None,
    pixel_size: PixelSize | None = None,
    axis: Literal["T", "Z"] = "T",
    step: float | None = None,
    description: Mapping[str, Any],
) -> None:
    """Write labels as a compressed TIFF for ImageJ, or for OME if ImageJ's format cannot hold them.

    Parameters
    ----------
    path : str or Path
        The final name, which the file gets when it is complete.
    labels : ndarray of shape (Y, X) or (T, Y, X), an iterable of frames (Y, X), or ImageWindows
        0 is background. The type is uint16, or uint32 for labels above 65,535, which only OME's format can hold. The
        frames of an iterable are kept compressed in memory until the largest label is known. What is read in windows
        is written tile by tile, in OME's format.
    largest : int, optional
        The largest label, for what is read in windows.
    pixel_size : PixelSize, optional
    axis : {"T", "Z"}
        What a stack runs through.
    step : float, optional
        Seconds from frame to frame, or the distance of slices in the unit of the pixel size.
    description : mapping
        The model and settings, in values that JSON can hold; `read_description` returns them.

    Raises
    ------
    InputError
        If the labels are not integers, or the file cannot be written.
    """
    if _in_windows(labels):
        if largest is None:
            raise TypeError("write_labels needs `largest` with what is read in windows")
        kind = _label_type(largest)
        tiles = (tile.astype(kind, copy=False) for tile in _tiles_of(labels))
        _write(path, tiles, labels.shape, kind, pixel_size, axis, step, description, tiled=True)
        return
    stack = not isinstance(labels, np.ndarray) or labels.ndim == 3
    packed, highest, shape = [], 0, (0, 0)
    if isinstance(labels, np.ndarray) and labels.ndim == 2 and labels.dtype.kind in "bui":
        kind = _label_type(int(labels.max(initial=0)))
        single = (frame.astype(kind, copy=False) for frame in [labels])
        _write(path, single, labels.shape, kind, pixel_size, axis, step, description)
        return
    each = cast("Iterable[NDArray[Any]]", labels if stack else [labels])
    for frame in each:
        values = np.asarray(frame)
        if values.dtype.kind not in "bui":
            raise InputError(f"Labels are of type {values.dtype}; give integers.")
        highest, shape = max(highest, int(values.max(initial=0))), values.shape
        packed.append(zlib.compress(values.astype(np.uint32).tobytes(), 1))
    if not packed:
        raise InputError(f"There are no labels to write to '{path}'; give at least one frame.")
    dtype = _label_type(highest)
    frames = (np.frombuffer(zlib.decompress(data), np.uint32).reshape(shape).astype(dtype) for data in packed)
    _write(path, frames, (len(packed), *shape)[not stack :], dtype, pixel_size, axis, step, description)


def _in_windows(values: object) -> TypeGuard[ImageWindows]:
    """Return whether values are read in windows: they have a shape, but are no array."""
    return hasattr(values, "shape") and not isinstance(values, np.ndarray)


def _tiles_of(values: ImageWindows) -> Iterator[NDArray[Any]]:
    """Yield the tiles of a file one after the other; those at the bottom and right are smaller."""
    for top in range(0, values.shape[0], TILE):
        for left in range(0, values.shape[1], TILE):
            yield np.asarray(values[top : top + TILE, left : left + TILE])


def _label_type(largest: int) -> np.dtype[Any]:
    return np.dtype(np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32)


def write_probability(
    path: str | Path,
    probability: NDArray[np.floating[Any]] | Iterable[NDArray[np.floating[Any]]] | ImageWindows,
    *,
    frames: int | None = None,
    pixel_size: PixelSize | None = None,
    axis: Literal["T", "Z"] = "T",
    step: float | None = None,
    description: Mapping[str, Any],
) -> None:
    """Write probabilities as a compressed float32 TIFF for ImageJ, or for OME if there are more than 4 GiB.

    Parameters
    ----------
    path, pixel_size, axis, step, description
        As in `write_labels`.
    probability : ndarray of shape (Y, X) or (T, Y, X), an iterable of frames (Y, X), or ImageWindows
        In [0, 1]. An iterable is written frame by frame, what is read in windows tile by tile.
    frames : int, optional
        Number of frames of an iterable, for which it has to be given.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    dtype = np.dtype(np.float32)
    if _in_windows(probability):
        _write(path, _tiles_of(probability), probability.shape, dtype, pixel_size, axis, step, description, tiled=True)
        return
    if isinstance(probability, np.ndarray):
        shape: tuple[int, ...] = probability.shape
        each = iter(probability if probability.ndim == 3 else [probability])
    else:
        if frames is None:
            raise TypeError("write_probability needs `frames` with an iterable")
        each = iter(cast("Iterable[NDArray[Any]]", probability))
        first = next(each)
        shape = (frames, *first.shape)
        each = itertools.chain([first], each)
    _write(path, (frame.astype(dtype) for frame in each), shape, dtype, pixel_size, axis, step, description)


def read_description(path: str | Path) -> dict[str, Any]:
    """Return the description of a file that `write_labels` or `write_probability` wrote.

    Raises
    ------
    InputError
        If the file cannot be read, or has no such description.
    """
    path = Path(path)
    with reading(path), tifffile.TiffFile(path) as tif:
        text: Any = (tif.imagej_metadata or {}).get(KEY)
        if tif.ome_metadata:
            text = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"].get("Description")
    try:
        description = json.loads(text)[KEY]
    except (TypeError, KeyError, ValueError) as e:
        raise InputError(f"'{path}' holds no description of a model and settings.") from e
    return dict(description)


def _write(
    path: str | Path,
    frames: Iterator[NDArray[Any]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    pixel_size: PixelSize | None,
    axis: Literal["T", "Z"],
    step: float | None,
    description: Mapping[str, Any],
    *,
    tiled: bool = False,
) -> None:
    """Write frames, or the tiles of one frame, to a temporary file, then rename it."""
    imagej = not tiled and dtype != np.uint32 and dtype.itemsize * int(np.prod(shape)) < IMAGEJ_BYTES
    text = json.dumps({KEY: description})  # ASCII on one line, as ImageJ's description needs it
    metadata: dict[str, Any] = {"axes": f"{axis}YX"[-len(shape) :]}
    metadata |= {KEY: text} if imagej else {"Description": text}
    resolution = None
    if pixel_size is not None and imagej:
        resolution = (1 / pixel_size.x, 1 / pixel_size.y)
        metadata["unit"] = pixel_size.imagej_unit
    elif pixel_size is not None:
        metadata |= {"PhysicalSizeX": pixel_size.x, "PhysicalSizeXUnit": pixel_size.ome_unit}
        metadata |= {"PhysicalSizeY": pixel_size.y, "PhysicalSizeYUnit": pixel_size.ome_unit}
    if step is not None and len(shape) == 3:
        metadata |= _describe_step(axis, step, pixel_size, imagej)
    try:
        with (
            replacing(path) as temporary,
            tifffile.TiffWriter(temporary, imagej=imagej, ome=not imagej, bigtiff=not imagej) as tif,
        ):
            tif.write(
                frames,
                shape=shape,
                dtype=dtype,
                photometric="minisblack",
                compression="zlib",
                tile=(TILE, TILE) if tiled else None,
                resolution=resolution,
                metadata=metadata,
            )
    except OSError as e:
        raise InputError(f"'{path}' cannot be written: {e.strerror or e}; choose another place.") from e


def _describe_step(
    axis: Literal["T", "Z"], step: float, pixel_size: PixelSize | None, imagej: bool
) -> dict[str, float | str]:
    """Return how ImageJ or OME states the time between frames or the distance of slices."""
    if axis == "T":
        return {"finterval": step, "tunit": "sec"} if imagej else {"TimeIncrement": step, "TimeIncrementUnit": "s"}
    if pixel_size is None:
        return {}
    return {"spacing": step} if imagej else {"PhysicalSizeZ": step, "PhysicalSizeZUnit": pixel_size.ome_unit}
