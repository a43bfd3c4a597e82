"""Whether training files are frames of a film, whose neighbours tell what a validation file holds. No Keras here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from blunet.compression.settings import CompressionSettings

if TYPE_CHECKING:
    from blunet.compression.dataset import DatasetReport
    from blunet.compression.pair_facts import PairFacts

#: Points a side at which two masks are compared.
SIDE = 64
#: Correlation of neighbours' masks from which on files count as a film. Separate fields have 0 +- 0.1.
ALIKE = 0.4


def outline(labels: NDArray[np.int32]) -> bytes:
    """Return where objects are, at `SIDE` x `SIDE` points of labels (Y, X), a bit each."""
    rows, columns = (np.linspace(0, length - 1, SIDE).round().astype(int) for length in labels.shape)
    return np.packbits(labels[np.ix_(rows, columns)] > 0).tobytes()


def likeness(first: bytes, second: bytes) -> float:
    """Return the correlation of two outlines, -1 to 1; 0 where one is empty or full."""
    a, b = (np.unpackbits(np.frombuffer(bits, np.uint8)).astype(float) for bits in (first, second))
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def is_film(pairs: Sequence[PairFacts]) -> bool:
    """Whether most files, in their order, hold objects where the one before them does; two files are none."""
    neighbours = [likeness(a.outline, b.outline) for a, b in pairwise(pairs) if a.shape == b.shape]
    return len(pairs) > 2 and len(neighbours) > len(pairs) / 2 and median(neighbours) >= ALIKE


def told(report: DatasetReport, settings: CompressionSettings) -> DatasetReport:
    """Return the report with a warning where the files are a film, and which files therefore validate or should."""
    if not report.film or settings.validation_order == "consecutive":
        return report
    where = "Neighbouring images show the same field, like frames of a film"
    if settings.validation_order == "auto":
        what = ", so images in a row validate: drawn ones would be scored too well."
    else:
        what = "; drawn validation images are scored too well, so set validation_order to 'auto' or 'consecutive'."
    return replace(report, warnings=[*report.warnings, where + what])
