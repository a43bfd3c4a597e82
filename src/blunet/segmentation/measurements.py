"""Measurements of objects: size, position, shape and brightness, in physical units if they are known."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.files import replacing
from blunet.images.pixel_size import PixelSize


def measure(
    labels: NDArray[np.integer[Any]],
    image: NDArray[Any] | None = None,
    *,
    pixel_size: PixelSize | None = None,
    frame: int | None = None,
) -> dict[str, NDArray[Any]]:
    """Measure every object.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        0 is background.
    image : ndarray of shape (Y, X), optional
        Raw grey values, for the columns of intensity.
    pixel_size : PixelSize, optional
        None: lengths are in pixels; else in micrometres, whatever its unit, so that all tables have the same columns.
    frame : int, optional
        Index of the frame, for the column `frame`.

    Returns
    -------
    dict of str to ndarray of shape (N,)
        One row per object, ordered by label. `U` stands for the unit, "um" or "px".

        - ``label``, and ``frame`` if it is given
        - ``area_U2``, ``equivalent_diameter_U``: the diameter is that of a circle of the same area
        - ``centroid_y_U``, ``centroid_x_U``: the distance from the centre of the first pixel
        - ``major_axis_U``, ``minor_axis_U``, ``eccentricity``, ``orientation_deg``: of the ellipse with the same second
          moments; the orientation is the angle from the x axis to the major axis, counter-clockwise on the screen,
          above -90 and up to 90 degrees
        - ``mean_intensity``, ``min_intensity``, ``max_intensity``, with an image
        - ``bbox_top_px``, ``bbox_left_px``, ``bbox_bottom_px``, ``bbox_right_px``: the object is within
          ``labels[top:bottom, left:right]``

    Raises
    ------
    InputError
        If the image has another shape than the labels.

    Notes
    -----
    The definitions are those of `skimage.measure.regionprops`, for which a pixel is a point: an object of one row of
    pixels has a minor axis of 0. All objects are measured at once: 70,000 take less than a second.

    Examples
    --------
    >>> labels = np.array([[1, 1, 0], [1, 1, 2]])
    >>> table = measure(labels, pixel_size=PixelSize(0.5, 0.5, "µm"))
    >>> table["label"], table["area_um2"]
    (array([1, 2]), array([1.  , 0.25]))
    """
    if image is not None and image.shape != labels.shape:
        raise InputError(f"The image has the shape {image.shape} and its labels {labels.shape}; give equal shapes.")
    height, width, unit = 1.0, 1.0, "px"
    if pixel_size is not None:
        height, width, unit = pixel_size.in_micrometres.y, pixel_size.in_micrometres.x, "um"
    y, x = np.nonzero(labels)
    numbers, index = np.unique(labels[y, x], return_inverse=True)
    table: dict[str, NDArray[Any]] = {"label": numbers}
    if frame is not None:
        table["frame"] = np.full(numbers.size, frame)
    table |= _sizes(y * height, x * width, index, numbers.size, height * width, unit)
    if image is not None:
        table |= _intensities(image[y, x], index, numbers.size)
    return table | _boxes(y, x, index, numbers.size)


def _sizes(
    y: NDArray[Any], x: NDArray[Any], index: NDArray[Any], count: int, pixel_area: float, unit: str
) -> dict[str, NDArray[Any]]:
    """Return area, centroid and ellipse from the pixels' positions (in the unit) and objects (`index`)."""

    def mean(values: NDArray[Any]) -> NDArray[Any]:
        return np.bincount(index, values, count) / pixels

    pixels = np.bincount(index, minlength=count)
    area = pixels * pixel_area
    middle_y, middle_x = mean(y), mean(x)
    up, right = middle_y[index] - y, x - middle_x[index]
    yy, xx, xy = mean(up * up), mean(right * right), mean(up * right)
    half, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    large, small = half + spread, np.maximum(half - spread, 0)
    return {
        f"area_{unit}2": area,
        f"equivalent_diameter_{unit}": np.sqrt(4 * area / np.pi),
        f"centroid_y_{unit}": middle_y,
        f"centroid_x_{unit}": middle_x,
        f"major_axis_{unit}": 4 * np.sqrt(large),
        f"minor_axis_{unit}": 4 * np.sqrt(small),
        "eccentricity": np.sqrt(1 - np.divide(small, large, out=np.ones_like(large), where=large > 0)),
        "orientation_deg": np.degrees(np.arctan2(2 * xy, xx - yy) / 2),
    }


def _intensities(values: NDArray[Any], index: NDArray[Any], count: int) -> dict[str, NDArray[Any]]:
    order = np.argsort(index, kind="stable")
    sizes = np.bincount(index, minlength=count)
    starts = np.cumsum(sizes) - sizes
    ordered = values[order]
    return {
        "mean_intensity": np.bincount(index, values.astype(np.float64), count) / sizes,
        "min_intensity": np.minimum.reduceat(ordered, starts) if count else ordered,
        "max_intensity": np.maximum.reduceat(ordered, starts) if count else ordered,
    }


def _boxes(y: NDArray[Any], x: NDArray[Any], index: NDArray[Any], count: int) -> dict[str, NDArray[Any]]:
    box = {}
    for place, (low, high) in zip((y, x), (("top", "bottom"), ("left", "right")), strict=True):
        first = np.full(count, np.iinfo(np.int64).max)
        last = np.full(count, -1)
        np.minimum.at(first, index, place)
        np.maximum.at(last, index, place)
        box[f"bbox_{low}_px"], box[f"bbox_{high}_px"] = first, last + 1
    return {name: box[name] for name in ("bbox_top_px", "bbox_left_px", "bbox_bottom_px", "bbox_right_px")}


def write_measurements(path: str | Path, tables: Iterable[Mapping[str, NDArray[Any]]]) -> None:
    """Write tables of `measure` with the same columns one after the other to a CSV file.

    Parameters
    ----------
    path : str or Path
        The final name, which the file gets when it is complete.
    tables : iterable of mapping
        At least one; of a stack, one per frame. Numbers are written with up to 7 significant digits.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    each = iter(tables)
    first = next(each)
    try:
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(first)
            for table in itertools.chain([first], each):
                writer.writerows(zip(*(_texts(table[name]) for name in first), strict=True))
    except OSError as e:
        raise InputError(f"'{path}' cannot be written: {e.strerror or e}; choose another place.") from e


def _texts(column: NDArray[Any]) -> list[str]:
    if column.dtype.kind == "f":
        return [f"{value:.7g}" for value in column.tolist()]
    return [str(value) for value in column.tolist()]
