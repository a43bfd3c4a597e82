"""Settings of a compression: typed, read from and written to TOML, with two presets. No Keras here."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from blunet.architecture import NetworkSettings, ResidualLevels
from blunet.dataset.augmentation_settings import AugmentSettings
from blunet.dataset.splits import Order, SplitSettings
from blunet.errors import InputError
from blunet.files import replacing
from blunet.images.normalise import Normalisation

Monitor = Literal["val_loss", "val_iou"]
Loss = Literal["bce", "bce+dice"]
Start = Literal["calibrated", "least_squares", "published"]
Preset = Literal["study", "quick"]

STEPS = ("pretrain", "transfer", "hint_encoder", "hint_decoder", "retrain", "binarise")
#: Steps that train a float network on masks, where large kernels may be penalised.
PENALISED = ("pretrain", "transfer", "retrain")
PRESETS: tuple[Preset, ...] = ("quick", "study")

#: Side of the part of each validation image on which hints compare maps; all maps of it are held at once.
HINT_VALIDATION_SIZE = 256

STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, config=STRICT)
class StepSettings:
    """How one step trains.

    Attributes
    ----------
    epochs, batches : int
        The weights are validated after every epoch of that many batches.
    learning_rate : float
        Of Adam: constant in the first half of the epochs, then falling by `decay` an epoch.
    monitor : {"val_loss", "val_iou"}
        By which the best weights are chosen; steps that learn hints have no IoU.
    crop : int
        Side of the training crops in pixels, a multiple of what the network takes.
    batch : int
        Crops a batch.
    decay : float, optional
        None: chosen so that the last epoch has a hundredth of the first's rate (0.95, as in the study, reaches that
        only after 90 epochs).
    ignored_epochs : int
        First epochs that cannot be the best.
    l2 : float
        Factor of the squared kernels in the loss of `pretrain`, `transfer` and `retrain`; 0 in the other steps.
    loss : {"bce", "bce+dice"}
        Binary cross-entropy, or with the Dice loss added; steps that learn hints use neither.
    border_weights : bool
        Weigh the loss up at thin borders between touching cells; with "bce" also so that foreground and background
        count alike, which the Dice loss does by itself.
    run : bool
        Whether the step is run at all; a skipped step hands on what it was given.
    """

    epochs: int
    batches: int
    learning_rate: float
    monitor: Monitor = "val_iou"
    crop: int = 256
    batch: int = 1
    decay: float | None = None
    ignored_epochs: int = 0
    l2: float = 0.0
    loss: Loss = "bce"
    border_weights: bool = False
    run: bool = True

    def __post_init__(self) -> None:
        for name in ("epochs", "batches", "crop", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"'{name}' is {getattr(self, name)}; give at least 1.")
        if not 0 < self.learning_rate < 1:
            raise InputError(f"'learning_rate' is {self.learning_rate:g}; give a number between 0 and 1.")
        if self.decay is not None and not 0 < self.decay <= 1:
            raise InputError(f"'decay' is {self.decay:g}; give a factor above 0 and up to 1.")
        if not 0 <= self.ignored_epochs < self.epochs:
            raise InputError(f"'ignored_epochs' is {self.ignored_epochs}; give less than the {self.epochs} epochs.")
        if not 0 <= self.l2 < math.inf:
            raise InputError(f"'l2' is {self.l2:g}; give a factor from 0 on.")


@dataclass(frozen=True, config=STRICT)
class CompressionSettings:
    """All settings of a compression.

    Attributes
    ----------
    levels, base_filters : int
        Of all three networks.
    residual_levels : ResidualLevels
        Of the BLU-Net.
    binarize_depthwise : bool
        Whether the BLU-Net also codes what stands between the two parts of its separable convolutions: several times
        faster, less accurate.
    start : {"calibrated", "least_squares", "published"}
        How the BLU-Net starts from the lightweight network, see `binarise`; with "published" its signs also pass the
        gradient as in the study, else its codes as quantisers (see `residual_binarise`).
    normalisation : Normalisation
        Of all networks; a teacher from a file brings its own.
    augmentation : AugmentSettings
    validation_share : float
        Share of the files that choose the best weights and are not trained on.
    validation_order : {"random", "consecutive", "auto"}
        "random": the validation files are drawn. "consecutive": they are neighbours in the order of the names, the last
        files or one fold's, for files that follow each other in time or in place and resemble their neighbours.
        "auto": consecutive where neighbours show the same field, as frames of a film do.
    validation_size : int
        While training, validation images are looked at in their middle (or, if that is empty, around the object
        nearest to it) of at most so many pixels a side; in the report they are scored whole. Larger parts judge epochs
        more surely, and take more time and memory. Simulated fields are looked at whole; hints compare 256 pixels a
        side.
    folds, fold : int
        More than one fold: file groups of equal size take turns as validation files; `fold` (from 0) is the turn.
    simulated : int
        Simulated fields mixed into every batch's draw beside the real ones; 0: none. With them, as many others as there
        are validation files help these to choose weights and threshold; the report scores the files alone.
    pretraining_fields : int
        Simulated fields that the step `pretrain` learns from.
    seed : int
    pretrain, transfer, hint_encoder, hint_decoder, retrain, binarise : StepSettings
        The steps. `pretrain` is only run with a simulated teacher.
    """

    levels: int
    base_filters: int
    pretrain: StepSettings
    transfer: StepSettings
    hint_encoder: StepSettings
    hint_decoder: StepSettings
    retrain: StepSettings
    binarise: StepSettings
    residual_levels: ResidualLevels = field(default_factory=ResidualLevels)
    binarize_depthwise: bool = False
    start: Start = "calibrated"
    normalisation: Normalisation = field(default_factory=Normalisation)
    augmentation: AugmentSettings = field(default_factory=AugmentSettings)
    validation_share: float = 0.2
    validation_order: Order = "random"
    validation_size: int = 512
    folds: int = 1
    fold: int = 0
    simulated: int = 0
    pretraining_fields: int = 200
    seed: int = 1

    def __post_init__(self) -> None:
        multiple = self.network("unet").multiple
        for name in STEPS:
            step: StepSettings = getattr(self, name)
            if step.crop % multiple:
                raise InputError(
                    f"'{name}.crop' is {step.crop}; {self.levels} levels take multiples of {multiple} pixels."
                )
            if name.startswith("hint") and step.monitor != "val_loss":
                raise InputError(f"'{name}.monitor' is '{step.monitor}'; hints are chosen by 'val_loss'.")
            if step.l2 and name not in PENALISED:
                raise InputError(f"'{name}.l2' is {step.l2:g}; only {', '.join(PENALISED)} take one.")
        if not 0 < self.validation_share < 1:
            raise InputError(f"'validation_share' is {self.validation_share:g}; give a share between 0 and 1.")
        for name, low, high in (
            ("validation_size", multiple, math.inf), ("folds", 1, math.inf), ("simulated", 0, math.inf),
            ("pretraining_fields", 1, math.inf), ("seed", 0, 2**31),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                allowed = f"from {low} on" if high == math.inf else f"from {low} to {high}"
                raise InputError(f"'{name}' is {getattr(self, name)}; give a whole number {allowed}.")
        if not 0 <= self.fold < self.folds:
            raise InputError(f"'fold' is {self.fold}; with {self.folds} folds give 0 to {self.folds - 1}.")

    def network(self, name: Literal["unet", "lightweight", "blunet"]) -> NetworkSettings:
        """Settings of one of the three networks."""
        coded = self.binarize_depthwise and name == "blunet"
        return NetworkSettings(name, self.levels, self.base_filters, self.residual_levels, coded)

    @property
    def split(self) -> SplitSettings:
        """How the files are split into training and validation."""
        return SplitSettings(self.validation_share, self.validation_order, self.folds, self.fold, self.seed)

    def step(self, name: str) -> StepSettings:
        """Settings of the step called `name`."""
        found: StepSettings = getattr(self, name)
        return found

    def steps(self, teacher: str) -> list[str]:
        """Names of the steps that run with a teacher ("simulated", "scratch" or a file), in their order."""
        left_out = () if teacher == "simulated" else ("pretrain",)
        return [name for name in STEPS if self.step(name).run and name not in left_out]

    def largest_crop(self, teacher: str) -> int:
        """Side of the largest crop that a step with this teacher takes, in pixels."""
        return max(self.step(name).crop for name in self.steps(teacher) or STEPS)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; absent ones (None) are left out, as TOML has none."""
        return _without_none(asdict(self))

    def write(self, path: str | Path) -> None:
        """Write the settings to a TOML file, replacing it in one step."""
        with replacing(path) as temporary:
            temporary.write_text(tomli_w.dumps(self.to_dict()), encoding="utf-8")


