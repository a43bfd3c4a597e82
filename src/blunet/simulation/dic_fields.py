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
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blunet.simulation.cells import place_cells
from blunet.simulation.dic_settings import DicSettings, draw_settings
from blunet.simulation.phantom import Phantom, draw_phantom

#: Largest exponent of the brightening out of focus.
_MAX_BRIGHTENING = 1.2


@dataclass(frozen=True, eq=False)
class DicField:
    """A simulated field and its true labels.

    Parameters
    ----------
    image : (Y, X) uint16 array
        What the camera recorded, 0 to 2**bit_depth - 1.
    labels : (Y, X) int32 array
        0 is background, 1 to N are the cells, each 4-connected; different cells may touch.
    settings : DicSettings
        Of the field.
    seed : int
        The same settings and seed give the same image and labels.
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
    phantom = draw_phantom(place_cells(settings, rng), settings, rng)
    image = record_image(phantom, settings, rng)
    present, numbers = np.unique(phantom.labels, return_inverse=True)
    labels = numbers.reshape(settings.shape).astype(np.int32) + np.int32(present[0] != 0)
    return DicField(image, labels, settings, seed)


def simulate_images(count: int, *, object_diameter: float, seed: int, size: int = 512) -> Iterator[DicField]:
    """Simulate square DIC fields with widely varying optics and cells, as a camera records them.

    Parameters
    ----------
    count : int
    object_diameter : float
        Centre of the range of diameters in pixels.
    seed : int
        The same seed gives the same fields.
    size : int
        Side of a field in pixels.
    """
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        settings = draw_settings(rng, (size, size), object_diameter)
        yield simulate_dic(settings, seed=int(rng.integers(2**31)))


def compute_dic_intensity(
    phase: NDArray[np.floating],
    shear: float,
    shear_angle: float,
    bias: float,
    amplitude: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """Return the intensity of two interfering sheared wavefronts, relative to the incident light (I0 = 1).

    Parameters
    ----------
    phase : (Y, X) float array
        Phase of the specimen in radians.
    shear : float
        Distance between the wavefronts in px.
    shear_angle : float
        Direction of the shear, from +X towards +Y, in degrees.
    bias : float
        Retardation between the wavefronts in radians.
    amplitude : (Y, X) float array, optional
        Amplitude that the specimen transmits; 1 if not given.

    Returns
    -------
    (Y, X) float32 array
        (A+^2 + A-^2 - 2 A+ A- cos(phi+ - phi- + bias)) / 4, as in the module's sources. The specimen's border
        values continue outside the field.
    """
    from scipy import ndimage

    direction = np.deg2rad(shear_angle)
    half = 0.5 * shear * np.array([np.sin(direction), np.cos(direction)])

    def shift(plane: NDArray[np.floating], sign: float) -> NDArray[np.float32]:
        shifted: NDArray[np.float32] = ndimage.shift(plane, -sign * half, output=np.float32, order=1, mode="nearest")
        return shifted

    wave: NDArray[np.float32] = np.cos(shift(phase, 1) - shift(phase, -1) + np.float32(bias))
    if amplitude is None:
        amplitude = np.ones_like(wave)
    first, second = shift(amplitude, 1), shift(amplitude, -1)
    intensity = (first * first + second * second - 2 * first * second * wave) / 4
    return np.asarray(intensity, np.float32)


def record_image(phantom: Phantom, settings: DicSettings, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Return the camera's image of a phantom: interference, blur, shading, shot noise and read noise.

    Parameters
    ----------
    phantom : Phantom
    settings : DicSettings
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    (Y, X) uint16 array
        0 to 2**bit_depth - 1.
    """
    from scipy import ndimage

    brightening = settings.defocus * ndimage.laplace(phantom.depth, mode="nearest")
    amplitude = np.exp(-0.5 * np.clip(brightening, -_MAX_BRIGHTENING, _MAX_BRIGHTENING))
    light = compute_dic_intensity(phantom.phase, settings.shear, settings.shear_angle, settings.bias, amplitude)
    light = ndimage.gaussian_filter(light, settings.blur, mode="nearest")
    if phantom.transmission is not None:
        light *= phantom.transmission
    background = (1 - np.cos(settings.bias)) / 2
    electrons = light * (_compute_illumination(settings) * (settings.photons / max(background, 1e-3)))
    electrons = rng.poisson(electrons) + settings.read_noise * rng.standard_normal(settings.shape, np.float32)
    full_scale = 2**settings.bit_depth - 1
    counts = np.rint(electrons * (settings.exposure * full_scale / settings.photons))
    recorded: NDArray[np.uint16] = np.clip(counts, 0, full_scale).astype(np.uint16)
    return recorded


def _compute_illumination(settings: DicSettings) -> NDArray[np.float32]:
    """Return a slow gradient across the field, partly linear and partly quadratic, with a mean of about 1."""
    height, width = settings.shape
    y = ((np.arange(height, dtype=np.float32) + 0.5) / height - 0.5)[:, None]
    x = ((np.arange(width, dtype=np.float32) + 0.5) / width - 0.5)[None, :]
    direction = np.deg2rad(settings.shading_angle)
    cos, sin = np.float32(np.cos(direction)), np.float32(np.sin(direction))
    slope = (cos * x + sin * y) / (abs(cos) + abs(sin))
    bowl = np.float32(1 / 6) - (x * x + y * y)
    lit = 1 + np.float32(settings.shading) * (0.8 * slope + 0.4 * bowl)
    return lit.astype(np.float32, copy=False)
