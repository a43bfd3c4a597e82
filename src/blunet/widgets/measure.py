"""Measuring the objects of a Labels layer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.notifications import show_info, show_warning

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.jobs.events import CancelToken
from blunet.jobs.layer_measurement import measure_frames
from blunet.widgets.layer_facts import image_of, pixel_size, unwrap_viewer
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    from napari.viewer import Viewer


def measure_selected(viewer: Viewer) -> Job:
    """Measure the selected Labels layer in a thread; the table becomes its features.

    Grey values are taken from the image that is selected with it, or else from the one that the labels were made from,
    or else from the topmost image of its shape.

    Raises
    ------
    InputError
        If no Labels layer is selected, it is neither (Y, X) nor (T, Y, X), or the image selected with it has another
        shape.
    """
    viewer = unwrap_viewer(viewer)
    labels = _labels(viewer)
    image = _image(viewer, labels)
    frames, values = FrameSource.from_array(labels.data), None if image is None else FrameSource.from_array(image.data)
    size = pixel_size(labels)
    if size is None and image is not None:
        size = pixel_size(image)

    def run(token: CancelToken) -> Iterable[dict[str, Any]]:
        return measure_frames(frames, values, size, token)

    def show(table: dict[str, Any]) -> None:
        count = len(table["label"])
        if not count:
            show_warning(f"'{labels.name}' holds no objects: every pixel is 0. Segment the image, or paint some.")
            return
        labels.features = {"index": np.asarray(table["label"]), **table}
        missing = "" if size is not None else " in pixels, as the layer has no pixel size"
        grey = "without grey values" if image is None else f"with the grey values of '{image.name}'"
        show_info(f"Measured {count} objects of '{labels.name}' {grey}{missing}: see the layer's features table.")

    job = Job(run, viewer.window.main_menu, f"Measuring {labels.name}")  # ends with the window
    job.event.connect(show)
    job.start()
    return job


def _labels(viewer: Viewer) -> Labels:
    chosen = [layer for layer in viewer.layers.selection if isinstance(layer, Labels)]
    if len(chosen) != 1:
        problem = f"{len(chosen)} Labels layers are selected" if chosen else "No Labels layer is selected"
        raise InputError(f"{problem}; select the layer whose objects are to be measured.")
    labels = chosen[0]
    if labels.multiscale or labels.data.ndim not in (2, 3):
        raise InputError(
            f"'{labels.name}' has {labels.ndim} dimensions{' in levels' * bool(labels.multiscale)}; use labels (Y, X) "
            "or (T, Y, X)."
        )
    return labels


def _image(viewer: Viewer, labels: Labels) -> Image | None:
    images = [layer for layer in viewer.layers if isinstance(layer, Image) and not layer.rgb and not layer.multiscale]
    for image in images:
        if image in viewer.layers.selection:
            if image.data.shape != labels.data.shape:
                raise InputError(
                    f"'{labels.name}' has the shape {labels.data.shape} and '{image.name}' {image.data.shape}; select "
                    "the image that the labels belong to."
                )
            return image
    source = image_of(viewer, labels.metadata, labels.data.shape)
    if source is not None:
        return source
    fitting = [i for i in images if i.data.shape == labels.data.shape and "blunet" not in i.metadata]
    return fitting[-1] if fitting else None
