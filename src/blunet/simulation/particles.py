"""What is no cell in a simulated field: vesicles inside cells; debris, remnants, scratches and dust around them."""

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
#: How far vesicles wander with time, relative to the cell's half axes.
_WANDER = 0.07

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
    if cell.age:
        pace, phase = rng.uniform(0.05, 0.6, (2, count)), rng.uniform(0, 2 * np.pi, (2, count))
        wander = _WANDER * (np.sin(pace * cell.age + phase) - np.sin(phase))
        along, across = along + wander[0] * cell.length, across + wander[1] * cell.width
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


def add_remnants(
    phase: Floats, labels: Labels, settings: DicSettings, texture: Floats, rng: np.random.Generator
) -> None:
    """Add patches of grain that moving or dead cells left on the background; `texture` is periodic."""
    from scipy import ndimage

    for y, x in _draw_places(settings.remnants, labels.shape, settings, rng):
        size = settings.object_diameter * rng.uniform(0.1, 0.45)
        reach = int(2 * size) + 1
        box = (slice(max(0, y - reach), y + reach + 1), slice(max(0, x - reach), x + reach + 1))
        rows, columns = np.ogrid[box[0].start : min(y + reach + 1, labels.shape[0]),
                                 box[1].start : min(x + reach + 1, labels.shape[1])]  # fmt: skip
        direction, ratio = rng.uniform(0, np.pi), rng.uniform(0.35, 1)
        along = np.cos(direction) * (columns - x) + np.sin(direction) * (rows - y)
        across = (np.cos(direction) * (rows - y) - np.sin(direction) * (columns - x)) / ratio
        ragged = ndimage.gaussian_filter(rng.standard_normal(along.shape, np.float32), 0.2 * size)
        ragged /= max(float(ragged.std()), 1e-6)
        patch = ((along**2 + across**2) / size**2 + 0.5 * ragged < 1) & (labels[box] == 0)
        start = rng.integers(len(texture), size=2)
        grain = texture[(rows + start[0]) % len(texture), (columns + start[1]) % len(texture)]
        strength = settings.texture * rng.uniform(0.5, 2)
        veil = ndimage.gaussian_filter(patch.astype(np.float32), 1.0)
        phase[box] += veil * (strength * np.clip(grain, -0.5, None)).astype(np.float32)


def add_floating_cells(phase: Floats, labels: Labels, settings: DicSettings, rng: np.random.Generator) -> None:
    """Add the smooth relief of cells that float far above the focus; none lies over a cell."""
    height, width = labels.shape
    for y, x in _draw_places(settings.floating, labels.shape, settings, rng):
        size = settings.object_diameter * rng.uniform(0.15, 0.45)
        strength = settings.thickness * rng.uniform(0.3, 2) * (1 if rng.random() < 0.7 else -1)
        if labels[y, x]:
            continue
        rows, columns = np.arange(height, dtype=np.float32) - y, np.arange(width, dtype=np.float32) - x
        bell = np.exp(-((rows / size) ** 2))[:, None] * np.exp(-((columns / size) ** 2))[None, :]
        phase += np.float32(strength) * bell


def draw_transmission(settings: DicSettings, rng: np.random.Generator) -> Floats:
    """Draw the share of light that passes the dust on the optics: smooth spots and rings."""
    light = np.ones(settings.shape, np.float32)
    height, width = settings.shape
    for y, x in _draw_places(settings.dust, settings.shape, settings, rng):
        size = settings.object_diameter * float(np.exp(rng.uniform(np.log(0.06), np.log(0.5))))
        loss = rng.uniform(0.02, 0.3) * (1 if rng.random() < 0.75 else -0.7)
        rows, columns = np.arange(height, dtype=np.float32) - y, np.arange(width, dtype=np.float32) - x
        squared = (rows[:, None] ** 2 + columns[None, :] ** 2) / np.float32(size**2)
        spot = np.exp(-squared)
        if rng.random() < 0.25:
            spot = spot - np.exp(-2 * squared)
        light *= 1 - np.float32(loss) * spot
    return light


def _draw_places(
    density: float, shape: tuple[int, ...], settings: DicSettings, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw pixels, `density` of them in (10 object diameters)² on average."""
    count = int(rng.poisson(density * shape[0] * shape[1] / (10 * settings.object_diameter) ** 2))
    return [(int(rng.integers(shape[0])), int(rng.integers(shape[1]))) for _ in range(count)]
