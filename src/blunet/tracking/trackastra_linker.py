"""Linking by Trackastra, a transformer that has learned to associate cells (Gallusser and Weigert 2024, ECCV)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from blunet.errors import InputError, describe_error
from blunet.images.frame_source import FrameSource
from blunet.tracking.detections import Detections
from blunet.tracking.links import Links

#: The published model that is used; the package loads it from its publishers when it is used first.
MODEL = "general_2d"


@dataclass(frozen=True)
class TrackastraLinker:
    """Links by Trackastra's published model, which looks at the image too.

    Parameters
    ----------
    divisions : bool
        Whether an object may divide.
    """

    divisions: bool = True

    def link(self, detections: Detections, labels: FrameSource, image: FrameSource | None) -> Links:
        """Return where each object comes from; Trackastra keeps all frames in memory.

        Raises
        ------
        InputError
            If the package is not installed, the image is not given, or the published model cannot be loaded.
        """
        if image is None:
            raise InputError("Trackastra looks at the images; give the images that were segmented as well.")
        Trackastra = import_trackastra()
        try:
            model = Trackastra.from_pretrained(MODEL, device="automatic")
        except Exception as e:
            raise InputError(f"Trackastra's model '{MODEL}' cannot be loaded: {describe_error(e)}.") from e
        return self.link_with(model, detections, labels, image)

    def link_with(self, model: Any, detections: Detections, labels: FrameSource, image: FrameSource) -> Links:
        """Link with a model that is loaded already (see `link`)."""
        frames = np.stack(list(image.each()))
        masks = np.stack([frame.astype(np.int32) for frame in labels.each()])
        graph, _ = model.track(frames, masks, mode="greedy" if self.divisions else "greedy_nodiv")
        return Links(find_before(graph, detections))


def find_before(graph: Any, detections: Detections) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return where each object comes from, as a directed graph says whose nodes have a `time` and a `label`."""
    index = {(t, label): i for i, (t, label) in enumerate(zip(*_place(detections), strict=True))}
    nodes = {node: index[int(about["time"]), int(about["label"])] for node, about in graph.nodes(data=True)}
    before = np.full(detections.count, -1, np.int64)
    for earlier, later in graph.edges:
        before[nodes[later]] = nodes[earlier]
    return before


def import_trackastra() -> Any:
    """Return Trackastra's class.

    Raises
    ------
    InputError
        If the package is not installed.
    """
    try:
        from trackastra.model import Trackastra
    except ImportError as e:
        raise InputError(
            "The method trackastra needs its package, which is not installed: pip install "
            "'napari-blunet[trackastra]'; or use the method assignment."
        ) from e
    return Trackastra


def _place(detections: Detections) -> tuple[list[int], list[int]]:
    return detections.frame.tolist(), detections.label.tolist()
