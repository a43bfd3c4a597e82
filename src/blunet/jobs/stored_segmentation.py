"""Segmenting frames straight into an OME-Zarr, for what is too large for memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.images.frame_source import FrameSource
from blunet.images.labels_store import LabelsStore
from blunet.jobs.events import Cancelled, CancelToken
from blunet.packed.packed_model import PackedModel, load_model
from blunet.segmentation.frames import FrameLabelled, label_frames, predict_frames
from blunet.segmentation.mosaic import MosaicProgress, segment_mosaic
from blunet.segmentation.prefetch import prefetch
from blunet.segmentation.provenance import LABELS_HASH, hash_frame, join_hashes
from blunet.segmentation.scale import scale_factor
from blunet.segmentation.scratch import Scratch
from blunet.segmentation.segmentation_settings import SegmentationSettings


@dataclass(frozen=True, eq=False)
class StoreOpened:
    """The Zarr can be shown: its labels appear in `levels`, arrays of which the finest is the first."""

    levels: Sequence[Any]


@dataclass(frozen=True)
class FrameStored:
    """The labels of a frame are written.

    Attributes
    ----------
    t : int
    objects : int
        Number of objects in this frame.
    diameter : float
        Typical diameter of the objects in pixels; NaN without objects.
    dropped : int
        Number of objects that were smaller than the smallest area.
    warning : str
        What the user should know about the frame; empty: nothing.
    """

    t: int
    objects: int
    diameter: float
    dropped: int = 0
    warning: str = ""


@dataclass(frozen=True)
class PieceDone:
    """A piece of a single image is done; `done` is the share of the work, 0 to 1."""

    done: float


@dataclass(frozen=True, eq=False)
class StoreFinished:
    """The Zarr has its name.

    Attributes
    ----------
    path : Path
    table : mapping of str to ndarray
        Measurements of all objects; empty if they were not asked for.
    stopped : bool
        Whether the job was stopped before all frames were done.
    """

    path: Path
    table: Mapping[str, NDArray[Any]]
    stopped: bool = False


def segment_into_store(
    source: FrameSource,
    path: Path,
    model: Path | None,
    settings: SegmentationSettings,
    token: CancelToken,
    *,
    chosen: Sequence[int],
    description: Mapping[str, Any],
    measured: bool = False,
    threads: int | None = None,
    tile: int | None = None,
) -> Iterator[StoreOpened | PieceDone | FrameStored | StoreFinished]:
    """Segment frames of a layer into a new OME-Zarr, in memory for one frame; a single image in memory for a tile.

    Parameters
    ----------
    source : FrameSource
    path : Path
        Of the Zarr, which must not exist.
    model : Path or None
        A `.blunet` file; None: the bundled model.
    settings : SegmentationSettings
    token : CancelToken
        Checked many times within a frame.
    chosen : sequence of int
        Which frames; they are done in the order of time.
    description : mapping
        Of model and settings, for the Zarr.
    measured : bool
        Whether to measure the objects.
    threads, tile : int, optional
        As in `segment_frames`.

    Yields
    ------
    StoreOpened, FrameStored for each frame, and StoreFinished, also if the job is stopped after some frames. Of a
    single image also PieceDone; its labels are written when all of it was seen.

    Raises
    ------
    InputError
        If the model, the diameter or a frame cannot be used, or the Zarr cannot be written. Frames that were done stay
        in the Zarr.
    Cancelled
        If the job was asked to stop.
    """
    network = load_model(model, threads=threads)
    network = network if tile is None else replace(network, tile=tile)
    settings = settings.for_model(network.info)
    hashes: dict[int, bytes] = {}
    labelled: Iterator[FrameLabelled | _Single | PieceDone]
    tables: list[Mapping[str, NDArray[Any]]] = []
    with LabelsStore(path, source, description) as store:
        yield StoreOpened(store.levels)
        if source.count == 1 and scale_factor(network.info, settings.diameter) == 1:
            labelled = _segment_single(source, network, settings, path.parent, measured, token)
        else:
            labelled = _segment_frames(source, network, settings, chosen, measured, token)
        try:
            for found in labelled:
                if isinstance(found, PieceDone):
                    yield found
                    continue
                store.write(found.t, found.labels)
                hashes[found.t] = hash_frame(found.labels)
                tables.append(found.table)
                yield FrameStored(found.t, found.objects, found.diameter, found.dropped, found.warning)
        except BaseException as e:
            if hashes and not isinstance(e, GeneratorExit):
                yield StoreFinished(_close(store, hashes, description), _join(tables), stopped=isinstance(e, Cancelled))
            raise
        yield StoreFinished(_close(store, hashes, description), _join(tables))


def _segment_frames(
    source: FrameSource,
    model: PackedModel,
    settings: SegmentationSettings,
    chosen: Sequence[int],
    measured: bool,
    token: CancelToken,
) -> Iterator[FrameLabelled]:
    predicted = predict_frames(source, model, settings, chosen=sorted(chosen), check=token.check)
    ahead = prefetch(predicted) if len(chosen) > 1 else predicted  # the network runs while objects are found
    yield from label_frames(ahead, source, settings, measured=measured, check=token.check)


def _segment_single(
    source: FrameSource,
    model: PackedModel,
    settings: SegmentationSettings,
    folder: Path,
    measured: bool,
    token: CancelToken,
) -> Iterator[_Single | PieceDone]:
    """Segment an image piece by piece; maps and labels lie in a temporary folder meanwhile."""
    frame = 0 if source.stack else None
    with Scratch(folder) as scratch, source.windows() as image:
        for event in segment_mosaic(
            image, model, settings, scratch, measured=measured, pixel_size=source.pixel_size, check=token.check
        ):
            if isinstance(event, MosaicProgress):
                yield PieceDone(event.done)
                continue
            table = dict(event.table)
            if table and frame is not None:
                table = {"label": table.pop("label"), "frame": np.zeros(event.objects, int), **table}
            warning = source.prefix() + event.warning if event.warning else ""
            yield _Single(0, event.labels, event.objects, event.diameter, table, warning, event.dropped)


@dataclass(frozen=True, eq=False)
class _Single:
    """What `FrameLabelled` says of a frame, of an image whose labels lie on disk."""

    t: int
    labels: Any
    objects: int
    diameter: float
    table: Mapping[str, NDArray[Any]]
    warning: str
    dropped: int


def _close(store: LabelsStore, hashes: Mapping[int, bytes], description: Mapping[str, Any]) -> Path:
    blank = hash_frame(np.zeros(store.source.shape, np.int32))
    found = join_hashes(hashes.get(t, blank) for t in range(store.source.count))
    return store.finish({**description, "frames": sorted(hashes), LABELS_HASH: found})


def _join(tables: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    full = [table for table in tables if table]
    return {name: np.concatenate([table[name] for table in full]) for name in full[0]} if full else {}
