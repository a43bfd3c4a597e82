"""Opening images for a viewer: planned layers, and labels from the masks beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.truth_masks import read_mask, truth_labels
from blunet.errors import InputError
from blunet.images.allocation import room
from blunet.images.lazy import lazy_stack
from blunet.images.normalise import Limits, Normalisation, estimate
from blunet.images.read import ImageFile, open_image
from blunet.jobs.events import CancelToken
from blunet.jobs.plan_layers import Plan, PlannedLayer


@dataclass(frozen=True)
class OpenSettings:
    """What the files do not say.

    Parameters
    ----------
    pixel_size : float, optional
        Side of a pixel in µm, in place of what the files say.
    interval : float, optional
        Seconds between frames, in place of what the files say.
    low, high : float
        Percentiles of the first frame that are shown black and white.
    """

    pixel_size: float | None = None
    interval: float | None = None
    low: float = 0.1
    high: float = 99.9


@dataclass(frozen=True)
class LayerOpened:
    """A layer is there.

    Attributes
    ----------
    kind : {"image", "labels"}
    data : array
        (Y, X), or (T, Y, X): a dask array of images, an array of labels.
    name : str
    source : Path or None
        As in `PlannedLayer`.
    pixel_size : (Y, X) or None
        In `unit`; None: not known.
    unit : str or None
    interval : float or None
        Seconds between frames.
    limits : Limits or None
        Values to be shown black and white.
    files : tuple of str
        Names of the files, in the order of the frames.
    """

    kind: str
    data: Any
    name: str
    source: Path | None = None
    pixel_size: tuple[float, float] | None = None
    unit: str | None = None
    interval: float | None = None
    limits: Limits | None = None
    files: tuple[str, ...] = ()

    def to_layer(self) -> tuple[Any, dict[str, Any], str]:
        """Return values, keyword arguments and type of the layer, as napari wants them of a plugin."""
        stack = len(self.data.shape) == 3
        known = self.pixel_size is not None and self.unit is not None
        scale = list(self.pixel_size) if known and self.pixel_size is not None else [1.0, 1.0]
        units = [str(self.unit) if known else "pixel"] * 2
        if stack:
            scale = [self.interval or 1.0, *scale]
            units = ["s" if self.interval else "pixel", *units]
        keywords: dict[str, Any] = {"name": self.name, "scale": scale, "units": units}
        keywords["axis_labels"] = ["t", "y", "x"][-len(scale) :]
        keywords["metadata"] = {"files": list(self.files)}
        if self.kind == "labels":
            keywords["opacity"] = 0.5
        elif self.limits is not None and self.limits.low < self.limits.high:
            keywords["contrast_limits"] = tuple(self.limits)
        return self.data, keywords, self.kind


@dataclass(frozen=True)
class LeftOut:
    """Something could not be opened; the rest goes on."""

    sentence: str


def open_layers(plan: Plan, settings: OpenSettings, token: CancelToken) -> Iterator[LayerOpened | LeftOut]:
    """Open planned layers: images first, each with its labels behind.

    Stacks are opened lazily: only the first frame is read, for the contrast.

    Raises
    ------
    Cancelled
        If asked to stop.
    """
    yield from map(LeftOut, plan.left_out)
    for layer in plan.layers:
        token.check()
        try:
            yield (opened := _opened(layer, settings))
        except InputError as e:
            yield LeftOut(str(e))
            continue
        if layer.masks:
            yield from _labels(layer, opened, token)


def _opened(layer: PlannedLayer, settings: OpenSettings) -> LayerOpened:
    first = layer.files[0].frame()
    try:
        limits = estimate([first], Normalisation(method="percentile", low=settings.low, high=settings.high))
    except InputError:  # values that are not finite: they are shown as they are, and refused when segmented
        limits = None
    pixel_size, unit = layer.place or (None, None)
    if settings.pixel_size:
        pixel_size, unit = (settings.pixel_size, settings.pixel_size), "µm"
    return LayerOpened(
        kind="image",
        data=lazy_stack(layer.files) if layer.stack else first,
        name=layer.name,
        source=layer.source,
        pixel_size=pixel_size,
        unit=unit,
        interval=(settings.interval or layer.interval) if layer.stack else None,
        limits=limits,
        files=tuple(file.path.name for file in layer.files),
    )


def _labels(layer: PlannedLayer, image: LayerOpened, token: CancelToken) -> Iterator[LayerOpened | LeftOut]:
    """Read the masks into one layer of labels; a frame without one is empty."""
    labels = room(layer.shape, np.uint16)
    used = []
    for t, file in enumerate(layer.files):
        token.check()
        mask = layer.masks.get(file.path)
        if mask is None:
            continue
        try:
            for place, values in _mask_frames(mask, file, t):
                if labels.dtype == np.uint16 and int(values.max(initial=0)) > np.iinfo(np.uint16).max:
                    labels = labels.astype(np.int32)
                (labels[place] if layer.stack else labels)[...] = values
        except InputError as e:
            yield LeftOut(str(e))
            continue
        used.append(mask.name)
    if used:
        yield LayerOpened(
            "labels", labels, f"{layer.name} – mask", None, image.pixel_size, image.unit, image.interval, None,
            tuple(used),
        )  # fmt: skip


def _mask_frames(mask: Path, image: ImageFile, t: int) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """Yield places on the time axis and their labels: of a single mask at `t`, of a stack of masks from 0."""
    if image.axes == "YX":
        yield t, read_mask(mask, (image.shape[0], image.shape[1]))
        return
    file = open_image(mask)
    if file.shape != image.shape:
        raise InputError(
            f"The mask '{mask}' has the shape {file.shape} but its image {image.shape} (T, Y, X); give one frame of "
            "the mask for each of the image."
        )
    for place, frame in enumerate(file.each()):
        yield place, truth_labels(frame)
