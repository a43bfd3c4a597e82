"""Settings of a simulated DIC field, and their random draws for training."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from blunet.settings_model import SettingsModel, setting

Pixels = Annotated[int, Field(ge=1)]

#: Share of the drawn fields that are confluent sheets.
SHARE_OF_SHEETS = 0.35


class DicSettings(SettingsModel):
    """Settings of one simulated field: the cells, the substrate, the microscope and the camera.

    Examples
    --------
    >>> DicSettings(shape=(256, 256), object_diameter=30).coverage
    0.35
    """

    shape: tuple[Pixels, Pixels] = setting(
        (512, 512),
        title="Shape",
        description="Height and width of the field (Y, X).",
        unit="px",
        strict=False,  # a list too, as JSON has no tuples
    )
    object_diameter: float = setting(
        50.0,
        title="Object diameter",
        description="Equivalent diameter of a typical spread cell. Finer structures scale with it.",
        unit="px",
        gt=2,
    )
    coverage: float = setting(
        0.35,
        title="Coverage",
        description="Fraction of the field that cells should cover; it is met to within about one cell.",
        ge=0,
        le=1,
    )
    clustering: float = setting(
        0.65,
        title="Clustering",
        description="Probability that a cell settles against another cell.",
        ge=0,
        le=1,
    )
    elongation: float = setting(
        1.8,
        title="Elongation",
        description="Typical ratio of a cell's length to its width.",
        ge=1,
    )
    protrusions: float = setting(
        2.5,
        title="Protrusions",
        description="Mean number of corners and processes of a cell's outline.",
        ge=0,
    )
    raggedness: float = setting(
        0.1,
        title="Raggedness",
        description="Relative unevenness of the outline: 0 is smooth, 0.3 is strong.",
        ge=0,
    )
    rounded: float = setting(
        0.06,
        title="Rounded cells",
        description="Fraction of cells that are mitotic or floating: round, thick and bright.",
        ge=0,
        le=1,
    )
    thickness: float = setting(
        0.6,
        title="Thickness",
        description="Phase of a typical cell body above the medium. Rounded cells reach several times this phase.",
        unit="rad",
        ge=0,
    )
    edge: float = setting(
        0.12,
        title="Edge",
        description="Thickness of a spread cell at its border, relative to its body; 0 fades away to nothing.",
        ge=0,
        le=1,
    )
    seams: float = setting(
        0.0,
        title="Seams",
        description="Phase of the thin ridge along which two spread cells touch.",
        unit="rad",
        ge=0,
    )
    seam_depth: float = setting(
        0.0,
        title="Depth of the seams",
        description="Signed distance of the seams from the focus, in units in which vesicles lie at -1 to 1. Out of "
        "focus a seam is a bright or a dark line.",
    )
    vesicles: float = setting(
        110.0,
        title="Vesicles",
        description="Mean number of vesicles and granules in a typical cell.",
        ge=0,
    )
    vesicle_phase: float = setting(
        0.3,
        title="Phase of vesicles",
        description="Phase of a typical vesicle.",
        unit="rad",
        ge=0,
    )
    texture: float = setting(
        0.06,
        title="Texture",
        description="Standard deviation of the phase of fine grain and fibres inside cells.",
        unit="rad",
        ge=0,
    )
    debris: float = setting(
        5.0,
        title="Debris",
        description="Mean number of particles in (10 object diameters)² of background; they have no label.",
        ge=0,
    )
    scratches: float = setting(
        0.5,
        title="Scratches",
        description="Mean number of scratches and dust rings in a field.",
        ge=0,
    )
    dust: float = setting(
        0.0,
        title="Dust",
        description="Mean number of dark or bright spots in (10 object diameters)²: dust on the optics, far out of "
        "focus.",
        ge=0,
    )
    remnants: float = setting(
        0.0,
        title="Remnants",
        description="Mean number of patches of grain in (10 object diameters)² that cells left behind on the "
        "substrate; they have no label.",
        ge=0,
    )
    floating: float = setting(
        0.0,
        title="Floating cells",
        description="Mean number of floating cells in (10 object diameters)², so far out of focus that only a smooth "
        "relief is seen; they have no label.",
        ge=0,
    )
    roughness: float = setting(
        0.004,
        title="Roughness",
        description="Standard deviation of the phase of the uneven substrate.",
        unit="rad",
        ge=0,
    )
    shear_angle: float = setting(
        -45.0,
        title="Direction of the shear",
        description="Direction of the shear, from +X towards +Y.",
        unit="degrees",
    )
    shear: float = setting(
        0.9,
        title="Shear",
        description="Distance between the two sheared wavefronts.",
        unit="px",
        ge=0,
    )
    bias: float = setting(
        0.9,
        title="Bias",
        description="Bias retardation between the two wavefronts. The background's intensity is (1 - cos(bias)) / 2.",
        unit="rad",
    )
    defocus: float = setting(
        0.8,
        title="Defocus",
        description="Strength of the brightening and darkening of curved phase that is out of focus.",
        unit="px²/rad",
        ge=0,
    )
    blur: float = setting(
        0.6,
        title="Blur",
        description="Standard deviation of the Gaussian point spread function.",
        unit="px",
        ge=0,
    )
    shading: float = setting(
        0.4,
        title="Shading",
        description="Peak-to-peak change of the illumination across the field, relative to its mean.",
        ge=0,
        le=1.8,
    )
    shading_angle: float = setting(
        70.0,
        title="Direction of the shading",
        description="Direction of the illumination gradient, from +X towards +Y.",
        unit="degrees",
    )
    exposure: float = setting(
        0.55,
        title="Exposure",
        description="Grey value of the background as a fraction of the camera's full scale.",
        ge=0,
        le=1,
    )
    photons: float = setting(
        8000.0,
        title="Photons",
        description="Electrons that a pixel of the background collects; the shot noise is their square root.",
        unit="electrons",
        gt=0,
    )
    read_noise: float = setting(
        8.0,
        title="Read noise",
        description="Standard deviation of the camera's read noise.",
        unit="electrons",
        ge=0,
    )
    bit_depth: int = setting(
        16,
        title="Bit depth",
        description="Bits of the camera's grey values. Brighter pixels saturate.",
        unit="bits",
        ge=1,
        le=16,
    )


def draw_settings(
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
    drawn = DicSettings(
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
    if rng.random() >= SHARE_OF_SHEETS:
        return drawn
    # A confluent sheet: cells side by side, whose only border is the seam between them.
    return drawn.changed(
        coverage=between(0.55, 1.0),
        clustering=between(0.85, 1.0),
        elongation=1.0 + log_between(0.15, 0.9),
        protrusions=between(0.0, 2.0),
        raggedness=between(0.01, 0.08),
        rounded=between(0.0, 0.08),
        edge=between(0.1, 0.6),
        seams=log_between(0.08, 0.8),
        seam_depth=float(rng.normal(0, 2.0)),
        shear=scale * log_between(0.25, 1.7),
        debris=log_between(0.5, 5.0),
    )
