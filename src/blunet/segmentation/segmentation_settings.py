"""The settings of a segmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator

from blunet.settings_model import SettingsModel, setting

if TYPE_CHECKING:
    from blunet.packed.model_card import ModelInfo

Objects = Literal["watershed", "components", "mask"]
#: The splitting of models that say nothing else.
DEFAULT_SPLITTING = 0.4


class SegmentationSettings(SettingsModel):
    """How objects are found."""

    threshold: float | None = setting(
        None,
        title="Threshold",
        description="Pixels with a greater probability are foreground: a lower threshold finds more. "
        "Not given: the model's own threshold.",
        ge=0,
        le=1,
    )
    splitting: float | None = setting(
        None,
        title="Splitting",
        description="How readily touching cells are split: 0 never, 1 at every constriction. Used by watershed alone. "
        "Not given: the model's own value.",
        ge=0,
        le=1,
    )
    min_size: int = setting(
        20,
        title="Smallest area",
        description="Area of the smallest object that is kept.",
        unit="px",
        ge=0,
    )
    objects: Objects = setting(
        "watershed",
        title="Objects",
        description="What becomes an object: connected areas that are split where cells touch (watershed), whole "
        "connected areas (components), or all foreground together (mask).",
    )
    diameter: float | None = setting(
        None,
        title="Cell diameter",
        description="Typical diameter of the cells in the image. Set it if it differs from the diameter that the "
        "model was trained with: the image is then resampled to the model's scale. Not given: no resampling.",
        unit="px",
        gt=0,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _unwrap_numpy_scalars(cls, value: Any) -> Any:
        return value.item() if hasattr(value, "item") else value

    def for_model(self, info: ModelInfo) -> SegmentationSettings:
        """Return the settings with the model's threshold and splitting where they have none.

        Raises
        ------
        InputError
            If the diameter cannot be used with the model (see `scale_factor`).
        """
        from blunet.segmentation.scale import scale_factor  # here, so that a command's help needs no NumPy

        scale_factor(info, self.diameter)
        own = {"threshold": info.threshold, "splitting": info.splitting}
        missing = {name: value for name, value in own.items() if getattr(self, name) is None}
        return self.changed(**missing) if missing else self


DEFAULTS = SegmentationSettings()
