"""Whether training files are frames of a film, whose neighbours tell what a validation file holds. No Keras here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from blunet.dataset.pair_facts import PairFacts

#: Points a side at which two masks are compared.
SIDE = 64
#: Correlation of neighbours' masks that makes files a film: `ALIKE` where others' is lower by `MARGIN`, else `EQUAL`.
#: Neighbours of a film have 0.95, separate fields 0 +- 0.1, objects put into the middle of each image 0.5 to 0.7.
ALIKE, MARGIN, EQUAL = 0.4, 0.2, 0.85


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
    """Whether most files, in their order, show what the file before them shows; two files are no film.

    Masks of neighbours are alike, and more so than those of files that lie half of all files apart: where every image
    has one object in its middle, all masks are alike. Neighbours of a slow film are nearly equal, and the others too.
    """
    near = [likeness(a.outline, b.outline) for a, b in pairwise(pairs) if a.shape == b.shape]
    if len(pairs) < 3 or len(near) <= len(pairs) / 2:
        return False
    half = len(pairs) // 2
    far = [likeness(a.outline, b.outline) for a, b in zip(pairs, pairs[half:], strict=False) if a.shape == b.shape]
    least = ALIKE if far and median(near) - median(far) >= MARGIN else EQUAL
    return median(near) >= least
