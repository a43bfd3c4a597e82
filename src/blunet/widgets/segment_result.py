"""What one run of Segment has made: its layers, and the maps from which they can be updated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blunet.images.allocation import allocate
from blunet.images.frame_source import FrameSource
from blunet.images.image_part import ImagePart
from blunet.segmentation.frames import FrameLabelled, FramePredicted
from blunet.segmentation.provenance import LABELS_HASH, hash_frame, join_hashes
from blunet.widgets.label_colours import LabelColours
from blunet.widgets.layer_facts import IMAGE, placement_of
from blunet.widgets.view_region import place_part

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from napari.viewer import Viewer


class Result:
    """The labels of one run, on the layer that it was started from.

    Parameters
    ----------
    viewer : Viewer
    image : Image
        The layer that the run was started from.
    frames : FrameSource
    model : Path or None
        The file of the model, None for the bundled one.
    diameter : float or None
        Typical diameter of the cells that the network has run with.
    cells : float or None
        Diameter (pixels) of the cells that the model was trained with; None: not known.
    provenance : dict
        For the layers' metadata, under "blunet".
    on_edited : callable
        Called when the user has painted on the labels.
    part : ImagePart, optional
        The part of the layer that `frames` is. None: the whole layer.
    """

    def __init__(
        self, viewer: Viewer, image: Image, frames: FrameSource, model: Path | None, diameter: float | None,
        cells: float | None, provenance: dict[str, Any], on_edited: Callable[[Result], None],
        part: ImagePart | None = None,
    ) -> None:  # fmt: skip
        self._tell_edited = on_edited
        self.viewer, self.image, self.frames, self.provenance = viewer, image, frames, provenance
        self.model, self.diameter, self.cells = model, diameter, cells
        self.labels: Labels | None = None
        self.probability: Image | None = None
        self.predictions: dict[int, FramePredicted] = {}
        """The maps of each frame, without its image."""
        self.edited = False
        """Whether the user has painted on the labels; then they are not changed any more."""
        self.dropped: dict[int, int] = {}
        """Number of objects of each frame that are smaller than the smallest area."""
        self._counts: dict[int, int] = {}
        self._data = image.data
        self._colours = LabelColours()
        self._provisional: int | None = None
        self._continued: int | None = None
        self._writing = False
        self.part = part
        self._spatial = placement_of(image) if part is None else place_part(image, part.origin)
        self._name = image.name if part is None else f"{image.name}, view"
        self._shape = frames.array_shape
        self._tables: dict[int, dict[str, NDArray[Any]]] = {}
        self._hashes: dict[int, bytes] = {}
        self._array: NDArray[np.int32] | None = None
        self._whole: NDArray[np.float32] | None = None

    @property
    def alive(self) -> bool:
        """Whether the labels are still in the viewer."""
        return self.labels is not None and self.labels in self.viewer.layers

    @property
    def deleted(self) -> bool:
        """Whether there were labels and the user has deleted them."""
        return self.labels is not None and self.labels not in self.viewer.layers

    @property
    def objects(self) -> int:
        """Number of objects that were found."""
        return sum(self._counts.values())

    @property
    def labelled(self) -> int:
        """Number of frames that have labels."""
        return len(self._counts)

    def goes_on_with(self, image: Image, model: Path | None, diameter: float | None, t: int) -> bool:
        """Return whether the labels of frame `t` belong into these: those of another frame, found in the same way."""
        same = image is self.image and image.data is self._data and (model, diameter) == (self.model, self.diameter)
        if self.part is not None or not (same and self.alive and self.frames.stack and self._array is not None):
            return False
        if self.edited and self._array[t].any():
            return False
        self._continued = t
        return True

    def overlaps(self, part: ImagePart | None) -> bool:
        """Return whether labels of a part of the same layer, or of all of it, would lie on these."""
        if part is None or self.part is None:
            return True
        sides = ((part.rows, self.part.rows), (part.columns, self.part.columns))
        return part.index == self.part.index and all(a.start < b.stop and b.start < a.stop for a, b in sides)

    def keep(self, predicted: FramePredicted) -> None:
        """Keep the maps of a frame."""
        if self._whole is None:
            self._whole = allocate(self._shape, np.float32)
        place = self._whole[predicted.t] if self.frames.stack else self._whole
        place[...] = predicted.probability
        self.predictions[predicted.t] = replace(predicted, probability=place, image=None, warning="")

    def takes(self, t: int) -> bool:
        """Return whether the labels of a frame can be written: not over what the user has painted."""
        return not self.edited or t == self._continued

    def show(self, found: FrameLabelled, *, provisional: bool = False) -> None:
        """Show the labels of a frame in the layer, which is made with the first frame, unless the layer was edited.

        Parameters
        ----------
        found : FrameLabelled
        provisional : bool
            Whether the frame gets other numbers when those before it in time are known.
        """
        if not self.takes(found.t):
            return
        if found.t == self._continued and self._array is not None:
            found = found.numbered_on(self._largest_besides(found.t))
        self._provisional = found.t if provisional else None if self._provisional == found.t else self._provisional
        self._tables[found.t], self.dropped[found.t] = dict(found.table), found.dropped
        self._counts[found.t] = found.objects
        self._hashes[found.t] = hash_frame(found.labels)
        if self.labels is None or self._array is None:
            self._array = allocate(self._shape, np.int32)
            self._place(found)
            self.labels = self._add_labels(self._array)
            return
        self._write(found)

    def settle(self) -> None:
        """Give provisional labels numbers of their own, because the frames before them will not come."""
        t, self._provisional = self._provisional, None
        if t is None or self._array is None or self.edited or not self.frames.stack:
            return
        others, frame = self._largest_besides(t), self._array[t]
        before = frame.copy()
        frame[frame > 0] += others
        self._colours.follow(t, before, frame)
        self._hashes[t] = hash_frame(frame)
        if self._tables.get(t):
            self._tables[t]["label"] = self._tables[t]["label"] + others
        assert self.labels is not None
        self.labels.refresh()

    def _write(self, found: FrameLabelled) -> None:
        assert self.labels is not None
        self._writing = True
        try:
            self._place(found)
            self.labels.refresh()
        finally:
            self._writing = False

    def finish(self, settings: dict[str, Any]) -> None:
        """Set the table of measurements and the settings after all frames, unless the labels were edited.

        The next free number is selected in any case, so that painting makes a new object.
        """
        self._continued = None
        if self.labels is None:
            return
        self.labels.selected_label = int(self.labels.data.max()) + 1
        if self.edited:
            return
        self._colours.apply(self.labels)
        blank = hash_frame(np.zeros(self._shape[-2:], np.int32))
        found = join_hashes(self._hashes.get(t, blank) for t in range(self.frames.count))
        made = {**self.provenance, "settings": settings, LABELS_HASH: found}
        self.labels.metadata = {**self.labels.metadata, "blunet": made}
        tables = [self._tables[t] for t in sorted(self._tables) if self._tables[t]]
        if tables:
            table = {name: np.concatenate([part[name] for part in tables]) for name in tables[0]}
            self.labels.features = {"index": table["label"], **table}
        else:
            self.labels.features = {}  # those of the labels before

    def renewed(self) -> Result:
        """Return a result with the same maps and new layers, so that the edited ones are kept."""
        other = Result(
            self.viewer, self.image, self.frames, self.model, self.diameter, self.cells, self.provenance,
            self._tell_edited, self.part,
        )  # fmt: skip
        other.predictions, other._whole = self.predictions, self._whole
        other._spatial, other._name = self._spatial, self._name
        return other

    def hide(self) -> None:
        """Hide the layers, because those of another run take their place."""
        for layer in (self.labels, self.probability):
            if layer is not None:
                layer.visible = False

    def show_probability(self) -> None:
        """Add the probability as an image layer, or refresh it."""
        if self._whole is None:
            return
        if self.probability is None or self.probability not in self.viewer.layers:
            self.probability = self.viewer.add_image(
                self._whole, name=f"{self._name} – probability", contrast_limits=(0, 1), colormap="magma",
                blending="additive", opacity=0.6, metadata={"blunet": self.provenance}, **self._spatial,
            )  # fmt: skip
        else:
            self.probability.refresh()

    def _largest_besides(self, t: int) -> int:
        """Return the largest label in the frames other than `t`."""
        assert self._array is not None
        return max(int(part.max(initial=0)) for part in (self._array[:t], self._array[t + 1 :]))

    def _place(self, found: FrameLabelled) -> None:
        assert self._array is not None
        frame = self._array[found.t] if self.frames.stack else self._array
        if found.labels.dtype.kind != "b":
            self._colours.follow(found.t, frame, found.labels)
        frame[...] = found.labels
        if self.labels is not None and not self.frames.stack:
            self._colours.apply(self.labels)

    def _add_labels(self, array: NDArray[np.int32]) -> Labels:
        layer = self.viewer.add_labels(
            array, name=f"{self._name} – cells", metadata={"blunet": self.provenance, IMAGE: self.image.name},
            **self._spatial,
        )  # fmt: skip
        for emitter in (layer.events.paint, layer.events.labels_update, layer.events.data):
            emitter.connect(self._on_edited)
        return layer

    def tell_edited_to(self, on_edited: Callable[[Result], None]) -> None:
        """Call another function when the user paints: that of a dock that was opened again."""
        self._tell_edited = on_edited

    def _on_edited(self, _: object = None) -> None:
        if not self._writing:
            self.edited = True
            self._tell_edited(self)


def keep_result(viewer: Viewer, result: Result) -> None:
    """Keep the latest result of a viewer, for a dock that is closed and opened again."""
    vars(viewer.window)["_blunet_result"] = result


def earlier_result(viewer: Viewer) -> Result | None:
    """Return the latest result of a viewer that was kept; None if there is none."""
    result: Result | None = vars(viewer.window).get("_blunet_result")
    return result
