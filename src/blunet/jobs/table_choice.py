"""The table that is saved with labels: the features of their layer, or a new one if the labels have been edited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.images.frame_source import FrameSource
from blunet.images.pixel_size import PixelSize
from blunet.jobs.events import CancelToken
from blunet.jobs.layer_measurement import measure_frames

#: Columns that are not compared: they name the objects, depend on the image, or jump from -90 to 90 degrees.
NOT_COMPARED = ("label", "frame", "mean_intensity", "min_intensity", "max_intensity", "orientation_deg")
#: Largest difference of equal measurements, relative to them, as files round the pixel size.
TOLERANCE = 1e-3

Table = dict[str, NDArray[Any]]


def choose_features(
    features: Any,
    labels: FrameSource,
    image: FrameSource | None,
    size: PixelSize | None,
    remark: Callable[[str], object],
) -> Table:
    """Return the table to save with labels; empty if there is none.

    Parameters
    ----------
    features : data frame or None
        Of the layer.
    labels : FrameSource
    image : FrameSource, optional
        Grey values, if the table has to be measured again.
    size : PixelSize, optional
    remark : callable
        Called with a sentence if the table is not that of the features.
    """
    given = {str(name): features[name].to_numpy() for name in getattr(features, "columns", ())}
    columns = [name for name in given if name != "index"]
    if not columns or not len(features):
        return {}
    if "label" not in columns:
        columns = [name for name in given if name in ("index", *columns)]
    (measured,) = measure_frames(labels, image, size, CancelToken())
    chosen = {name: given[name] for name in columns}
    if is_table_of(chosen, measured):
        return chosen
    if not set(chosen) & set(measured) - {"label", "frame"}:
        remark("The layer has features of other labels than it holds; they were not saved.")
        return {}
    lost = ", ".join(name for name in columns if name not in measured and name != "index")
    remark(
        "The labels were edited after they were measured, and have been measured again"
        + (f" with the grey values of '{image.name}'" if image is not None and image.name else "")
        + (f"; these columns were left out: {lost}." if lost else ".")
    )
    return measured


def is_table_of(table: Mapping[str, NDArray[Any]], measured: Mapping[str, NDArray[Any]]) -> bool:
    """Return whether a table belongs to labels: it has the same objects, and the same measurements of them.

    Parameters
    ----------
    table : mapping of str to ndarray
        With a column `label` or `index`.
    measured : mapping of str to ndarray
        What `measure` says about the labels.
    """
    numbers = table.get("label", table.get("index"))
    if numbers is None or not np.array_equal(np.unique(numbers), np.unique(measured["label"])):
        return False
    shared = [name for name in measured if name in table and name not in NOT_COMPARED]
    if not shared:
        return True
    if len(numbers) != measured["label"].size:
        return False
    order, expected = np.argsort(numbers, kind="stable"), np.argsort(measured["label"], kind="stable")
    try:
        return all(
            np.allclose(table[name][order].astype(float), measured[name][expected], rtol=TOLERANCE, atol=TOLERANCE)
            for name in shared
        )
    except (TypeError, ValueError):  # a column of words
        return False
