"""What a folder of images and masks holds: shown to the user, and recorded with a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blunet.dataset.pair_facts import PairFacts, format_size
from blunet.errors import InputError


@dataclass(frozen=True)
class DatasetReport:
    """What a folder holds, and which of its files train and validate.

    Attributes
    ----------
    folder : Path
    pairs : list of PairFacts
        Naturally sorted, at least two.
    object_diameter : float or None
        Median equivalent diameter of all objects in pixels.
    training, validation : list of str
        Names of the pairs that train and that validate, naturally sorted.
    remarks : list of str
        Sentences about what was chosen for the user.
    warnings : list of str
        Sentences about what can be used but may not be intended.
    """

    folder: Path
    pairs: list[PairFacts]
    object_diameter: float | None
    training: list[str]
    validation: list[str]
    remarks: list[str]
    warnings: list[str]

    @property
    def validation_sizes(self) -> list[tuple[int, int]]:
        """Sizes (Y, X) of the validation images in pixels."""
        shapes = {pair.name: pair.shape for pair in self.pairs}
        return [shapes[name] for name in self.validation]

    @property
    def instances(self) -> bool:
        """Whether the values of any mask tell objects apart."""
        return any(pair.instances for pair in self.pairs)

    def summarise(self) -> list[str]:
        """Return a summary in plain language, a line for each topic."""
        objects = [pair.objects for pair in self.pairs]
        fractions = [pair.foreground for pair in self.pairs]
        areas = [pair.shape[0] * pair.shape[1] for pair in self.pairs]
        known = [area * pair.reviewed_share for area, pair in zip(areas, self.pairs, strict=True)]
        mean = float(np.average(fractions, weights=known)) if any(known) else 0.0
        partly = any(pair.reviewed is not None for pair in self.pairs)
        in_part = sum(pair.reviewed_share < 1 for pair in self.pairs)
        reviewed = (
            [f"Reviewed: {sum(known) / sum(areas):.1%} of the pixels; {in_part} of the images in part"]
            if partly
            else []
        )
        diameter = "" if self.object_diameter is None else f"; typical diameter {self.object_diameter:.1f} px"
        dtypes = ", ".join(sorted({pair.dtype for pair in self.pairs}))
        return [
            f"{len(self.pairs)} images with masks in '{self.folder}'",
            f"Images: {_format_sizes(self.pairs)}; {dtypes}",
            f"Objects: {sum(objects)}, from {min(objects)} to {max(objects)} in an image{diameter}",
            *reviewed,
            f"Foreground: {mean:.1%} of the {'reviewed ' if partly else ''}pixels, "
            f"from {min(fractions):.1%} to {max(fractions):.1%} in an image",
            *self.remarks,
        ]

    def describe(self) -> list[str]:
        """Return the lines of `summarise`, and a line for each warning that begins with "Warning: "."""
        return [*self.summarise(), *(f"Warning: {warning}" for warning in self.warnings)]


def record_dataset(report: DatasetReport) -> dict[str, Any]:
    """Return what a run records of its data, in values that JSON can hold; `find_changed_files` reads it back.

    Returns
    -------
    dict
        `folder`; `object_diameter` in pixels or None; `pairs`, each with `name`, `image`, `mask`, `shape` (Y, X),
        `dtype`, `foreground`, `objects`, `object_diameter`; `sha256`, the hash of each file by its name within the
        folder.
    """
    return {
        "folder": str(report.folder),
        "object_diameter": report.object_diameter,
        "pairs": [
            {
                "name": pair.name,
                "image": _name_within(pair.image, report),
                "mask": _name_within(pair.mask, report),
                "shape": list(pair.shape),
                "dtype": pair.dtype,
                "foreground": pair.foreground,
                "objects": pair.objects,
                "object_diameter": pair.object_diameter,
            }
            for pair in report.pairs
        ],
        "sha256": _hashes(report),
    }


def find_changed_files(before: Mapping[str, Any], report: DatasetReport) -> list[str]:
    """Name the files that were changed, removed or added since a run began. The folder itself may have moved.

    Parameters
    ----------
    before : mapping
        What `record_dataset` returned when the run began.
    report : DatasetReport
        The data now.

    Returns
    -------
    list of str
        Names within the folder, such as "images/a.tif", sorted; empty where nothing changed.

    Raises
    ------
    InputError
        If `before` is not what `record_dataset` returns.
    """
    hashes = before.get("sha256")
    if not isinstance(hashes, Mapping):
        raise InputError("The run's record of its data has no hashes ('sha256'); start a new run.")
    now = _hashes(report)
    return sorted(name for name in hashes.keys() | now.keys() if hashes.get(name) != now.get(name))


def _hashes(report: DatasetReport) -> dict[str, str]:
    hashes = {}
    for pair in report.pairs:
        hashes[_name_within(pair.image, report)] = pair.image_sha256
        hashes[_name_within(pair.mask, report)] = pair.mask_sha256
        if pair.reviewed is not None and pair.reviewed_sha256 is not None:
            hashes[_name_within(pair.reviewed, report)] = pair.reviewed_sha256
    return hashes


def _name_within(path: Path, report: DatasetReport) -> str:
    return path.relative_to(report.folder).as_posix()


def _format_sizes(pairs: Sequence[PairFacts]) -> str:
    by_area = sorted(pairs, key=lambda pair: pair.shape[0] * pair.shape[1])
    sizes = list(dict.fromkeys(format_size(pair) for pair in by_area))
    return (sizes[0] if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}") + " pixels (Y x X)"
