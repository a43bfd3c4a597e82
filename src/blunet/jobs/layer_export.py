"""Exporting a layer of labels to a file of another program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.pixel_size import pixel_size_of_layer
from blunet.jobs.label_export import FORMAT_OF_ENDING, write_export


def export_layer(path: Path, data: Any, attributes: Mapping[str, Any], *, image: FrameSource | None = None) -> Path:
    """Write labels as the ending of the name says, and return the path.

    Parameters
    ----------
    path : Path
        Ends in one of `FORMAT_OF_ENDING`.
    data : array of int, shape (Y, X) or (T, Y, X)
        Or the levels of a multiscale layer, of which the finest is written.
    attributes : mapping
        Of the layer; `scale`, `rotate`, `shear`, `affine` and `units` are used where they are given.
    image : FrameSource, optional
        Grey values of the same shape, for the columns of intensity.

    Raises
    ------
    InputError
        If the ending is another one, the labels have other axes, or the file cannot be written.
    """
    format = FORMAT_OF_ENDING.get(path.suffix.lower())
    if format is None:
        raise InputError(f"'{path}' ends in none of {', '.join(FORMAT_OF_ENDING)}; these can be written.")
    data = data[0] if isinstance(data, Sequence) else data
    placed = {name: attributes.get(name) for name in ("rotate", "shear", "affine")}
    size = pixel_size_of_layer(attributes.get("scale", (1.0, 1.0)), attributes.get("units"), **placed)
    labels = FrameSource.from_array(data, name=str(attributes.get("name", "labels")), pixel_size=size)
    write_export(path, format, labels, image)
    return path
