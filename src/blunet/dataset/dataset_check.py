"""Checking a folder of images and masks before a network is trained on it."""

from __future__ import annotations

from pathlib import Path

from blunet.dataset.dataset_report import DatasetReport
from blunet.dataset.dataset_warnings import find_warnings
from blunet.dataset.pair_facts import PairFacts, examine_pairs
from blunet.dataset.pairs import find_pairs
from blunet.dataset.split_settings import SplitSettings
from blunet.dataset.splits import read_validation_list, split_files
from blunet.dataset.time_lapse import is_time_lapse
from blunet.dataset.truth_masks import SMALLEST_SPECK, measure_diameter
from blunet.errors import InputError
from blunet.images.image_files import name_files


def check_dataset(folder: str | Path, *, crop: int, split: SplitSettings) -> DatasetReport:
    """Read all pairs of a folder, and split them into training and validation.

    Parameters
    ----------
    folder : str or Path
        With images and masks as `blunet.dataset.pairs.find_pairs` expects them. A file `validation.txt` in it may name
        the images that validate, one a line; it counts unless there are folds.
    crop : int
        Side of the training crops in pixels, at least 1.
    split : SplitSettings

    Returns
    -------
    DatasetReport

    Raises
    ------
    InputError
        If there is no such folder or fewer than two pairs; if a file cannot be read or is a stack; if an image holds
        NaN or infinity; if a mask has another size than its image or values that are no labels; if all masks are
        empty, or have no background; or if the split is not possible (`blunet.dataset.splits.split_files`).
    """
    if crop < 1:
        raise InputError(f"The crop's size is {crop}; give at least 1 pixel.")
    folder = Path(folder)
    found = find_pairs(folder)
    if len(found.pairs) < 2:
        unpaired = [*found.unpaired_images, *found.unpaired_masks]
        left = f" ({name_files(unpaired)} found no partner)" if unpaired else ""
        raise InputError(
            f"The folder '{folder}' holds one image with a mask, '{found.pairs[0].image.name}'{left}, and nothing is "
            "left for validation; give at least two."
        )
    pairs: list[PairFacts] = []
    diameter = measure_diameter(examine_pairs(found.pairs, pairs))
    _refuse_useless_masks(folder, pairs)
    time_lapse = is_time_lapse([pair.outline for pair in pairs])
    objects = {pair.name: pair.objects for pair in pairs}
    chosen = read_validation_list(folder, objects) if split.folds == 1 else None
    if chosen is None:
        chosen = split_files(objects, split, time_lapse=time_lapse)
    return DatasetReport(
        folder=folder,
        pairs=pairs,
        object_diameter=diameter,
        training=chosen.split.training,
        validation=chosen.split.validation,
        remarks=chosen.remarks,
        warnings=[
            *find_warnings(found, pairs, crop=crop, validation_count=len(chosen.split.validation)),
            *chosen.warnings,
        ],
    )


def _refuse_useless_masks(folder: Path, pairs: list[PairFacts]) -> None:
    if not any(pair.objects for pair in pairs):
        raise InputError(
            f"All {len(pairs)} masks in '{folder}' are empty (value 0, or only specks under {SMALLEST_SPECK} px); "
            "give masks whose objects are not 0."
        )
    if all(pair.foreground == 1 for pair in pairs) and any(pair.reviewed_share < 1 for pair in pairs):
        raise InputError(
            f"In '{folder}' nothing but cells was reviewed; mark some background as reviewed, too, so that it can be "
            "told from cells."
        )
    if all(pair.foreground == 1 for pair in pairs):
        raise InputError(
            f"All {len(pairs)} masks in '{folder}' are full (no pixel is 0); give masks whose background is 0."
        )
