"""The presets of a compression: quick, full, and as published. No Keras here."""

from __future__ import annotations

from typing import Any, Literal, get_args

from blunet.compression.compression_settings import CompressionSettings, StepSettings
from blunet.dataset.augmentation_settings import AugmentationSettings
from blunet.errors import InputError
from blunet.images.normalisation_settings import Normalisation

Preset = Literal["quick", "full", "study"]
PRESETS: tuple[Preset, ...] = get_args(Preset)


def preset(name: str) -> CompressionSettings:
    """Return a preset.

    Parameters
    ----------
    name : {"quick", "full", "study"}
        `quick` takes about 15 minutes on two CPU cores for a dozen images, `full` some hours: 32 filters, and more
        batches. `study` has the published networks and settings: 400 epochs a step, hours to days on a CPU.

    Raises
    ------
    InputError
        If there is no such preset.
    """
    if name == "study":
        return _study()
    if name == "quick":
        return _quick()
    if name == "full":
        return _full()
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
    learn = StepSettings(
        epochs=1, batches=60, batch=4, crop=192, learning_rate=2e-3, schedule="cosine", clip=1.0, monitor="val_map",
        loss="bce+dice",
    )  # fmt: skip
    hint = learn.changed(learning_rate=1e-3, monitor="val_loss", loss="bce", batches=40)
    return CompressionSettings(
        levels=5,
        base_filters=16,
        form="normalised",
        maps="auto",
        gap=False,
        crop_foreground=0.05,
        normalisation=Normalisation(method="percentile", low=0.5, high=99.5, shading=50.0),
        # Changes of grey values as strong as the default's take longer to learn than these presets train.
        augmentation=AugmentationSettings(
            histogram=0.2, illumination=0.1, contrast=0.2, brightness=0.06, elastic=4.0, rotation=10.0, noise=0.01
        ),
        validation_order="auto",
        pretrain=learn.changed(epochs=2, monitor="val_loss"),
        transfer=learn.changed(epochs=4, learning_rate=1e-3),
        hint_encoder=hint,
        hint_decoder=hint.changed(epochs=2),
        retrain=learn.changed(epochs=8, batches=100, batch=8),
        binarise=learn.changed(epochs=6, batches=100, batch=6, learning_rate=1e-3, soft=0.5),
        pretraining_fields=60,
    )


def _full() -> CompressionSettings:
    quick = _quick()

    def longer(name: str, epochs: int) -> StepSettings:
        return quick.step(name).changed(epochs=epochs, batches=100, batch=8)

    return quick.changed(
        base_filters=32,
        validation_size=1024,
        pretrain=longer("pretrain", 4),
        transfer=longer("transfer", 12),
        hint_encoder=longer("hint_encoder", 2),
        hint_decoder=longer("hint_decoder", 4),
        retrain=longer("retrain", 30),
        binarise=longer("binarise", 20),
        pretraining_fields=200,
    )
