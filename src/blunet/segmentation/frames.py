"""From frames to objects: the one way that files, layers, arrays and evaluation go.

`predict_frames` runs the network, `label_frames` finds the objects in what the network has found::

    labelled = label_frames(predict_frames(source, model, settings), source, settings)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.grey_image import GreyImage
from blunet.images.normalisation import Limits, estimate_limits
from blunet.segmentation.image_mismatch import HotPixels, RepeatedFrames, describe_mismatch
from blunet.segmentation.measurements import measure
from blunet.segmentation.objects import count_pixels, label_and_count, typical_diameter
from blunet.segmentation.prediction import (
    distance_of,
    has_distance,
    predict_foreground,
    predict_foreground_and_distance,
    predict_maps,
    predict_probability,
    rescale_to_model,
)
from blunet.segmentation.predictor import Predictor
from blunet.segmentation.segmentation_settings import SegmentationSettings


def _never_stop() -> None:
    """Let the work go on."""


@dataclass(frozen=True, eq=False)
class FramePredicted:
    """The network has run on a frame.

    Attributes
    ----------
    t : int
        Index of the frame.
    probability : ndarray of shape (Y, X), float32, or None
        In [0, 1]; None where only the foreground was wanted.
    foreground : ndarray of shape (Y, X), bool, or None
        Where the probability is above the threshold; None where the probability was wanted.
    distance : ndarray of shape (Y, X), float16, or None
        Distance to the border of the object relative to its largest, 0 to 1; None where the model does not give it or
        nothing needs it.
    image : ndarray of shape (Y, X), or None
        Grey values of the frame. None: they are read again where they are needed.
    warning : str
        What the user should know about the frame, its name first; empty: nothing.
    """

    t: int
    probability: NDArray[np.float32] | None = None
    foreground: NDArray[np.bool_] | None = None
    distance: NDArray[np.float16] | None = None
    image: NDArray[Any] | None = None
    warning: str = ""


@dataclass(frozen=True, eq=False)
class FrameLabelled:
    """The objects of a frame were found.

    Attributes
    ----------
    t : int
        Index of the frame.
    labels : ndarray of shape (Y, X), int32 or bool
        0 is background. The numbers continue those of the frames before, without gaps. Of a mask: booleans.
    foreground : ndarray of shape (Y, X), bool
        Where the probability is above the threshold, before small objects were removed.
    objects : int
        Number of objects; of a mask 1, or 0 if it is empty.
    diameter : float
        Typical diameter of the objects in pixels (see `typical_diameter`); NaN for a mask or without objects.
    table : mapping of str to ndarray
        Measurements, one row per object; empty if they were not asked for.
    probability : ndarray of shape (Y, X), float32, or None
        As predicted.
    warning : str
        As predicted.
    dropped : int
        Number of objects that were smaller than the smallest area; of a mask 0.
    """

    t: int
    labels: NDArray[Any]
    foreground: NDArray[np.bool_]
    objects: int
    diameter: float
    table: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    probability: NDArray[np.float32] | None = None
    warning: str = ""
    dropped: int = 0

    @property
    def foreground_fraction(self) -> float:
        """Fraction of the pixels that is foreground."""
        return float(self.foreground.mean())

    def numbered_on(self, before: int) -> FrameLabelled:
        """Return the same objects with numbers that continue those of `before` objects."""
        if not before or self.labels.dtype.kind == "b":
            return self
        labels = np.where(self.labels > 0, self.labels + before, 0).astype(self.labels.dtype)
        table = {**self.table, "label": self.table["label"] + before} if self.table else self.table
        return replace(self, labels=labels, table=table)


def predict_frames(
    source: FrameSource,
    model: Predictor,
    settings: SegmentationSettings,
    *,
    chosen: Sequence[int] | None = None,
    keep_probability: bool = False,
    keep_distance: bool = False,
    limits: Limits | None = None,
    check: Callable[[], None] = _never_stop,
) -> Iterator[FramePredicted]:
    """Run the network on frames, one in memory at a time.

    Parameters
    ----------
    source : FrameSource
    model : Predictor
    settings : SegmentationSettings
        Threshold (None: the model's), objects and diameter are used: of a model with a distance map, `watershed` needs
        the map.
    chosen : sequence of int, optional
        Which frames, in this order. None: all. The frames of a time-lapse share one normalisation, estimated from
        frames spread over the whole of it, whichever are chosen.
    keep_probability : bool
        Whether to yield the probability, which relabelling and files of probability need; else the foreground, which
        takes a quarter of the memory.
    keep_distance : bool
        Whether to yield the distance map, if the model has one, whichever objects are wanted.
    limits : Limits, optional
        From `estimate_shared_limits` of the image that the frames are a part of. None: they are estimated here.
    check : callable
        Called between frames and many times within. An exception that it raises ends the work.

    Yields
    ------
    FramePredicted
        A constant frame has a warning; so has the first frame if it looks unlike the images that a model can use, the
        first frame with hot pixels, and the first that equals the one before.

    Raises
    ------
    InputError
        If the diameter cannot be used, or a frame cannot be read or is not a finite grey image; the message names the
        frame.
    """
    settings = settings.for_model(model.info)
    assert settings.threshold is not None
    indices = list(range(source.count)) if chosen is None else list(chosen)
    diameter, threshold = settings.diameter, settings.threshold
    mapped = has_distance(model.settings) and (keep_distance or settings.objects == "watershed")
    if limits is None and source.stack:
        limits = estimate_shared_limits(source, model, diameter, check)
    repeats, hot_pixels = RepeatedFrames(), HotPixels(model.info.normalisation)
    for t, image in zip(indices, source.each_checked(indices), strict=True):
        check()
        probability = foreground = distance = None
        with _naming(source, t):
            if mapped and keep_probability:
                maps = predict_maps(image, model, diameter=diameter, limits=limits, check=check)
                probability, distance = maps[0].copy(), distance_of(maps, model.settings)  # without the other maps
                del maps
            elif mapped:
                foreground, distance = predict_foreground_and_distance(
                    image, model, threshold, diameter=diameter, limits=limits, check=check
                )
            elif keep_probability:
                probability = predict_probability(image, model, diameter=diameter, limits=limits, check=check)
            else:
                foreground = predict_foreground(image, model, threshold, diameter=diameter, limits=limits, check=check)
        unlike = describe_mismatch(image, model.info, diameter) if t == indices[0] else ""
        found = [image.warning or unlike or hot_pixels.add(image), repeats.add(t, image) if source.stack else ""]
        warning = " ".join(filter(None, found))
        warning = source.prefix(t) + warning if warning else ""
        yield FramePredicted(t, probability, foreground, distance, image.values, warning)


def label_frames(
    predictions: Iterable[FramePredicted],
    source: FrameSource,
    settings: SegmentationSettings,
    *,
    measured: bool = False,
    check: Callable[[], None] = _never_stop,
) -> Iterator[FrameLabelled]:
    """Find the objects in predicted frames; they are numbered on from frame to frame.

    Parameters
    ----------
    predictions : iterable of FramePredicted
        From `predict_frames`, or made from maps that were kept.
    source : FrameSource
        The images; its frames are read again only where they are measured and a prediction does not hold them.
    settings : SegmentationSettings
        With a threshold if the predictions hold probabilities, and with a splitting if objects are split; see
        `SegmentationSettings.for_model`.
    measured : bool
        Whether to measure the objects.
    check : callable
        Called between frames. An exception that it raises ends the work.

    Yields
    ------
    FrameLabelled
        In the order of the predictions.
    """
    before = 0
    for prediction in predictions:
        check()
        foreground = _foreground_of(prediction, settings)
        labels, dropped = _label(foreground, prediction, settings)
        check()
        sizes = np.zeros(0, np.int64)
        if settings.objects != "mask":
            sizes = count_pixels(labels)[1:]
            if before:
                np.add(labels, before, out=labels, where=labels > 0)
        table: Mapping[str, NDArray[Any]] = {}
        if measured:
            image = source.frame(prediction.t) if prediction.image is None else prediction.image
            frame = prediction.t if source.stack else None
            table = measure(labels.astype(np.int32, copy=False), image, pixel_size=source.pixel_size, frame=frame)
        yield FrameLabelled(
            prediction.t,
            labels,
            foreground,
            sizes.size if settings.objects != "mask" else int(labels.any()),
            typical_diameter(sizes),
            table,
            prediction.probability,
            prediction.warning,
            dropped,
        )
        before += sizes.size


def estimate_shared_limits(
    source: FrameSource, model: Predictor, diameter: float | None, check: Callable[[], None] = _never_stop
) -> Limits:
    """Estimate the one normalisation that all frames of a time-lapse share, from frames spread evenly over it.

    The frames are resampled to the model's scale first. Parameters and errors are those of `predict_frames`.
    """

    def sampled() -> Iterator[GreyImage]:
        chosen = source.sample()
        for t, image in zip(chosen, source.each_checked(chosen), strict=True):
            check()
            with _naming(source, t):
                scaled = rescale_to_model(image, model, diameter)
            yield scaled

    return estimate_limits(sampled(), model.info.normalisation)


@contextmanager
def _naming(source: FrameSource, t: int) -> Iterator[None]:
    """Name the frame in errors about it."""
    try:
        yield
    except InputError as e:
        raise source.error(t, str(e)) from e


def _foreground_of(prediction: FramePredicted, settings: SegmentationSettings) -> NDArray[np.bool_]:
    if prediction.foreground is not None:
        return prediction.foreground
    if prediction.probability is None or settings.threshold is None:
        raise TypeError("a prediction needs a foreground, or a probability together with a threshold")
    return prediction.probability > settings.threshold


def _label(
    foreground: NDArray[np.bool_], prediction: FramePredicted, settings: SegmentationSettings
) -> tuple[NDArray[Any], int]:
    if settings.splitting is None:
        raise TypeError("objects need a splitting: give settings with the model's")
    return label_and_count(foreground, settings.objects, settings.min_size, settings.splitting, prediction.distance)
