"""Tracks as a graph in GEFF, the Graph Exchange File Format, written by its reference implementation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from blunet.errors import InputError
from blunet.images.pixel_size import PixelSize
from blunet.tracking.tracks import Tracks


def check_geff() -> None:
    """Check that the package that writes GEFF is installed.

    Raises
    ------
    InputError
        If it is not.
    """
    try:
        import geff  # noqa: F401 - is it installed?
    except ImportError as e:
        raise InputError("A GEFF needs the package geff: pip install napari-blunet[tracks].") from e


def write_geff(
    path: Path, tracks: Tracks, *, pixel_size: PixelSize | None = None, interval: float | None = None
) -> None:
    """Write tracks as a graph: a node an object a frame, an edge from each object to the next, and to daughters.

    Parameters
    ----------
    path : Path
        A folder that does not exist yet, such as `tracks.geff`.
    tracks : Tracks
    pixel_size : PixelSize, optional
    interval : float, optional
        Seconds from frame to frame.

    Raises
    ------
    InputError
        If the package is not installed.

    Notes
    -----
    The nodes have the properties `t` (frame), `y` and `x` (pixels), `track`, `lineage` and `area` (square pixels). The
    axes say how long a frame and a pixel are, where that is known.
    """
    check_geff()
    from geff.core_io import write_arrays
    from geff_spec import Axis, GeffMetadata

    size = None if pixel_size is None else pixel_size.in_micrometres
    length: dict[str, dict[str, Any]] = {"y": {}, "x": {}}
    if size is not None:
        length = {"y": {"scale": size.y}, "x": {"scale": size.x}}
    axes = [Axis(name="t", type="time", unit="frame", **_scaled(interval, "second"))]
    axes += [
        Axis(name=name, type="space", unit="pixel", **_scaled(about.get("scale"), "micrometer"))
        for name, about in length.items()
    ]
    ancestor = {number: tracks.ancestor_of(number) for number in tracks.numbers.tolist()}
    lineage = np.array([ancestor[number] for number in tracks.track.tolist()], np.int64)
    columns = {
        "t": tracks.frame, "y": tracks.centre[:, 0], "x": tracks.centre[:, 1],
        "track": tracks.track, "lineage": lineage, "area": tracks.area,
    }  # fmt: skip
    write_arrays(
        path,
        node_ids=np.arange(tracks.track.size, dtype=np.uint64),
        node_props={name: {"values": values, "missing": None} for name, values in columns.items()},
        edge_ids=find_edges(tracks).astype(np.uint64),
        edge_props={},
        metadata=GeffMetadata(
            directed=True,
            axes=axes,
            node_props_metadata={},
            edge_props_metadata={},
            track_node_props={"tracklet": "track", "lineage": "lineage"},
        ),
    )


def find_edges(tracks: Tracks) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return pairs of rows of `Tracks` (M, 2): an object and the next of its track, or the first of a daughter."""
    within = np.flatnonzero(np.diff(tracks.track) == 0)
    last = dict(zip(tracks.numbers.tolist(), tracks.last.tolist(), strict=True))
    first = dict(zip(tracks.numbers.tolist(), tracks.first.tolist(), strict=True))
    born = [(last[parent], first[child]) for child, parent in tracks.parents.items()]
    edges = np.concatenate([np.stack([within, within + 1], axis=1), np.array(born, np.int64).reshape(-1, 2)])
    return edges.astype(np.int64)


def _scaled(scale: float | None, unit: str) -> dict[str, Any]:
    return {} if scale is None else {"scale": scale, "scaled_unit": unit}
