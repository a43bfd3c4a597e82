"""Tables of tracks: a row an object a frame, and a row a track."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.images.pixel_size import PixelSize
from blunet.tracking.series import measure_area, measure_speed, measure_steps
from blunet.tracking.tracks import Tracks

#: Names of the columns that hold words; the others hold numbers.
WORDS = ("mended", "fate", "daughters")
#: An object whose box is this close to the edge of the field, in pixels, when it is seen last, has left the field.
EDGE = 1


def tabulate_objects(
    tracks: Tracks, *, pixel_size: PixelSize | None = None, interval: float | None = None
) -> dict[str, NDArray[Any]]:
    """Return a row for each object in each frame.

    Parameters
    ----------
    tracks : Tracks
    pixel_size : PixelSize, optional
        None: lengths are in pixels, else in micrometres.
    interval : float, optional
        Seconds from frame to frame. None: speeds are per frame.

    Returns
    -------
    dict of str to ndarray of shape (N,)
        Sorted by track, then frame. `U` stands for "um" or "px", `V` for "um_per_min" or "px_per_frame" and the like.

        - ``track``, the label in the tracked frames; ``frame``, counted from 0; ``time_min``, with an interval
        - ``parent``, 0 without one; ``generation``, the number of divisions before
        - ``area_U2``, ``centroid_y_U``, ``centroid_x_U``
        - ``speed_V``: from the object before in the same track; NaN for the first
        - ``mended``: "missing", "split" or "merged" where the object was mended, else empty
        - ``bbox_top_px``, ``bbox_left_px``, ``bbox_bottom_px``, ``bbox_right_px``
    """
    height, width, unit = _scale(pixel_size)
    generations = tracks.generations
    place = tracks.centre * [height, width]
    mended = {(mend.track, mend.frame): mend.flaw for mend in tracks.mended}
    each = list(zip(tracks.track.tolist(), tracks.frame.tolist(), strict=True))
    table: dict[str, NDArray[Any]] = {"track": tracks.track, "frame": tracks.frame}
    if interval is not None:
        table["time_min"] = tracks.frame * interval / 60
    return table | {
        "parent": np.array([tracks.parents.get(track, 0) for track, _ in each], np.int64),
        "generation": np.array([generations[track] for track, _ in each], np.int64),
        f"area_{unit}2": measure_area(tracks, pixel_size).values,
        f"centroid_y_{unit}": place[:, 0],
        f"centroid_x_{unit}": place[:, 1],
        f"speed_{_speed_unit(unit, interval)}": measure_speed(tracks, pixel_size, interval).values,
        "mended": np.array([mended.get(key, "") for key in each], dtype=object),
        **{f"bbox_{side}_px": tracks.box[:, i] for i, side in enumerate(("top", "left", "bottom", "right"))},
    }


def tabulate_tracks(
    tracks: Tracks, *, pixel_size: PixelSize | None = None, interval: float | None = None
) -> dict[str, NDArray[Any]]:
    """Return a row for each track.

    Parameters
    ----------
    tracks, pixel_size, interval
        As in `tabulate_objects`.

    Returns
    -------
    dict of str to ndarray of shape (N,)
        Sorted by track. `U`, `V` as in `tabulate_objects`; `T` is "min", or "frames" without an interval.

        - ``track``, ``parent``, ``generation``
        - ``start_frame``, ``end_frame``, and ``start_min``, ``end_min`` with an interval
        - ``fate``: "divided"; "left" the field, which it touched in its last frame; "end" of the time-lapse;
          "interrupted", where the same object goes on as another track after a gap; or "lost"
        - ``daughters``: their tracks with spaces in between
        - ``mean_area_U2``, ``path_length_U`` from object to object, ``displacement_U`` from the first to the last
        - ``mean_speed_V``: path length by time; NaN for a single frame
        - ``cycle_T``: from the frame in which the track began by a division to that in which its daughters begin; NaN
          where one of the divisions was not seen
    """
    height, width, unit = _scale(pixel_size)
    minutes = _minutes(interval)
    place = tracks.centre * [height, width]
    first, last, numbers = tracks.first, tracks.last, tracks.numbers
    begin, end = tracks.frame[first], tracks.frame[last]
    steps = np.nan_to_num(measure_steps(tracks, pixel_size).values)
    path = np.add.reduceat(steps, first) if first.size else np.zeros(0)
    lasting = np.where(end > begin, (end - begin) * minutes, np.nan)
    children, generations = tracks.children, tracks.generations
    start_of = dict(zip(numbers.tolist(), begin.tolist(), strict=True))
    fates = [_fate(tracks, children, start_of, row) for row in last.tolist()]
    table: dict[str, NDArray[Any]] = {
        "track": numbers,
        "parent": np.array([tracks.parents.get(n, 0) for n in numbers.tolist()], np.int64),
        "generation": np.array([generations[n] for n in numbers.tolist()], np.int64),
        "start_frame": begin,
        "end_frame": end,
    }
    if interval is not None:
        table |= {"start_min": begin * minutes, "end_min": end * minutes}
    areas = np.add.reduceat(tracks.area, first) / (last - first + 1) if first.size else np.zeros(0)
    cycle = [
        (start_of[children[n][0]] - start_of[n]) if fate == "divided" and _was_born(tracks, children, n) else np.nan
        for n, fate in zip(numbers.tolist(), fates, strict=True)
    ]
    return table | {
        "fate": np.array(fates, dtype=object),
        "daughters": np.array([" ".join(map(str, children.get(n, []))) for n in numbers.tolist()], dtype=object),
        f"mean_area_{unit}2": areas * (height * width),
        f"path_length_{unit}": path,
        f"displacement_{unit}": np.linalg.norm(place[last] - place[first], axis=1),
        f"mean_speed_{_speed_unit(unit, interval)}": path / lasting,
        "cycle_min" if interval is not None else "cycle_frames": np.array(cycle, float) * minutes,
    }


def _fate(tracks: Tracks, children: Mapping[int, list[int]], start_of: Mapping[int, int], row: int) -> str:
    """Return what became of the track whose last row is `row`."""
    daughters = children.get(int(tracks.track[row]), [])
    if len(daughters) > 1:
        return "divided"
    if daughters:
        return "interrupted" if start_of[daughters[0]] > tracks.frame[row] + 1 else "divided"
    if tracks.frame[row] == tracks.frames - 1:
        return "end"
    top, left, bottom, right = tracks.box[row].tolist()
    height, width = tracks.shape
    return "left" if min(top, left, height - bottom, width - right) <= EDGE else "lost"


def _was_born(tracks: Tracks, children: Mapping[int, list[int]], number: int) -> bool:
    """Whether a track began with a division that was seen."""
    return len(children.get(tracks.parents.get(number, 0), [])) > 1


def _scale(size: PixelSize | None) -> tuple[float, float, str]:
    """Return height and width of a pixel, and their unit as in names of columns."""
    return (1.0, 1.0, "px") if size is None else (size.in_micrometres.y, size.in_micrometres.x, "um")


def _minutes(interval: float | None) -> float:
    return 1.0 if interval is None else interval / 60


def _speed_unit(unit: str, interval: float | None) -> str:
    return f"{unit}_per_frame" if interval is None else f"{unit}_per_min"
