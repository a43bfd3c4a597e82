"""Random changes of a training crop: image, labels and weights together, the same for one generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
#: Image, labels, and weights where there are any.
Crop = tuple[Image, Labels, Image | None]

HISTOGRAM_POINTS = 3
GRID = 3


@dataclass(frozen=True)
class AugmentSettings:
    """What may happen to a crop, in the order in which it happens.

    Attributes
    ----------
    histogram : float
        Probability of a histogram warp: a monotone PCHIP curve through 3 random interior points, rescaled to the
        image's own range.
    illumination : float
        Largest relative change of brightness from one side of the crop to the other, along a random axis.
    contrast, brightness : float
        Standard deviations of the logarithm of a factor about mid-grey, and of an offset (1 is the full range).
    elastic : float
        Standard deviation in pixels of the displacements on a 3 x 3 grid.
    rotation : float
        Largest angle in degrees, either way.
    zoom : float
        Largest factor, either way; 1 is none.
    shift : float
        Largest shift in pixels, either way.
    blur : float
        Largest standard deviation in pixels of a Gaussian blur; half of the crops stay sharp.
    noise : float
        Standard deviation of the Gaussian noise (1 is the full range).
    noise_range : float
        The noise's deviation is drawn from 0 to `noise` times this; 0: always `noise`.
    flips, quarter_turns : bool

    Raises
    ------
    InputError
        If a value is negative, not finite, or a probability above 1.

    Notes
    -----
    `study` is the published recipe. Elastic deformation, rotation, zoom and shift are one resampling with mirrored
    borders.
    """

    histogram: float = 0.5
    illumination: float = 0.2
    contrast: float = 0.25
    brightness: float = 0.08
    elastic: float = 8.0
    rotation: float = 180.0
    zoom: float = 1.45
    shift: float = 0.0
    blur: float = 1.2
    noise: float = 1 / 255
    noise_range: float = 4.0
    flips: bool = True
    quarter_turns: bool = True

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool):
                continue
            if not isinstance(value, (int, float)) or not np.isfinite(value) or value < 0:
                raise InputError(f"Augmentation '{name}' is {value!r}; give a number from 0 on.")
        if self.histogram > 1:
            raise InputError(f"Augmentation 'histogram' is {self.histogram:g}; give a probability from 0 to 1.")
        if self.zoom < 1:
            raise InputError(f"Augmentation 'zoom' is {self.zoom:g}; give a factor from 1 on.")

    @classmethod
    def default(cls) -> AugmentSettings:
        """Stronger than the study's, for a handful of images and for other microscopes than the one trained on."""
        return cls()

    @classmethod
    def study(cls) -> AugmentSettings:
        """The published recipe: histogram warp, elastic deformation of 20 px, noise of 1/255, flips, quarter turns."""
        return cls(
            histogram=1.0, illumination=0.0, contrast=0.0, brightness=0.0, elastic=20.0, rotation=0.0, zoom=1.0,
            shift=0.0, blur=0.0, noise=1 / 255, noise_range=0.0,
        )  # fmt: skip

    @classmethod
    def none(cls) -> AugmentSettings:
        """Nothing happens."""
        return cls(0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, False, False)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AugmentSettings:
        """Read settings written by `to_dict`; an unknown key is an InputError."""
        known = [f.name for f in fields(cls)]
        for key in data:
            if key not in known:
                raise InputError(f"Augmentation setting {key!r} is unknown; use {', '.join(known)}.")
        return cls(**data)


def random_crop(
    image: Image, labels: Labels, size: int, rng: np.random.Generator, weights: Image | None = None
) -> Crop:
    """Cut a random square of `size` pixels; where the image is smaller it is padded with 0 at the bottom and right.

    Parameters
    ----------
    image : ndarray of shape (Y, X), float32
    labels : ndarray of shape (Y, X), int32
    size : int
    rng : numpy.random.Generator
    weights : ndarray of shape (Y, X), float32, optional

    Returns
    -------
    image, labels, weights
        Each ``(size, size)``; weights are None where none were given.
    """
    height, width = image.shape
    y, x = int(rng.integers(max(0, height - size) + 1)), int(rng.integers(max(0, width - size) + 1))
    short = (max(0, size - height), max(0, size - width))

    def cut(plane: NDArray[Any]) -> NDArray[Any]:
        part = plane[y : y + size, x : x + size]
        return np.pad(part, ((0, short[0]), (0, short[1]))) if any(short) else part

    return cut(image), cut(labels), None if weights is None else cut(weights)


