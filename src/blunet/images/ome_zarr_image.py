"""Writing an image as OME-Zarr 0.5, for labels to lie beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.images.frame_source import FrameSource
from blunet.images.ome_zarr import ZarrImage, open_image

#: Levels are halved until they fit into so many pixels on a side.
COARSEST = 1024
CHUNK = 1024
#: Units of length as OME-Zarr spells them.
UNITS = {
    "µm": "micrometer", "pm": "picometer", "Å": "angstrom", "nm": "nanometer", "mm": "millimeter", "cm": "centimeter",
    "inch": "inch", "m": "meter",
}  # fmt: skip


def write_image_group(path: Path, source: FrameSource) -> ZarrImage:
    """Write an image or a stack, with coarser levels for viewers, and open it.

    Parameters
    ----------
    path : Path
        A folder that does not exist yet.
    source : FrameSource

    Notes
    -----
    A pixel of a coarser level is the mean of four of the finer one.
    """
    import zarr

    group: Any = zarr.open_group(path, mode="w-", zarr_format=3)
    axes = source.axes.lower()
    levels = 1
    while max(source.shape) > COARSEST * 2 ** (levels - 1):
        levels += 1
    arrays = []
    for level in range(levels):
        height, width = (-(-length // 2**level) for length in source.shape)
        shape = (source.count, height, width) if source.stack else (height, width)
        chunks = (*(1,) * (len(shape) - 2), min(CHUNK, height), min(CHUNK, width))
        arrays.append(
            group.create_array(str(level), shape=shape, chunks=chunks, dtype=source.dtype, dimension_names=list(axes))
        )
    for index, frame in enumerate(source.each()):
        values = frame
        for level, array in enumerate(arrays):
            values = _halve(values) if level else values
            array[(index,) if source.stack else ...] = values
    group.attrs.update({"ome": {"version": "0.5", "multiscales": [_describe(source, axes, levels, path)]}})
    return open_image(path)


def _describe(source: FrameSource, axes: str, levels: int, path: Path) -> dict[str, Any]:
    size, step = source.pixel_size, source.step
    length = None if size is None else UNITS[size.unit]
    named: list[dict[str, str]] = []
    for axis in axes:
        unit = ("second" if step else None) if axis == "t" else length
        named.append({"name": axis, "type": "time" if axis == "t" else "space", **({"unit": unit} if unit else {})})
    finest = [*[step or 1.0][: len(axes) - 2], size.y if size else 1.0, size.x if size else 1.0]
    datasets = []
    for level in range(levels):
        scale = [*finest[:-2], *(side * 2**level for side in finest[-2:])]
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    return {"name": path.name.partition(".")[0], "axes": named, "datasets": datasets, "type": "mean"}


def _halve(values: NDArray[Any]) -> NDArray[Any]:
    """Return the means of squares of four pixels; the last row or column of an odd number stands twice."""
    padded = np.pad(values, [(0, length % 2) for length in values.shape], mode="edge")
    sums = padded.reshape(padded.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3))
    means: NDArray[Any] = (np.rint(sums) if values.dtype.kind in "ui" else sums).astype(values.dtype)
    return means
