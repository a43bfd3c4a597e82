"""What a simulated DIC field is made of: one settings object, and its random draws for training."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from blunet.errors import InputError

_AT_LEAST_ZERO = (
    "shear", "blur", "defocus", "thickness", "shading", "read_noise", "vesicles", "vesicle_phase", "texture",
    "debris", "scratches", "roughness", "raggedness", "protrusions",
)  # fmt: skip
_SHARES = ("coverage", "clustering", "rounded", "exposure")


@dataclass(frozen=True)
class DicSettings:
    """Settings of one simulated field; lengths in px, angles in degrees, phases in radians.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the field (Y, X) in px, each at least 1.
    object_diameter : float
        Equivalent diameter of a typical spread cell in px, above 2. Finer structures scale with it.
    coverage : float
        Share of the field aimed at as foreground, 0 (no cells) to 1. Reached to within about one cell.
    clustering : float
        Chance, 0 to 1, that a cell settles against one already there.
    elongation : float
        Typical ratio of a cell's length to its width, at least 1.
    protrusions : float
        Mean number of corners and processes drawn out of a cell's outline.
    raggedness : float
        Relative unevenness of the outline, 0 (smooth) to about 0.3.
    rounded : float
        Share of cells that are mitotic or floating: round, thick and bright, 0 to 1.
    thickness : float
        Phase of a typical cell body above the medium in radians; rounded cells reach several times this.
    edge : float
        Share, 0 to 1, of a spread cell's thickness at which its border begins; 0 fades away to nothing.
    vesicles : float
        Mean number of vesicles and granules in a typical cell.
    vesicle_phase : float
        Phase of a typical vesicle in radians.
    texture : float
        Phase of the fine grain and fibres inside cells in radians (standard deviation).
    debris : float
        Mean number of particles per (10 object diameters)^2 of background; they are not in the labels.
    scratches : float
        Mean number of scratches and dust rings in a field.
    roughness : float
        Phase of the substrate's unevenness in radians (standard deviation).
    shear_angle : float
        Direction of the shear in degrees, from +X towards +Y.
    shear : float
        Distance between the two sheared wavefronts in px.
    bias : float
        Bias retardation between the two wavefronts in radians; background intensity is (1 - cos(bias)) / 2.
    defocus : float
        Strength of the brightening and darkening of curved phase out of focus in px^2 per radian.
    blur : float
        Standard deviation of the Gaussian point spread function in px.
    shading : float
        Peak-to-peak change of the illumination across the field relative to its mean, 0 to 1.8.
    shading_angle : float
        Direction of the illumination gradient in degrees.
    exposure : float
        Share of the camera's full scale at which the background lies, 0 to 1.
    photons : float
        Electrons that the background collects in a pixel, above 0; the shot noise is their square root.
    read_noise : float
        Standard deviation of the camera's read noise in electrons.
    bit_depth : int
        Bits of the camera, 1 to 16; brighter pixels saturate.

    Raises
    ------
    InputError
        Where a value is outside its range.
    """

    shape: tuple[int, int] = (512, 512)
    object_diameter: float = 50.0
    coverage: float = 0.35
    clustering: float = 0.65
    elongation: float = 1.8
    protrusions: float = 2.5
    raggedness: float = 0.1
    rounded: float = 0.06
    thickness: float = 0.6
    edge: float = 0.12
    vesicles: float = 110.0
    vesicle_phase: float = 0.3
    texture: float = 0.06
    debris: float = 5.0
    scratches: float = 0.5
    roughness: float = 0.004
    shear_angle: float = -45.0
    shear: float = 0.9
    bias: float = 0.9
    defocus: float = 0.8
    blur: float = 0.6
    shading: float = 0.4
    shading_angle: float = 70.0
    exposure: float = 0.55
    photons: float = 8000.0
    read_noise: float = 8.0
    bit_depth: int = 16

    def __post_init__(self) -> None:
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise InputError(f"shape is {self.shape}: give a height and a width of at least 1 px.")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "shape" and not np.isfinite(value):
                raise InputError(f"{field.name} is {value}: give a finite number.")
        for name in _AT_LEAST_ZERO:
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}: give a number of at least 0.")
        for name in (*_SHARES, "edge"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}: give a share from 0 to 1.")
        if self.object_diameter <= 2:
            raise InputError(f"object_diameter is {self.object_diameter}: give a diameter above 2 px.")
        if self.elongation < 1:
            raise InputError(f"elongation is {self.elongation}: give a ratio of at least 1.")
        if self.shading > 1.8:
            raise InputError(f"shading is {self.shading}: give a change of at most 1.8.")
        if self.photons <= 0:
            raise InputError(f"photons is {self.photons}: give a number of electrons above 0.")
        if not 1 <= self.bit_depth <= 16:
            raise InputError(f"bit_depth is {self.bit_depth}: give 1 to 16 bits.")


def random_settings(
    rng: np.random.Generator, shape: tuple[int, int] = (256, 256), object_diameter: float = 50.0
) -> DicSettings:
    """Draw settings from a wide range of cells, microscopes and cameras, for training.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the draws.
    shape : (int, int)
        Height and width of the field (Y, X) in px.
    object_diameter : float
        Centre of the range of diameters in px; the draw lies between 0.6 and 1.7 times it.

    Returns
    -------
    DicSettings
    """

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def log_between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    diameter = object_diameter * log_between(0.6, 1.7)
    scale = diameter / 50.0
    return DicSettings(
        shape=shape,
        object_diameter=diameter,
        coverage=between(0.05, 0.6),
        clustering=between(0.2, 0.95),
        elongation=1.0 + log_between(0.15, 1.8),
        protrusions=between(0.0, 5.0),
        raggedness=between(0.02, 0.2),
        rounded=between(0.0, 0.2),
        thickness=log_between(0.3, 1.4),
        edge=between(0.03, 0.35),
        vesicles=log_between(25.0, 220.0),
        vesicle_phase=log_between(0.15, 0.5),
        texture=log_between(0.025, 0.12),
        debris=log_between(0.5, 20.0),
        scratches=between(0.0, 2.0),
        roughness=log_between(0.001, 0.01),
        shear_angle=between(0.0, 360.0),
        shear=scale * log_between(0.5, 1.7),
        bias=between(0.5, 1.6),
        defocus=scale**2 * between(0.0, 1.5),
        blur=log_between(0.4, 1.2) * scale**0.5,
        shading=between(0.0, 0.9),
        shading_angle=between(0.0, 360.0),
        exposure=between(0.2, 0.7),
        photons=log_between(1500.0, 40000.0),
        read_noise=between(1.0, 15.0),
        bit_depth=16,
    )
