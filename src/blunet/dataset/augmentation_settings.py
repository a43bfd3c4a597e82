"""Settings of the random changes that a training crop goes through."""

from __future__ import annotations

from typing import Self

from blunet.settings_model import SettingsModel, setting


class AugmentationSettings(SettingsModel):
    """Random changes of a training crop, in the order in which they are applied; 0 (for `zoom` 1) turns one off.

    The defaults are stronger than the published recipe, for a handful of images and for microscopes that the teacher
    was not trained on.

    Notes
    -----
    Elastic deformation, rotation, zoom and shift are one resampling with mirrored borders. Histogram and illumination
    warp follow DeLTA (Lugagne, Lin and Dunlop, PLoS Comput. Biol. 2020), the elastic deformation follows Ronneberger,
    Fischer and Brox (MICCAI 2015).

    Examples
    --------
    >>> AugmentationSettings(rotation=90).rotation
    90.0
    """

    histogram: float = setting(
        0.5,
        title="Histogram warp",
        description="Probability of a histogram warp: a random monotone curve through 3 points changes the grey "
        "values, within the range that the crop has.",
        ge=0,
        le=1,
    )
    illumination: float = setting(
        0.2,
        title="Illumination",
        description="Largest relative change of brightness across the crop, by a smooth curve along a random axis.",
        ge=0,
        le=2,
    )
    contrast: float = setting(
        0.25,
        title="Contrast",
        description="Standard deviation of the logarithm of a factor about mid-grey. Contrast is never inverted.",
        ge=0,
    )
    brightness: float = setting(
        0.08,
        title="Brightness",
        description="Standard deviation of an offset that is added to all pixels; 1 is the full range of grey values.",
        ge=0,
    )
    elastic: float = setting(
        8.0,
        title="Elastic deformation",
        description="Standard deviation of the displacements on a 3 x 3 grid over the crop, with a cubic spline "
        "between them.",
        unit="px",
        ge=0,
    )
    rotation: float = setting(
        180.0,
        title="Rotation",
        description="Largest rotation, in either direction.",
        unit="degrees",
        ge=0,
    )
    zoom: float = setting(
        1.4,
        title="Zoom",
        description="Largest magnification. The smallest is its inverse, and the logarithm is drawn uniformly.",
        ge=1,
    )
    shift: float = setting(
        0.0,
        title="Shift",
        description="Largest shift, in either direction, along each axis.",
        unit="px",
        ge=0,
    )
    blur: float = setting(
        1.2,
        title="Blur",
        description="Largest standard deviation of a Gaussian blur. Half of the crops are not blurred.",
        unit="px",
        ge=0,
    )
    noise: float = setting(
        1 / 255,
        title="Noise",
        description="Standard deviation of Gaussian noise; 1 is the full range of grey values. The result is clipped "
        "to [0, 1].",
        ge=0,
    )
    noise_range: float = setting(
        3.0,
        title="Range of the noise",
        description="The noise's standard deviation is drawn uniformly from 0 to `noise` times this factor; 0: it is "
        "always `noise`.",
        ge=0,
    )
    flips: bool = setting(
        True,
        title="Flips",
        description="Reverse each axis with probability 1/2.",
    )
    quarter_turns: bool = setting(
        True,
        title="Quarter turns",
        description="Rotate the crop by 0, 90, 180 or 270 degrees; by 0 or 180 degrees where it is not square.",
    )

    @classmethod
    def study(cls) -> Self:
        """Return the published recipe: histogram warp, elastic deformation, noise, flips and quarter turns."""
        return cls.none().changed(histogram=1.0, elastic=20.0, noise=1 / 255, flips=True, quarter_turns=True)

    @classmethod
    def none(cls) -> Self:
        """Return settings that leave a crop as it is."""
        return cls(
            histogram=0, illumination=0, contrast=0, brightness=0, elastic=0, rotation=0, zoom=1, shift=0, blur=0,
            noise=0, noise_range=0, flips=False, quarter_turns=False,
        )  # fmt: skip
