"""Time-lapses of moving discs: labels whose true tracks are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Path = Mapping[int, tuple[float, float, float]]
"""Row, column and radius of a disc by frame."""


def straight(frames: Sequence[int], start: tuple[float, float], step: tuple[float, float], radius: float = 8) -> Path:
    """Return the path of a disc that moves evenly from its place in the first of `frames`."""
    first = frames[0]
    return {t: (start[0] + (t - first) * step[0], start[1] + (t - first) * step[1], radius) for t in frames}


def draw_discs(paths: Mapping[int, Path], frames: int, shape: tuple[int, int] = (96, 128)) -> NDArray[np.int32]:
    """Return labels (T, Y, X): each disc has the number of its path; later ones lie above earlier ones."""
    y, x = np.indices(shape)
    labels = np.zeros((frames, *shape), np.int32)
    for number, path in paths.items():
        for t, (row, column, radius) in path.items():
            labels[t][(y - row) ** 2 + (x - column) ** 2 <= radius**2] = number
    return labels


def shuffle_numbers(labels: NDArray[np.int32], seed: int = 0) -> NDArray[np.int32]:
    """Return labels whose numbers in each frame are a random choice of 1 to 999."""
    rng = np.random.default_rng(seed)
    return np.stack([np.append(0, rng.permutation(999)[: frame.max()] + 1)[frame] for frame in labels]).astype(np.int32)