def settings_from_dict(data: dict[str, Any]) -> CompressionSettings:
    """Read settings from plain values.

    Raises
    ------
    InputError
        That names the first setting that is missing, unknown, of the wrong type or out of range.
    """
    try:
        return TypeAdapter(CompressionSettings).validate_json(json.dumps(data))
    except TypeError as e:
        raise InputError(f"The settings hold what they cannot: {e}.") from e
    except ValidationError as e:
        first = e.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
        if first["type"] == "value_error":  # a sentence of our own, which names the value
            raise InputError(f"Setting in '{place}': {reason}." if place else f"{reason}.") from e
        raise InputError(f"Setting '{place or 'settings'}': {reason}; it is {first['input']!r:.80}.") from e


def read_settings(path: str | Path, base: CompressionSettings | None = None) -> CompressionSettings:
    """Read a TOML file.

    Parameters
    ----------
    path : str or Path
    base : CompressionSettings, optional
        Where the file leaves something out it is taken from here; the table `normalisation` counts as a whole.

    Raises
    ------
    InputError
        If there is no such file, it is not TOML, or a setting is wrong.
    """
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise InputError(f"There is no settings file '{path}'; check the name.") from e
    except OSError as e:
        raise InputError(f"The settings file '{path}' cannot be read: {e.strerror}.") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise InputError(f"The settings file '{path}' is not TOML: {e}; mend it.") from e
    return settings_from_dict(data if base is None else _merged(base.to_dict(), data))


