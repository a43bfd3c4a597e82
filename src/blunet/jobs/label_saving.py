"""Saving a layer of labels: a TIFF with the pixel size, and the table of measurements beside it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from blunet.errors import InputError
from blunet.files import replacing_together, sha256_of
from blunet.images.frame_source import FrameSource
from blunet.images.image_writer import write_labels
from blunet.images.pixel_size import pixel_size_of_layer, step_of_layer
from blunet.jobs.own_files import is_own_table
from blunet.jobs.result_files import table_beside
from blunet.jobs.table_choice import choose_features
from blunet.segmentation.measurements import write_measurements
from blunet.segmentation.provenance import LABELS_HASH, TABLE_HASH, describe_software, hash_labels

log = logging.getLogger(__name__)


def save_labels(
    path: Path,
    data: Any,
    attributes: Mapping[str, Any],
    *,
    image: FrameSource | None = None,
    remark: Callable[[str], object] = log.info,
) -> list[Path]:
    """Write labels, and the table of features if the layer has one.

    A table of other labels than these, such as those before they were edited, is measured again.

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
    image : FrameSource, optional
        Grey values of the same shape, for the columns of intensity of a table that is measured again.
    remark : callable
        Called with a sentence if the table differs from the features, or an earlier one was removed.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    InputError
        If the labels have other axes, a table of another program would be replaced, or a file cannot be written.
    """
    path = _with_ending(path)
    data = data[0] if isinstance(data, Sequence) else data  # a multiscale layer's data have a type of values too
    if len(data.shape) not in (2, 3) or 0 in data.shape:
        raise InputError(
            f"The labels have the shape {tuple(data.shape)}; only (Y, X) and (T, Y, X) can be written: split the layer."
        )
    source = FrameSource.from_array(data)
    scale, units = attributes.get("scale", ()), attributes.get("units")
    placed = {name: attributes.get(name) for name in ("rotate", "shear", "affine")}
    size = pixel_size_of_layer(scale, units, **placed)
    axis, step = step_of_layer(scale, units, attributes.get("axis_labels"), size)
    table = table_beside(path)
    features = choose_features(attributes.get("features"), source, image, size, remark)
    earlier = table.is_file()
    own = earlier and is_own_table(table, path)
    if features and earlier and not own:
        raise InputError(f"'{table}' was edited, or not made with these labels, and would be replaced; rename it.")
    description = _description(attributes, source)
    with replacing_together(path.parent, path.name) as temporary:
        if features:
            write_measurements(temporary / table.name, [features])
            description[TABLE_HASH] = sha256_of(temporary / table.name)
        frames = source.each() if source.stack else source.frame()
        write_labels(temporary / path.name, frames, pixel_size=size, axis=axis, step=step, description=description)
        if own and not features:
            table.unlink()
    if features:
        return [path, table]
    if own:
        remark(f"'{table.name}' was a table of the labels that were replaced, and was removed.")
    elif earlier:
        remark(f"'{table.name}' is not a table of these labels.")
    return [path]


def _with_ending(path: Path) -> Path:
    """Return the path with the ending of a TIFF; nobody was asked whether the file of that name may be replaced."""
    if path.suffix.lower() in (".tif", ".tiff"):
        return path
    full = path.with_name(f"{path.name}.tif")
    if full.exists():
        raise InputError(f"'{full}' exists already; choose that file to replace it, or another name.")
    return full


def _description(attributes: Mapping[str, Any], labels: FrameSource) -> dict[str, Any]:
    """Return the model and settings that the labels were made with; apart from the software if they were edited."""
    made = (attributes.get("metadata") or {}).get("blunet")
    try:
        description = dict(json.loads(json.dumps(made)))
    except (TypeError, ValueError):
        return describe_software()
    description.pop(TABLE_HASH, None)
    if "model" in description and description.get(LABELS_HASH) != hash_labels(labels.each()):
        return {**describe_software(), "edited": True, "before": description}
    return description
