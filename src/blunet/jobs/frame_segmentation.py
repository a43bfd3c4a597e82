"""Segmenting frames that are in memory or read lazily, as a viewer holds them; again from kept probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.normalise import check_image, type_limits
from blunet.jobs.events import CancelToken
from blunet.jobs.file_segmentation import SegmentSettings, checked_settings
from blunet.packed.model_card import ModelInfo
from blunet.packed.packed_model import load_model
from blunet.segmentation.measure import measure
from blunet.segmentation.objects import label_objects
from blunet.segmentation.predict import probability, shared_limits

#: A stack's normalisation is estimated from so many frames, spread evenly.
SAMPLED_FRAMES = 16
#: An image with fewer pixels than this across has hardly room for a cell.
SMALL = 32
#: A DIC image has more grey values than this, in more than this part of what its model takes for black to white.
FEW_VALUES, NARROW = 4, 1 / 8


@dataclass(frozen=True)
class Frames:
    """The frames of one layer, and what is known of its pixels.

    Attributes
    ----------
    data : array
        (Y, X), or (T, Y, X) of a stack: a NumPy array, or a dask array of which single frames are read.
    pixel_size : (Y, X), optional
        In `unit`.
    unit : str, optional
        Such as "µm"; None: pixels.
    """

    data: Any
    pixel_size: tuple[float, float] | None = None
    unit: str | None = None

    @property
    def stack(self) -> bool:
        """Whether there is a time axis."""
        return len(self.data.shape) == 3

    @property
    def count(self) -> int:
        """Number of frames."""
        return int(self.data.shape[0]) if self.stack else 1

    def frame(self, t: int) -> NDArray[Any]:
        """Read frame `t`, (Y, X)."""
        return np.asarray(self.data[t] if self.stack else self.data)


@dataclass(frozen=True)
class ProbabilityFound:
    """The network has run on frame `t`; `message` is a warning about it, or empty."""

    t: int
    probability: NDArray[np.float32]
    message: str = ""


@dataclass(frozen=True)
class LabelsFound:
    """Frame `t` has objects.

    Attributes
    ----------
    t : int
    labels : ndarray of shape (Y, X), int32
        Numbered on from frame to frame where `final`, else from 1.
    final : bool
        False: a first look at the frame that is shown, which comes again in its turn.
    table : mapping of str to ndarray
        Measurements, one row an object; empty if none were asked for.
    diameter : float
        Median diameter of the objects in pixels (of circles of equal area), NaN without single objects.
    """

    t: int
    labels: NDArray[np.int32]
    final: bool
    table: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    diameter: float = float("nan")


def predict_frames(
    frames: Frames, chosen: Sequence[int], model: Path | None, diameter: float | None, token: CancelToken,
    threads: int | None = None, tile: int | None = None,
) -> Iterator[ProbabilityFound]:  # fmt: skip
    """Run the network on some frames.

    Parameters
    ----------
    frames : Frames
    chosen : sequence of int
        Which frames, in this order. A stack's normalisation is that of the stack, whichever are chosen.
    model : Path or None
        A `.blunet` file; None: the bundled model.
    diameter : float or None
        Typical diameter of the objects in pixels; None: no resampling.
    token : CancelToken
        Looked at within a frame.
    threads : int, optional
        None: one for each processor.
    tile : int, optional
        Side of the tiles (pixels) that larger images are run in; None: the usual.

    Raises
    ------
    InputError
        If the model, the diameter or a frame cannot be used.
    Cancelled
        If asked to stop.
    """
    network = load_model(model, threads=threads)
    network = network if tile is None else replace(network, tile=tile)
    checked_settings(SegmentSettings(diameter=diameter), network)
    limits = None
    if frames.stack:
        sampled = np.unique(np.linspace(0, frames.count - 1, min(SAMPLED_FRAMES, frames.count)).round().astype(int))
        limits = shared_limits(_each(frames, sampled.tolist(), token), network, diameter)
    for t in chosen:
        token.check()
        with _naming(frames, t):
            frame = frames.frame(t)
            check_image(frame)
            if frame.min() == frame.max():  # found here, as warnings cannot be caught in a thread
                yield ProbabilityFound(t, np.zeros(frame.shape, np.float32), _constant(frames, t))
                continue
            found = probability(frame, network, diameter=diameter, limits=limits, check=token.check)
        yield ProbabilityFound(t, found, unlike(frame, network.info, diameter) if t == chosen[0] else "")


def unlike(frame: NDArray[Any], model: ModelInfo, diameter: float | None = None) -> str:
    """Return a warning, in words, if an image looks unlike anything that a model can use, else an empty string.

    Parameters
    ----------
    frame : ndarray of shape (Y, X)
    model : ModelInfo
    diameter : float, optional
        What the user takes for the typical diameter of its objects (pixels).
    """
    if min(frame.shape) < SMALL:
        return f"The image has only {frame.shape[0]} × {frame.shape[1]} pixels: hardly room for a cell."
    if diameter is not None and diameter > max(frame.shape):
        return f"A diameter of {diameter:g} px is larger than the image."
    sample = frame[:: max(1, frame.shape[0] // 512), :: max(1, frame.shape[1] // 512)]
    if np.unique(sample).size <= FEW_VALUES:
        return "The image has hardly any grey values: is it a mask rather than a DIC image?"
    if model.normalisation.method == "range":
        low, high = type_limits(frame.dtype)
        darkest, brightest = float(sample.min()), float(sample.max())
        if brightest > high or brightest - darkest < NARROW * (high - low):
            return (
                f"The image has grey values from {darkest:g} to {brightest:g}, and this model takes {low:g} for black "
                f"and {high:g} for white: it may see little. Stretch the values, or take a model that adapts to them."
            )
    return ""


def label_frames(
    frames: Frames,
    probabilities: Mapping[int, NDArray[np.float32]],
    settings: SegmentSettings,
    token: CancelToken,
    *,
    shown: int = 0,
    measured: bool = False,
) -> Iterator[LabelsFound]:
    """Find the objects in probabilities that are there already.

    Parameters
    ----------
    frames : Frames
        The images; read again only where they are measured.
    probabilities : mapping of int to ndarray of shape (Y, X)
        By frame.
    settings : SegmentSettings
        With a threshold.
    token : CancelToken
        Looked at between frames.
    shown : int
        The frame that is seen: of several it comes first, to be looked at, and again in its turn.
    measured : bool
        Whether the objects are measured.

    Raises
    ------
    InputError
        If a setting is out of range.
    Cancelled
        If asked to stop.
    """
    assert settings.threshold is not None
    if len(probabilities) > 1 and shown in probabilities:
        yield LabelsFound(shown, _labels(probabilities[shown], settings), final=False)
    before = 0
    for t in sorted(probabilities):
        token.check()
        labels = _labels(probabilities[t], settings)
        token.check()
        sizes = np.bincount(labels.ravel())[1:]
        single = sizes.size and settings.objects != "mask"
        diameter = float(np.median(np.sqrt(4 / np.pi * sizes))) if single else float("nan")
        labels[labels > 0] += before
        table: Mapping[str, NDArray[Any]] = {}
        if measured:
            place: dict[str, Any] = {"pixel_size": frames.pixel_size, "unit": frames.unit}
            table = measure(labels, frames.frame(t), **place, frame=t if frames.stack else None)
        before += sizes.size if settings.objects != "mask" else 0
        yield LabelsFound(t, labels, True, table, diameter)


def _constant(frames: Frames, t: int) -> str:
    where = f"Frame {t + 1}" if frames.stack else "The image"
    return f"{where} is constant: no object can be seen in it."


def _labels(found: NDArray[np.float32], settings: SegmentSettings) -> NDArray[np.int32]:
    assert settings.threshold is not None
    return label_objects(found, settings.threshold, settings.objects, settings.min_size)


def _each(frames: Frames, chosen: Sequence[int], token: CancelToken) -> Iterator[NDArray[Any]]:
    for t in chosen:
        token.check()
        with _naming(frames, t):
            yield frames.frame(t)


class _naming:
    """Names the frame of a stack in what is wrong with it; what cannot be read is bad input too."""

    def __init__(self, frames: Frames, t: int) -> None:
        self.place = f"frame {t + 1} of {frames.count}: " if frames.stack else ""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, InputError):
            raise InputError(f"{self.place}{error}") from error
        if isinstance(error, OSError):
            raise InputError(f"{self.place}the image cannot be read: {error}.") from error
