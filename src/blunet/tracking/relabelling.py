"""From labels to tracks: the second pass over the frames, in which flickering objects are mended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from blunet.images.frame_source import FrameSource
from blunet.tracking.detections import each_labels
from blunet.tracking.outlines import Outline, fill_in, share_out, take_outline
from blunet.tracking.placed_objects import place_objects
from blunet.tracking.track_plan import Fill, TrackPlan
from blunet.tracking.tracks import Mend, Tracks


class TrackedFrame(NamedTuple):
    """A frame whose labels are tracks, with a row for each track in it (see `Tracks`)."""

    t: int
    labels: NDArray[np.int32]
    track: NDArray[np.int64]
    centre: NDArray[np.float64]
    area: NDArray[np.int64]
    box: NDArray[np.int64]
    mended: tuple[Mend, ...]


def relabel_frames(source: FrameSource, plan: TrackPlan) -> Iterator[TrackedFrame]:
    """Yield the frames with tracks as labels, mended as planned; one frame is in memory.

    Parameters
    ----------
    source : FrameSource
        The frames that the plan was made from.
    plan : TrackPlan

    Raises
    ------
    InputError
        If a frame cannot be read, or its labels are no longer those that the plan was made from.
    """
    relabelling = _Relabelling(plan)
    for t, labels in enumerate(each_labels(source)):
        numbers = plan.detections.label[plan.detections.within(t)]
        placed = place_objects(labels)
        if not np.array_equal(placed.label, numbers):
            raise source.error(t, "its labels have changed since they were linked; track them again.")
        yield relabelling.relabel(t, placed.place)


def join_rows(frames: list[TrackedFrame], plan: TrackPlan) -> Tracks:
    """Return the tracks of all frames, of which the labels are not used."""
    track = np.concatenate([np.zeros(0, np.int64), *(each.track for each in frames)])
    frame = np.repeat([each.t for each in frames], [each.track.size for each in frames]).astype(np.int64)
    order = np.lexsort((frame, track))
    return Tracks(
        frames=plan.detections.frames,
        shape=plan.detections.shape,
        track=track[order],
        frame=frame[order],
        centre=np.concatenate([np.zeros((0, 2)), *(each.centre for each in frames)])[order],
        area=np.concatenate([np.zeros(0, np.int64), *(each.area for each in frames)])[order],
        box=np.concatenate([np.zeros((0, 4), np.int64), *(each.box for each in frames)])[order],
        parents=plan.parents,
        mended=tuple(mend for each in frames for mend in each.mended),
    )


class _Relabelling:
    """Relabels frame after frame, and keeps the outlines of objects that are mended in later frames."""

    def __init__(self, plan: TrackPlan) -> None:
        self.plan = plan
        detections = plan.detections
        self._fills: dict[int, list[Fill]] = {}
        wanted: dict[int, int] = {}
        """Objects whose outlines are needed, and the frame in which they are needed last."""
        for fill in plan.fills:
            self._fills.setdefault(fill.frame, []).append(fill)
            wanted[fill.earlier] = max(fill.frame, wanted.get(fill.earlier, 0))
        self._wanted: dict[int, list[tuple[int, int]]] = {}
        for index, last in wanted.items():
            self._wanted.setdefault(int(detections.frame[index]), []).append((index, last))
        self._outlines: dict[int, tuple[Outline, int]] = {}
        self._pieces: dict[int, list[int]] = {}
        for piece in np.flatnonzero(plan.piece_of >= 0).tolist():
            self._pieces.setdefault(int(detections.frame[piece]), []).append(int(plan.track[piece]))

    def relabel(self, t: int, index: NDArray[np.int32]) -> TrackedFrame:
        here = self.plan.detections.within(t)
        out: NDArray[np.int32] = np.append(0, self.plan.track[here]).astype(np.int32)[index]
        mended = [Mend(t, number, "split") for number in sorted(set(self._pieces.get(t, [])))]
        fills = self._fills.get(t, [])
        for host in sorted({fill.host for fill in fills if fill.host >= 0}):
            mended += self._share_out(
                index == host - here.start + 1, out, t, host, [fill for fill in fills if fill.host == host]
            )
        for fill in fills:
            if fill.host < 0 and fill_in(out, self._moved(fill), fill.track):
                mended.append(Mend(t, fill.track, "missing"))
        for wanted, last in self._wanted.get(t, []):
            self._outlines[wanted] = (
                take_outline(out, self.plan.detections.box[wanted], int(self.plan.track[wanted])),
                last,
            )
        self._outlines = {wanted: kept for wanted, kept in self._outlines.items() if kept[1] > t}
        return self._measured(t, out, tuple(sorted(mended, key=lambda mend: mend.track)), here)

    def _share_out(
        self, region: NDArray[np.bool_], out: NDArray[np.int32], t: int, host: int, fills: list[Fill]
    ) -> list[Mend]:
        outlines = {fill.track: self._moved(fill) for fill in fills}
        parted = share_out(region, self.plan.detections.box[host], outlines, out)
        return [Mend(t, fill.track, "merged") for fill in fills if fill.track in parted]

    def _moved(self, fill: Fill) -> Outline:
        """Return the outline of an object where it would be in the frame of a fill, between its neighbours in time."""
        detections = self.plan.detections
        begin, end = int(detections.frame[fill.earlier]), int(detections.frame[fill.later])
        step = detections.centre[fill.later] - detections.centre[fill.earlier]
        return self._outlines[fill.earlier][0].moved(step * (fill.frame - begin) / (end - begin))

    def _measured(self, t: int, out: NDArray[np.int32], mended: tuple[Mend, ...], here: slice) -> TrackedFrame:
        detections, track = self.plan.detections, self.plan.track[here]
        if not mended and track.all():
            order = np.argsort(track)
            centre, area, box = detections.centre[here], detections.area[here], detections.box[here]
            return TrackedFrame(t, out, track[order], centre[order], area[order], box[order], mended)
        placed = place_objects(out)
        return TrackedFrame(t, out, placed.label, placed.centre, placed.area, placed.box, mended)
