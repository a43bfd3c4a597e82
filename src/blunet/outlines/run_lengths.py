"""Masks as run lengths, as COCO stores them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.outlines.outline import Patch


def decode_run_lengths(counts: Any, size: tuple[int, int]) -> Patch:
    """Return the pixels of a mask, cut to the box around them.

    Parameters
    ----------
    counts : array of int, list of int, or str
        Lengths of the runs of 0 and 1 in turn, beginning with 0, column by column; or COCO's compressed text of them.
    size : (Y, X)
        Of the whole mask.

    Raises
    ------
    InputError
        If they are no run lengths, or do not fill the mask exactly.
    """
    runs = _decompress(counts) if isinstance(counts, (str, bytes)) else np.asarray(counts, np.float64)
    if runs.ndim != 1 or not runs.size or not bool((runs >= 0).all()) or float(runs.sum()) != size[0] * size[1]:
        raise InputError(
            f"Run lengths of {size[1]} x {size[0]} pixels add up to {float(np.sum(runs)):.0f} and not to "
            f"{size[0] * size[1]}; export them again."
        )
    ends = np.cumsum(runs.astype(np.int64))
    begin, end = ends[:-1:2], ends[1::2]
    begin, end = begin[: end.size][end > begin[: end.size]], end[end > begin[: end.size]]
    if not begin.size:
        return Patch(np.zeros((0, 0), bool), 0, 0)
    # Only the columns between the first and the last pixel are unpacked.
    left, right = int(begin[0]) // size[0], (int(end[-1]) - 1) // size[0] + 1
    turns = np.zeros((right - left) * size[0] + 1, np.int8)
    turns[begin - left * size[0]] += 1
    np.add.at(turns, end - left * size[0], -1)
    mask = np.cumsum(turns[:-1], dtype=np.int8).astype(bool).reshape(right - left, size[0]).T
    rows = np.flatnonzero(mask.any(axis=1))
    return Patch(mask[rows[0] : rows[-1] + 1], int(rows[0]), left)


def _decompress(text: str | bytes) -> NDArray[np.float64]:
    """Return the run lengths of COCO's text.

    Each number takes characters of five bits, from 48 on, the lowest bits first; the sixth bit says that more follow.
    From the fourth number on it is the difference to the number two places before.
    """
    data = text.encode("ascii", "replace") if isinstance(text, str) else text
    runs: list[int] = []
    value = shift = 0
    for character in data:
        bits = character - 48
        if not 0 <= bits < 64 or shift > 60:
            raise InputError("The compressed run lengths hold characters that COCO does not use; export them again.")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return np.array(runs, np.float64)
