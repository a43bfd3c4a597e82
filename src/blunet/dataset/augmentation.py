"""Random crops of a field and random changes of a crop, the same for its image, labels and distance map."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.augmentation_settings import AugmentationSettings
from blunet.dataset.reviewed import NOT_REVIEWED
from blunet.errors import InputError

Image = NDArray[np.float32]
Labels = NDArray[np.int32]

#: Places that are drawn for a crop in which objects are wanted.
CROP_TRIES = 3
#: Places that are drawn for a crop in which reviewed pixels are wanted, and their wanted share of it.
REVIEWED_TRIES, REVIEWED_SHARE = 20, 0.05
#: Interior points of the curves through which grey values and illumination are warped.
HISTOGRAM_POINTS = 3
ILLUMINATION_POINTS = 4
#: Entries of the table that stands for the curve of grey values.
CURVE_STEPS = 1024
#: Points per axis of the grid of elastic displacements.
GRID_POINTS = 3


class Planes(NamedTuple):
    """An image with its truth.

    Attributes
    ----------
    image : ndarray of shape (Y, X), float32
        In [0, 1].
    labels : ndarray of shape (Y, X), int32
        0 is background, `NOT_REVIEWED` is what does not count.
    distance : ndarray of shape (Y, X), float32, or None
        The map of `compute_distance_map`, where it is learnt.
    """

    image: Image
    labels: Labels
    distance: Image | None = None


def crop_at_random(planes: Planes, size: int, rng: np.random.Generator, foreground: float = 0.0) -> Planes:
    """Crop a random square; a smaller image is padded with 0 at the bottom and right.

    Of a partly reviewed image, places are drawn until a twentieth of one was reviewed, at most twenty.

    Parameters
    ----------
    planes : Planes
    size : int
        Side of the crop in pixels, at least 1.
    rng : numpy.random.Generator
    foreground : float
        Share of the crop, 0 to 1, that objects should cover: up to three places are drawn until one has that much.

    Returns
    -------
    Planes
        Of shape (size, size); views of the input, unless padded.

    Raises
    ------
    InputError
        If `size` is below 1, or the labels have another shape than the image.
    """
    height, width = _check_shapes(planes)
    if size < 1:
        raise InputError(f"The crop's size is {size}; give at least 1 pixel.")
    tries = CROP_TRIES if foreground > 0 else 1
    for attempt in range(REVIEWED_TRIES):
        y, x = int(rng.integers(max(0, height - size) + 1)), int(rng.integers(max(0, width - size) + 1))
        place = planes.labels[y : y + size, x : x + size]
        reviewed = np.count_nonzero(place != NOT_REVIEWED) >= REVIEWED_SHARE * place.size
        if reviewed and (attempt + 1 >= tries or np.count_nonzero(place > 0) >= foreground * size**2):
            break
    padding = [(0, max(0, size - length)) for length in (height, width)]

    def crop(plane: NDArray[Any]) -> NDArray[Any]:
        cropped = plane[y : y + size, x : x + size]
        return np.pad(cropped, padding) if padding != [(0, 0), (0, 0)] else cropped

    return Planes(*(None if plane is None else crop(plane) for plane in planes))  # type: ignore[arg-type]


def _check_shapes(planes: Planes) -> tuple[int, int]:
    image, labels, distance = planes
    if image.ndim != 2 or image.size == 0:
        raise InputError(f"The image has the shape {image.shape}; give a grey image of shape (Y, X).")
    for name, plane in (("labels have", labels), ("distance map has", distance)):
        if plane is not None and plane.shape != image.shape:
            raise InputError(f"The {name} the shape {plane.shape}; give the image's, {image.shape}.")
    return image.shape[0], image.shape[1]


def augment(planes: Planes, settings: AugmentationSettings, rng: np.random.Generator) -> Planes:
    """Change a crop at random.

    Parameters
    ----------
    planes : Planes
    settings : AugmentationSettings
    rng : numpy.random.Generator

    Returns
    -------
    Planes
        Of the input's shapes and types; the image is in [0, 1], and instances keep their numbers. They may share
        memory with the input where nothing was changed.

    Raises
    ------
    InputError
        If the labels or the distance map have another shape than the image.
    """
    height, width = _check_shapes(planes)
    image = _change_grey_values(planes.image.astype(np.float32, copy=False), settings, rng)
    image, labels, distance = _deform(Planes(image, planes.labels, planes.distance), settings, rng)
    if settings.blur and rng.random() < 0.5:
        from scipy.ndimage import gaussian_filter

        image = gaussian_filter(image, rng.uniform(0, settings.blur))
    if settings.noise:
        share = rng.uniform(0, settings.noise_range) if settings.noise_range else 1.0
        image = image + (settings.noise * share) * rng.standard_normal(image.shape, np.float32)
    image = np.clip(image, 0, 1)
    flips = [bool(rng.integers(2)) for _ in range(2)] if settings.flips else [False, False]
    turns = 0
    if settings.quarter_turns:
        turns = int(rng.integers(4)) if height == width else 2 * int(rng.integers(2))

    def turn(plane: NDArray[Any]) -> NDArray[Any]:
        plane = plane[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1]
        return np.ascontiguousarray(np.rot90(plane, turns))

    return Planes(turn(image), turn(labels), None if distance is None else turn(distance))


def _change_grey_values(image: Image, settings: AugmentationSettings, rng: np.random.Generator) -> Image:
    if settings.histogram and rng.random() < settings.histogram:
        image = _warp_histogram(image, rng)
    if settings.illumination:
        image = _warp_illumination(image, settings.illumination, rng)
    if settings.contrast or settings.brightness:
        factor = np.float32(np.exp(rng.normal(0, settings.contrast)))
        offset = np.float32(rng.normal(0, settings.brightness))
        image = (image - np.float32(0.5)) * factor + (np.float32(0.5) + offset)
    return np.clip(image, 0, 1)


def _warp_histogram(image: Image, rng: np.random.Generator) -> Image:
    """Map grey values through a monotone curve that keeps the image's smallest and largest value."""
    from scipy.interpolate import PchipInterpolator

    low, high = float(image.min()), float(image.max())
    if low == high:
        return image
    inside = np.sort(rng.random((2, HISTOGRAM_POINTS)), axis=1)
    # No two points have the same grey value, so that the curve is a function.
    x = np.concatenate([[0.0], inside[0], [1.0]]) + np.arange(HISTOGRAM_POINTS + 2) * 1e-3
    curve = PchipInterpolator((x - x[0]) / (x[-1] - x[0]), np.concatenate([[0.0], inside[1], [1.0]]))
    heights = (low + (high - low) * curve(np.linspace(0, 1, CURVE_STEPS + 1))).astype(np.float32)
    # Linear interpolation in a table is many times faster than numpy.interp.
    place = (image - np.float32(low)) / np.float32(high - low) * np.float32(CURVE_STEPS)
    left = np.minimum(place.astype(np.int32), CURVE_STEPS - 1)
    warped = heights[left] + (place - left.astype(np.float32)) * np.diff(heights)[left]
    return np.asarray(np.clip(warped, np.float32(low), np.float32(high)))


