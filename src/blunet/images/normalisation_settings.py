"""The settings by which images become [0, 1]."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from blunet.settings_model import SettingError, SettingsModel, setting


class Normalisation(SettingsModel):
    """How images become [0, 1]; a part of the model they were trained with.

    Raises
    ------
    InputError
        If a value is outside its range.
    """

    method: Literal["range", "percentile"] = setting(
        "range",
        title="Method",
        description="range: integers are divided by the maximum of their type, floats stay as they are. percentile: "
        "the percentiles low and high of the whole image become 0 and 1. Both clip to [0, 1].",
    )
    low: float = setting(
        0.1,
        title="Low percentile",
        description="The percentile of the grey values that becomes 0. Not used by range.",
        unit="%",
        ge=0,
        le=100,
    )
    high: float = setting(
        99.9,
        title="High percentile",
        description="The percentile of the grey values that becomes 1. Not used by range.",
        unit="%",
        ge=0,
        le=100,
    )
    shading: float | None = setting(
        None,
        title="Shading",
        description="Standard deviation of the Gaussian that estimates the slow background, which is subtracted before "
        "the percentiles are taken; without it, nothing is subtracted. Only with percentile.",
        unit="px",
        gt=0,
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low >= self.high:
            raise SettingError("low", f"is {self.low:g}; give less than 'high', which is {self.high:g}")
        if self.shading is not None and self.method == "range":
            raise SettingError("shading", f"is {self.shading:g}; the method 'range' removes none: use 'percentile'")
        return self
