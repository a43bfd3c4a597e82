"""TIFF files: their axes, pixel size and frames."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import EXTRASAMPLE, PHOTOMETRIC

from blunet.errors import InputError

#: Micrometres in the units that a resolution tag, ImageJ or OME may name.
MICROMETRES = {"µm": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "inch": 25_400.0}
#: Other spellings of these units, in lower case.
SPELLINGS = {
    "um": "µm",
    "\u03bcm": "µm",  # the Greek letter mu instead of the micro sign
    "micron": "µm",
    "microns": "µm",
    "micrometer": "µm",
    "micrometre": "µm",
    "in": "inch",
}
#: A plain TIFF's coarser pixels (micrometres) are a printer's 72 or 300 dots an inch, not a microscope's.
COARSEST = 50.0
#: More "channels" than this are frames saved for ImageJ without naming their axis.
MOST_CHANNELS = 8
CENTIMETRE = 3


class Layout(NamedTuple):
    """What a file's header says of its frames; `pixel_size` is (Y, X) in `unit`."""

    frames: int
    shape: tuple[int, int]
    stack: bool
    dtype: np.dtype[Any]
    pixel_size: tuple[float, float] | None = None
    unit: str | None = None


def tiff_layout(path: Path) -> Layout:
    """Read the layout of a TIFF from its tags.

    Raises
    ------
    InputError
        If it is cut off, or holds more than frames of one grey or colour image each.
    """
    with tifffile.TiffFile(path) as tif:
        _check_chain(tif, path)
        series = _only_series(tif, path)
        stack, _, sizes = _arrangement(series)
        pixel_size, unit = _pixel_size(tif)
        return Layout(
            frames=stack[0] if stack else 1,
            shape=(sizes["Y"], sizes["X"]),
            stack=bool(stack),
            dtype=series.dtype.newbyteorder("="),
            pixel_size=pixel_size,
            unit=unit,
        )


def tiff_frames(path: Path, indices: Iterable[int]) -> Iterator[NDArray[Any]]:
    """Yield frames of a TIFF, (Y, X) or (Y, X, S) with S samples, holding one at a time.

    Raises
    ------
    InputError
        If a frame's data are missing or cut off.
    """
    with tifffile.TiffFile(path) as tif:
        series = _only_series(tif, path)
        stack, letters, sizes = _arrangement(series)
        shape = tuple(sizes[letter] for letter in letters)
        by_page = len(series.pages) == (stack[0] if stack else 1)
        # Frames that share a page are mapped from disk where they lie in one piece, else decoded to disk.
        whole = None if by_page else tif.asarray(series=0, out="memmap").reshape(-1, *shape)
        for index in indices:
            frame = _page(series, index, path).reshape(shape) if whole is None else whole[index]
            if letters[0] == "S":
                frame = np.moveaxis(frame, 0, -1)
            native = frame.dtype.newbyteorder("=")
            frame = np.asarray(frame, native) if whole is None else np.array(frame, native)
            yield frame


def _arrangement(series: tifffile.TiffPageSeries) -> tuple[list[int], str, dict[str, int]]:
    """Return the lengths of the axes over frames (those past 1), a frame's axes, and all axes' lengths."""
    sizes = dict(zip(series.axes, series.shape, strict=True))
    frame = "".join(letter for letter in series.axes if letter in "YXS")
    return (
        [sizes[letter] for letter in series.axes if letter not in frame and sizes[letter] != 1],
        frame,
        sizes,
    )


def _page(series: tifffile.TiffPageSeries, index: int, path: Path) -> NDArray[Any]:
    """Decode one page; raise InputError if the file lacks it or ends within it."""
    page = series.pages[index]
    if page is None:
        raise InputError(f"'{path}' lacks the data of its frame {index + 1}; export it again.")
    ends = (start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False))
    if max(ends, default=0) > page.parent.filehandle.size:
        raise InputError(f"'{path}' is cut off within its frame {index + 1}; copy or export it again.")
    if page.dtype != series.dtype:
        raise InputError(f"'{path}' is damaged: its frame {index + 1} is of another type; export it again.")
    pixels: NDArray[Any] = page.asarray()
    if series.keyframe.photometric == PHOTOMETRIC.MINISWHITE and pixels.dtype.kind == "u":
        pixels = np.iinfo(pixels.dtype).max - pixels
    return pixels


