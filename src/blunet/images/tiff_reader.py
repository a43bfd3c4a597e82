"""TIFF files: their axes and frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import EXTRASAMPLE, PHOTOMETRIC

from blunet.errors import InputError
from blunet.images.ome_planes import SetPlace
from blunet.images.pixel_size import PixelSize
from blunet.images.tiff_metadata import read_metadata
from blunet.images.tiff_pages import FEWEST_ROWS, MOST_CHANNELS, MOST_COLUMNS, open_pages


class ManyAxesError(InputError):
    """A file has more axes than frames of one grey or colour image each."""


class Layout(NamedTuple):
    """What a file's header says about its frames.

    Their number, shape (Y, X) and type; the letter of the axis of a stack, "T" or "Z", empty without one; size of a
    pixel, seconds between frames, and distance of slices in the unit of the pixel size; place in a set of files.
    """

    frames: int
    shape: tuple[int, int]
    axis: str
    dtype: np.dtype[Any]
    pixel_size: PixelSize | None = None
    interval: float | None = None
    spacing: float | None = None
    place: SetPlace | None = None


def read_tiff_layout(path: Path) -> Layout:
    """Read the layout of a TIFF from its tags.

    Raises
    ------
    InputError
        As `open_pages`, and if a frame is no grey or colour image.
    """
    with open_pages(path) as (tif, (series, axis, place)):
        _check_axes(series, path)
        stack, _, sizes = _arrangement(series)
        pixel_size, interval, spacing = read_metadata(tif)
        return Layout(
            frames=stack[0] if stack else 1,
            shape=(sizes["Y"], sizes["X"]),
            axis=axis,
            dtype=series.dtype.newbyteorder("="),
            pixel_size=pixel_size,
            interval=None if axis == "Z" else interval,
            spacing=spacing if axis == "Z" and pixel_size is not None else None,
            place=place,
        )


def read_tiff_frames(path: Path, indices: Iterable[int]) -> Iterator[NDArray[Any]]:
    """Yield frames of a TIFF, (Y, X) or (Y, X, S) with S samples, one in memory at a time.

    Raises
    ------
    InputError
        If the data of a frame are missing or cut off.
    """
    with open_pages(path) as (_, (series, *_)):
        _check_axes(series, path)
        stack, letters, sizes = _arrangement(series)
        shape = tuple(sizes[letter] for letter in letters)
        read = make_reader(series, stack[0] if stack else 1, shape, path)
        for index in indices:
            frame = read(index)
            yield np.moveaxis(frame, 0, -1) if letters[0] == "S" else frame


def make_reader(
    series: tifffile.TiffPageSeries, count: int, shape: tuple[int, ...], path: Path
) -> Callable[[int], NDArray[Any]]:
    """Return a function that reads one of the `count` frames of a series, in this machine's byte order."""
    # Frames that share a page are mapped from the file if they are stored in one piece, else decoded to disk.
    whole = None if len(series.pages) == count else series.asarray(out="memmap").reshape(-1, *shape)

    def read(index: int) -> NDArray[Any]:
        frame = _page(series, index, path).reshape(shape) if whole is None else np.array(whole[index])
        return brightness(np.asarray(frame, frame.dtype.newbyteorder("=")), series.keyframe)

    return read


def _arrangement(series: tifffile.TiffPageSeries) -> tuple[list[int], str, dict[str, int]]:
    """Return the lengths above 1 of the axes over frames, the axes of a frame, and the lengths of all axes."""
    axes = list(zip(series.axes, series.shape, strict=True))  # several may have one letter
    frame = "".join(letter for letter in series.axes if letter in "YXS")
    return [length for letter, length in axes if letter not in frame and length != 1], frame, dict(axes)


def brightness(values: NDArray[Any], page: tifffile.TiffPage) -> NDArray[Any]:
    """Return values that grow from black to white, also of a page whose 0 is white.

    ImageJ marks pages as such when their look-up table is inverted, which changes what is shown and not the values.
    """
    if page.photometric != PHOTOMETRIC.MINISWHITE or page.parent.is_imagej or values.dtype.kind not in "bu":
        return values
    if values.dtype.kind == "b":
        return ~values
    inverted: NDArray[Any] = values.dtype.type(2**page.bitspersample - 1) - values
    return inverted


def _page(series: tifffile.TiffPageSeries, index: int, path: Path) -> NDArray[Any]:
    """Decode one page; raise InputError if the file does not hold it, or ends within it."""
    page = series.pages[index]
    if page is None:
        raise InputError(f"'{path}' lacks the data of its frame {index + 1}; export it again.")
    ends = (start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False))
    if max(ends, default=0) > page.parent.filehandle.size:
        raise InputError(f"'{path}' is cut off within its frame {index + 1}; copy or export it again.")
    if page.dtype != series.dtype:
        raise InputError(f"'{path}' is damaged: its frame {index + 1} is of another type; export it again.")
    pixels: NDArray[Any] = page.asarray()
    return pixels


def _check_axes(series: tifffile.TiffPageSeries, path: Path) -> None:
    """Raise InputError unless the frames are grey or colour images, one after the other."""
    stack, letters, sizes = _arrangement(series)
    if len(stack) > 1 or "YX" not in letters or 1 < sizes.get("C", 1) <= MOST_CHANNELS:
        raise ManyAxesError(
            f"'{path}' has the shape {series.shape} with the axes {series.axes}; "
            "export one channel of it as an image (Y, X) or a stack (T, Y, X)."
        )
    if stack and sizes["X"] <= MOST_COLUMNS and min(stack[0], sizes["Y"]) >= FEWEST_ROWS:
        raise InputError(
            f"'{path}' holds {stack[0]} frames of {sizes['Y']} x {sizes['X']} pixels (Y x X), which seem to be the "
            f"rows of an image with {sizes['X']} channels; export one channel of it as an image (Y, X)."
        )
    check_samples(series, path)


def check_samples(series: tifffile.TiffPageSeries, path: Path) -> None:
    """Raise InputError unless a pixel is grey or a colour, with or without alpha."""
    page = series.keyframe
    samples = dict(zip(series.axes, series.shape, strict=True)).get("S", 1)
    colours = 3 if page.photometric in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR) else 1
    alphas = sum(extra in (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA) for extra in page.extrasamples)
    if samples not in (colours, colours + max(alphas, colours == 3)):
        raise InputError(
            f"'{path}' holds {samples} channels (shape {series.shape}, axes {series.axes}); export one of them."
        )