def _warp_illumination(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Multiply the image by a smooth random curve along a random axis; PCHIP does not overshoot."""
    from scipy.interpolate import PchipInterpolator

    axis = int(rng.integers(2))
    gains = rng.uniform(1 - strength / 2, 1 + strength / 2, ILLUMINATION_POINTS)
    curve = PchipInterpolator(np.linspace(0, 1, ILLUMINATION_POINTS), gains)
    gain = curve(np.linspace(0, 1, image.shape[axis])).astype(np.float32)
    return np.asarray(image * np.expand_dims(gain, 1 - axis))


def _deform(planes: Planes, settings: AugmentationSettings, rng: np.random.Generator) -> Planes:
    """Deform, rotate, zoom and shift in one resampling with mirrored borders."""
    if not (settings.elastic or settings.rotation or settings.shift or settings.zoom > 1):
        return planes
    from scipy.ndimage import map_coordinates

    image, labels, distance = planes
    height, width = image.shape
    angle = np.deg2rad(rng.uniform(-settings.rotation, settings.rotation))
    zoom = np.exp(rng.uniform(-np.log(settings.zoom), np.log(settings.zoom)))
    shift = rng.uniform(-settings.shift, settings.shift, 2)
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None]
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2)[None, :]
    rows = cos * y + sin * x + ((height - 1) / 2 + shift[0])
    columns = -sin * y + cos * x + ((width - 1) / 2 + shift[1])
    if settings.elastic:
        grids = rng.normal(0, settings.elastic, (2, GRID_POINTS, GRID_POINTS))
        rows, columns = rows + _interpolate(grids[0], image.shape), columns + _interpolate(grids[1], image.shape)
    place = np.stack([rows, columns]).astype(np.float32)

    def sample(plane: Image) -> Image:
        return np.asarray(map_coordinates(plane, place, order=1, mode="mirror"))

    return Planes(sample(image), _sample_nearest(labels, place), None if distance is None else sample(distance))


def _sample_nearest(labels: Labels, place: Image) -> Labels:
    """Return the label nearest to each place (2, Y, X) with mirrored borders; faster than `map_coordinates`."""
    index = []
    for along, size in zip(np.rint(place).astype(np.intp), labels.shape, strict=True):
        period = max(1, 2 * (size - 1))
        folded = np.abs(along)
        if folded.max() >= period:
            folded %= period
        index.append(np.minimum(folded, period - folded) if size > 1 else np.zeros_like(along))
    return np.asarray(labels[index[0], index[1]])


def _interpolate(grid: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the cubic B-spline through a coarse grid of displacements at each pixel of `shape`."""
    from scipy.ndimage import spline_filter1d

    for axis in (0, 1):
        grid = spline_filter1d(grid, 3, axis=axis, mode="mirror")
    rows, columns = (_spline_weights(size) for size in shape)
    return np.asarray(rows @ grid @ columns.T)


def _spline_weights(size: int) -> NDArray[np.float64]:
    """Return the weights (size, GRID_POINTS) of cubic B-splines about the grid's points, mirrored at its ends."""
    weights = np.zeros((size, GRID_POINTS))
    at = np.linspace(0, GRID_POINTS - 1, size)
    for point in range(-1, GRID_POINTS + 1):
        d = np.abs(at - point)
        spline = np.where(d < 1, (4 - 6 * d**2 + 3 * d**3) / 6, np.clip(2 - d, 0, None) ** 3 / 6)
        mirrored = abs(point) if point < GRID_POINTS else 2 * (GRID_POINTS - 1) - point
        weights[:, mirrored] += spline
    return weights
