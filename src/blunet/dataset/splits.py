"""Which files train and which validate: drawn by their names, or neighbours in natural order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

from blunet.dataset.split_settings import SplitSettings
from blunet.errors import InputError
from blunet.images.image_files import sort_naturally, stem_of

Order = Literal["random", "consecutive"]

#: A text file in a folder of training data that names the files to validate on, one a line.
VALIDATION_LIST = "validation.txt"
#: An error names this many files at most.
NAMED_FILES = 5


class Split(NamedTuple):
    """Names of the files that train and of those that validate, each naturally sorted."""

    training: list[str]
    validation: list[str]


@dataclass(frozen=True)
class FileSplit:
    """A split of a folder's files, and what the user should know about it.

    Attributes
    ----------
    split : Split
    remarks : list of str
        Sentences about what was chosen for the user.
    warnings : list of str
        Sentences about what can be used but may not be intended.
    """

    split: Split
    remarks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def split_files(objects: Mapping[str, int], settings: SplitSettings, *, time_lapse: bool) -> FileSplit:
    """Split the files of a folder into training and validation.

    Parameters
    ----------
    objects : mapping of str to int
        Number of objects in each file, by the file's name; at least two files.
    settings : SplitSettings
    time_lapse : bool
        Whether the files are frames of a time-lapse (`blunet.dataset.time_lapse.is_time_lapse`).

    Returns
    -------
    FileSplit

    Raises
    ------
    InputError
        If the split is not possible, or all masks to train on, or all to validate on, are empty.
    """
    choose = settings.validation_order == "auto"
    order: Order = "consecutive" if settings.validation_order == "consecutive" else "random"
    if choose and time_lapse:
        consecutive = _split(objects, settings, "consecutive")
        if all(any(objects[name] for name in names) for names in consecutive):
            return FileSplit(consecutive, remarks=[_remark_on(consecutive.validation)])
    split = _split(objects, settings, order)
    _refuse_empty(split, objects, order)
    if time_lapse and order == "random" and not choose:
        return FileSplit(split, warnings=[_TIME_LAPSE_WARNING])
    return FileSplit(split)


_TIME_LAPSE_WARNING = (
    "The images look like frames of a time-lapse. Frames from between those trained on score too well; put "
    'validation_order = "auto" into a settings file.'
)


def _remark_on(validation: list[str]) -> str:
    return (
        f"The images look like frames of a time-lapse: {len(validation)} in a row ({_name_first(validation)}) are kept "
        "to choose the best weights by, because frames from between those trained on would score too well."
    )


def _name_first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")


def read_validation_list(folder: Path, objects: Mapping[str, int]) -> FileSplit | None:
    """Split the files of a folder as its list of validation files says; None if it has no list.

    Parameters
    ----------
    folder : Path
    objects : mapping of str to int
        Number of objects in each file, by the file's name.

    Raises
    ------
    InputError
        If the list cannot be read, names a file that is not there, none or all files, or if all masks to train on, or
        all to validate on, are empty.
    """
    path = folder / VALIDATION_LIST
    if not path.is_file():
        return None
    try:
        named = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"'{path}' cannot be read; write the names of images in it, one a line, or remove it.") from e
    chosen = {name if name in objects else stem_of(Path(name)) for name in named if name}
    if unknown := sorted(chosen - set(objects)):
        raise InputError(f"'{path}' names '{unknown[0]}', but no image with a mask is called so; correct it.")
    if not chosen or len(chosen) == len(objects):
        what = "no image" if not chosen else "all images"
        raise InputError(f"'{path}' names {what}; name some, and leave others to train on.")
    split = _separate(list(objects), sorted(chosen))
    _refuse_empty(split, objects, "consecutive")
    return FileSplit(
        split,
        remarks=[
            f"'{VALIDATION_LIST}' names the images to choose the best weights by: {_name_first(split.validation)}."
        ],
    )


def _refuse_empty(split: Split, objects: Mapping[str, int], order: Order) -> None:
    for use, names in (("train on", split.training), ("choose the best weights by", split.validation)):
        if not any(objects[name] for name in names):
            seed = "another 'seed', " if order == "random" else ""
            raise InputError(
                f"All masks of the {len(names)} images to {use} are empty ({', '.join(names[:NAMED_FILES])}); add "
                f"images with objects, or have other files chosen by {seed}another 'fold' or 'validation_order' in "
                "the settings."
            )


def _split(names: Iterable[str], settings: SplitSettings, order: Order) -> Split:
    if settings.folds > 1:
        return split_into_folds(names, settings.folds, settings.seed, order)[settings.fold]
    return split_by_share(names, settings.validation_share, settings.seed, order)


def split_by_share(names: Iterable[str], validation_share: float, seed: int = 0, order: Order = "random") -> Split:
    """Split files into training and validation.

    Parameters
    ----------
    names : iterable of str
        At least two different names, in any order.
    validation_share : float
        Fraction of the files that validate, above 0 and below 1. The number of files is rounded; at least one file
        trains and one validates.
    seed : int
        Another number draws others. A file's place in the draw depends on its name and the seed only, so that files
        that are added later move few others to the other side.
    order : {"random", "consecutive"}
        "consecutive": the last files in natural order validate. Use it for frames of a time-lapse or neighbouring
        fields, which resemble each other: a drawn file would be judged by what its neighbours have taught.

    Returns
    -------
    Split

    Raises
    ------
    InputError
        If there are fewer than two names, a name is given twice, or the share is out of range.

    Examples
    --------
    >>> split_by_share(["t1", "t2", "t3", "t4"], 0.25, order="consecutive")
    Split(training=['t1', 't2', 't3'], validation=['t4'])
    """
    if not 0 < validation_share < 1:
        raise InputError(f"The share of validation images is {validation_share:g}; give one above 0 and below 1.")
    ordered = _ordered(names, seed, order)
    if len(ordered) < 2:
        raise InputError(f"{_images(len(ordered))} cannot be split into training and validation; give at least two.")
    count = min(max(1, int(len(ordered) * validation_share + 0.5)), len(ordered) - 1)
    return _separate(ordered, ordered[-count:] if order == "consecutive" else ordered[:count])


def split_into_folds(names: Iterable[str], folds: int, seed: int = 0, order: Order = "random") -> list[Split]:
    """Split files into training and validation several times, so that each file validates once.

    Parameters
    ----------
    names : iterable of str
        Different names, in any order.
    folds : int
        Number of splits, from 2 to the number of files. Their numbers of validation files differ by one at most.
    seed : int
        Another number draws others.
    order : {"random", "consecutive"}
        "consecutive": the files of a fold are neighbours in natural order.

    Returns
    -------
    list of Split

    Raises
    ------
    InputError
        If a name is given twice, or `folds` is out of range.
    """
    ordered = _ordered(names, seed, order)
    count = len(ordered)
    if not 2 <= folds <= count:
        raise InputError(
            f"{folds} folds of {_images(count)} are not possible; give at least 2 and at most as many as images. "
            "With 'folds = 1' (as in the preset quick) a share of the images validates."
        )
    if order == "consecutive":
        return [_separate(ordered, ordered[count * i // folds : count * (i + 1) // folds]) for i in range(folds)]
    return [_separate(ordered, ordered[i::folds]) for i in range(folds)]


def _ordered(names: Iterable[str], seed: int, order: Order) -> list[str]:
    """Sort the names naturally, or shuffle them in a way that is the same on every computer and in every version."""
    names = sorted(names)
    for first, second in pairwise(names):
        if first == second:
            raise InputError(f"The image '{first}' is named twice; name each once.")
    if order == "consecutive":
        return sort_naturally(names)
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode(errors="surrogateescape")).digest())


def _separate(names: list[str], validation: list[str]) -> Split:
    chosen = set(validation)
    ordered = sort_naturally(names)
    return Split([name for name in ordered if name not in chosen], [name for name in ordered if name in chosen])


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"
