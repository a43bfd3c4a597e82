"""What a model says about itself besides its weights: how to feed it, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Self

from pydantic import field_validator

from blunet.images.normalisation_settings import Normalisation
from blunet.settings_model import SettingError, SettingsModel, setting


class ModelCard(SettingsModel):
    """Where a model comes from and what it is good for.

    Raises
    ------
    InputError
        If a value is of another type or out of range.
    """

    name: str = setting("", title="Name", description="What the model is called.")
    data: str = setting("", title="Data", description="A sentence on the images that it was trained on.")
    object_diameter: float | None = setting(
        None,
        title="Object diameter",
        description="Typical diameter of the objects that it was trained on.",
        unit="px",
        gt=0,
    )
    date: str = setting("", title="Date", description="When it was made, as YYYY-MM-DD.")
    settings: dict[str, Any] = setting(
        default_factory=dict, title="Settings", description="Settings of the training that made it."
    )
    figures: dict[str, float] = setting(
        default_factory=dict, title="Figures", description="Figures of merit, such as validation_iou."
    )
    versions: dict[str, str] = setting(
        default_factory=dict, title="Versions", description="Versions of the software that made it."
    )
    licence: str = setting("", title="Licence", description="Licence under which it may be used.")

    @field_validator("date")
    @classmethod
    def _check_date(cls, text: str) -> str:
        try:
            valid = not text or bool(date.fromisoformat(text))
        except ValueError:
            valid = False
        if not valid:
            raise SettingError("", f"is {text!r:.80}; give it as YYYY-MM-DD")
        return text

    @field_validator("settings")
    @classmethod
    def _plain(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the settings as JSON gives them back, so that a card read from a file equals the one written."""
        try:
            plain: dict[str, Any] = json.loads(json.dumps(settings, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as e:
            raise SettingError("", f"hold what JSON cannot ({e}); give plain values") from e
        return plain


class ModelInfo(SettingsModel):
    """All that a model file holds besides the network: the same for ``.blunet`` and ``.keras`` files.

    Raises
    ------
    InputError
        If the threshold is not a number from 0 to 1.
    """

    normalisation: Normalisation = setting(
        default_factory=Normalisation,
        title="Normalisation",
        description="How raw images become the network's input.",
    )
    threshold: float = setting(
        0.5,
        title="Threshold",
        description="Foreground is where the probability is greater.",
        ge=0,
        le=1,
    )
    splitting: float = setting(
        0.4,
        title="Splitting",
        description="How readily touching objects are split, from 0 (never) to 1 (at every constriction).",
        ge=0,
        le=1,
    )
    card: ModelCard = setting(
        default_factory=ModelCard, title="Card", description="Where the model comes from and what it is good for."
    )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote; the normalisation and the threshold have to be there.

        Raises
        ------
        InputError
            If an entry is missing, unknown or invalid.
        """
        for name in ("normalisation", "threshold"):
            if isinstance(data, Mapping) and name not in data:
                raise SettingError(name, "is missing in the model's description; make or fetch the file again")
        return super().from_dict(data)
