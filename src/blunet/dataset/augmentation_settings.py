"""What may happen to a training crop: one settings object, and its presets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from blunet.errors import InputError

#: Least and largest values of the settings that are not just numbers from 0 on.
LIMITS = {"histogram": (0, 1), "illumination": (0, 2), "zoom": (1, math.inf)}


@dataclass(frozen=True)
class AugmentSettings:
    """What may happen to a crop, in the order in which it happens; 0 (for `zoom` 1) leaves an operation out.

    Attributes
    ----------
    histogram : float
        Probability, 0 to 1, of a histogram warp: grey values go through a monotone PCHIP curve with 3 random
        interior points, rescaled to the image's own range.
    illumination : float
        Largest relative change of brightness within the crop, 0 to 2: the image is multiplied by a smooth
        curve along a random axis, between 1 - illumination / 2 and 1 + illumination / 2.
    contrast, brightness : float
        Standard deviations of the logarithm of a factor about mid-grey, and of an offset (1 is the full
        range). Contrast is never inverted.
    elastic : float
        Standard deviation in pixels of the displacements on a 3 x 3 grid over the crop, with a cubic
        spline between them.
    rotation : float
        Largest angle in degrees, either way.
    zoom : float
        Largest magnification, at least 1; the smallest is its inverse, and the logarithm is drawn evenly.
    shift : float
        Largest shift in pixels, either way.
    blur : float
        Largest standard deviation in pixels of a Gaussian blur; half of the crops stay sharp.
    noise : float
        Standard deviation of the Gaussian noise (1 is the full range); the result is clipped to [0, 1].
    noise_range : float
        The noise's deviation is drawn from 0 to `noise` times this; 0: always `noise`.
    flips : bool
        Each axis is reversed with probability 1/2.
    quarter_turns : bool
        The crop is turned by 0, 1, 2 or 3 quarters; one that is not square by 0 or 2, so that it keeps
        its shape.

    Raises
    ------
    InputError
        If a value is negative, not finite, out of the range above, or of another type.

    Notes
    -----
    `study` is the published recipe. Elastic deformation, rotation, zoom and shift are one resampling with
    mirrored borders. Histogram and illumination warp are after DeLTA (Lugagne, Lin and Dunlop, PLoS Comput.
    Biol. 2020), the elastic deformation after Ronneberger, Fischer and Brox (MICCAI 2015).
    """

    histogram: float = 0.5
    illumination: float = 0.2
    contrast: float = 0.25
    brightness: float = 0.08
    elastic: float = 8.0
    rotation: float = 180.0
    zoom: float = 1.4
    shift: float = 0.0
    blur: float = 1.2
    noise: float = 1 / 255
    noise_range: float = 3.0
    flips: bool = True
    quarter_turns: bool = True

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "bool":
                if not isinstance(value, bool):
                    raise InputError(f"Augmentation '{field.name}' is {value!r}; give true or false.")
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise InputError(f"Augmentation '{field.name}' is {value!r}; give a number.")
            low, high = LIMITS.get(field.name, (0, math.inf))
            if not (math.isfinite(value) and low <= value <= high):
                allowed = f"from {low} on" if high == math.inf else f"from {low} to {high}"
                raise InputError(f"Augmentation '{field.name}' is {value!r}; give a number {allowed}.")

    @classmethod
    def default(cls) -> AugmentSettings:
        """Stronger than the study's, for a handful of images and for microscopes not trained on."""
        return cls()

    @classmethod
    def study(cls) -> AugmentSettings:
        """The published recipe: histogram warp, elastic deformation, noise, flips, quarter turns."""
        return cls(
            histogram=1.0, illumination=0.0, contrast=0.0, brightness=0.0, elastic=20.0, rotation=0.0,
            zoom=1.0, shift=0.0, blur=0.0, noise=1 / 255, noise_range=0.0,
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
        """Read settings written by `to_dict`; a missing key takes its default, an unknown one is an error."""
        known = [f.name for f in fields(cls)]
        if not isinstance(data, Mapping):
            raise InputError(f"Augmentation settings are {data!r:.200}; give a table of {', '.join(known)}.")
        for key in data:
            if key not in known:
                raise InputError(f"Augmentation setting {key!r} is unknown; use {', '.join(known)}.")
        return cls(**data)
