"""Opening images as layers of a viewer, with labels from the masks beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.mask_doubts import Doubt, describe_doubts
from blunet.dataset.truth_masks import Truth, interpret_mask, read_truth
from blunet.errors import InputError, naming_errors
from blunet.images.allocation import allocate
from blunet.images.file_sets import spans_of
from blunet.images.frame_source import FrameSource
from blunet.images.normalisation import Limits, estimate_limits
from blunet.images.normalisation_settings import Normalisation
from blunet.images.pixel_size import MICROMETRES, PixelSize
from blunet.images.plane_choice import PlaneChoice
from blunet.jobs.annotation_layers import fill_annotations
from blunet.jobs.events import CancelToken
from blunet.jobs.layer_plan import Plan, PlannedLayer, plan_layers
from blunet.jobs.saved_labels import read_saved_labels
from blunet.settings_model import SettingsModel, setting


class OpenSettings(SettingsModel):
    """What the user adds to the images' files, and how the images are shown."""

    pixel_size: float | None = setting(
        None,
        title="Pixel size",
        description="Side of a pixel in the specimen. Without it, the size in the files counts.",
        unit="µm",
        gt=0,
    )
    interval: float | None = setting(
        None,
        title="Time per frame",
        description="Time from one frame to the next. Without it, the time in the files counts.",
        unit="s",
        gt=0,
    )
    low: float = setting(
        0.1, title="Low percentile", description="The percentile that is shown black.", unit="%", ge=0, le=100
    )
    high: float = setting(
        99.9, title="High percentile", description="The percentile that is shown white.", unit="%", ge=0, le=100
    )


@dataclass(frozen=True)
class LayerOpened:
    """A layer was opened.

    Attributes
    ----------
    kind : {"image", "labels"}
    data : array
        (Y, X) or (T, Y, X). The images of a time-lapse are a dask array, whose frames are read when they are shown.
    name : str
    source : Path or None
        As in `PlannedLayer`.
    pixel_size : PixelSize or None
        None: not known.
    interval : float or None
        Seconds between frames.
    limits : Limits or None
        Grey values to be shown black and white.
    files : tuple of str
        Names of the files, in the order of the frames.
    table : mapping of str to ndarray
        Measurements of labels, one row for each; empty if there are none.
    slices : bool
        Whether a stack runs through slices (Z) instead of time.
    spacing : float or None
        Distance of slices in the unit of the pixel size.
    """

    kind: str
    data: Any
    name: str
    source: Path | None = None
    pixel_size: PixelSize | None = None
    interval: float | None = None
    limits: Limits | None = None
    files: tuple[str, ...] = ()
    table: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    slices: bool = False
    spacing: float | None = None

    def to_layer(self) -> tuple[Any, dict[str, Any], str]:
        """Return the values, keyword arguments and type of the layer, in the form that napari expects of a plugin."""
        stack = len(self.data.shape) == 3
        size = self.pixel_size
        scale, units = ([1.0, 1.0], ["pixel"] * 2) if size is None else ([size.y, size.x], [size.unit] * 2)
        if stack and self.slices:
            scale = [self.spacing or 1.0, *scale]
            units = [units[0] if self.spacing else "pixel", *units]
        elif stack:
            scale = [self.interval or 1.0, *scale]
            units = ["s" if self.interval else "pixel", *units]
        keywords: dict[str, Any] = {"name": self.name, "scale": scale, "units": units}
        keywords["axis_labels"] = ["z" if self.slices else "t", "y", "x"][-len(scale) :]
        keywords["metadata"] = {"files": list(self.files)}
        if self.kind == "labels":
            keywords["opacity"] = 0.5
            if self.table:
                keywords["features"] = {"index": self.table["label"], **self.table}
        elif self.limits is not None and self.limits.low < self.limits.high:
            keywords["contrast_limits"] = tuple(self.limits)
        return self.data, keywords, self.kind


@dataclass(frozen=True)
class LeftOut:
    """Something could not be opened; the rest is opened all the same."""

    sentence: str


@dataclass(frozen=True)
class Doubted:
    """Something was opened but may not be what it should be."""

    sentence: str


def open_layers(
    plan: Plan, settings: OpenSettings, token: CancelToken
) -> Iterator[LayerOpened | LeftOut | Doubted]:  # fmt: skip
    """Open planned layers, each image followed by its labels.

    Of a stack only the first frame is read, for the contrast.

    Raises
    ------
    Cancelled
        If the job was asked to stop.
    """
    yield from map(LeftOut, plan.left_out)
    for layer in plan.layers:
        token.check()
        if layer.kind == "labels":
            yield from _saved_labels(layer, settings, layer.name, layer.source)
            continue
        try:
            with naming_errors(layer.frames.paths[0]):
                opened = _opened(layer, settings)
        except InputError as e:
            yield LeftOut(str(e))
            continue
        yield opened
        if layer.masks:
            yield from _masks(layer, opened, token)
        if layer.annotations:
            yield from _annotations(layer, opened, token)
        if layer.labels:
            yield from _saved_labels(layer, settings, f"{layer.name} – cells")


