"""What a run learns from and is measured on: checked, and parted into training, validation and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blunet.compression.dataset import DatasetReport, check_dataset
from blunet.compression.dataset_warnings import warnings_about_test
from blunet.compression.film import told
from blunet.compression.pair_facts import sha256
from blunet.compression.request import Request
from blunet.compression.splits import part
from blunet.errors import InputError
from blunet.evaluation.evaluate import check_pairs
from blunet.images.pairs import Pair, find_pairs
from blunet.images.read import open_image


@dataclass(frozen=True)
class Data:
    """What a run learns from and is measured on.

    Attributes
    ----------
    report : DatasetReport
        Of the training and validation files.
    training, validation, test : list of Pair
    test_sizes : list of (Y, X)
        Of the test images, in pixels.
    test_warnings : list of str
        Sentences about test files that can be scored but may not be meant.
    """

    report: DatasetReport
    training: list[Pair]
    validation: list[Pair]
    test: list[Pair]
    test_sizes: list[tuple[int, int]]
    test_warnings: list[str]


def read_data(request: Request) -> Data:
    """Check the folders and split the files, the same way for the same files and settings.

    Raises
    ------
    InputError
        If a folder, or a file in it, cannot be used.
    """
    settings = request.settings
    report = told(check_dataset(request.data, settings.largest_crop(request.teacher)), settings)
    pairs = {pair.name: pair for pair in find_pairs(request.data).pairs}
    chosen = part(pairs, settings, film=report.film)
    training, validation = ([pairs[name] for name in names] for names in chosen)
    _check_objects(report, {"train on": chosen[0], "choose the best weights by": chosen[1]})
    test, sizes, warnings = [], [], []
    if request.test is not None:
        found = find_pairs(request.test)
        test = list(found.pairs)
        check_pairs(test)
        sizes = [(shape[0], shape[1]) for shape in (open_image(pair.image).shape for pair in test)]
        warnings = list(warnings_about_test(found, report.pairs, [sha256(pair.image) for pair in test]))
    return Data(report, training, validation, test, sizes, warnings)


def _check_objects(report: DatasetReport, parts: Mapping[str, Sequence[str]]) -> None:
    """Raise InputError for a part of the files, named by its use, in which no mask holds an object."""
    objects = {pair.name: pair.objects for pair in report.pairs}
    for use, names in parts.items():
        if not any(objects[name] for name in names):
            raise InputError(
                f"All masks of the {len(names)} images to {use} are empty ({', '.join(names[:5])}); add images with "
                "objects, or have other files chosen by another 'seed', 'fold' or 'validation_order' in the settings."
            )
