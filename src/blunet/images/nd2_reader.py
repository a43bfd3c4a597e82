"""Nikon's ND2 files, by the library nd2 (BSD)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.images.microscope_files import FilePosition
from blunet.images.pixel_size import make_pixel_size

#: Contrast methods by the flags of a channel's microscope.
CONTRASTS = {"diContrast": "DIC", "phaseContrast": "phase", "brightfield": "brightfield", "fluorescence": ""}


def list_positions(path: Path) -> list[FilePosition]:
    """Return the positions of a file."""
    import nd2

    with nd2.ND2File(path) as file:
        sizes = {axis.lower(): int(length) for axis, length in file.sizes.items()}
        channels = file.metadata.channels if file.metadata and file.metadata.channels else []
        voxel = file.voxel_size()
        size = make_pixel_size(voxel.y, voxel.x, "µm") if file.metadata else None
        about = FilePosition(
            {axis: sizes.get(axis, 1) for axis in "tczyx"},
            np.dtype(file.dtype).newbyteorder("="),
            tuple(str(each.channel.name or "") for each in channels),
            tuple(_contrast(each) for each in channels),
            size,
            _interval(file),
            float(voxel.z) if size is not None and sizes.get("z", 1) > 1 else None,
        )
        return [about] * sizes.get("p", 1)


@contextlib.contextmanager
def open_planes(path: Path, position: int) -> Iterator[Callable[[int, int, int], NDArray[Any]]]:
    """Yield a function that reads the samples of a frame, a channel and a slice."""
    import nd2

    with nd2.ND2File(path) as file:
        places = [(each.get("T", 0), each.get("P", 0), each.get("Z", 0)) for each in file.loop_indices]
        frames = {place: index for index, place in enumerate(places)}
        several = file.sizes.get("C", 1) > 1

        def read(t: int, channel: int, z: int) -> NDArray[Any]:
            frame = file.read_frame(frames[t, position, z])
            return np.array(frame[channel] if several else frame)  # a copy: the file is mapped, and closed later

        yield read


def _contrast(channel: Any) -> str:
    flags = channel.microscope.modalityFlags if channel.microscope else []
    return next((name for flag, name in CONTRASTS.items() if flag in flags and name), "")


def _interval(file: Any) -> float | None:
    """Return the seconds between frames of a loop in time."""
    for loop in file.experiment:
        if loop.type in ("TimeLoop", "NETimeLoop"):
            periods = {each.periodMs for each in getattr(loop.parameters, "periods", [loop.parameters])}
            return float(periods.pop()) / 1000 or None if len(periods) == 1 else None
    return None
