"""Zeiss' CZI files, by the library pylibCZIrw of Zeiss (LGPL)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.microscope_files import FilePosition
from blunet.images.pixel_size import make_pixel_size, read_number

TYPES = {"Gray8": np.uint8, "Gray16": np.uint16, "Gray32Float": np.float32, "Bgr24": np.uint8, "Bgr48": np.uint16}


def list_positions(path: Path) -> list[FilePosition]:
    """Return the scenes of a file; the whole of it, if it has none."""
    from pylibCZIrw import czi

    with czi.open_czi(str(path)) as file:
        box = {axis.lower(): end - start for axis, (start, end) in file.total_bounding_box.items()}
        kinds = set(file.pixel_types.values())
        if not kinds <= set(TYPES):
            raise InputError(f"'{path}' holds values of type {', '.join(sorted(kinds))}; export it as OME-TIFF.")
        dtype = np.result_type(*(TYPES[kind] for kind in kinds))
        root = ElementTree.fromstring(file.raw_metadata)
        channels = root.findall("./Metadata/Information/Image/Dimensions/Channels/Channel")
        steps = {each.get("Id"): read_number(each.findtext("Value")) for each in root.iterfind(".//Scaling//Distance")}
        size = make_pixel_size(steps.get("Y"), steps.get("X"), "m")
        micrometres = None if size is None else size.in_micrometres
        spacing = steps.get("Z")
        interval = read_number(root.findtext(".//Dimensions/T/Positions/Interval/Increment"))
        scenes = file.scenes_bounding_rectangle
        shapes = [(scenes[n].h, scenes[n].w) for n in sorted(scenes)] or [(box["y"], box["x"])]
    return [
        FilePosition(
            {axis: box.get(axis, 1) for axis in "tcz"} | {"y": height, "x": width},
            np.dtype(dtype),
            tuple(each.get("Name") or "" for each in channels),
            tuple(each.findtext("ContrastMethod") or "" for each in channels),
            micrometres,
            interval if interval and interval > 0 else None,
            spacing * 1e6 if micrometres is not None and spacing and box.get("z", 1) > 1 else None,
        )
        for height, width in shapes
    ]


@contextlib.contextmanager
def open_planes(path: Path, position: int) -> Iterator[Callable[[int, int, int], NDArray[Any]]]:
    """Yield a function that reads the samples of a frame, a channel and a slice."""
    from pylibCZIrw import czi

    with czi.open_czi(str(path)) as file:
        first = {axis: start for axis, (start, _) in file.total_bounding_box.items()}
        scenes = sorted(file.scenes_bounding_rectangle)

        def read(t: int, channel: int, z: int) -> NDArray[Any]:
            plane = {axis: first[axis] + place for axis, place in (("T", t), ("C", channel), ("Z", z)) if axis in first}
            samples = np.asarray(file.read(plane=plane, scene=scenes[position] if scenes else None))
            return samples[..., ::-1] if samples.shape[-1] == 3 else samples[..., 0]  # colours are blue, green, red

        yield read