def _check_chain(tif: tifffile.TiffFile, path: Path) -> None:
    """Raise InputError if the chain of pages leads out of the file, as in a file that was cut off.

    What is left of such a stack would look like a shorter one.
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


def _only_series(tif: tifffile.TiffFile, path: Path) -> tifffile.TiffPageSeries:
    """Return the file's first series of frames; others of another size are thumbnails or overviews."""
    series = tif.series[0]
    alike = sum(other.shape == series.shape for other in tif.series)
    if alike > 1:
        raise InputError(f"'{path}' holds {alike} image series; export each into a file of its own.")
    stack, letters, sizes = _arrangement(series)
    if not {"Y", "X"} <= sizes.keys():
        raise InputError(f"'{path}' is damaged: it holds no pixels; copy or export it again.")
    if len(stack) > 1 or "YX" not in letters or 1 < sizes.get("C", 1) <= MOST_CHANNELS:
        raise InputError(
            f"'{path}' has the shape {series.shape} with the axes {series.axes}; "
            "export one channel of it as an image (Y, X) or a stack (T, Y, X)."
        )
    _check_samples(series, path)
    return series


def _check_samples(series: tifffile.TiffPageSeries, path: Path) -> None:
    """Raise InputError unless the samples of a pixel are grey or a colour, with or without alpha."""
    page = series.keyframe
    samples = dict(zip(series.axes, series.shape, strict=True)).get("S", 1)
    colours = 3 if page.photometric in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR) else 1
    alphas = sum(extra in (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA) for extra in page.extrasamples)
    if samples not in (colours, colours + max(alphas, colours == 3)):
        raise InputError(
            f"'{path}' holds {samples} channels (shape {series.shape}, axes {series.axes}); export one of them."
        )


def _pixel_size(tif: tifffile.TiffFile) -> tuple[tuple[float, float] | None, str | None]:
    """Return the (Y, X) size of a pixel and its unit from OME, ImageJ or the resolution tags."""
    if tif.is_ome and tif.ome_metadata:
        return _ome_pixel_size(tif.ome_metadata)
    tags = tif.pages.first.tags
    per_pixel = [_inverse(tags.valueof(name)) for name in ("YResolution", "XResolution")]
    if None in per_pixel:
        return None, None
    y, x = (float(value) for value in per_pixel if value is not None)
    if tif.is_imagej:
        named = (tif.imagej_metadata or {}).get("unit")
        unit = _unit(named) if isinstance(named, str) else None
        return ((y, x), unit) if unit not in (None, "", "pixel", "pixels") else (None, None)
    unit = {2: "inch", CENTIMETRE: "cm"}.get(int(tags.valueof("ResolutionUnit", default=2)))
    if unit is None or max(y, x) * MICROMETRES[unit] > COARSEST:
        return None, None
    return (y * MICROMETRES[unit], x * MICROMETRES[unit]), "µm"


def _ome_pixel_size(xml: str) -> tuple[tuple[float, float] | None, str | None]:
    """Return what the metadata say; nothing where they are damaged or in no unit of length, the image is sound."""
    try:
        pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    except ElementTree.ParseError:
        return None, None
    if pixels is None:
        return None, None
    y, x = (pixels.get(f"PhysicalSize{axis}") for axis in "YX")
    unit_y, unit_x = (_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "YX")
    if y is None or x is None or (unit_y != unit_x and not {unit_y, unit_x} <= set(MICROMETRES)):
        return None, None
    per_x = 1.0 if unit_y == unit_x else MICROMETRES[unit_y] / MICROMETRES[unit_x]
    return (float(y) * per_x, float(x)), unit_x


def _unit(name: str) -> str:
    if "\\u" in name:  # as ImageJ escapes what is not ASCII
        name = name.encode().decode("unicode_escape", errors="replace")
    name = name.strip()
    return SPELLINGS.get(name.lower(), name)


def _inverse(resolution: tuple[int, int] | None) -> float | None:
    """Return the size of a pixel from a tag's (pixels, units), None if either is zero."""
    return resolution[1] / resolution[0] if resolution and all(resolution) else None
