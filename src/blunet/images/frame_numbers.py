"""Frames that a series of files lacks, by the numbers in their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from blunet.images.image_files import stem_of

#: Most numbers that are named.
MOST = 5


def describe_missing_frames(paths: Sequence[Path]) -> str:
    """Say which numbers are missing in the names of a series; empty if none are, or the names are no series.

    Parameters
    ----------
    paths : sequence of Path
        In their order. Their names differ in one number, whose usual step is its smallest.

    Examples
    --------
    >>> describe_missing_frames([Path(f"t{n:03}.tif") for n in (1, 2, 3, 5, 6)])
    "The series 't001.tif' to 't006.tif' lacks the number 4; the frames behind it are taken as the next ones in time."
    """
    parts = [re.split(r"(\d+)", stem_of(path)) for path in paths]
    if len(paths) < 3 or len({tuple(part[::2]) for part in parts}) != 1:
        return ""
    moving = [i for i in range(1, len(parts[0]), 2) if len({part[i] for part in parts}) > 1]
    if len(moving) != 1:
        return ""
    numbers = [int(part[moving[0]]) for part in parts]
    gaps = [after - before for before, after in pairwise(numbers)]
    step = min(gaps)
    if step < 1 or any(gap % step for gap in gaps) or sum(gap == step for gap in gaps) * 2 < len(gaps):
        return ""
    present = set(numbers)
    missing = [number for number in range(numbers[0], numbers[-1], step) if number not in present]
    if not missing:
        return ""
    named = ", ".join(str(number) for number in missing[:MOST])
    more = f" and {len(missing) - MOST} more" if len(missing) > MOST else ""
    one = len(missing) == 1
    return (
        f"The series '{paths[0].name}' to '{paths[-1].name}' lacks the number{'' if one else 's'} {named}{more}; the "
        f"frames behind {'it' if one else 'them'} are taken as the next ones in time."
    )