def preset(name: str) -> CompressionSettings:
    """Return a preset.

    Parameters
    ----------
    name : {"quick", "study"}
        `study` has the published settings (METHOD: 400 epochs a step, hours to days on a CPU). `quick` takes at most
        15 minutes on two CPU cores for a dozen images of 512 x 512.

    Raises
    ------
    InputError
        If there is no such preset.
    """
    if name == "study":
        return _study()
    if name == "quick":
        return _quick()
    raise InputError(f"There is no preset '{name}'; choose one of {', '.join(PRESETS)}.")


def _study() -> CompressionSettings:
    def step(rate: float, crop: int, monitor: Monitor = "val_iou", l2: float = 0.0) -> StepSettings:
        return StepSettings(400, 24, rate, monitor, crop, decay=0.95, l2=l2)

    return CompressionSettings(
        levels=5,
        base_filters=64,
        start="published",
        normalisation=Normalisation("range"),
        augmentation=AugmentSettings.study(),
        folds=5,
        pretrain=step(1e-4, 512, "val_loss"),
        transfer=step(1e-4, 512, "val_loss", 1e-7),
        hint_encoder=step(1e-3, 256, "val_loss"),
        hint_decoder=step(1e-3, 256, "val_loss"),
        retrain=step(1e-3, 512),
        binarise=step(1e-3, 256),
    )


def _quick() -> CompressionSettings:
    hint = StepSettings(epochs=3, batches=60, learning_rate=1e-3, monitor="val_loss", crop=192)
    return CompressionSettings(
        levels=5,
        base_filters=16,
        normalisation=Normalisation("percentile", 0.5, 99.5, 50.0),
        validation_order="auto",
        pretrain=StepSettings(epochs=5, batches=80, learning_rate=1e-3, crop=192),
        transfer=StepSettings(epochs=8, batches=80, learning_rate=5e-4, l2=1e-7, crop=192),
        hint_encoder=hint,
        hint_decoder=replace(hint, epochs=4),
        retrain=StepSettings(epochs=8, batches=80, learning_rate=1e-3, crop=192, batch=2),
        binarise=StepSettings(epochs=10, batches=80, learning_rate=3e-4, crop=192, batch=2),
        pretraining_fields=60,
    )


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in change.items():
        known = result.get(key)
        if key != "normalisation" and isinstance(known, dict) and isinstance(value, dict):
            value = _merged(known, value)
        result[key] = value
    return result


def _without_none(data: dict[str, Any]) -> dict[str, Any]:
    return {k: _without_none(v) if isinstance(v, dict) else v for k, v in data.items() if v is not None}
