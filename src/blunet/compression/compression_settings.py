"""Settings of a compression, each described once. No Keras here."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from blunet.architecture import Network, NetworkSettings, ResidualLevels
from blunet.architecture.network_settings import MAX_BASE_FILTERS, MAX_LEVELS, Form
from blunet.compression.steps import STEPS
from blunet.dataset.augmentation_settings import AugmentationSettings
from blunet.dataset.split_settings import SplitSettings, ValidationOrder
from blunet.images.normalisation_settings import Normalisation
from blunet.settings_model import SettingError, SettingsModel, setting, setting_of

Monitor = Literal["val_loss", "val_iou", "val_map"]
Schedule = Literal["falling", "cosine"]
LearntMaps = Literal["auto", "foreground", "distance"]
Loss = Literal["bce", "bce+dice"]
Start = Literal["calibrated", "least_squares", "published"]

#: Side in pixels of the part of each validation image on which hints compare maps: all its maps are in memory at once.
HINT_VALIDATION_SIZE = 256
MAX_SEED = 2**31


class StepSettings(SettingsModel):
    """How one step trains."""

    run: bool = setting(
        True, title="Run", description="Run the step. A step that is not run passes its network on unchanged."
    )
    epochs: int = setting(title="Epochs", description="Number of epochs; the weights are validated after each.", ge=1)
    batches: int = setting(title="Batches", description="Batches of an epoch.", ge=1)
    batch: int = setting(1, title="Batch size", description="Crops of a batch.", ge=1)
    crop: int = setting(
        256, title="Crop", description="Side of the training crops: a multiple of 2^(levels - 1).", unit="px", ge=1
    )
    learning_rate: float = setting(
        title="Learning rate",
        description="Largest learning rate of Adam.",
        gt=0,
        lt=1,
    )
    schedule: Schedule = setting(
        "falling",
        title="Schedule",
        description="How the learning rate changes. falling: it is constant in the first half of the epochs, then it "
        "falls from epoch to epoch. cosine: it rises over the first batches, then it falls along a cosine.",
    )
    decay: float | None = setting(
        None,
        title="Decay",
        description="Factor of the learning rate from one epoch to the next in the second half of the schedule "
        "falling. Without it, the last epoch has a hundredth of the first rate.",
        gt=0,
        le=1,
    )
    clip: float | None = setting(
        None,
        title="Gradient clipping",
        description="Largest norm of a weight tensor's gradient; a longer one is shortened. Without it, none is.",
        gt=0,
    )
    soft: float = setting(
        0.0,
        title="Soft targets",
        description="Share of the lightweight network's answer in what BLU-Net learns; the rest is the truth. Only "
        "used by binarise.",
        ge=0,
        le=1,
    )
    monitor: Monitor = setting(
        "val_iou",
        title="Monitor",
        description="What the best weights are chosen by: the loss, the IoU of the foreground, or the mean average "
        "precision of the objects (val_map). Steps that learn hints have the loss alone.",
    )
    ignored_epochs: int = setting(
        0, title="Ignored epochs", description="First epochs that cannot be the best: fewer than all.", ge=0
    )
    loss: Loss = setting(
        "bce",
        title="Loss",
        description="Binary cross-entropy, or with the Dice loss added. Not used by steps that learn hints.",
    )
    l2: float = setting(
        0.0,
        title="L2 penalty",
        description="Factor of the sum of the squared kernels, which is added to the loss. Only pretrain, transfer and "
        "retrain have one.",
        ge=0,
    )
    border_weights: bool = setting(
        False,
        title="Border weights",
        description="Weight pixels between touching cells more; with the loss bce, also give foreground and background "
        "the same weight. Not used by steps that learn hints.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.ignored_epochs >= self.epochs:
            raise SettingError("ignored_epochs", f"is {self.ignored_epochs}; give less than the {self.epochs} epochs")
        return self


def _step(name: str) -> Any:
    step = STEPS[name]
    return setting(title=step.title, description=f"How the step trains; phase {step.phase}.")


class CompressionSettings(SettingsModel):
    """All settings of a compression."""

    levels: int = setting(title="Levels", description="Resolution levels of the three networks.", ge=1, le=MAX_LEVELS)
    base_filters: int = setting(
        title="Base filters",
        description="Filters of the three networks at full resolution; they double from level to level.",
        ge=1,
        le=MAX_BASE_FILTERS,
    )
    form: Form = setting(
        "published",
        title="Form",
        description="published: the networks of the study. normalised: batch normalisation after every convolution "
        "while training; it is folded into the weights afterwards.",
    )
    maps: LearntMaps = setting(
        "foreground",
        title="Maps",
        description="What the networks learn. distance: the foreground, and the distance to the border of the object, "
        "which parts touching objects. auto: the distance too, unless the masks tell no objects apart.",
    )
    gap: bool = setting(
        True,
        title="Gap",
        description="Teach a gap of background between touching objects.",
    )
    crop_foreground: float = setting(
        0.0,
        title="Foreground of a crop",
        description="Share of a training crop that objects should cover: up to three places are drawn until one has "
        "that much.",
        ge=0,
        le=1,
    )
    binarize_depthwise: bool = setting(
        False,
        title="Binarise depthwise results",
        description="Also binarise the values between the two parts of BLU-Net's separable convolutions: several times "
        "faster, less accurate.",
    )
    start: Start = setting(
        "calibrated",
        title="Start of BLU-Net",
        description="How BLU-Net starts from the lightweight network: as close to it as the bits allow (calibrated), "
        "with its kernels and fitted scales (least_squares), or as published, which includes the published gradient.",
    )
    validation_share: float = setting_of(SplitSettings, "validation_share")
    validation_order: ValidationOrder = setting_of(SplitSettings, "validation_order")
    validation_size: int = setting(
        512,
        title="Validation size",
        description="Largest side of the crop of a validation image that is used during training. A larger crop "
        "judges epochs better, and takes more time and memory. The report scores whole images.",
        unit="px",
        ge=1,
    )
    folds: int = setting_of(SplitSettings, "folds")
    fold: int = setting_of(SplitSettings, "fold")
    simulated: int = setting(
        0,
        title="Simulated fields",
        description="Simulated fields that are mixed into every batch. With them, other simulated fields, as many as "
        "there are validation files, help these to choose weights and threshold.",
        ge=0,
    )
    pretraining_fields: int = setting(
        200, title="Pretraining fields", description="Simulated fields that the step pretrain learns from.", ge=1
    )
    seed: int = setting(
        1, title="Seed", description="Seed of all random numbers: equal seeds give equal runs.", ge=0, le=MAX_SEED
    )
    residual_levels: ResidualLevels = setting(
        default_factory=ResidualLevels,
        title="Residual levels",
        description="Bits per value of BLU-Net's binarised tensors.",
    )
    normalisation: Normalisation = setting(
        default_factory=Normalisation,
        title="Normalisation",
        description="How raw images become the networks' input; a teacher from a file brings its own.",
    )
    augmentation: AugmentationSettings = setting(
        default_factory=AugmentationSettings,
        title="Augmentation",
        description="Random changes of the training crops.",
    )
    pretrain: StepSettings = _step("pretrain")
    transfer: StepSettings = _step("transfer")
    hint_encoder: StepSettings = _step("hint_encoder")
    hint_decoder: StepSettings = _step("hint_decoder")
    retrain: StepSettings = _step("retrain")
    binarise: StepSettings = _step("binarise")

    @model_validator(mode="after")
    def _check(self) -> Self:
        multiple = self.network("unet").multiple
        for step in STEPS.values():
            chosen = self.step(step.name)
            if chosen.crop % multiple:
                problem = f"is {chosen.crop}; {self.levels} levels take multiples of {multiple} pixels"
                raise SettingError(f"{step.name}.crop", problem)
            if not step.learns_masks and chosen.monitor != "val_loss":
                raise SettingError(f"{step.name}.monitor", f"is '{chosen.monitor}'; hints are chosen by 'val_loss'")
            if chosen.soft and step.name != "binarise":
                raise SettingError(f"{step.name}.soft", f"is {chosen.soft:g}; only binarise has soft targets")
            if chosen.l2 and not step.takes_l2:
                names = ", ".join(other.name for other in STEPS.values() if other.takes_l2)
                raise SettingError(f"{step.name}.l2", f"is {chosen.l2:g}; only {names} have one")
        if self.validation_size < multiple:
            raise SettingError("validation_size", f"is {self.validation_size}; give a whole number, {multiple} or more")
        if self.form == "published" and self.maps != "foreground":
            raise SettingError("maps", f"is '{self.maps}'; the published form learns the foreground alone")
        if self.form == "normalised" and self.start != "calibrated":
            raise SettingError("start", f"is '{self.start}'; the normalised form starts calibrated")
        _ = self.split  # checks that the fold exists
        return self

    def network(self, name: Network) -> NetworkSettings:
        """Return the settings of one of the three networks."""
        return NetworkSettings(
            network=name,
            levels=self.levels,
            base_filters=self.base_filters,
            residual_levels=self.residual_levels,
            binarize_depthwise=self.binarize_depthwise and name == "blunet",
            form=self.form,
            maps=("foreground", "distance") if self.learns_distance else ("foreground",),
        )

    def choose_maps(self, instances: bool) -> Self:
        """Replace the maps `auto`: by the distance map if the masks tell objects apart, else by the foreground."""
        return self.changed(maps="distance" if instances else "foreground") if self.maps == "auto" else self

    @property
    def learns_distance(self) -> bool:
        """Whether the networks learn the distance map; `auto` counts as yes until the masks are known."""
        return self.maps != "foreground"

    @property
    def split(self) -> SplitSettings:
        """How the files are split into training and validation."""
        return SplitSettings(**{name: getattr(self, name) for name in SplitSettings.model_fields})

    def step(self, name: str) -> StepSettings:
        """Return the settings of the step called `name`."""
        found: StepSettings = getattr(self, name)
        return found

    def steps(self, teacher: str) -> list[str]:
        """Return the names of the steps that run, in order, with a teacher: "simulated", "scratch" or a file."""
        left_out = () if teacher == "simulated" else ("pretrain",)
        return [name for name in STEPS if self.step(name).run and name not in left_out]

    def largest_crop(self, teacher: str) -> int:
        """Return the side, in pixels, of the largest crop that a step with this teacher takes."""
        return max(self.step(name).crop for name in self.steps(teacher) or STEPS)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values without those that are None, which TOML does not have; `from_dict` reads them back."""
        return self.model_dump(mode="json", exclude_none=True)
