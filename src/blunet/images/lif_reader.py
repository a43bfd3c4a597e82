"""Leica's LIF files, by the library liffile (BSD)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.microscope_files import FilePosition
from blunet.images.pixel_size import make_pixel_size, read_number

AXES = {"1": "x", "2": "y", "3": "z", "4": "t"}
DESCRIPTION = "./Data/Image/ImageDescription/"


def list_positions(path: Path) -> list[FilePosition]:
    """Return the images of a file."""
    from liffile import LifFile

    with LifFile(path) as file:
        return [_describe(image, path) for image in file.images]


@contextlib.contextmanager
def open_planes(path: Path, position: int) -> Iterator[Callable[[int, int, int], NDArray[Any]]]:
    """Yield a function that reads the samples of a frame, a channel and a slice."""
    from liffile import LifFile

    with LifFile(path) as file:
        image: Any = file.images[position]
        sizes = image.sizes

        def read(t: int, channel: int, z: int) -> NDArray[Any]:
            place = {axis: index for axis, index in (("T", t), ("C", channel), ("Z", z)) if axis in sizes}
            return np.asarray(image.frame(**place))

        yield read


def _describe(image: Any, path: Path) -> FilePosition:
    sizes = {axis.lower(): int(length) for axis, length in image.sizes.items()}
    if set(sizes) - set("tczyxs"):
        raise InputError(f"'{path}': the image '{image.name}' has the axes {', '.join(sizes)}; export it as OME-TIFF.")
    steps: dict[str, tuple[float, str]] = {}
    for each in image.xml_element.iterfind(f"{DESCRIPTION}Dimensions/DimensionDescription"):
        count, length = int(each.get("NumberOfElements", 1)), read_number(each.get("Length"))
        if each.get("DimID") in AXES and length and count > 1:
            steps[AXES[each.get("DimID")]] = abs(length) / (count - 1), each.get("Unit", "")
    (y, unit_y), (x, unit_x), (z, _) = (steps.get(axis, (None, "")) for axis in "yxz")
    size = make_pixel_size(y, x, unit_y, unit_x)
    interval, unit = steps.get("t", (None, ""))
    channels = image.xml_element.findall(f"{DESCRIPTION}Channels/ChannelDescription")
    methods = [each.get("ContrastingMethodName", "") for each in image.xml_element.iter("WideFieldChannelInfo")]
    return FilePosition(
        {axis: sizes.get(axis, 1) for axis in "tczyx"},
        np.dtype(image.dtype).newbyteorder("="),
        tuple(each.get("LUTName", "") for each in channels),
        tuple(methods) if len(methods) == len(channels) else (),
        None if size is None else size.in_micrometres,
        float(interval) if interval and unit == "s" else None,
        float(z) * 1e6 if size is not None and z and sizes.get("z", 1) > 1 else None,
    )
