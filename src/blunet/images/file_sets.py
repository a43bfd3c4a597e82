"""Files that belong together: those of one OME data set, and the numbered parts of one acquisition."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.images.frame_source import FrameSource
from blunet.images.image_files import sort_naturally, stem_of

#: A number of a time in a name, such as that in "x_t000.tif" and "e_T001_C0.ome.tif".
TIME = re.compile(r"(?<![a-z])(?:t|tp|time|timepoint|frame)[-_]?(\d+)(?![a-z\d])", re.IGNORECASE)
#: A number of a channel in a name, such as that in "x_t000_ch1.tif" and "e_T001_C0.ome.tif".
CHANNEL = re.compile(r"(?<![a-z])(?:c|ch|chan|channel|w)[-_]?(\d+)(?![a-z\d])", re.IGNORECASE)
#: The number by which Micro-Manager and NDTiff continue a file that became too large: "a_MMStack_Pos0_1.ome.tif".
CONTINUED = re.compile(r"(.*(?:MMStack|NDTiffStack).*?)_([1-9]\d*)")


def find_sets(files: Sequence[FrameSource]) -> list[list[FrameSource]]:
    """Find the files that are parts of one image or time-lapse.

    Parameters
    ----------
    files : sequence of FrameSource
        One file each.

    Returns
    -------
    list of list of FrameSource
        All files, in the order of the first of each set, and within a set in time. Sets are told by OME's metadata, or
        for files of several frames by their names. The parts of a set have one shape and type; Z stacks and files that
        belong to no set are alone.
    """
    stems = {stem_of(file.paths[0]) for file in files}
    sets: dict[object, list[FrameSource]] = {}
    for number, file in enumerate(files):
        key = None if file.axes == "ZYX" else _key_by_metadata(file) or _key_by_name(file, stems)
        sets.setdefault(number if key is None else (key, file.shape, file.dtype), []).append(file)
    return [part for group in sets.values() for part in _in_time(group)]


def split_channels(files: Sequence[FrameSource]) -> list[list[FrameSource]]:
    """Separate single images whose names number both times and channels, such as "x_t0_ch1.tif", by their channel.

    All are one group if no two names are equal but for the channel.
    """
    channels: dict[str, list[FrameSource]] = {}
    names: list[str] = []
    for file in files:
        stem = stem_of(file.paths[0])
        found = list(CHANNEL.finditer(stem))
        begin, end = found[-1].span(1) if found else (len(stem), len(stem))
        channels.setdefault(stem[begin:end], []).append(file)
        names.append(stem[:begin] + stem[end:])
    numbered = "" not in channels and all(TIME.search(name) for name in names)
    return list(channels.values()) if numbered and len(set(names)) < len(names) else [list(files)]


def join_stacks(parts: Sequence[FrameSource], name: str) -> FrameSource:
    """Join the files of a set to one time-lapse, in their order; the first gives pixel size and interval.

    Parameters
    ----------
    parts : sequence of FrameSource
        As `find_sets` groups them.
    name : str
        For messages.
    """
    first = parts[0]
    places = [(part, index) for part in parts for index in range(part.count)]

    def read(indices: Sequence[int]) -> Iterator[NDArray[Any]]:
        at = 0
        while at < len(indices):  # the frames of one file are read while it is open
            part, index = places[indices[at]]
            chosen = [index]
            while at + len(chosen) < len(indices) and places[indices[at + len(chosen)]][0] is part:
                chosen.append(places[indices[at + len(chosen)]][1])
            yield from part.each(chosen)
            at += len(chosen)

    return FrameSource(
        name=name,
        axes="TYX",
        count=len(places),
        shape=first.shape,
        dtype=first.dtype,
        reader=read,
        pixel_size=first.pixel_size,
        interval=first.interval,
        paths=tuple(part.paths[0] for part, _ in places),
    )


def spans_of(paths: Sequence[Path], count: int) -> list[tuple[Path, slice]]:
    """Return each file and the frames that lie in it.

    Parameters
    ----------
    paths : sequence of Path
        One file with all `count` frames, or the file of each frame.
    """
    if len(paths) == 1:
        return [(paths[0], slice(0, count))]
    borders = [0, *(t for t in range(1, len(paths)) if paths[t] != paths[t - 1]), len(paths)]
    return [(paths[start], slice(start, stop)) for start, stop in pairwise(borders)]


def _key_by_metadata(file: FrameSource) -> object:
    place = file.place
    return None if place is None else (place.files, place.images, place.channels, place.slices)


def _key_by_name(file: FrameSource, stems: set[str]) -> object:
    """Return what the names of a set's files of several frames have in common; None for files of no set."""
    path = file.paths[0]
    stem = stem_of(path)
    if (part := CONTINUED.fullmatch(stem)) and part[1] in stems:
        return path.parent, part[1]
    if file.stack and any((part := CONTINUED.fullmatch(other)) and part[1] == stem for other in stems):
        return path.parent, stem
    times = list(TIME.finditer(stem)) if file.stack else []
    if not times:
        return None
    begin, end = times[-1].span(1)
    return path.parent, stem[:begin], stem[end:]


def _in_time(group: list[FrameSource]) -> list[list[FrameSource]]:
    """Return a group's files in the order of time, each alone if two hold the same time."""
    if len(group) < 2:
        return [group]
    firsts = [file.place.first for file in group if file.place is not None]
    if len(firsts) < len(group):
        order = sort_naturally([file.paths[0] for file in group])
        ordered = sorted(group, key=lambda file: order.index(file.paths[0]))
        continued = [file for file in ordered if CONTINUED.fullmatch(stem_of(file.paths[0]))]
        return [[*(file for file in ordered if file not in continued), *continued]]
    if len(set(firsts)) < len(firsts):
        return [[file] for file in group]
    return [[group[int(i)] for i in np.argsort(firsts)]]
