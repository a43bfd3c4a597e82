"""The time between the frames of a TIFF."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import tifffile

from blunet.images.read import TIFF, reading

#: Seconds in the units that ImageJ or OME may name, in lower case.
SECONDS = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "millisecond": 1e-3,
    "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hour": 3600.0, "hours": 3600.0,
}  # fmt: skip


def frame_interval(path: str | Path) -> float | None:
    """Return the seconds from frame to frame that an ImageJ or OME file tells of; None where it does not.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    path = Path(path)
    with reading(path):
        with path.open("rb") as file:
            if file.read(4) not in TIFF:
                return None
        with tifffile.TiffFile(path) as tif:
            if tif.is_ome and tif.ome_metadata:
                value, unit = _of_ome(tif.ome_metadata)
            else:
                value, unit = _of_imagej(tif.imagej_metadata or {})
    try:
        seconds = float(str(value)) * SECONDS.get(unit.strip().lower(), math.nan)
    except ValueError:
        return None
    return seconds if 0 < seconds < math.inf else None


def _of_imagej(metadata: dict[str, object]) -> tuple[object, str]:
    if "finterval" in metadata:
        return metadata["finterval"], str(metadata.get("tunit", "s"))
    try:
        return 1 / float(str(metadata.get("fps"))), "s"
    except (ValueError, ZeroDivisionError):
        return None, "s"


def _of_ome(xml: str) -> tuple[object, str]:
    try:
        pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    except ElementTree.ParseError:
        return None, "s"
    return (None, "s") if pixels is None else (pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
