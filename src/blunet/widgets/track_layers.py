"""The layers of one tracked time-lapse: labels, tracks, and rings around the family of the selected track."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blunet.tracking.corrections import correct_labels
from blunet.tracking.track_tables import WORDS, tabulate_objects, tabulate_tracks
from blunet.tracking.tracks import Tracks
from blunet.widgets.layer_facts import IMAGE, frame_interval, pixel_size, placement_of
from blunet.widgets.track_state import Done

if TYPE_CHECKING:
    from napari.layers import Labels, Points
    from napari.layers import Tracks as TracksLayer
    from napari.viewer import Viewer

#: Key of the metadata of tracked labels for the name of the labels that were tracked.
TRACKED = "tracked"
#: What a name of labels ends in that is replaced.
_CELLS = " – cells"
#: Colours of the rings around the selected cell and its relatives.
SELECTED, RELATIVE = "#ffd400", "#ffffff"
#: Size of a ring, relative to the longer side of the object's box.
_RING = 1.15


class TrackLayers:
    """Labels whose numbers are tracks, the Tracks layer, and rings that show a family.

    Parameters
    ----------
    viewer : Viewer
    source : Labels
        The layer that was tracked.
    array : ndarray of shape (T, Y, X), int32
        The tracked labels.
    tracks : Tracks
    provenance : dict
        For the layers' metadata, under "blunet".
    on_edited : callable
        Called with the frames that the user has painted on.
    """

    def __init__(
        self, viewer: Viewer, source: Labels, array: NDArray[np.int32], tracks: Tracks, provenance: dict[str, Any],
        on_edited: Callable[[set[int]], None],
    ) -> None:  # fmt: skip
        self.viewer, self.source = viewer, source
        self.size, self.interval = pixel_size(source), frame_interval(source)
        self._on_edited, self._writing = on_edited, False
        self._place = placement_of(source)
        self._name = source.name.removesuffix(_CELLS)
        image = source.metadata.get(IMAGE)
        self.labels: Labels = viewer.add_labels(
            array, name=f"{self._name} – tracked cells", **self._place,
            metadata={"blunet": provenance, TRACKED: source.name} | ({IMAGE: image} if image else {}),
        )  # fmt: skip
        self.tracks: TracksLayer = viewer.add_tracks(
            _points(tracks), graph=_graph(tracks), name=f"{self._name} – tracks", tail_length=12, tail_width=3,
            colormaps_dict={"track_id": self.labels.colormap}, metadata={"blunet": provenance}, **self._place,
        )  # fmt: skip
        self._rings: Points | None = None
        source.visible = False
        self._describe(tracks)
        for emitter in (self.labels.events.paint, self.labels.events.labels_update, self.labels.events.data):
            emitter.connect(self._on_painted)
        viewer.layers.selection.active = self.labels

    @property
    def alive(self) -> bool:
        """Whether the labels are still in the viewer."""
        return self.labels in self.viewer.layers

    def correct(self, done: Done) -> None:
        """Change the labels as a correction says."""
        self._writing = True
        try:
            correct_labels(self.labels.data, done.before, done.correction)
            self.labels.refresh()
        finally:
            self._writing = False

    def show(self, tracks: Tracks) -> None:
        """Show corrected tracks in the Tracks layer and the tables."""
        if self.tracks in self.viewer.layers:
            self.tracks.graph = {}  # of tracks that may be gone
            self.tracks.data = _points(tracks)
            self.tracks.graph = _graph(tracks)
        self._describe(tracks)

    def show_family(self, tracks: Tracks, selected: int | None) -> None:
        """Draw rings around the cells of the family of a track; None: around none."""
        family = [] if selected is None else tracks.lineage_of(selected)
        rows = np.flatnonzero(np.isin(tracks.track, family))
        points = np.column_stack([tracks.frame[rows], tracks.centre[rows]]).astype(float)
        if self._rings is None or self._rings not in self.viewer.layers:
            if not rows.size:
                return
            active = self.viewer.layers.selection.active
            self._rings = self.viewer.add_points(
                np.zeros((0, 3)), name=f"{self._name} – lineage", face_color="transparent", border_width=0.025,
                metadata={"blunet": {}}, **self._place,
            )  # fmt: skip
            self.viewer.layers.selection.active = active
        rings, box = self._rings, tracks.box[rows]
        rings.data = points
        if rows.size:
            rings.size = _RING * np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])
            rings.border_color = [SELECTED if n == selected else RELATIVE for n in tracks.track[rows].tolist()]
            rings.face_color = "transparent"
        rings.selected_data = set()

    def colour_of(self, track: int) -> tuple[int, int, int]:
        """Return the colour (red, green, blue) of a track's label, 0 to 255."""
        colour = self.labels.get_color(track)
        red, green, blue = (160, 160, 160) if colour is None else (int(255 * part) for part in colour[:3])
        return red, green, blue

    def _describe(self, tracks: Tracks) -> None:
        """Set the tables: a row a track for the labels, a row an object a frame for the tracks."""
        units: dict[str, Any] = {"pixel_size": self.size, "interval": self.interval}
        table = tabulate_tracks(tracks, **units)
        self.labels.features = {"index": table["track"], **table}
        if self.tracks in self.viewer.layers:
            objects = tabulate_objects(tracks, **units)
            self.tracks.features = {name: values for name, values in objects.items() if name not in WORDS}

    def _on_painted(self, event: Any) -> None:
        if self._writing:
            return
        frames = _frames_of(getattr(event, "value", None), self.labels.data.shape[0])
        if not frames:
            shown = self.labels.world_to_data(self.viewer.dims.point[-3:])[0]
            frames = {int(np.clip(round(float(shown)), 0, self.labels.data.shape[0] - 1))}
        self._on_edited(frames)


def _points(tracks: Tracks) -> NDArray[np.float64]:
    return np.column_stack([tracks.track, tracks.frame, tracks.centre]).astype(float)


def _graph(tracks: Tracks) -> dict[int, list[int]]:
    return {child: [parent] for child, parent in tracks.parents.items()}


def _frames_of(value: Any, count: int) -> set[int]:
    """Return the frames in napari's record of a stroke; none if it is something else."""
    frames: set[int] = set()
    if isinstance(value, list):
        for atom in value:
            if isinstance(atom, tuple) and len(atom) == 3 and isinstance(atom[0], tuple):
                frames |= {int(t) for t in np.unique(atom[0][0]) if 0 <= t < count}
    return frames
