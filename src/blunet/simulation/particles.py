"""Small things in a simulated field: vesicles inside cells; debris, scratches and dust around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.simulation.cells import Cell
from blunet.simulation.dic_settings import DicSettings

#: Standard deviations of the size classes, relative to the object diameter, and how frequent they are.
_VESICLE_SIZES = (0.008, 0.013, 0.024)
_VESICLE_SHARES = (0.62, 0.32, 0.06)

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]


def add_vesicles(phase: Floats, depth: Floats, cells: Sequence[Cell], labels: Labels, settings: DicSettings) -> None:
    """Add vesicles and granules, crowded around the nucleus, in and out of focus."""
    drawn = [_draw_vesicles(cell, index + 1) for index, cell in enumerate(cells)]
    y, x, label, strength, focus, kind = (np.concatenate(column) for column in zip(*drawn, strict=True))
    row, column = np.rint(y).astype(int), np.rint(x).astype(int)
    visible = (row >= 0) & (row < labels.shape[0]) & (column >= 0) & (column < labels.shape[1])
    visible[visible] = labels[row[visible], column[visible]] == label[visible]
    _stamp(phase, depth, row[visible], column[visible], strength[visible] * settings.vesicle_phase, focus[visible],
           kind[visible], settings.object_diameter)  # fmt: skip


def _draw_vesicles(cell: Cell, label: int) -> tuple[NDArray[Any], ...]:
    """Draw a cell's vesicles: y and x in px, label, relative strength, depth and size class."""
    rng = np.random.default_rng((cell.seed, 2))
    count = cell.vesicles
    spread = rng.uniform(0.25, 0.55)
    direction = rng.uniform(0, 2 * np.pi, count)
    radius = np.abs(rng.normal(spread, 0.5 * spread, count))
    along = (radius * np.cos(direction) + rng.normal(0, 0.1)) * cell.length
    across = (radius * np.sin(direction) + rng.normal(0, 0.1)) * cell.width
    across = across + cell.bend * cell.length * ((along / cell.length) ** 2 - 0.3)
    cos, sin = np.cos(cell.angle), np.sin(cell.angle)
    strength = rng.lognormal(0, 0.45, count) * np.where(rng.random(count) < 0.15, -0.7, 1.0)
    focus = rng.normal(rng.normal(0, 0.5), 0.8, count)
    kind = rng.choice(len(_VESICLE_SIZES), count, p=_VESICLE_SHARES)
    y, x = cell.y + sin * along + cos * across, cell.x + cos * along - sin * across
    return y, x, np.full(count, label), strength, focus, kind


def _stamp(
    phase: Floats,
    depth: Floats,
    row: NDArray[np.int_],
    column: NDArray[np.int_],
    strength: NDArray[np.float64],
    focus: NDArray[np.float64],
    kind: NDArray[np.int_],
    diameter: float,
) -> None:
    """Add Gaussian particles of peak phase `strength` in radians, relative depth `focus` and size class `kind`."""
    from scipy import ndimage

    for number, size in enumerate(_VESICLE_SIZES):
        chosen = kind == number
        if not chosen.any():
            continue
        sigma = max(0.45, size * diameter)
        for plane, weight in ((phase, strength), (depth, strength * focus)):
            points = np.zeros(plane.shape, np.float32)
            np.add.at(points, (row[chosen], column[chosen]), weight[chosen].astype(np.float32))
            plane += ndimage.gaussian_filter(points, sigma, truncate=3.5) * np.float32(2 * np.pi * sigma**2)


def add_debris(phase: Floats, depth: Floats, labels: Labels, settings: DicSettings, rng: np.random.Generator) -> None:
    """Add particles and small flakes of several particles to the background."""
    area = labels.size / (10 * settings.object_diameter) ** 2
    count = int(rng.poisson(settings.debris * area))
    grains = rng.integers(1, 7, count)
    spread = np.repeat(rng.uniform(0.005, 0.04, count), grains) * settings.object_diameter
    total = int(grains.sum())
    y = np.repeat(rng.uniform(0, labels.shape[0], count), grains) + spread * rng.standard_normal(total)
    x = np.repeat(rng.uniform(0, labels.shape[1], count), grains) + spread * rng.standard_normal(total)
    row, column = np.floor(y).astype(int), np.floor(x).astype(int)
    strength = 0.2 * rng.lognormal(0, 0.6, total) * np.repeat(rng.uniform(0.3, 1.5, count), grains)
    focus, kind = rng.normal(0, 0.8, total), rng.integers(len(_VESICLE_SIZES), size=total)
    visible = (row >= 0) & (row < labels.shape[0]) & (column >= 0) & (column < labels.shape[1])
    visible[visible] = labels[row[visible], column[visible]] == 0
    _stamp(phase, depth, row[visible], column[visible], strength[visible], focus[visible], kind[visible],
           settings.object_diameter)  # fmt: skip


def add_scratches(phase: Floats, settings: DicSettings, rng: np.random.Generator) -> None:
    """Add thin scratches of the substrate, and faint rings of dust far out of focus."""
    height, width = phase.shape
    y, x = np.ogrid[:height, :width]
    for _ in range(int(rng.poisson(settings.scratches))):
        cy, cx, direction = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0, 2 * np.pi)
        strength, size = rng.normal(0, 0.08), settings.object_diameter * rng.uniform(0.15, 0.6)
        if rng.random() < 0.5:
            off = np.hypot(y - cy, x - cx) - size
            phase += (strength * np.exp(-((off / (0.15 * size)) ** 2))).astype(np.float32)
        else:
            along = np.cos(direction) * (x - cx) + np.sin(direction) * (y - cy)
            across = np.cos(direction) * (y - cy) - np.sin(direction) * (x - cx) + along**2 / (40 * size)
            line = np.exp(-(across**2) / 1.5 - (along / (3 * size)) ** 4)
            phase += (strength * line).astype(np.float32)
