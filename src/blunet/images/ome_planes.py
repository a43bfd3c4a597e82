"""Which planes of an OME data set lie in one file of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree


class SetPlace(NamedTuple):
    """Where the planes of a file are in a set of files.

    Attributes
    ----------
    files : frozenset of str
        UUIDs or names of all files of the set.
    images, channels, slices : frozenset of int
        Numbers of those that have planes in this file.
    first : int
        Number of the first time in this file.
    """

    files: frozenset[str]
    images: frozenset[int]
    channels: frozenset[int]
    slices: frozenset[int]
    first: int


class OwnPlanes(NamedTuple):
    """What a file of a set holds: the number of images, and the lengths of their axes within this file; 0: unknown."""

    images: int = 0
    channels: int = 0
    slices: int = 0
    times: int = 0
    place: SetPlace | None = None


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
    files: set[str] = set()
    for number, pixels in enumerate(root.iterfind(".//{*}Image/{*}Pixels")):
        for block in pixels.iterfind("{*}TiffData"):
            files |= _names_of(block)
            if _is_here(block, root.get("UUID"), path):
                found |= {(number, *plane) for plane in _list_planes(pixels, block)}
            else:
                foreign = True
    if not foreign:
        return None
    images, channels, slices, times = (frozenset(plane[axis] for plane in found) for axis in range(4))
    place = SetPlace(frozenset(files), images, channels, slices, min(times)) if times else None
    return OwnPlanes(len(images), len(channels), len(slices), len(times), place)


def count_recorded_planes(records: Iterable[Mapping[str, Any]]) -> OwnPlanes | None:
    """Return which planes lie in a file by what Micro-Manager has stored with each; None if it has stored no numbers.

    The files that continue an acquisition have no other metadata.
    """
    names = ("PositionIndex", "ChannelIndex", "SliceIndex", "FrameIndex")
    found = [[record.get(name, 0) for name in names] for record in records if "ChannelIndex" in record]
    if not found:
        return None
    images, channels, slices, times = (len({str(plane[axis]) for plane in found}) for axis in range(4))
    return OwnPlanes(images, channels, slices, times)


def _names_of(block: ElementTree.Element) -> set[str]:
    """Return the UUID, or else the name, of the file with a block of planes; empty where the metadata name none."""
    uuid = block.find("{*}UUID")
    name = None if uuid is None else (uuid.text or "").strip() or uuid.get("FileName")
    return {name} if name else set()


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
