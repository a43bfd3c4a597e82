"""Measurements of objects: size, position, shape and brightness, in physical units if they are known."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.files import replacing
from blunet.images.image_windows import ImageWindows
from blunet.images.pixel_size import PixelSize
from blunet.segmentation.bands import WINDOW, split_into_windows

#: Rows of a table that are turned into text at once.
ROWS_AT_ONCE = 2**14


def measure(
    labels: ImageWindows,
    image: ImageWindows | None = None,
    *,
    pixel_size: PixelSize | None = None,
    frame: int | None = None,
    check: Callable[[], None] = lambda: None,
) -> dict[str, NDArray[Any]]:
    """Measure every object.

    Parameters
    ----------
    labels : ndarray of shape (Y, X), or ImageWindows
        0 is background. What is read in windows takes the memory for a few of them.
    image : ndarray of shape (Y, X), or ImageWindows, optional
        Raw grey values, for the columns of intensity.
    pixel_size : PixelSize, optional
        None: lengths are in pixels; else in micrometres, whatever its unit, so that all tables have the same columns.
    frame : int, optional
        Index of the frame, for the column `frame`.
    check : callable
        Called many times. An exception that it raises ends the work.

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
    whole = _Labels(labels, check)
    numbers = whole.numbers
    table: dict[str, NDArray[Any]] = {"label": numbers}
    if frame is not None:
        table["frame"] = np.full(numbers.size, frame)
    sums = _Sums(whole, image)
    table |= _sizes(sums, _second_moments(whole, sums, height, width), height, width, unit)
    if image is not None:
        table |= {
            "mean_intensity": sums.brightness / sums.pixels,
            "min_intensity": sums.darkest,
            "max_intensity": sums.brightest,
        }
    return table | {
        "bbox_top_px": sums.first[0],
        "bbox_left_px": sums.first[1],
        "bbox_bottom_px": sums.last[0] + 1,
        "bbox_right_px": sums.last[1] + 1,
    }


class _Labels:
    """The pixels of objects, window by window.

    Attributes
    ----------
    numbers : ndarray of shape (N,)
        The labels of the objects, in their order.
    """

    def __init__(self, labels: ImageWindows, check: Callable[[], None]) -> None:
        self._labels, self._check = labels, check
        found = [np.zeros(0, labels.dtype), *(np.unique(values) for _, values in self._windows())]
        numbers = np.unique(np.concatenate(found))
        self.numbers = numbers[numbers != 0]
        self._dense = numbers.size and self.numbers.size and numbers[-1] - self.numbers[0] == self.numbers.size - 1

    def _windows(self) -> Iterator[tuple[tuple[slice, slice], NDArray[Any]]]:
        for window in split_into_windows(self._labels.shape, WINDOW):
            self._check()
            yield window, np.asarray(self._labels[window])

    def pixels(
        self, image: ImageWindows | None = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[Any] | None]]:
        """Yield row, column, index of the object, and grey value with an image, of all pixels of objects."""
        for window, labels in self._windows():
            y, x = np.nonzero(labels)
            own = labels[y, x]
            numbers = self.numbers
            index = own.astype(np.int64) - int(numbers[0]) if self._dense else np.searchsorted(numbers, own)
            values = None if image is None or not y.size else image[window][y, x]
            yield y + window[0].start, x + window[1].start, index, values


class _Sums:
    """Sums and extremes over the pixels of each object.

    Attributes
    ----------
    pixels : ndarray of shape (N,)
        Their number.
    middle : ndarray of shape (2, N)
        Mean row and column.
    first, last : ndarray of shape (2, N)
        Smallest and largest row and column.
    brightness, darkest, brightest : ndarray of shape (N,)
        Sum, smallest and largest of the grey values, with an image.
    """

    def __init__(self, labels: _Labels, image: ImageWindows | None) -> None:
        count = labels.numbers.size
        self.pixels = np.zeros(count, np.int64)
        self.first, self.last = np.full((2, count), np.iinfo(np.int64).max), np.full((2, count), -1)
        places = np.zeros((2, count))
        if image is not None:
            low, high = _range_of(image.dtype)
            self.brightness = np.zeros(count)
            self.darkest, self.brightest = np.full(count, high, image.dtype), np.full(count, low, image.dtype)
        for y, x, index, values in labels.pixels(image):
            self.pixels += np.bincount(index, minlength=count)
            for axis, place in enumerate((y, x)):
                places[axis] += np.bincount(index, place, count)  # exact: sums of integers
                np.minimum.at(self.first[axis], index, place)
                np.maximum.at(self.last[axis], index, place)
            if values is not None:
                self.brightness += np.bincount(index, values.astype(np.float64), count)
                np.minimum.at(self.darkest, index, values)
                np.maximum.at(self.brightest, index, values)
        self.middle = places / self.pixels


def _range_of(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Return the smallest and the largest value of a type."""
    if dtype.kind == "b":
        return False, True
    if dtype.kind == "f":
        return -np.inf, np.inf
    about = np.iinfo(dtype)
    return about.min, about.max


def _second_moments(
    labels: _Labels, sums: _Sums, height: float, width: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the means of up², right² and up x right around the centre of each object, in the unit squared."""
    totals = np.zeros((3, labels.numbers.size))
    for y, x, index, _ in labels.pixels():
        up, right = (sums.middle[0][index] - y) * height, (x - sums.middle[1][index]) * width
        for total, values in zip(totals, (up * up, right * right, up * right), strict=True):
            total += np.bincount(index, values, labels.numbers.size)
    yy, xx, xy = totals / sums.pixels
    return yy, xx, xy


def _sizes(
    sums: _Sums, moments: tuple[NDArray[Any], NDArray[Any], NDArray[Any]], height: float, width: float, unit: str
) -> dict[str, NDArray[Any]]:
    """Return area, centroid and ellipse."""
    area = sums.pixels * (height * width)
    yy, xx, xy = moments
    half, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    large, small = half + spread, np.maximum(half - spread, 0)
    return {
        f"area_{unit}2": area,
        f"equivalent_diameter_{unit}": np.sqrt(4 * area / np.pi),
        f"centroid_y_{unit}": sums.middle[0] * height,
        f"centroid_x_{unit}": sums.middle[1] * width,
        f"major_axis_{unit}": 4 * np.sqrt(large),
        f"minor_axis_{unit}": 4 * np.sqrt(small),
        "eccentricity": np.sqrt(1 - np.divide(small, large, out=np.ones_like(large), where=large > 0)),
        "orientation_deg": np.degrees(np.arctan2(2 * xy, xx - yy) / 2),
    }


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
                for start in range(0, max(map(len, table.values()), default=0), ROWS_AT_ONCE):
                    rows = slice(start, start + ROWS_AT_ONCE)
                    writer.writerows(zip(*(_texts(table[name][rows]) for name in first), strict=True))
    except OSError as e:
        raise InputError(f"'{path}' cannot be written: {e.strerror or e}; choose another place.") from e


def _texts(column: NDArray[Any]) -> list[str]:
    if column.dtype.kind == "f":
        return [f"{value:.7g}" for value in column.tolist()]
    return [str(value) for value in column.tolist()]
