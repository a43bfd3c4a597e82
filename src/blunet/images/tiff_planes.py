"""TIFF files of several channels, or of slices in time: one plane (Y, X) after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from blunet.images.image_reader import reading
from blunet.images.image_windows import ChunkedImage
from blunet.images.pixel_size import PixelSize
from blunet.images.tiff_metadata import read_metadata
from blunet.images.tiff_pages import open_pages
from blunet.images.tiff_reader import check_samples, make_reader
from blunet.images.tiff_windows import open_tiff_windows


@dataclass(frozen=True)
class TiffPlanes:
    """A TIFF with axes of time, channels and slices; see `PlaneImage`."""

    path: Path
    sizes: dict[str, int]
    dtype: np.dtype[Any]
    channels: tuple[str, ...]
    contrasts: tuple[str, ...]
    pixel_size: PixelSize | None
    interval: float | None
    spacing: float | None

    def size(self, axis: str) -> int:
        """Return the length of an axis, "t", "c", "z", "y" or "x"; 1 if there is none."""
        return self.sizes.get(axis.upper(), 1)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Callable[[int, int, int], NDArray[Any]]]:
        """Open the file; yields a function that reads the plane (Y, X) of a frame, a channel and a slice."""
        with reading(self.path), open_pages(self.path) as (_, (series, *_)):
            letters = _order(series)
            count = prod(self.sizes[letter] for letter in letters)
            read_frame = make_reader(series, count, (self.sizes["Y"], self.sizes["X"]), self.path)

            def read(t: int, channel: int, z: int) -> NDArray[Any]:
                return read_frame(self._index(letters, t, channel, z))

            yield read

    @contextlib.contextmanager
    def windows(self, t: int, channel: int, z: int) -> Iterator[ChunkedImage | None]:
        """Yield one plane, which is read in windows; None if it has to be read as a whole."""
        with reading(self.path), open_pages(self.path) as (_, (series, *_)):
            index = self._index(_order(series), t, channel, z)
        with open_tiff_windows(self.path, index) as windows:
            yield windows

    def _index(self, letters: str, t: int, channel: int, z: int) -> int:
        """Return the number of a plane in the file, whose axes but the last two have these letters."""
        place = {"T": t, "C": channel, "Z": z}
        lengths = [self.sizes[letter] for letter in letters]
        return int(np.ravel_multi_index([place[letter] for letter in letters], lengths)) if letters else 0


def open_tiff_planes(path: Path) -> TiffPlanes | None:
    """Open a TIFF whose frames run through time, channels and slices; None if it has other axes.

    Raises
    ------
    InputError
        If the file is damaged, or a pixel holds more than grey or a colour.
    """
    with reading(path), open_pages(path) as (tif, (series, *_)):
        sizes = {letter: int(length) for letter, length in zip(series.axes, series.shape, strict=True) if length != 1}
        if set(sizes) - set("TCZYX") or series.axes[-2:] != "YX":
            return None
        check_samples(series, path)
        pixel_size, interval, spacing = read_metadata(tif)
        channels, contrasts = _name_channels(tif)
        return TiffPlanes(
            path=path,
            sizes={**dict.fromkeys(series.axes, 1), **sizes},
            dtype=series.dtype.newbyteorder("="),
            channels=channels,
            contrasts=contrasts,
            pixel_size=pixel_size,
            interval=interval,
            spacing=spacing if pixel_size is not None else None,
        )


def _order(series: tifffile.TiffPageSeries) -> str:
    """Return the letters of the axes that the planes run through, in the file's order."""
    return "".join(letter for letter in series.axes if letter in "TCZ")


def _name_channels(tif: tifffile.TiffFile) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names and the contrast methods of the channels, as OME's metadata give them."""
    if not tif.ome_metadata:
        return (), ()
    try:
        pixels = ElementTree.fromstring(tif.ome_metadata).find(".//{*}Pixels")
    except ElementTree.ParseError:
        return (), ()
    found = [] if pixels is None else pixels.findall("{*}Channel")
    names, contrasts = (tuple(each.get(key) or "" for each in found) for key in ("Name", "ContrastMethod"))
    return names, contrasts
