"""Whether training files are frames of a time-lapse, so that a frame resembles those before and after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

#: Points per side at which two masks are compared.
GRID_SIDE = 64
#: Files are a time-lapse where the masks of neighbours correlate at least this much, and at least `MIN_DIFFERENCE` more
#: than distant masks do; or where neighbours correlate at least `SURE_CORRELATION`. Typical correlations: 0.95 between
#: neighbours of a time-lapse, 0 +- 0.1 between separate fields, 0.5 to 0.7 where every image has one object in its
#: middle.
MIN_CORRELATION, MIN_DIFFERENCE, SURE_CORRELATION = 0.4, 0.2, 0.85


@dataclass(frozen=True)
class Outline:
    """Where the objects of a mask are.

    Attributes
    ----------
    shape : (Y, X)
        Of the mask, in pixels.
    bits : bytes
        Foreground at `GRID_SIDE` x `GRID_SIDE` points, one bit each.
    """

    shape: tuple[int, int]
    bits: bytes


def outline_objects(labels: NDArray[np.integer]) -> Outline:
    """Return where the objects of labels (Y, X) are."""
    rows, columns = (np.linspace(0, length - 1, GRID_SIDE).round().astype(int) for length in labels.shape)
    bits = np.packbits(labels[np.ix_(rows, columns)] > 0).tobytes()
    return Outline((labels.shape[0], labels.shape[1]), bits)


def correlate_outlines(first: Outline, second: Outline) -> float:
    """Return the correlation of two outlines, -1 to 1; 0 where one is empty or full."""
    a, b = (np.unpackbits(np.frombuffer(outline.bits, np.uint8)).astype(float) for outline in (first, second))
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def is_time_lapse(outlines: Sequence[Outline]) -> bool:
    """Tell whether most files resemble the file before them.

    Parameters
    ----------
    outlines : sequence of Outline
        One for each file, in the order of the files.

    Returns
    -------
    bool
        False for fewer than three files, and where at most half of the neighbours have equal shapes.

    Notes
    -----
    Where every image has one object in its middle, all masks are alike. Neighbours therefore have to be more alike
    than files that are half of the sequence apart, or almost equal, as in a slow time-lapse.
    """
    near = [correlate_outlines(a, b) for a, b in pairwise(outlines) if a.shape == b.shape]
    if len(outlines) < 3 or len(near) <= len(outlines) / 2:
        return False
    half = len(outlines) // 2
    distant = zip(outlines, outlines[half:], strict=False)
    far = [correlate_outlines(a, b) for a, b in distant if a.shape == b.shape]
    differs = bool(far) and median(near) - median(far) >= MIN_DIFFERENCE
    return median(near) >= (MIN_CORRELATION if differs else SURE_CORRELATION)
