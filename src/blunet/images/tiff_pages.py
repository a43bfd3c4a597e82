"""Which pages of a TIFF are the frames of its image."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import TiffFile, TiffPageSeries

from blunet.errors import InputError
from blunet.images.ome_planes import OwnPlanes, SetPlace, count_recorded_planes, find_own_planes

#: More "channels" than this are frames that were saved for ImageJ without an axis.
MOST_CHANNELS = 8
#: Frames with at most this many columns, of which there are at least `FEWEST_ROWS`, are the rows of an image whose
#: channels are its last axis.
MOST_COLUMNS, FEWEST_ROWS = 4, 16
#: Least correlation of an image and a smaller copy of it, and the largest image (pixels) that is read to compare them.
MIN_LIKENESS, LARGEST_COMPARED = 0.5, 2**26
#: Bits of the tag NewSubfileType: a copy of reduced resolution, a transparency mask.
REDUCED, MASK = 1, 4
#: Pages of a Micro-Manager file of which the record is read: enough to see whether channels or slices take turns.
MOST_RECORDS = 64
#: Metadata that are left aside: of files of a set, so that no other file is opened in place of this one.
NO_SETS: dict[str, Any] = {"is_mmstack": False, "is_ndtiff": False}
NO_DESCRIPTION: dict[str, Any] = {**NO_SETS, "is_ome": False, "is_imagej": False, "is_shaped": False}


class Pages(NamedTuple):
    """The frames of a TIFF.

    Attributes
    ----------
    series : TiffPageSeries
        All frames, and nothing else.
    axis : {"Z", "T", ""}
        What a stack runs through: slices, or time and everything else. Empty: no stack.
    place : SetPlace or None
        Of a file of a set.
    """

    series: TiffPageSeries
    axis: str
    place: SetPlace | None = None


@contextmanager
def open_pages(path: Path) -> Iterator[tuple[TiffFile, Pages]]:
    """Open a TIFF, and find its frames.

    A file of a set, such as one position or channel of a Micro-Manager acquisition, gives its own planes. Copies of
    reduced resolution are left out.

    Raises
    ------
    InputError
        If the file is cut off, or holds several images or more axes than frames of one grey or colour image each.
    """
    with ExitStack() as stack:
        tif = stack.enter_context(TiffFile(path, **NO_SETS))
        _check_chain(tif, path)
        own = find_own_planes(tif.ome_metadata or "", path) if tif.is_ome else None
        if tif.is_micromanager and (own.place is None if own is not None else not tif.is_imagej and not tif.is_ome):
            own = count_recorded_planes(_micromanager_records(tif)) or own
        if own is None:
            series, left_out = _main_series(tif, path)
            held = len(tif.pages) - left_out
            told, axes = _read_told(series)
            if not _is_complete(series, held):
                _check_told(tif, told, axes, held, path)
                series, _ = _main_series(stack.enter_context(TiffFile(path, **NO_DESCRIPTION)), path)
        else:
            _check_own(own, path)
            axes = ["Z"] if own.slices > 1 else ["T"]
            series, _ = _main_series(stack.enter_context(TiffFile(path, **NO_DESCRIPTION)), path)
        axis = "" if count_frames(series) == 1 else "Z" if axes == ["Z"] else "T"
        yield tif, Pages(series, axis, None if own is None else own.place)


def count_frames(series: TiffPageSeries) -> int:
    """Return the number of grey or colour images (Y, X) in a series."""
    return prod(length for letter, length in _sizes(series).items() if letter not in "YXS")


def _sizes(series: TiffPageSeries) -> dict[str, int]:
    """Return the lengths of the axes; axes of one letter, such as several that have no name (Q), are one."""
    sizes: dict[str, int] = {}
    for letter, length in zip(series.axes, series.shape, strict=True):
        sizes[letter] = sizes.get(letter, 1) * length
    return sizes


def _main_series(tif: TiffFile, path: Path) -> tuple[TiffPageSeries, int]:
    """Return the only series that is no copy of reduced resolution, and the number of pages of such copies."""
    full = [each for each in tif.series if not each.keyframe.subfiletype & (REDUCED | MASK)] or list(tif.series)
    largest = max(full, key=lambda each: _area(each), default=None)
    if largest is None or not {"Y", "X"} <= _sizes(largest).keys():
        raise InputError(f"'{path}' is damaged: it holds no pixels; copy or export it again.")
    found = [each for each in full if not _is_preview(each, largest)]
    if len(found) > 1:
        shapes = ", ".join(dict.fromkeys(str(each.shape) for each in found))
        raise InputError(f"'{path}' holds {len(found)} image series ({shapes}); export each into a file of its own.")
    others = sum(len(each.pages) for each in tif.series if each is not found[0])
    return found[0], others


def _area(series: TiffPageSeries) -> int:
    return prod(length for letter, length in _sizes(series).items() if letter in "YX")


def _is_preview(series: TiffPageSeries, main: TiffPageSeries) -> bool:
    """Return whether a series is a smaller copy of the main one, although it is not marked as such."""
    small, large = _sizes(series), _sizes(main)
    if not {"Y", "X"} <= small.keys() or count_frames(series) not in (1, count_frames(main)):
        return False
    y, x = (large[letter] / small[letter] for letter in "YX")
    if min(y, x) < 2 or abs(y - x) > max(y, x) * (1 / small["Y"] + 1 / small["X"]):
        return False
    return _area(main) > LARGEST_COMPARED or _look_alike(_first_frame(series), _first_frame(main))


def _first_frame(series: TiffPageSeries) -> NDArray[Any]:
    """Return the first frame in grey, (Y, X)."""
    page: NDArray[Any] = series.keyframe.asarray()
    axis = series.keyframe.axes.find("S")
    page = page if axis < 0 else page.mean(axis=axis)
    first: NDArray[Any] = page.reshape(-1, *page.shape[-2:])[0].astype(np.float64)
    return first


def _look_alike(small: NDArray[Any], large: NDArray[Any]) -> bool:
    """Return whether an image is a copy of a larger one, of which every n-th pixel or the mean of blocks was taken."""
    rows, columns = (np.arange(n) * length // n for n, length in zip(small.shape, large.shape, strict=True))
    means = np.add.reduceat(np.add.reduceat(large, rows, axis=0), columns, axis=1)
    small = small - small.mean()
    for copy in (large[np.ix_(rows, columns)], means):
        copy = copy - copy.mean()
        if (small * copy).sum() > MIN_LIKENESS * np.sqrt((small**2).sum() * (copy**2).sum()):
            return True
    return False


def _is_complete(series: TiffPageSeries, held: int) -> bool:
    """Return whether a series has as many frames as the file holds: in its pages, or behind its only page."""
    page, told = series.keyframe, prod(series.shape)
    tif, each = page.parent, prod(page.shaped)
    if tif.is_imagej and series.kind != "imagej":
        return False  # the metadata could not be brought together with the file
    if any(page is None for page in series.pages):
        return False
    if held > 1 or told == each:
        return bool(told == held * each)
    end = page.dataoffsets[0] + told // each * page.nbytes
    return bool(page.is_final and end <= tif.filehandle.size)


def _read_told(series: TiffPageSeries) -> tuple[int, list[str]]:
    """Return how many frames the metadata tell of, and the axes that these run through."""
    tif, sizes = series.keyframe.parent, _sizes(series)
    if tif.is_imagej and series.kind != "imagej":
        counts = (("T", "frames"), ("Z", "slices"), ("C", "channels"))
        sizes = {letter: int((tif.imagej_metadata or {}).get(name, 1)) for letter, name in counts}
    lengths = {letter: length for letter, length in sizes.items() if letter not in "YXS" and length > 1}
    return prod(lengths.values()), list(lengths)


def _check_told(tif: TiffFile, told: int, axes: list[str], held: int, path: Path) -> None:
    """Raise InputError unless the pages can be taken as the frames, although the metadata tell of others."""
    if held == 1 and told > 1 and not tif.is_ome:
        raise InputError(f"'{path}' is cut off: it holds less than the {told} frames that it tells of; copy it again.")
    if len(axes) > 1 or axes == ["C"]:
        raise InputError(
            f"'{path}' holds {held} frames, and its metadata tell of {told}; export one channel of it as a stack."
        )


def _micromanager_records(tif: TiffFile) -> list[dict[str, Any]]:
    """Return what Micro-Manager has stored with each of the first pages."""
    count = min(len(tif.pages), MOST_RECORDS)
    found = [tif.pages[i].aspage().tags.valueof("MicroManagerMetadata") for i in range(count)]
    return [record for record in found if isinstance(record, dict)]


def _check_own(own: OwnPlanes, path: Path) -> None:
    """Raise InputError unless a file of a set holds one image or one stack."""
    if own.images > 1:
        raise InputError(f"'{path}' holds {own.images} image series of a set; export each into a file of its own.")
    if own.channels > 1 or (own.slices > 1 and own.times > 1):
        raise InputError(
            f"'{path}' holds {own.channels} channels, {own.slices} slices and {own.times} times of a set; export one "
            "channel of it as an image (Y, X) or a stack (T, Y, X)."
        )


def _check_chain(tif: tifffile.TiffFile, path: Path) -> None:
    """Raise InputError if the chain of pages leads out of the file, as in a file that was cut off.

    Without this check, such a file would be read as a shorter stack.
    """
    following = -1
    if len(tif.pages):
        form, file = tif.tiff, tif.filehandle
        last = tif.pages[len(tif.pages) - 1].offset
        file.seek(last)
        (tags,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
        file.seek(last + form.tagnosize + tags * form.tagsize)
        (following,) = struct.unpack(form.offsetformat, file.read(form.offsetsize))
    if following != 0:
        raise InputError(f"'{path}' is cut off after {len(tif.pages)} of its TIFF pages; copy or export it again.")
