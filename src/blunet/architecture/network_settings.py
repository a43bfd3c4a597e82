"""What distinguishes one network from another."""

from __future__ import annotations

from typing import Any, Literal, Self, get_args

from pydantic import field_validator, model_validator

from blunet.errors import InputError
from blunet.settings_model import SettingsModel, setting

Network = Literal["unet", "lightweight", "blunet"]
Form = Literal["published", "normalised"]
MapName = Literal["foreground", "distance"]
NETWORKS: tuple[Network, ...] = get_args(Network)

MAX_LEVELS = 8
MAX_BASE_FILTERS = 1024
MAX_RESIDUAL_LEVELS = 4


def _levels(title: str, what: str) -> Any:
    return setting(
        3, title=title, description=f"Residual levels, bits per value, of {what}.", ge=1, le=MAX_RESIDUAL_LEVELS
    )


class ResidualLevels(SettingsModel):
    """Number of residual levels M, the bits per value, of each kind of binarised tensor."""

    activation: int = _levels("Activations", "the residual sign activations")
    convolution: int = _levels(
        "Convolutions", "the kernels of plain convolutions: the two contracting ones of level 0, and the output"
    )
    depthwise: int = _levels("Depthwise kernels", "the depthwise kernels of separable convolutions")
    pointwise: int = _levels("Pointwise kernels", "the pointwise kernels of separable convolutions")

    @classmethod
    def uniform(cls, levels: int) -> Self:
        """Return the same number of levels for every kind of tensor."""
        return cls(activation=levels, convolution=levels, depthwise=levels, pointwise=levels)


class NetworkSettings(SettingsModel):
    """Settings that fix the layers of a network, and with them its size.

    Raises
    ------
    InputError
        If a value is of another type or out of range.
    """

    network: Network = setting(
        "blunet",
        title="Network",
        description="The full-precision U-Net (unet), the U-Net of depthwise-separable convolutions (lightweight), or "
        "the binarised form of the latter (blunet).",
    )
    levels: int = setting(
        5,
        title="Levels",
        description="Resolution levels. The sides of an input are multiples of 2^(levels - 1) pixels.",
        ge=1,
        le=MAX_LEVELS,
    )
    base_filters: int = setting(
        64,
        title="Base filters",
        description="Filters of the convolutions at full resolution; they double from level to level.",
        ge=1,
        le=MAX_BASE_FILTERS,
    )
    residual_levels: ResidualLevels = setting(
        default_factory=ResidualLevels,
        title="Residual levels",
        description="Bits per value of the binarised tensors. Only used by blunet.",
    )
    binarize_depthwise: bool = setting(
        False,
        title="Binarise depthwise results",
        description="Also binarise the values between the depthwise and the pointwise part of every separable "
        "convolution: several times faster, less accurate, and not in the published network. Only used by blunet.",
    )

    form: Form = setting(
        "published",
        title="Form",
        description="published: as in the study. normalised: batch normalisation after every convolution while "
        "training; a blunet then has a scale for each depthwise channel and each filter, activations coded from 0 "
        "upwards, and an output layer of floats.",
    )
    maps: tuple[MapName, ...] = setting(
        ("foreground",),
        title="Maps",
        description="What the network gives for each pixel: the probability of foreground, and the distance to the "
        "border of the object relative to its largest, which parts touching objects.",
        min_length=1,
    )

    @field_validator("maps", mode="before")
    @classmethod
    def _take_list(cls, value: Any) -> Any:
        """Take the list that JSON gives."""
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _check_maps(self) -> Self:
        if self.maps[0] != "foreground" or len(set(self.maps)) < len(self.maps):
            raise InputError(f"'maps' is {list(self.maps)!r}; give 'foreground' first, and each map once.")
        if len(self.maps) > 1 and self.form == "published" and self.binary:
            raise InputError("A published BLU-Net has the map 'foreground' alone; set form = 'normalised' for others.")
        return self

    @property
    def multiple(self) -> int:
        """The sides of the network's input are multiples of this number of pixels."""
        return int(2 ** (self.levels - 1))

    @property
    def binary(self) -> bool:
        """Whether weights and activations are binarised."""
        return self.network == "blunet"

    def filters(self, level: int) -> int:
        """Filters of every convolution at `level`."""
        return int(self.base_filters * 2**level)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; `from_dict` reads them back."""
        plain = super().to_dict()
        if not self.binarize_depthwise:  # files written before this setting existed do not have it
            del plain["binarize_depthwise"]
        if self.form == "published":
            del plain["form"]
        if len(self.maps) == 1:
            del plain["maps"]
        return plain
