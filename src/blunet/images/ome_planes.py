"""Which planes of an OME data set lie in one file of it."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree


class OwnPlanes(NamedTuple):
    """What a file of a set holds: the number of images, and the lengths of their axes within this file; 0: unknown."""

    images: int = 0
    channels: int = 0
    slices: int = 0
    times: int = 0


def find_own_planes(xml: str, path: Path) -> OwnPlanes | None:
    """Return which planes of a data set of several files lie in this file; None if there are no other files.

    Parameters
    ----------
    xml : str
        OME's metadata in the file.
    path : Path
        Of the file. Its planes are recognised by the file's UUID, or by its name where the metadata have no UUID.
    """
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return None
    if root.find("{*}BinaryOnly") is not None:
        return OwnPlanes()
    found, foreign = set(), False
    for number, pixels in enumerate(root.iterfind(".//{*}Image/{*}Pixels")):
        for block in pixels.iterfind("{*}TiffData"):
            if _is_here(block, root.get("UUID"), path):
                found |= {(number, *plane) for plane in _list_planes(pixels, block)}
            else:
                foreign = True
    if not foreign:
        return None
    images, channels, slices, times = (len({plane[axis] for plane in found}) for axis in range(4))
    return OwnPlanes(images, channels, slices, times)


def _is_here(block: ElementTree.Element, own: str | None, path: Path) -> bool:
    """Return whether a block of planes lies in this file."""
    uuid = block.find("{*}UUID")
    if uuid is None:
        return True
    text, name = (uuid.text or "").strip(), uuid.get("FileName")
    if own and text:
        return text == own.strip()
    return name is None or Path(name.replace("\\", "/")).name == path.name


def _list_planes(pixels: ElementTree.Element, block: ElementTree.Element) -> set[tuple[int, int, int]]:
    """Return (channel, slice, time) of the planes of a block."""
    order = [axis for axis in pixels.get("DimensionOrder", "XYCZT") if axis in "CZT"]
    sizes = {axis: int(pixels.get(f"Size{axis}", 1)) for axis in "CZT"}
    first = {axis: int(block.get(f"First{axis}", 0)) for axis in "CZT"}
    every = [
        dict(zip(order[::-1], place, strict=True)) for place in product(*(range(sizes[axis]) for axis in order[::-1]))
    ]
    begin = next((i for i, place in enumerate(every) if place == first), 0)
    count = int(block.get("PlaneCount", 1 if block.get("IFD") is not None else len(every)))
    return {(place["C"], place["Z"], place["T"]) for place in every[begin : begin + count]}
