"""Which files train and which validate: a draw by the files' names, or neighbours in their natural order."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from blunet.errors import InputError
from blunet.images.image_files import sort_naturally
from blunet.settings_model import SettingError, SettingsModel, setting

if TYPE_CHECKING:
    from blunet.dataset.dataset_report import DatasetReport

#: The study validates on 6 of 30 images.
VALIDATION_SHARE = 0.2

#: How files are taken.
Way = Literal["random", "consecutive"]
#: How files are asked to be taken.
Order = Literal["random", "consecutive", "auto"]
#: Names that train, and names that validate; each naturally sorted.
Split = tuple[list[str], list[str]]


class SplitSettings(SettingsModel):
    """How the files of a folder are split into training and validation."""

    validation_share: float = setting(
        VALIDATION_SHARE,
        title="Validation share",
        description="Fraction of the files that choose the best weights and are not trained on; at least one file.",
        gt=0,
        lt=1,
    )
    validation_order: Order = setting(
        "random",
        title="Validation order",
        description="random: the validation files are drawn. consecutive: they are neighbours in the order of the "
        "names, for files that resemble their neighbours. auto: consecutive where the files are frames of a "
        "time-lapse, else random.",
    )
    folds: int = setting(
        1,
        title="Folds",
        description="Number of groups of files that take turns as validation files; 1: `validation_share` counts.",
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
    def _fold_exists(self) -> Self:
        if self.fold >= self.folds:
            raise SettingError("fold", f"is {self.fold}; with {self.folds} folds give 0 to {self.folds - 1}")
        return self


@dataclass(frozen=True)
class Parted:
    """Which files of a folder train and which validate.

    Attributes
    ----------
    training, validation : list of str
        Names, naturally sorted.
    remarks, warnings : list of str
        What the user should know of the choice, and what may not be meant.
    """

    training: list[str]
    validation: list[str]
    remarks: list[str]
    warnings: list[str]


def part(report: DatasetReport, settings: SplitSettings) -> Parted:
    """Part the files of a folder as the settings say: by their share, or one of their folds.

    Raises
    ------
    InputError
        As `split` and `folds`, and if all masks of a part are empty.
    """
    objects = {pair.name: pair.objects for pair in report.pairs}

    def hold_objects(names: Iterable[str]) -> bool:
        return any(objects[name] for name in names)

    order, film = settings.validation_order, report.film
    way: Way
    if order == "auto":
        film = film and all(map(hold_objects, _part(objects, settings, "consecutive")))
        way = "consecutive" if film else "random"
    else:
        way = order
    training, validation = _part(objects, settings, way)
    for use, names in (("train on", training), ("choose the best weights by", validation)):
        if not hold_objects(names):
            others = "another 'seed', " if way == "random" else ""
            raise InputError(
                f"All masks of the {len(names)} images to {use} are empty ({', '.join(names[:5])}); add images with "
                f"objects, or have other files chosen by {others}another 'fold' or 'validation_order' in the settings."
            )
    remarks, warnings = [], []
    if film and order == "auto":
        shown = ", ".join(validation[:3]) + (" ..." if len(validation) > 3 else "")
        remarks = [
            f"The images look like frames of a film: {len(validation)} in a row ({shown}) are kept to choose the best "
            "weights by, because frames from between those trained on would score too well."
        ]
    elif film and way == "random":
        warnings = [
            "The images look like frames of a film, and frames from between those trained on score too well; put "
            'validation_order = "auto" into a settings file.'
        ]
    return Parted(training, validation, remarks, warnings)


def _part(names: Iterable[str], settings: SplitSettings, order: Way) -> Split:
    if settings.folds > 1:
        return folds(names, settings.folds, settings.seed, order)[settings.fold]
    return split(names, settings.validation_share, settings.seed, order)


def split(
    names: Iterable[str], validation_share: float = VALIDATION_SHARE, seed: int = 0, order: Way = "random"
) -> Split:
    """Part files into training and validation.

    Parameters
    ----------
    names : iterable of str
        At least two, each once, in any order.
    validation_share : float
        Share of the files that validate, above 0 and below 1; rounded, and at least one file on either side.
    seed : int
        Another number draws others. The place of a file in the draw hangs on its own name and the seed alone:
        a file that comes later moves few others to the other side.
    order : {"random", "consecutive"}
        "consecutive": nothing is drawn, the last files in natural order validate. Frames of a film or neighbouring
        fields resemble each other; drawn files would then be judged by what their neighbours have taught.

    Returns
    -------
    training, validation : list of str

    Raises
    ------
    InputError
        If there are fewer than two names, one comes twice, or the share is out of range.
    """
    if not 0 < validation_share < 1:
        raise InputError(f"The share of validation images is {validation_share:g}; give one above 0 and below 1.")
    ordered = _ordered(names, seed, order)
    if len(ordered) < 2:
        raise InputError(f"{_images(len(ordered))} cannot be parted into training and validation; give at least two.")
    count = validation_count(len(ordered), validation_share)
    return _parted(ordered, ordered[-count:] if order == "consecutive" else ordered[:count])


def validation_count(files: int, validation_share: float = VALIDATION_SHARE) -> int:
    """Return how many of `files` (at least two) validate: the share rounded, one at least, all but one at most."""
    return min(max(1, int(files * validation_share + 0.5)), files - 1)


def folds(names: Iterable[str], k: int, seed: int = 0, order: Way = "random") -> list[Split]:
    """Part files into training and validation `k` times, each file once in validation.

    Parameters
    ----------
    names : iterable of str
        Each once, in any order.
    k : int
        Number of folds, from 2 to the number of files. Their validation sets differ by one file at most.
    seed : int
        Another number draws others.
    order : {"random", "consecutive"}
        "consecutive": nothing is drawn, the folds are runs of neighbours in natural order.

    Returns
    -------
    list of (training, validation)

    Raises
    ------
    InputError
        If a name comes twice, or `k` is out of range.
    """
    ordered = _ordered(names, seed, order)
    count = len(ordered)
    if not 2 <= k <= count:
        raise InputError(
            f"{k} folds of {_images(count)} are not possible; give at least 2 and at most as many as images. "
            "With 'folds = 1' (as in the preset quick) a share of the images validates."
        )
    if order == "consecutive":
        return [_parted(ordered, ordered[count * fold // k : count * (fold + 1) // k]) for fold in range(k)]
    return [_parted(ordered, ordered[fold::k]) for fold in range(k)]


def _ordered(names: Iterable[str], seed: int, order: Way) -> list[str]:
    """Sort the names naturally, or shuffle them, the same on every computer and with every version of NumPy."""
    names = sorted(names)
    for first, second in itertools.pairwise(names):
        if first == second:
            raise InputError(f"The image '{first}' is named twice; name each once.")
    if order == "consecutive":
        return sort_naturally(names)
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())


def _parted(names: list[str], validation: list[str]) -> Split:
    chosen = set(validation)
    ordered = sort_naturally(names)
    return [name for name in ordered if name not in chosen], [name for name in ordered if name in chosen]


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"
