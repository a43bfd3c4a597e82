"""Settings of the split of a folder's files into training and validation."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from blunet.settings_model import SettingError, SettingsModel, setting

ValidationOrder = Literal["random", "consecutive", "auto"]


class SplitSettings(SettingsModel):
    """How the files of a folder are split into training and validation."""

    validation_share: float = setting(
        0.2,  # the published study validates on 6 of 30 images
        title="Validation share",
        description="Fraction of the files that choose the best weights and are not trained on; at least one file.",
        gt=0,
        lt=1,
    )
    validation_order: ValidationOrder = setting(
        "random",
        title="Validation order",
        description="Draw the validation files (random), take neighbours in the order of the names (consecutive), or "
        "take neighbours where the files are frames of a time-lapse and draw them elsewhere (auto).",
    )
    folds: int = setting(
        1,
        title="Folds",
        description="Number of groups of files that take turns as validation files. 1: the validation share counts.",
        ge=1,
    )
    fold: int = setting(
        0,
        title="Fold",
        description="Which of the folds validates, counted from 0.",
        ge=0,
    )
    seed: int = setting(
        0,
        title="Seed",
        description="Another number draws other validation files.",
        ge=0,
        le=2**31,
    )

    @model_validator(mode="after")
    def _check_fold(self) -> Self:
        if self.fold >= self.folds:
            raise SettingError("fold", f"is {self.fold}; with {self.folds} folds give 0 to {self.folds - 1}")
        return self
