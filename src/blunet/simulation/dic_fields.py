"""Simulated DIC images: cells through a Nomarski microscope and a camera, with exact instance masks.

Two copies of the wave behind the specimen, sheared by the vector s and retarded by the bias b, interfere
(C. Preza, D. L. Snyder and J.-A. Conchello, "Theoretical development and experimental evaluation of imaging
models for differential-interference-contrast microscopy", J. Opt. Soc. Am. A 16, 2185-2199, 1999;
S. B. Mehta and C. J. R. Sheppard, "Partially coherent image formation in differential interference contrast
(DIC) microscope", Opt. Express 16, 19462-19479, 2008). With amplitude A and phase phi at r + s/2 (+) and
r - s/2 (-), and I0 the intensity of the light:

    I(r) = I0 / 4 * (A+^2 + A-^2 - 2 A+ A- cos(phi+ - phi- + b))

which for a transparent specimen, A = 1, is I0 / 2 * (1 - cos(phi(r + s/2) - phi(r - s/2) + b)). Out of focus
a curved phase gathers or scatters light: A^2 = exp(-c laplacian(phi z)), which for small values is the
transport-of-intensity equation (M. R. Teague, J. Opt. Soc. Am. 73, 1434-1441, 1983) over a distance z.
The point spread function is a Gaussian; the camera adds shot noise and read noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.simulation.cells import Cell, settle
from blunet.simulation.dic_settings import DicSettings
from blunet.simulation.phantom import Phantom, draw_phantom

_STRONGEST_LENS = 1.2  # bound on the exponent of out-of-focus brightening


@dataclass(frozen=True, eq=False)
class DicField:
    """A simulated field and what is truly in it.

    Parameters
    ----------
    image : (Y, X) uint16 array
        What the camera recorded, 0 to 2**bit_depth - 1.
    labels : (Y, X) int32 array
        0 background, 1 to N the cells, each in one 4-connected piece; different cells may touch.
    settings : DicSettings
        What the field was made of.
    seed : int
        The same settings and seed give the same bytes.
    """

    image: NDArray[np.uint16]
    labels: NDArray[np.int32]
    settings: DicSettings
    seed: int


def simulate_dic(settings: DicSettings = DicSettings(), seed: int = 0) -> DicField:  # noqa: B008
    """Simulate one DIC image of cells.

    Parameters
    ----------
    settings : DicSettings
    seed : int
        Seed of everything random, at least 0.

    Returns
    -------
    DicField

    Examples
    --------
    >>> field = simulate_dic(DicSettings(shape=(64, 96), object_diameter=20), seed=1)
    >>> field.image.shape, field.image.dtype.name, field.labels.dtype.name
    ((64, 96), 'uint16', 'int32')
    """
    rng = np.random.default_rng(seed)
    phantom = draw_phantom(settle(settings, rng), settings, rng)
    image = _expose(phantom, settings, rng)
    present, numbers = np.unique(phantom.labels, return_inverse=True)
    labels = numbers.reshape(settings.shape).astype(np.int32) + np.int32(present[0] != 0)
    return DicField(image, labels, settings, seed)


def simulate_timelapse(
    settings: DicSettings, frames: int, seed: int = 0
) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Simulate a time lapse in which cells drift, turn and deform slowly.

    Parameters
    ----------
    settings : DicSettings
        Of every frame.
    frames : int
        Number of frames, at least 1.
    seed : int
        Seed of everything random, at least 0.

    Returns
    -------
    image : (T, Y, X) uint16 array
    labels : (T, Y, X) int32 array
        A cell keeps its label through all frames; one that is hidden or has left is missing from a frame.

    Raises
    ------
    InputError
        Where ``frames`` is below 1.
    """
    if frames < 1:
        raise InputError(f"frames is {frames}: give at least 1 frame.")
    rng = np.random.default_rng(seed)
    cells = settle(settings, rng)
    images, labels = [], []
    for moved in _moving(cells, frames, settings.object_diameter, rng):
        phantom = draw_phantom(moved, settings, np.random.default_rng((seed, 1)))
        images.append(_expose(phantom, settings, rng))
        labels.append(phantom.labels)
    return np.stack(images), np.stack(labels)


