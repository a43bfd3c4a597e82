"""What a TIFF's metadata say about the size of its pixels, and the steps between its frames or slices."""

from __future__ import annotations

import math
from typing import Any, NamedTuple
from xml.etree import ElementTree

import tifffile

from blunet.images.pixel_size import SECONDS, PixelSize, make_pixel_size, read_number, unescape

#: Larger pixels (micrometres) of a plain TIFF are not a microscope's but a printer's or a screen's.
COARSEST = 50.0
#: Units of the tag ResolutionUnit.
RESOLUTION_UNITS = {2: "inch", 3: "cm"}
#: The largest fraction that a tag holds: a program has divided by a size of 0.
INFINITE = (2**32 - 1, 1)


class Calibration(NamedTuple):
    """Size of a pixel, seconds from frame to frame, and distance of slices in the unit of the pixel size, if said."""

    pixel_size: PixelSize | None = None
    interval: float | None = None
    spacing: float | None = None


def read_metadata(tif: tifffile.TiffFile) -> Calibration:
    """Return what a file says about pixels, frames and slices.

    Nothing is said by metadata that are damaged or make no sense either: the image may still be sound.
    """
    try:
        if tif.is_ome and tif.ome_metadata:
            return _of_ome(tif.ome_metadata)
        if tif.is_imagej:
            return _of_imagej(tif.imagej_metadata or {}, tif.pages.first.tags)
        return Calibration(_of_tags(tif.pages.first.tags))
    except Exception:  # whatever stands in the metadata, and however it is stored
        return Calibration()


def _of_ome(xml: str) -> Calibration:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    if pixels is None:
        return Calibration()
    interval = _seconds(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
    z, y, x = (pixels.get(f"PhysicalSize{axis}") for axis in "ZYX")
    unit_z, unit_y, unit_x = (pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "ZYX")
    return Calibration(make_pixel_size(y, x, unit_y, unit_x), interval, _spacing(z, x, unit_z, unit_x))


def _of_imagej(metadata: dict[str, Any], tags: tifffile.TiffTags) -> Calibration:
    unit = str(metadata.get("unit", ""))
    unit_y, unit_z = (str(metadata.get(name, unit)) for name in ("yunit", "zunit"))
    y, x = _per_pixel(tags)
    spacing = _spacing(metadata.get("spacing"), x, unit_z, unit)
    return Calibration(make_pixel_size(y, x, unit_y, unit), _imagej_interval(metadata), spacing)


def _spacing(z: object, x: object, unit_z: str, unit_x: str) -> float | None:
    """Return the distance of slices in the unit of X; one that is negative says that the stage went down."""
    distance = read_number(z)
    size = make_pixel_size(None if distance is None else abs(distance), x, unit_z, unit_x)
    return None if size is None else size.y


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
    seconds = math.nan if number is None else number * SECONDS.get(unescape(unit).strip().lower(), math.nan)
    return seconds if 0 < seconds < math.inf else None


def _inverse(resolution: tuple[int, int] | float | None) -> float | None:
    """Return the size of a pixel from a tag's (pixels, units) or pixels per unit; None if there is none."""
    pixels, units = resolution if isinstance(resolution, tuple) else (resolution, 1)
    if (pixels, units) == INFINITE:
        return None
    return units / pixels if pixels and units else None
