"""The training, validation and test files of a run."""

from __future__ import annotations

from dataclasses import dataclass

from blunet.compression.run_request import Request
from blunet.dataset.dataset_check import check_dataset
from blunet.dataset.dataset_report import DatasetReport
from blunet.dataset.dataset_warnings import find_test_warnings
from blunet.dataset.mask_doubts import describe_doubts
from blunet.dataset.pair_facts import hash_file
from blunet.dataset.pairs import Pair, find_pairs
from blunet.evaluation.scores import check_pairs


@dataclass(frozen=True)
class Data:
    """The files of a run.

    Attributes
    ----------
    report : DatasetReport
        On the training and validation files.
    training, validation, test : list of Pair
    test_sizes : list of (Y, X)
        Sizes of the test images in pixels.
    test_warnings : list of str
        Sentences about test files that can be scored but may not be intended.
    """

    report: DatasetReport
    training: list[Pair]
    validation: list[Pair]
    test: list[Pair]
    test_sizes: list[tuple[int, int]]
    test_warnings: list[str]


def read_data(request: Request) -> Data:
    """Check the folders of a run; the same files and settings always give the same training and validation files.

    Raises
    ------
    InputError
        If a folder, or a file in it, cannot be used.
    """
    settings = request.settings
    report = check_dataset(request.data, crop=settings.largest_crop(request.teacher), split=settings.split)
    pairs = {pair.name: pair for pair in find_pairs(request.data).pairs}
    test, sizes, warnings = [], [], []
    if request.test is not None:
        found = find_pairs(request.test)
        test = list(found.pairs)
        checked = check_pairs(test)
        sizes = [pair.source.shape for pair in checked]
        warnings = list(find_test_warnings(found, report.pairs, [hash_file(pair.image) for pair in test]))
        doubts = describe_doubts({pair.pair.mask: pair.doubts for pair in checked})
        warnings += [f"Test: {sentence}" for sentence in doubts]
    return Data(
        report=report,
        training=[pairs[name] for name in report.training],
        validation=[pairs[name] for name in report.validation],
        test=test,
        test_sizes=sizes,
        test_warnings=warnings,
    )
