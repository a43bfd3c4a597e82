"""Saving a layer of labels: a TIFF with the pixel size, and the table of measurements beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.image_files import stem_of
from blunet.images.image_writer import write_labels
from blunet.images.pixel_size import pixel_size_of_layer
from blunet.jobs.result_files import OBJECTS
from blunet.segmentation.measurements import write_measurements
from blunet.segmentation.provenance import describe_software


def save_labels(path: Path, data: Any, attributes: Mapping[str, Any]) -> list[Path]:
    """Write labels, and the table of features if the layer has one.

    Parameters
    ----------
    path : Path
        Of the TIFF; a name without the ending of one gets `.tif`. The table is written beside it: `x_objects.csv` for
        `x.tif` and for `x_labels.tif`.
    data : array of int, shape (Y, X) or (T, Y, X)
        Or the levels of a multiscale layer, of which the finest is written.
    attributes : mapping
        Of the layer; `scale`, `rotate`, `shear`, `affine`, `units`, `features` (a data frame) and `metadata` are used
        where they are given.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    InputError
        If the labels have other axes, or a file cannot be written.
    """
    path = _with_ending(path)
    data = data[0] if isinstance(data, Sequence) else data  # a multiscale layer's data have a type of values too
    if len(data.shape) not in (2, 3) or 0 in data.shape:
        raise InputError(
            f"The labels have the shape {tuple(data.shape)}; only (Y, X) and (T, Y, X) can be written: split the layer."
        )
    source = FrameSource.from_array(data)
    frames = source.each() if source.stack else source.frame()
    placed = {name: attributes.get(name) for name in ("rotate", "shear", "affine")}
    size = pixel_size_of_layer(attributes.get("scale", ()), attributes.get("units"), **placed)
    write_labels(path, frames, pixel_size=size, description=_description(attributes))
    features = attributes.get("features")
    columns = [name for name in getattr(features, "columns", ()) if name != "index"]
    if features is None or not columns or not len(features):
        return [path]
    if "label" not in columns:
        columns = [name for name in features.columns if name in ("index", *columns)]
    table = path.with_name(f"{stem_of(path).removesuffix('_labels')}_{OBJECTS}")
    write_measurements(table, [{str(name): features[name].to_numpy() for name in columns}])
    return [path, table]


def _with_ending(path: Path) -> Path:
    """Return the path with the ending of a TIFF; nobody was asked whether the file of that name may be replaced."""
    if path.suffix.lower() in (".tif", ".tiff"):
        return path
    full = path.with_name(f"{path.name}.tif")
    if full.exists():
        raise InputError(f"'{full}' exists already; choose that file to replace it, or another name.")
    return full


def _description(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model and settings that the labels were made with, or the software if the layer does not say."""
    made = (attributes.get("metadata") or {}).get("blunet")
    try:
        return dict(json.loads(json.dumps(made)))
    except (TypeError, ValueError):
        return describe_software()
