"""Segmenting the frames of a layer, and labelling them again from kept maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from blunet.images.allocation import allocate
from blunet.images.frame_source import FrameSource
from blunet.images.image_part import ImagePart
from blunet.jobs.events import CancelToken
from blunet.packed.packed_model import load_model
from blunet.segmentation.frames import (
    FrameLabelled,
    FramePredicted,
    estimate_shared_limits,
    label_frames,
    predict_frames,
)
from blunet.segmentation.prefetch import prefetch
from blunet.segmentation.segmentation_settings import SegmentationSettings


@dataclass(frozen=True)
class FirstLook:
    """Labels of the frame that is shown, numbered from 1, before those of the frames in the order of time."""

    found: FrameLabelled


def segment_frames(
    source: FrameSource,
    model: Path | None,
    settings: SegmentationSettings,
    token: CancelToken,
    *,
    chosen: Sequence[int],
    measured: bool = False,
    threads: int | None = None,
    tile: int | None = None,
    part: ImagePart | None = None,
) -> Iterator[FramePredicted | FirstLook | FrameLabelled]:
    """Run the network on frames of a layer and find their objects.

    Parameters
    ----------
    source : FrameSource
        With `part`, its frames.
    model : Path or None
        A `.blunet` file; None: the bundled model.
    settings : SegmentationSettings
    token : CancelToken
        Checked many times within a frame.
    chosen : sequence of int
        Which frames, in the order in which the network runs; the first is the one that is shown.
    measured : bool
        Whether to measure the objects.
    threads : int, optional
        None: one for each processor.
    tile : int, optional
        Side of the tiles (pixels) in which larger images are run. None: the model's.
    part : ImagePart, optional
        The part of a frame that `source` is: it is normalised as the whole, and tables hold places in the whole.

    Yields
    ------
    FramePredicted for each frame, with its maps, which may be kept, followed by its labels: of the first of several
    frames as a FirstLook, of each other one as a FrameLabelled. The objects are numbered on in the order of the chosen
    frames, the first one at its place in time, where its FrameLabelled comes too.

    Raises
    ------
    InputError
        If the model, the diameter or a frame cannot be used.
    Cancelled
        If the job was asked to stop.
    """
    network = load_model(model, threads=threads)
    network = network if tile is None else replace(network, tile=tile)
    settings = settings.for_model(network.info)
    limits = None
    if part is not None:
        limits = estimate_shared_limits(part.to_normalise(), network, settings.diameter, token.check)
    kept = allocate((len(chosen), *source.shape), np.float32)
    predicted = predict_frames(
        source,
        network,
        settings,
        chosen=chosen,
        keep_probability=True,
        keep_distance=True,
        limits=limits,
        check=token.check,
    )
    first: FrameLabelled | None = None
    before = 0
    if len(chosen) > 1:  # the network runs while objects are found
        predicted = prefetch(predicted)
    for probability, event in zip(kept, predicted, strict=True):
        probability[...] = event.probability
        event = replace(event, probability=probability)
        yield event
        (found,) = label_frames([event], source, settings, measured=measured, check=token.check)
        found = found if part is None else _cut(found, part)
        if len(chosen) > 1 and event.t == chosen[0]:
            first = found
            yield FirstLook(found)
            continue
        if first is not None and first.t < found.t:
            yield first.numbered_on(before)
            before, first = before + _numbers(first), None
        yield found.numbered_on(before)
        before += _numbers(found)
    if first is not None:
        yield first.numbered_on(before)


def _cut(found: FrameLabelled, part: ImagePart) -> FrameLabelled:
    """Keep the objects that reach into what is wanted of a part, numbered from 1, with their places in the whole."""
    if found.labels.dtype.kind == "b":
        mask = np.zeros_like(found.labels)
        mask[part.within] = found.labels[part.within]
        return replace(found, labels=mask, objects=int(mask.any()), table=part.move_table(found.table))
    wanted = part.find_wanted(found.labels)
    numbers = np.zeros(int(found.labels.max(initial=0)) + 1, found.labels.dtype)
    numbers[wanted] = np.arange(1, wanted.size + 1)
    table = dict(found.table)
    if table:
        rows = np.isin(table["label"], wanted)
        table = {name: column[rows] for name, column in table.items()}
        table["label"] = numbers[table["label"]]
    return replace(found, labels=numbers[found.labels], objects=wanted.size, table=part.move_table(table))


def count_bytes(source: FrameSource, chosen: int) -> int:
    """Return the memory that labels and maps take: those of `chosen` frames of a source, and their layers."""
    pixels = source.shape[0] * source.shape[1]
    layers, maps = 4 + 4, 4 + 2  # labels and probability of all frames; probability and distance of the chosen ones
    return pixels * (layers * source.count + maps * chosen)


def _numbers(found: FrameLabelled) -> int:
    """Return how many numbers the objects of a frame have; those of a mask have none."""
    return 0 if found.labels.dtype.kind == "b" else found.objects


def relabel_frames(
    source: FrameSource,
    predictions: Mapping[int, FramePredicted],
    settings: SegmentationSettings,
    token: CancelToken,
    *,
    shown: int = 0,
    measured: bool = False,
    part: ImagePart | None = None,
) -> Iterator[FirstLook | FrameLabelled]:
    """Find the objects in maps that were kept.

    Parameters
    ----------
    source : FrameSource
        The images; read again only where they are measured.
    predictions : mapping of int to FramePredicted
        By frame, with their probabilities.
    settings : SegmentationSettings
        With a threshold and a splitting.
    token : CancelToken
        Checked between frames.
    shown : int
        The frame that is shown.
    measured : bool
        Whether to measure the objects.
    part : ImagePart, optional
        As in `segment_frames`.

    Yields
    ------
    Of several frames a FirstLook at the shown one; then FrameLabelled for each frame in the order of time.

    Raises
    ------
    Cancelled
        If the job was asked to stop.
    """
    if len(predictions) > 1 and shown in predictions:
        yield from map(FirstLook, label_frames([predictions[shown]], source, settings, check=token.check))
    each = (predictions[t] for t in sorted(predictions))
    for found in label_frames(each, source, settings, measured=measured, check=token.check):
        yield found if part is None else _cut(found, part)
