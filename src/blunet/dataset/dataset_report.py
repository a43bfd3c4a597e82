"""What a folder of images and masks holds, told before hours are spent on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from blunet.dataset.dataset_warnings import warnings_about
from blunet.dataset.pair_facts import PairFacts, examined, named, size
from blunet.dataset.pairs import find_pairs
from blunet.dataset.time_lapse import is_film
from blunet.dataset.truth_masks import SMALLEST_SPECK, typical_diameter
from blunet.errors import InputError

__all__ = ["DatasetReport", "PairFacts", "changed", "check_dataset", "listing"]


@dataclass(frozen=True)
class DatasetReport:
    """What a folder holds.

    Attributes
    ----------
    folder : Path
    pairs : list of PairFacts
        Naturally sorted, at least two.
    unpaired_images, unpaired_masks : list of Path
        Files that found no partner; they are not used.
    object_diameter : float or None
        Typical (median) equivalent diameter of all objects in pixels.
    film : bool
        Whether the files are frames of a film: see `blunet.dataset.time_lapse.is_film`.
    warnings : list of str
        Sentences about what can be used but may not be meant.
    remarks : list of str
        Sentences about what was chosen for the user.
    """

    folder: Path
    pairs: list[PairFacts]
    unpaired_images: list[Path]
    unpaired_masks: list[Path]
    object_diameter: float | None
    film: bool
    warnings: list[str]
    remarks: list[str] = field(default_factory=list)

    def sizes(self, names: Iterable[str]) -> list[tuple[int, int]]:
        """Return the sizes (Y, X) in pixels of pairs that are named."""
        shapes = {pair.name: pair.shape for pair in self.pairs}
        return [shapes[name] for name in names]

    def lines(self) -> list[str]:
        """Return `facts`, and the warnings behind them."""
        return [*self.facts(), *(f"Warning: {warning}" for warning in self.warnings)]

    def facts(self) -> list[str]:
        """Return a summary in plain language, a line for each matter."""
        objects = [pair.objects for pair in self.pairs]
        shares = [pair.foreground for pair in self.pairs]
        sizes = [pair.shape[0] * pair.shape[1] for pair in self.pairs]
        mean = float(np.average(shares, weights=sizes))
        typical = "" if self.object_diameter is None else f"; typical diameter {self.object_diameter:.1f} px"
        return [
            f"{len(self.pairs)} images with masks in '{self.folder}'",
            f"Images: {_sizes(self.pairs)}; {', '.join(sorted({pair.dtype for pair in self.pairs}))}",
            f"Objects: {sum(objects)}, from {min(objects)} to {max(objects)} in an image{typical}",
            f"Foreground: {mean:.1%} of the pixels, from {min(shares):.1%} to {max(shares):.1%} in an image",
            *self.remarks,
        ]


def check_dataset(folder: str | Path, crop: int) -> DatasetReport:
    """Read every pair of a folder and say what it holds; what cannot be trained on is an error.

    Parameters
    ----------
    folder : str or Path
        It holds images and masks as `blunet.dataset.pairs.find_pairs` says.
    crop : int
        Side of the training crops in pixels, at least 1.

    Returns
    -------
    DatasetReport

    Raises
    ------
    InputError
        If there is no such folder, fewer than two pairs, a file that cannot be read or is a stack, an image with
        values that are not finite, a mask of another size than its image or with values that are no labels; or if
        all masks are empty, or all full (no pixel of background in any of them).
    """
    if crop < 1:
        raise InputError(f"The crop's size is {crop}; give at least 1 pixel.")
    folder = Path(folder)
    found = find_pairs(folder)
    unpaired = [*found.unpaired_images, *found.unpaired_masks]
    if len(found.pairs) < 2:
        left = f" ({named(unpaired)} found no partner)" if unpaired else ""
        raise InputError(
            f"The folder '{folder}' holds one image with a mask, '{found.pairs[0].image.name}'{left}, and nothing is "
            "left for validation; give at least two."
        )
    pairs: list[PairFacts] = []
    diameter = typical_diameter(examined(found.pairs, pairs))
    if not any(pair.objects for pair in pairs):
        raise InputError(
            f"All {len(pairs)} masks in '{folder}' are empty (value 0, or only specks under {SMALLEST_SPECK} px); "
            "give masks whose objects are not 0."
        )
    if all(pair.foreground == 1 for pair in pairs):
        raise InputError(
            f"All {len(pairs)} masks in '{folder}' are full (no pixel is 0); give masks whose background is 0."
        )
    return DatasetReport(
        folder,
        pairs,
        list(found.unpaired_images),
        list(found.unpaired_masks),
        diameter,
        is_film(pairs),
        list(warnings_about(found, pairs, crop)),
    )


def listing(report: DatasetReport) -> dict[str, Any]:
    """Return the data as a run records it, in values that JSON can hold; `changed` reads it back.

    Returns
    -------
    dict
        `folder`; `object_diameter` in pixels or None; `pairs`, each with `name`, `image`, `mask`, `shape` (Y, X),
        `dtype`, `foreground`, `objects`, `object_diameter`; `sha256`: hash by file, named as within the folder.
    """
    return {
        "folder": str(report.folder),
        "object_diameter": report.object_diameter,
        "pairs": [
            {
                "name": pair.name,
                "image": _within(pair.image, report),
                "mask": _within(pair.mask, report),
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


def changed(before: Mapping[str, Any], report: DatasetReport) -> list[str]:
    """Name the files that are not as they were: other bytes, gone, or new. The folder itself may have moved.

    Parameters
    ----------
    before : mapping
        What `listing` gave when the run began.
    report : DatasetReport
        The data now.

    Returns
    -------
    list of str
        Names within the folder, such as "images/a.tif", sorted; empty where nothing changed.

    Raises
    ------
    InputError
        If `before` is not what `listing` gives.
    """
    hashes = before.get("sha256")
    if not isinstance(hashes, Mapping):
        raise InputError("The run's listing of its data has no hashes ('sha256'); start a new run.")
    now = _hashes(report)
    return sorted(name for name in hashes.keys() | now.keys() if hashes.get(name) != now.get(name))


def _hashes(report: DatasetReport) -> dict[str, str]:
    hashes = {_within(pair.image, report): pair.image_sha256 for pair in report.pairs}
    return hashes | {_within(pair.mask, report): pair.mask_sha256 for pair in report.pairs}


def _within(path: Path, report: DatasetReport) -> str:
    return path.relative_to(report.folder).as_posix()


def _sizes(pairs: Sequence[PairFacts]) -> str:
    by_area = sorted(pairs, key=lambda pair: pair.shape[0] * pair.shape[1])
    sizes = list(dict.fromkeys(size(pair) for pair in by_area))
    return (sizes[0] if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}") + " pixels (Y x X)"
