"""What a model says about itself besides its weights: how to feed it, and where it comes from."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from typing import Any

from blunet.errors import InputError
from blunet.images.normalise import Normalisation


@dataclass(frozen=True)
class ModelCard:
    """Where a model comes from and what it is good for.

    Parameters
    ----------
    name : str
    data : str
        A sentence on the images it was trained with.
    object_diameter : float, optional
        Typical diameter, in pixels, of the objects it was trained with. None: not known.
    date : str
        When it was made, as ``YYYY-MM-DD``.
    settings : dict
        Settings of the training that made it; values that JSON can hold.
    figures : dict of str to float
        Figures of merit, for instance ``{"validation_iou": 0.91}``.
    versions : dict of str to str
        Versions of the software that made it.
    licence : str

    Raises
    ------
    InputError
        If a value has the wrong type or is out of range.
    """

    name: str = ""
    data: str = ""
    object_diameter: float | None = None
    date: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    licence: str = ""

    def __post_init__(self) -> None:
        for name in ("name", "data", "date", "licence"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"The model card's '{name}' is {getattr(self, name)!r:.200}; give a text.")
        for name in ("settings", "figures", "versions"):
            if not isinstance(getattr(self, name), dict):
                raise InputError(f"The model card's '{name}' is {getattr(self, name)!r:.200}; give a table.")
        _check_date(self.date)
        diameter = self.object_diameter
        if diameter is not None and not (_is_finite(diameter) and diameter > 0):
            raise InputError(
                f"The model card's 'object_diameter' is {diameter!r:.200}; give a positive number of pixels."
            )
        for key, value in self.figures.items():
            if not (isinstance(key, str) and _is_finite(value)):
                raise InputError(f"The model card's figure {key!r} is {value!r:.200}; give a number.")
        for key, version in self.versions.items():
            if not (isinstance(key, str) and isinstance(version, str)):
                raise InputError(f"The model card's version of {key!r} is {version!r:.200}; give a text.")
        object.__setattr__(self, "settings", _plain(self.settings))

    def to_dict(self) -> dict[str, Any]:
        """Return the card as plain values that JSON can hold; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelCard:
        """Read a card written by `to_dict`; missing entries get their defaults.

        Raises
        ------
        InputError
            If an entry is unknown or has the wrong type.
        """
        known = [f.name for f in fields(cls)]
        if not isinstance(data, Mapping) or set(data) - set(known):
            raise InputError(f"The model card holds {_shown(data)}; its entries are {', '.join(known)}.")
        return cls(**data)


@dataclass(frozen=True)
class ModelInfo:
    """All that a model file holds besides the network: the same for ``.blunet`` and ``.keras`` files.

    Parameters
    ----------
    normalisation : Normalisation
        How raw images become the network's input.
    threshold : float
        Foreground is where the probability is above this; 0 to 1.
    card : ModelCard

    Raises
    ------
    InputError
        If the threshold is not a number from 0 to 1.
    """

    normalisation: Normalisation = field(default_factory=Normalisation)
    threshold: float = 0.5
    card: ModelCard = field(default_factory=ModelCard)

    def __post_init__(self) -> None:
        if not (_is_finite(self.threshold) and 0 <= self.threshold <= 1):
            raise InputError(f"The model's threshold is {self.threshold!r:.200}; give a number from 0 to 1.")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold; `from_dict` reads them back."""
        return {
            "normalisation": self.normalisation.to_dict(),
            "threshold": self.threshold,
            "card": self.card.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelInfo:
        """Read what `to_dict` wrote; the normalisation and the threshold have to be there.

        Raises
        ------
        InputError
            If an entry is missing, unknown or invalid.
        """
        known = {f.name for f in fields(cls)}
        needed = known - {"card"}
        if not isinstance(data, Mapping) or not needed <= set(data) <= known:
            raise InputError(
                f"The model's description holds {_shown(data)}; its entries are {', '.join(sorted(known))}."
            )
        return cls(
            Normalisation.from_dict(data["normalisation"]),
            data["threshold"],
            ModelCard.from_dict(data.get("card", {})),
        )


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _shown(data: object) -> str:
    """Return the names of the entries, or whatever stands in their place, at a length fit for a sentence."""
    return f"{', '.join(map(str, data)) if isinstance(data, Mapping) else repr(data):.200}"


def _check_date(text: str) -> None:
    try:
        valid = not text or bool(date.fromisoformat(text))
    except ValueError:
        valid = False
    if not valid:
        raise InputError(f"The model card's 'date' is {text!r:.200}; give it as YYYY-MM-DD.")


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings as JSON gives them back, so that a card read from a file equals the one written."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(settings, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as e:
        raise InputError(f"The model card's 'settings' hold what JSON cannot: {e}; give plain values.") from e
    return plain
