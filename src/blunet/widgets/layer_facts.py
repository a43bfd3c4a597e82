"""Reading from napari's layers what a job needs, on the GUI thread, before it starts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.pixel_size import PixelSize, pixel_size_of_layer, step_of_layer
from blunet.segmentation.segmentation_settings import SegmentationSettings

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

#: Key of a layer's metadata under which *Load* keeps the file or folder that it was opened from.
FILE = "file"
#: Key of the metadata of labels for the name of the image layer that they were made from.
IMAGE = "image"
#: What an axis through slices is called.
Z_NAMES = ("z", "slice", "slices", "depth")


def unwrap_viewer(viewer: Viewer) -> Viewer:
    """Return the viewer behind napari's proxy for plugins.

    The proxy wraps a layer each time that it is asked for one, so that the same layer is never the same object.
    """
    viewer = getattr(viewer, "__wrapped__", viewer)
    return viewer


def frames_of(layer: Image) -> FrameSource:
    """Return the frames of an image layer.

    Raises
    ------
    InputError
        If it is not a grey image (Y, X) or a grey stack (T, Y, X).
    """
    if layer.rgb:
        raise InputError(
            f"'{layer.name}' is a colour image and DIC is grey: right-click the layer, split its channels and use one."
        )
    data = layer.data[0] if layer.multiscale else layer.data
    if data.ndim not in (2, 3) or 0 in data.shape:
        raise InputError(
            f"'{layer.name}' has {data.ndim} dimensions; use a single image (Y, X) or a time-lapse (T, Y, X): "
            "right-click the layer and split it."
        )
    return FrameSource.from_array(data, name=layer.name, pixel_size=pixel_size(layer))


def is_z_stack(layer: Layer) -> bool:
    """Return whether the first of a layer's three axes is called Z, or is measured as a length like the second."""
    if layer.ndim != 3:
        return False
    first, second = (str(unit) for unit in layer.units[:2])
    return str(layer.axis_labels[0]).strip().casefold() in Z_NAMES or "pixel" != first == second


def shown_frame(viewer: Viewer, image: Image, frames: FrameSource) -> int:
    """Return the index of the frame of an image layer that the viewer shows; 0 for a single image."""
    if not frames.stack:
        return 0
    point = image.world_to_data(viewer.dims.point[-image.ndim :])
    return int(np.clip(round(float(point[0])), 0, frames.count - 1))


def pixel_size(layer: Layer) -> PixelSize | None:
    """Return the size of a layer's pixels; None where the layer has no unit of length."""
    return pixel_size_of_layer(
        layer.scale,
        getattr(layer, "units", None),
        rotate=layer.rotate,
        shear=layer.shear,
        affine=layer.affine.affine_matrix,
    )


def frame_interval(layer: Layer) -> float | None:
    """Return the seconds from frame to frame; None where the first axis of a stack has no unit of time."""
    axis, step = step_of_layer(layer.scale, layer.units, layer.axis_labels, pixel_size(layer))
    return step if axis == "T" else None


def image_of(viewer: Viewer, metadata: Mapping[str, Any], shape: tuple[int, ...]) -> Image | None:
    """Return the image layer that labels were made from; None if it is not open, or has another shape."""
    from napari.layers import Image

    for layer in viewer.layers:
        if isinstance(layer, Image) and layer.name == metadata.get(IMAGE) and not (layer.rgb or layer.multiscale):
            return layer if tuple(layer.data.shape) == tuple(shape) else None
    return None


def file_of(layer: Layer) -> str | None:
    """Return the file or folder that a layer was opened from, by napari or by *Load*; None if it was not."""
    path = layer.source.path or layer.metadata.get(FILE)
    return str(path) if path else None


def placement_of(layer: Layer) -> dict[str, Any]:
    """Return the keywords that place another layer of the same shape on this one."""
    keywords: dict[str, Any] = {"scale": layer.scale, "translate": layer.translate, "affine": layer.affine}
    keywords |= {"rotate": layer.rotate, "shear": layer.shear}
    for name in ("units", "axis_labels"):
        if getattr(layer, name, None) is not None:
            keywords[name] = getattr(layer, name)
    return keywords


def plane_of(layer: Layer) -> dict[str, Any]:
    """Return the keywords that give a layer of two dimensions the same pixel size."""
    keywords: dict[str, Any] = {"scale": layer.scale[-2:]}
    if getattr(layer, "units", None) is not None:  # layers of other units make napari warn
        keywords["units"] = layer.units[-2:]
    return keywords


def write_command_line(
    layer: Layer, model: Path | None, settings: SegmentationSettings, measured: bool, probability: bool
) -> str:
    """Return the `blunet segment` command that does the same with the layer's file.

    Raises
    ------
    InputError
        If the layer does not come from a file.
    """
    path = file_of(layer)
    if path is None:
        raise InputError(f"'{layer.name}' does not come from a file: save it first (File, Save selected layers).")
    words = ["blunet", "segment", path, "--out", "segmented"]
    words += ["--time-lapse"] * (layer.ndim == 3 and Path(path).is_dir())
    words += ["--model", str(model)] if model is not None else []
    words += ["--threshold", str(settings.threshold)] if settings.threshold is not None else []
    words += ["--splitting", str(settings.splitting)] if settings.splitting is not None else []
    words += ["--min-size", str(settings.min_size), "--objects", settings.objects]
    words += ["--diameter", str(settings.diameter)] if settings.diameter is not None else []
    words += ["--measure"] * measured + ["--probability"] * probability
    return shlex.join(words)
