"""What a TIFF's metadata say about the size of its pixels and the time between its frames."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

import tifffile

from blunet.images.pixel_size import PixelSize, make_pixel_size, read_number

#: Larger pixels (micrometres) of a plain TIFF are not a microscope's but a printer's or a screen's.
COARSEST = 50.0
#: Units of the tag ResolutionUnit.
RESOLUTION_UNITS = {2: "inch", 3: "cm"}
#: Seconds in the units of time that ImageJ or OME may name, in lower case.
SECONDS = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "millisecond": 1e-3,
    "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hour": 3600.0, "hours": 3600.0,
}  # fmt: skip


def read_metadata(tif: tifffile.TiffFile) -> tuple[PixelSize | None, float | None]:
    """Return the size of a pixel, and the seconds from frame to frame; None where the file does not say.

    Nothing is said by metadata that are damaged or make no sense either: the image may still be sound.
    """
    try:
        if tif.is_ome and tif.ome_metadata:
            return _of_ome(tif.ome_metadata)
        if tif.is_imagej:
            return _of_imagej(tif.imagej_metadata or {}, tif.pages.first.tags)
        return _of_tags(tif.pages.first.tags), None
    except Exception:  # whatever stands in the metadata, and however it is stored
        return None, None


def _of_ome(xml: str) -> tuple[PixelSize | None, float | None]:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    if pixels is None:
        return None, None
    interval = _seconds(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
    y, x = (pixels.get(f"PhysicalSize{axis}") for axis in "YX")
    unit_y, unit_x = (pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "YX")
    return make_pixel_size(y, x, unit_y, unit_x), interval


def _of_imagej(metadata: dict[str, Any], tags: tifffile.TiffTags) -> tuple[PixelSize | None, float | None]:
    unit = str(metadata.get("unit", ""))
    y, x = _per_pixel(tags)
    return make_pixel_size(y, x, str(metadata.get("yunit", unit)), unit), _imagej_interval(metadata)


def _of_tags(tags: tifffile.TiffTags) -> PixelSize | None:
    unit = RESOLUTION_UNITS.get(int(tags.valueof("ResolutionUnit", default=2)), "")
    size = make_pixel_size(*_per_pixel(tags), unit)
    if size is None or max(size.in_micrometres.y, size.in_micrometres.x) > COARSEST:
        return None
    return size.in_micrometres


def _per_pixel(tags: tifffile.TiffTags) -> tuple[float | None, float | None]:
    """Return height and width of a pixel in the unit of the resolution; None where the tags do not say."""
    y, x = (_inverse(tags.valueof(name)) for name in ("YResolution", "XResolution"))
    return y, x


def _imagej_interval(metadata: dict[str, Any]) -> float | None:
    if "finterval" in metadata:
        return _seconds(metadata["finterval"], str(metadata.get("tunit", "s")))
    frames = read_number(metadata.get("fps"))
    return _seconds(1 / frames, "s") if frames else None


def _seconds(value: object, unit: str) -> float | None:
    number = read_number(value)
    seconds = math.nan if number is None else number * SECONDS.get(unit.strip().lower(), math.nan)
    return seconds if 0 < seconds < math.inf else None


def _inverse(resolution: tuple[int, int] | float | None) -> float | None:
    """Return the size of a pixel from a tag's (pixels, units) or pixels per unit; None if there is none."""
    pixels, units = resolution if isinstance(resolution, tuple) else (resolution, 1)
    return units / pixels if pixels and units else None
