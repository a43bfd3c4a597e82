"""Segmenting an image that does not fit into memory: read, run, split and measured piece by piece.

The objects are those of the whole image: its normalisation is that of the whole frame, the network's maps are those of
the whole frame, and what lies on the border of tiles is put together (see `find_parts`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.files import reporting
from blunet.images.image_windows import ImageWindows, check_windows
from blunet.images.pixel_size import PixelSize
from blunet.packed.packed_model import PackedModel
from blunet.segmentation.bands import split_into_windows
from blunet.segmentation.basins import MARGIN, TILE, find_roots
from blunet.segmentation.flooding import SMOOTHING, flood, flood_smooth
from blunet.segmentation.image_mismatch import HotPixels, describe_mismatch
from blunet.segmentation.measurements import measure
from blunet.segmentation.mosaic_maps import MosaicMaps
from blunet.segmentation.objects import label_components, typical_diameter
from blunet.segmentation.scratch import CheckedArray, Scratch
from blunet.segmentation.segmentation_settings import SegmentationSettings
from blunet.segmentation.tiled_parts import Parts, Window, WindowArray, find_parts


def _never_stop() -> None:
    """Let the work go on."""


@dataclass(frozen=True)
class MosaicProgress:
    """A piece of the work is done.

    Attributes
    ----------
    done : float
        Share of the work, 0 to 1.
    """

    done: float


@dataclass(frozen=True, eq=False)
class MosaicLabelled:
    """The objects of a mosaic were found.

    The arrays lie on disk as long as the scratch exists. Reading them ends where the work is to be stopped.

    Attributes
    ----------
    labels : ImageWindows of shape (Y, X), int32
        0 is background; objects are numbered from 1 without gaps. Of a mask: 0 and 1.
    objects : int
        Number of objects; of a mask 1, or 0 if it is empty.
    foreground_fraction : float
        Fraction of the pixels whose probability is above the threshold, before small objects were removed.
    diameter : float
        Typical diameter of the objects in pixels (see `typical_diameter`); NaN for a mask or without objects.
    table : mapping of str to ndarray
        Measurements, one row per object; empty if they were not asked for. Positions are those in the whole mosaic.
    probability : ImageWindows of shape (Y, X), float32, or None
        None if it was not asked for.
    warning : str
        What the user should know about the image; empty: nothing.
    dropped : int
        Number of objects that were smaller than the smallest area; of a mask 0.
    """

    labels: ImageWindows
    objects: int
    foreground_fraction: float
    diameter: float
    table: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    probability: ImageWindows | None = None
    warning: str = ""
    dropped: int = 0


def segment_mosaic(
    image: ImageWindows,
    model: PackedModel,
    settings: SegmentationSettings,
    scratch: Scratch,
    *,
    keep_probability: bool = False,
    measured: bool = False,
    pixel_size: PixelSize | None = None,
    tile: int | None = None,
    check: Callable[[], None] = _never_stop,
) -> Iterator[MosaicProgress | MosaicLabelled]:
    """Find the objects of an image of any size, in memory that does not depend on its size.

    Parameters
    ----------
    image : ImageWindows of shape (Y, X)
        Grey values as the microscope gave them, read in windows: see `FrameSource.windows`. A NumPy array is one too.
    model : PackedModel
    settings : SegmentationSettings
        Without a threshold or splitting, those of the model are used.
    scratch : Scratch
        Keeps maps and labels on disk; compressed, they take about a quarter of the image's bytes to as many.
    keep_probability : bool
        Whether the probability is kept too.
    measured : bool
        Whether to measure the objects.
    pixel_size : PixelSize, optional
        For the measurements.
    tile : int
        Side of the tiles in which objects are found, in pixels. None: `TILE`.
    check : callable
        Called many times. An exception that it raises ends the work.

    Yields
    ------
    MosaicProgress after each piece, and MosaicLabelled at the end.

    Raises
    ------
    InputError
        If the image cannot be read or is not a finite grey image, or the disk is full.

    Notes
    -----
    The labels equal those of the whole image but where two basins reach a pixel at the same height. Of a model without
    a distance map, `watershed` takes distances to the background up to `MARGIN` pixels into account.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from blunet import load_model
    >>> image = np.random.default_rng(0).integers(0, 255, (100, 120), np.uint8)
    >>> with Scratch(Path(tempfile.gettempdir())) as scratch:
    ...     *_, found = segment_mosaic(image, load_model(), SegmentationSettings(), scratch)
    ...     found.labels[0:100, 0:120].shape
    (100, 120)
    """
    settings = settings.for_model(model.info)
    grey, sample = check_windows(image, check)
    unlike = describe_mismatch(grey, model.info, settings.diameter, sample)
    warning = grey.warning or unlike or HotPixels(model.info.normalisation).add(grey, sample)
    maps = MosaicMaps(scratch, grey.shape, model, settings, keep_probability)
    with reporting(scratch.folder):
        for done in maps.fill(grey, model, settings, check):
            yield MosaicProgress(0.75 * done)
        labels = scratch.make("labels", grey.shape, np.int32)
        parts = _find_parts(maps, labels, settings, tile or TILE, check)
        yield MosaicProgress(0.9)
        numbers, sizes, dropped = _number_objects(parts, settings, mapped=maps.distance is not None)
        for window in split_into_windows(grey.shape):
            check()
            labels[window] = numbers[labels[window]]
        yield MosaicProgress(0.95)
        table: Mapping[str, NDArray[Any]] = {}
        if measured:
            table = measure(labels, image, pixel_size=pixel_size, check=check)
    mask = settings.objects == "mask"
    yield MosaicLabelled(
        CheckedArray(labels, check),
        min(sizes.size, 1) if mask else sizes.size,
        maps.foreground_pixels / math.prod(grey.shape),
        float("nan") if mask else typical_diameter(sizes),
        table,
        None if maps.probability is None else CheckedArray(maps.probability, check),
        warning,
        0 if mask else dropped,
    )


def _find_parts(
    maps: MosaicMaps, out: WindowArray, settings: SegmentationSettings, tile: int, check: Callable[[], None]
) -> Parts:
    """Find the basins of `watershed`, else the components."""
    foreground, distance = maps.foreground, maps.distance

    def components(window: Window) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        inside = np.asarray(foreground[window])
        return label_components(inside), inside.astype(np.float32)

    def basins(window: Window) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        inside = np.asarray(foreground[window])
        if not inside.any():
            return np.zeros(inside.shape, np.int32), np.zeros(inside.shape, np.float32)
        if distance is not None:
            return flood(inside, np.asarray(distance[window]))
        return _flood_distances(foreground, window, inside)

    if settings.objects == "watershed":
        return find_parts(basins, out, tile, MARGIN, check)
    return find_parts(components, out, tile, 0, check)


def _flood_distances(
    foreground: WindowArray, window: Window, inside: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the basins of the distance to the background, of which up to `MARGIN` pixels are told apart."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    around = tuple(
        slice(max(part.start - MARGIN, 0), min(part.stop + MARGIN, length))
        for part, length in zip(window, foreground.shape, strict=True)
    )
    wide = np.asarray(foreground[around[0], around[1]])
    here = tuple(
        slice(part.start - whole.start, part.stop - whole.start) for part, whole in zip(window, around, strict=True)
    )
    if wide.all():
        distances = np.full(inside.shape, MARGIN, np.float32)
    else:
        distances = np.minimum(distance_transform_edt(wide)[here], MARGIN).astype(np.float32)
    smooth = gaussian_filter(distances, SMOOTHING)
    return flood_smooth(inside, smooth), smooth


def _number_objects(
    parts: Parts, settings: SegmentationSettings, *, mapped: bool
) -> tuple[NDArray[np.int32], NDArray[np.int64], int]:
    """Join the parts of objects, and drop small ones.

    Returns
    -------
    numbers : ndarray, int32
        For each number that was written, the object's; of a mask 1.
    sizes : ndarray of shape (N,)
        Pixels of the objects.
    dropped : int
        Number of objects that were too small.
    """
    assert settings.splitting is not None
    split = settings.objects == "watershed"
    roots = find_roots(
        parts.maxima, parts.pairs, parts.saddles, settings.splitting if split else 0.0, mapped=mapped and split
    )
    sizes = np.bincount(roots, parts.sizes, roots.size).astype(np.int64)
    sizes[0] = 0
    keep = sizes >= max(settings.min_size, 1)
    numbers = np.where(keep, 1 if settings.objects == "mask" else np.cumsum(keep), 0).astype(np.int32)
    return numbers[roots][parts.numbers], sizes[keep], int(np.count_nonzero(sizes)) - int(np.count_nonzero(keep))