def open_field(
    path: Path, planes: PlaneChoice, settings: OpenSettings, token: CancelToken
) -> Iterator[LayerOpened | LeftOut | Doubted]:
    """Open an image of a well.

    Raises
    ------
    InputError
        If it cannot be opened.
    Cancelled
        If the job was asked to stop.
    """
    yield from open_layers(plan_layers([path], masks=False, planes=planes, token=token), settings, token)


def _opened(layer: PlannedLayer, settings: OpenSettings) -> LayerOpened:
    first = layer.frames.frame()
    try:
        limits = estimate_limits([first], Normalisation(method="percentile", low=settings.low, high=settings.high))
    except InputError:  # an image that is not finite can be shown all the same
        limits = None
    return LayerOpened(
        kind="image",
        data=layer.frames.to_dask() if layer.frames.stack else first,
        name=layer.name,
        source=layer.source,
        pixel_size=_pixel_size(layer, settings),
        interval=_interval(layer, settings),
        limits=limits,
        files=tuple(dict.fromkeys(path.name for path in layer.frames.paths)),
        slices=layer.frames.axes == "ZYX",
        spacing=_spacing(layer, settings),
    )


def _pixel_size(layer: PlannedLayer, settings: OpenSettings) -> PixelSize | None:
    if settings.pixel_size:
        return PixelSize(settings.pixel_size, settings.pixel_size, "µm")
    return layer.pixel_size


def _interval(layer: PlannedLayer, settings: OpenSettings) -> float | None:
    return (settings.interval or layer.interval) if layer.frames.axes == "TYX" else None


def _spacing(layer: PlannedLayer, settings: OpenSettings) -> float | None:
    spacing, size = layer.frames.spacing, layer.frames.pixel_size
    if spacing is None or size is None or not settings.pixel_size:
        return spacing
    return spacing * MICROMETRES[size.unit]


def _saved_labels(
    layer: PlannedLayer, settings: OpenSettings, name: str, source: Path | None = None
) -> Iterator[LayerOpened | LeftOut]:
    """Read saved labels and their tables into one layer; frames without labels stay empty."""
    spans = spans_of(layer.frames.paths, layer.frames.count)
    places = {span.start: layer.labels[path] for path, span in spans if path in layer.labels}
    found = read_saved_labels(places, layer.frames)
    yield from map(LeftOut, found.problems)
    if found.files:
        yield LayerOpened(
            "labels", found.values, name, source, _pixel_size(layer, settings), _interval(layer, settings),
            files=found.files, table=found.table, slices=layer.frames.axes == "ZYX",
            spacing=_spacing(layer, settings),
        )  # fmt: skip


def _masks(
    layer: PlannedLayer, image: LayerOpened, token: CancelToken
) -> Iterator[LayerOpened | LeftOut | Doubted]:  # fmt: skip
    """Read the masks into one layer of labels; frames without a mask stay empty."""
    frames = layer.frames
    labels = allocate(frames.array_shape, np.uint16)
    used = []
    doubts: dict[Path, set[Doubt]] = {}
    for path, span in spans_of(frames.paths, frames.count):
        token.check()
        mask = layer.masks.get(path)
        if mask is None:
            continue
        try:
            with naming_errors(mask):
                for place, truth in _mask_frames(mask, frames, span):
                    values = truth.labels
                    doubts.setdefault(mask, set()).update(truth.doubts)
                    if labels.dtype == np.uint16 and int(values.max(initial=0)) > np.iinfo(np.uint16).max:
                        labels = labels.astype(np.int32)
                    (labels[place] if frames.stack else labels)[...] = values
        except InputError as e:
            yield LeftOut(str(e))
            continue
        used.append(mask.name)
    yield from map(Doubted, describe_doubts(doubts))
    if used:
        yield LayerOpened(
            "labels", labels, f"{layer.name} – mask", None, image.pixel_size, image.interval, None,
            tuple(used), slices=image.slices, spacing=image.spacing,
        )  # fmt: skip


def _annotations(layer: PlannedLayer, image: LayerOpened, token: CancelToken) -> Iterator[LayerOpened | Doubted]:
    """Fill the outlines of other programs into one layer of labels; frames without any stay empty."""
    spans = spans_of(layer.frames.paths, layer.frames.count)
    for found in fill_annotations(layer.frames, layer.annotations, spans, token):
        if isinstance(found, str):
            yield Doubted(found)
            continue
        files = tuple(dict.fromkeys(each.annotation.name for each in layer.annotations.values()))
        yield LayerOpened(
            "labels", found, f"{layer.name} – annotations", None, image.pixel_size, image.interval, None,
            files, slices=image.slices, spacing=image.spacing,
        )  # fmt: skip


def _mask_frames(mask: Path, image: FrameSource, span: slice) -> Iterator[tuple[int, Truth]]:
    """Yield indices of frames and their truth, of the mask of a file that holds the frames `span`."""
    count = span.stop - span.start
    if count == 1 and not (image.stack and len(image.paths) == 1):
        yield span.start, read_truth(mask, image.shape)
        return
    frames = FrameSource.from_file(mask)
    if frames.array_shape != (count, *image.shape):
        raise InputError(
            f"The mask '{mask}' has the shape {frames.array_shape} but its image {(count, *image.shape)} (T, Y, X); "
            "give one frame of the mask for each of the image."
        )
    for index, frame in enumerate(frames.each(), span.start):
        yield index, interpret_mask(frame)