def dic_intensity(
    phase: NDArray[np.floating],
    shear: float,
    shear_angle: float,
    bias: float,
    amplitude: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """Intensity of two sheared wavefronts that interfere, relative to the light sent in (I0 = 1).

    Parameters
    ----------
    phase : (Y, X) float array
        Phase of the specimen in radians.
    shear : float
        Distance between the wavefronts in px.
    shear_angle : float
        Direction of the shear in degrees, from +X towards +Y.
    bias : float
        Retardation between the wavefronts in radians.
    amplitude : (Y, X) float array, optional
        Amplitude that the specimen lets through; 1 where absent.

    Returns
    -------
    (Y, X) float32 array
        (A+^2 + A-^2 - 2 A+ A- cos(phi+ - phi- + bias)) / 4, as in the module's sources. Beyond the border the
        specimen goes on as at the border.
    """
    from scipy import ndimage

    direction = np.deg2rad(shear_angle)
    half = 0.5 * shear * np.array([np.sin(direction), np.cos(direction)])

    def ahead(plane: NDArray[np.floating], sign: float) -> NDArray[np.float32]:
        moved: NDArray[np.float32] = ndimage.shift(plane, -sign * half, output=np.float32, order=1, mode="nearest")
        return moved

    wave: NDArray[np.float32] = np.cos(ahead(phase, 1) - ahead(phase, -1) + np.float32(bias))
    if amplitude is None:
        amplitude = np.ones_like(wave)
    first, second = ahead(amplitude, 1), ahead(amplitude, -1)
    intensity = (first * first + second * second - 2 * first * second * wave) / 4
    return np.asarray(intensity, np.float32)


def _expose(phantom: Phantom, settings: DicSettings, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Image a phantom: interference, blur, shading, and the camera."""
    from scipy import ndimage

    gathered = settings.defocus * ndimage.laplace(phantom.depth, mode="nearest")
    amplitude = np.exp(-0.5 * np.clip(gathered, -_STRONGEST_LENS, _STRONGEST_LENS))
    light = dic_intensity(phantom.phase, settings.shear, settings.shear_angle, settings.bias, amplitude)
    light = ndimage.gaussian_filter(light, settings.blur, mode="nearest")
    background = (1 - np.cos(settings.bias)) / 2
    electrons = light * (_illumination(settings) * (settings.photons / max(background, 1e-3)))
    electrons = rng.poisson(electrons) + settings.read_noise * rng.standard_normal(settings.shape, np.float32)
    full_scale = 2**settings.bit_depth - 1
    counts = np.rint(electrons * (settings.exposure * full_scale / settings.photons))
    recorded: NDArray[np.uint16] = np.clip(counts, 0, full_scale).astype(np.uint16)
    return recorded


def _illumination(settings: DicSettings) -> NDArray[np.float32]:
    """Slow gradient across the field, part linear and part quadratic, with mean about 1."""
    height, width = settings.shape
    y = ((np.arange(height, dtype=np.float32) + 0.5) / height - 0.5)[:, None]
    x = ((np.arange(width, dtype=np.float32) + 0.5) / width - 0.5)[None, :]
    direction = np.deg2rad(settings.shading_angle)
    cos, sin = np.float32(np.cos(direction)), np.float32(np.sin(direction))
    slope = (cos * x + sin * y) / (abs(cos) + abs(sin))
    bowl = np.float32(1 / 6) - (x * x + y * y)
    lit = 1 + np.float32(settings.shading) * (0.8 * slope + 0.4 * bowl)
    return lit.astype(np.float32, copy=False)


def _moving(cells: list[Cell], frames: int, diameter: float, rng: np.random.Generator) -> Iterator[list[Cell]]:
    """Yield the cells frame by frame: each drifts its way, turns, stretches and changes its outline."""
    drift = rng.normal(0, 0.02 * diameter, (len(cells), 2))
    turn = rng.normal(0, 0.015, len(cells))
    pulse = rng.uniform(0, 2 * np.pi, len(cells))
    order = rng.integers(2, 5, len(cells))
    around = np.arange(1024) * (2 * np.pi / 1024)
    for frame in range(frames):
        moved = []
        for index, cell in enumerate(cells):
            swing = 0.0 if cell.rounded else 0.08 * np.sin(pulse[index] + 0.25 * frame)
            wave = 1 + swing * np.cos(order[index] * around + pulse[index])
            moved.append(
                replace(
                    cell,
                    y=cell.y + float(drift[index, 0]) * frame,
                    x=cell.x + float(drift[index, 1]) * frame,
                    angle=cell.angle + float(turn[index]) * frame,
                    outline=(cell.outline * wave).astype(np.float32),
                )
            )
        yield moved
