"""The presets of a compression: quick, and as published. No Keras here."""

from __future__ import annotations

from typing import Any, Literal, get_args

from blunet.compression.compression_settings import CompressionSettings, StepSettings
from blunet.dataset.augmentation_settings import AugmentationSettings
from blunet.errors import InputError
from blunet.images.normalisation_settings import Normalisation

Preset = Literal["quick", "study"]
PRESETS: tuple[Preset, ...] = get_args(Preset)


def preset(name: str) -> CompressionSettings:
    """Return a preset.

    Parameters
    ----------
    name : {"quick", "study"}
        `study` has the published settings: 400 epochs a step, hours to days on a CPU. `quick` takes at most 15 minutes
        on two CPU cores for a dozen images of 512 x 512.

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
    def step(learning_rate: float, crop: int, **others: Any) -> StepSettings:
        return StepSettings(epochs=400, batches=24, learning_rate=learning_rate, decay=0.95, crop=crop, **others)

    return CompressionSettings(
        levels=5,
        base_filters=64,
        start="published",
        normalisation=Normalisation(method="range"),
        augmentation=AugmentationSettings.study(),
        folds=5,
        pretrain=step(1e-4, 512, monitor="val_loss"),
        transfer=step(1e-4, 512, monitor="val_loss", l2=1e-7),
        hint_encoder=step(1e-3, 256, monitor="val_loss"),
        hint_decoder=step(1e-3, 256, monitor="val_loss"),
        retrain=step(1e-3, 512),
        binarise=step(1e-3, 256),
    )


def _quick() -> CompressionSettings:
    hint = StepSettings(epochs=3, batches=60, learning_rate=1e-3, monitor="val_loss", crop=192)
    return CompressionSettings(
        levels=5,
        base_filters=16,
        normalisation=Normalisation(method="percentile", low=0.5, high=99.5, shading=50.0),
        validation_order="auto",
        pretrain=StepSettings(epochs=5, batches=80, learning_rate=1e-3, crop=192),
        transfer=StepSettings(epochs=8, batches=80, learning_rate=5e-4, l2=1e-7, crop=192),
        hint_encoder=hint,
        hint_decoder=hint.changed(epochs=4),
        retrain=StepSettings(epochs=8, batches=80, learning_rate=1e-3, crop=192, batch=2),
        binarise=StepSettings(epochs=10, batches=80, learning_rate=3e-4, crop=192, batch=2),
        pretraining_fields=60,
    )
