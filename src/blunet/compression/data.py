"""What a run learns from and is measured on: checked, and parted into training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass

from blunet.compression.dataset import DatasetReport, check_dataset
from blunet.compression.dataset_warnings import warnings_about_test
from blunet.compression.pair_facts import sha256
from blunet.compression.request import Request
from blunet.compression.splits import Parted, part
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
    parted : Parted
        How these were told apart.
    training, validation, test : list of Pair
    test_sizes : list of (Y, X)
        Of the test images, in pixels.
    test_warnings : list of str
        Sentences about test files that can be scored but may not be meant.
    """

    report: DatasetReport
    parted: Parted
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
    report = check_dataset(request.data, settings.largest_crop(request.teacher))
    pairs = {pair.name: pair for pair in find_pairs(request.data).pairs}
    chosen = part(report, settings)
    training, validation = ([pairs[name] for name in names] for names in (chosen.training, chosen.validation))
    test, sizes, warnings = [], [], []
    if request.test is not None:
        found = find_pairs(request.test)
        test = list(found.pairs)
        check_pairs(test)
        sizes = [(shape[0], shape[1]) for shape in (open_image(pair.image).shape for pair in test)]
        warnings = list(warnings_about_test(found, report.pairs, [sha256(pair.image) for pair in test]))
    return Data(report, chosen, training, validation, test, sizes, warnings)
