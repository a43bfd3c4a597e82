"""What a TIFF's metadata say about the size of its pixels and the time between its frames."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

import tifffile

from blunet.images.pixel_size import MICROMETRES, PixelSize, spell_unit

#: Larger pixels (micrometres) of a plain TIFF are not a microscope's but a printer's 72 or 300 dots per inch.
COARSEST = 50.0
#: Units of the tag ResolutionUnit.
RESOLUTION_UNITS = {2: "inch", 3: "cm"}
#: Seconds in the units of time that ImageJ or OME may name, in lower case.
SECONDS = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "millisecond": 1e-3,
    "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hour": 3600.0, "hours": 3600.0,
}  # fmt: skip


def read_metadata(tif: tifffile.TiffFile) -> tuple[PixelSize | None, float | None]:
    """Return the size of a pixel, and the seconds from frame to frame; None where the file does not say."""
    if tif.is_ome and tif.ome_metadata:
        return _of_ome(tif.ome_metadata)
    imagej = (tif.imagej_metadata or {}) if tif.is_imagej else None
    interval = None if imagej is None else _imagej_interval(imagej)
    tags = tif.pages.first.tags
    per_pixel = [_inverse(tags.valueof(name)) for name in ("YResolution", "XResolution")]
    if None in per_pixel:
        return None, interval
    y, x = (float(value) for value in per_pixel if value is not None)
    if imagej is not None:
        named = imagej.get("unit")
        unit = spell_unit(named) if isinstance(named, str) else None
        return None if unit is None else PixelSize(y, x, unit), interval
    unit = RESOLUTION_UNITS.get(int(tags.valueof("ResolutionUnit", default=2)))
    if unit is None or max(y, x) * MICROMETRES[unit] > COARSEST:
        return None, None
    return PixelSize(y * MICROMETRES[unit], x * MICROMETRES[unit], "µm"), None


def _of_ome(xml: str) -> tuple[PixelSize | None, float | None]:
    """Return what OME's metadata say; None if they are damaged, as the image may still be sound."""
    try:
        pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    except ElementTree.ParseError:
        return None, None
    if pixels is None:
        return None, None
    interval = _seconds(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
    y, x = (pixels.get(f"PhysicalSize{axis}") for axis in "YX")
    unit_y, unit_x = (spell_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "YX")
    if y is None or x is None or unit_y is None or unit_x is None:
        return None, interval
    if unit_y == unit_x:
        return PixelSize(float(y), float(x), unit_x), interval
    if not {unit_y, unit_x} <= set(MICROMETRES):
        return None, interval
    return PixelSize(float(y) * MICROMETRES[unit_y] / MICROMETRES[unit_x], float(x), unit_x), interval


def _imagej_interval(metadata: dict[str, Any]) -> float | None:
    if "finterval" in metadata:
        return _seconds(metadata["finterval"], str(metadata.get("tunit", "s")))
    try:
        return _seconds(1 / float(str(metadata.get("fps"))), "s")
    except (ValueError, ZeroDivisionError):
        return None


def _seconds(value: object, unit: str) -> float | None:
    try:
        seconds = float(str(value)) * SECONDS.get(unit.strip().lower(), math.nan)
    except ValueError:
        return None
    return seconds if 0 < seconds < math.inf else None


def _inverse(resolution: tuple[int, int] | None) -> float | None:
    """Return the size of a pixel from a tag's (pixels, units), None if either is zero."""
    return resolution[1] / resolution[0] if resolution and all(resolution) else None