def augment(
    image: Image,
    labels: Labels,
    settings: AugmentSettings,
    rng: np.random.Generator,
    weights: Image | None = None,
) -> Crop:
    """Change a crop at random.

    Parameters
    ----------
    image : ndarray of shape (Y, X), float32
        In [0, 1].
    labels : ndarray of shape (Y, X), int32
    settings : AugmentSettings
    rng : numpy.random.Generator
    weights : ndarray of shape (Y, X), float32, optional

    Returns
    -------
    image, labels, weights
        As given; square crops keep their shape, others may be turned by a quarter. Instances keep their numbers.
    """
    image = _change_grey(image, settings, rng)
    image, labels, weights = _move(image, labels, weights, settings, rng)
    if settings.blur and rng.random() < 0.5:
        from scipy.ndimage import gaussian_filter

        image = gaussian_filter(image, rng.uniform(0, settings.blur))
    if settings.noise:
        share = rng.uniform(0, settings.noise_range) if settings.noise_range else 1.0
        image = image + (settings.noise * share) * rng.standard_normal(image.shape, np.float32)
    image = np.clip(image, 0, 1)
    flips = [bool(rng.integers(2)) for _ in range(2)] if settings.flips else [False, False]
    turns = int(rng.integers(4)) if settings.quarter_turns else 0

    def turned(plane: NDArray[Any]) -> NDArray[Any]:
        plane = plane[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1]
        return np.ascontiguousarray(np.rot90(plane, turns))

    return turned(image), turned(labels), None if weights is None else turned(weights)


def _change_grey(image: Image, settings: AugmentSettings, rng: np.random.Generator) -> Image:
    if settings.histogram and rng.random() < settings.histogram:
        image = _warp_histogram(image, rng)
    if settings.illumination:
        slope = rng.uniform(-settings.illumination, settings.illumination) / 2
        along = np.linspace(1 - slope, 1 + slope, image.shape[0], dtype=np.float32)[:, None]
        across = np.linspace(1 - slope, 1 + slope, image.shape[1], dtype=np.float32)[None, :]
        image = image * (along if rng.random() < 0.5 else across)
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
    x = np.concatenate([[0.0], inside[0], [1.0]]) + np.arange(HISTOGRAM_POINTS + 2) * 1e-3
    curve = PchipInterpolator((x - x[0]) / (x[-1] - x[0]), np.concatenate([[0.0], inside[1], [1.0]]))
    steps = np.linspace(0, 1, 1024)
    warped = np.interp((image - low) * (1 / (high - low)), steps, curve(steps))
    return np.asarray(warped * (high - low) + low, np.float32)


def _move(
    image: Image,
    labels: Labels,
    weights: Image | None,
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> Crop:
    """Deform, turn, zoom and shift in one resampling with mirrored borders."""
    if not (settings.elastic or settings.rotation or settings.shift or settings.zoom > 1):
        return image, labels, weights
    from scipy.ndimage import map_coordinates

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
        grids = rng.normal(0, settings.elastic, (2, GRID, GRID))
        rows, columns = rows + _spread(grids[0], image.shape), columns + _spread(grids[1], image.shape)
    place = np.stack([rows, columns]).astype(np.float32)
    return (
        map_coordinates(image, place, order=1, mode="mirror"),
        map_coordinates(labels, place, order=0, mode="mirror"),
        None if weights is None else map_coordinates(weights, place, order=1, mode="mirror"),
    )


def _spread(grid: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Cubic B-spline through a coarse grid of displacements, at every pixel of `shape`."""
    from scipy.ndimage import spline_filter1d

    for axis in (0, 1):
        grid = spline_filter1d(grid, 3, axis=axis, mode="mirror")
    rows, columns = (_spline_weights(size) for size in shape)
    return np.asarray(rows @ grid @ columns.T)


def _spline_weights(size: int) -> NDArray[np.float64]:
    """Weights (size, GRID) of the cubic B-splines about the grid's points, mirrored at its ends."""
    weights = np.zeros((size, GRID))
    at = np.linspace(0, GRID - 1, size)
    for point in range(-1, GRID + 1):
        d = np.abs(at - point)
        spline = np.where(d < 1, (4 - 6 * d**2 + 3 * d**3) / 6, np.clip(2 - d, 0, None) ** 3 / 6)
        mirrored = abs(point) if point < GRID else 2 * (GRID - 1) - point
        weights[:, mirrored] += spline
    return weights
