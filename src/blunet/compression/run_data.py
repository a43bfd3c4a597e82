"""What a run learns from and is measured on: checked, and parted into training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.run_request import Request
from blunet.dataset.dataset_report import DatasetReport, check_dataset
from blunet.dataset.dataset_warnings import warnings_about_test
from blunet.dataset.pair_facts import sha256
from blunet.dataset.pairs import Pair, find_pairs
from blunet.dataset.splits import Split, part
from blunet.evaluation.scores import check_pairs


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


def check_and_part(folder: str | Path, settings: CompressionSettings, teacher: str) -> tuple[DatasetReport, Split]:
    """Check a folder and part its files, as a run and the check before it do.

    Parameters
    ----------
    folder : str or Path
        Of images with masks.
    settings : CompressionSettings
    teacher : str
        As `Request.teacher`; it says which steps run, and so how large their crops are.

    Returns
    -------
    report : DatasetReport
        What the folder holds, and what was chosen of it.
    training, validation : list of str
        Names of the pairs.

    Raises
    ------
    InputError
        If the folder, or a file in it, cannot be used.
    """
    report = check_dataset(folder, settings.largest_crop(teacher))
    parted = part(report, settings.split)
    report = replace(report, remarks=parted.remarks, warnings=[*report.warnings, *parted.warnings])
    return report, (parted.training, parted.validation)


def read_data(request: Request) -> Data:
    """Check the folders and split the files, the same way for the same files and settings.

    Raises
    ------
    InputError
        If a folder, or a file in it, cannot be used.
    """
    settings = request.settings
    report, names = check_and_part(request.data, settings, request.teacher)
    pairs = {pair.name: pair for pair in find_pairs(request.data).pairs}
    training, validation = ([pairs[name] for name in chosen] for chosen in names)
    test, sizes, warnings = [], [], []
    if request.test is not None:
        found = find_pairs(request.test)
        test = list(found.pairs)
        sizes = [pair.source.shape for pair in check_pairs(test)]
        warnings = list(warnings_about_test(found, report.pairs, [sha256(pair.image) for pair in test]))
    return Data(report, training, validation, test, sizes, warnings)
