"""Simulated cells: their outlines, and how they settle in a field alone and in clusters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blunet.simulation.dic_settings import DicSettings

_DIRECTIONS = 1024
_CROWDED = 0.45  # a cell covered more than this by cells already there settles elsewhere


@dataclass(frozen=True, eq=False)
class Cell:
    """One cell: where it lies, its outline and what is inside.

    Parameters
    ----------
    y, x : float
        Centre in px.
    angle : float
        Direction of the long axis in radians, from +X towards +Y.
    length, width : float
        Half axes in px.
    pointedness : float
        Exponent of the superellipse under the outline: 2 an ellipse, towards 1 a spindle.
    bend : float
        Sideways displacement of the tips relative to the half length.
    outline : (1024,) float array
        Relative radius by direction, seen along the axes.
    thickness : float
        Phase of the cell body in radians.
    flatness : float
        Share of the cell's radius that is a thin, even lamella, 0 to 1.
    vesicles : int
        Number of vesicles and granules.
    level : float
        Which cell lies over which: the higher one wins the ground between them.
    rounded : bool
        Mitotic or floating: a ball instead of a sheet.
    seed : int
        Seed of the cell's inside, which moves with it.
    """

    y: float
    x: float
    angle: float
    length: float
    width: float
    pointedness: float
    bend: float
    outline: NDArray[np.float32]
    thickness: float
    flatness: float
    vesicles: int
    level: float
    rounded: bool
    seed: int

    def reach(self) -> float:
        """Greatest distance of the outline from the centre in px."""
        furthest = float(self.outline.max())
        bent = abs(self.bend) * self.length * max(0.3, furthest**2)
        return max(self.length, self.width) * furthest + bent + 2.0


def relative_distance(
    cell: Cell, shape: tuple[int, int], step: int = 1
) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
    """Distance of pixels from a cell's centre relative to its outline: below 1 inside, 1 at the border.

    Parameters
    ----------
    cell : Cell
    shape : (int, int)
        Field (Y, X) in px.
    step : int
        Take every step-th pixel only.

    Returns
    -------
    window : (slice, slice)
        Where the values lie in the field's grid (of every step-th pixel); may be empty.
    distance : float32 array
        The values in the window.
    """
    reach = cell.reach()
    spans = []
    for centre, size in ((cell.y, shape[0]), (cell.x, shape[1])):
        count = -(-size // step)
        first = int(np.clip(np.floor((centre - reach) / step), 0, count))
        spans.append(slice(first, int(np.clip(np.ceil((centre + reach) / step) + 1, first, count))))
    dy = np.arange(spans[0].start, spans[0].stop, dtype=np.float32)[:, None] * step - np.float32(cell.y)
    dx = np.arange(spans[1].start, spans[1].stop, dtype=np.float32)[None, :] * step - np.float32(cell.x)
    cos, sin = np.float32(np.cos(cell.angle)), np.float32(np.sin(cell.angle))
    along = (cos * dx + sin * dy) / np.float32(cell.length)
    across = (cos * dy - sin * dx) - np.float32(cell.bend * cell.length) * (along * along - np.float32(0.3))
    across /= np.float32(cell.width)
    direction = np.arctan2(across, along) * np.float32(_DIRECTIONS / (2 * np.pi))
    relative = cell.outline[direction.astype(np.int32) % _DIRECTIONS]
    if cell.pointedness == 2.0:
        radius = np.hypot(along, across)
    else:
        power = np.float32(cell.pointedness)
        radius = (np.abs(along) ** power + np.abs(across) ** power) ** (1 / power)
    distance: NDArray[np.float32] = (radius / relative).astype(np.float32, copy=False)
    return (spans[0], spans[1]), distance


def settle(settings: DicSettings, rng: np.random.Generator) -> list[Cell]:
    """Lay cells into a field, one after the other, until its coverage is reached.

    Parameters
    ----------
    settings : DicSettings
    rng : numpy.random.Generator

    Returns
    -------
    list of Cell
        In the order in which they settled; some lie across the field's border.
    """
    step = max(1, int(settings.object_diameter // 16))
    taken = np.zeros([-(-size // step) for size in settings.shape], bool)
    cells: list[Cell] = []
    covered, goal = 0, settings.coverage * taken.size
    for cell in _candidates(settings, rng, cells):
        if covered >= goal:
            break
        window, distance = relative_distance(cell, settings.shape, step)
        inside = distance < 1
        area, there = int(inside.sum()), taken[window]
        fresh = area - int((inside & there).sum())
        if fresh < (1 - _CROWDED) * area or area == 0:
            continue
        if covered + fresh / 2 > goal and cells:
            break
        there |= inside
        covered += fresh
        cells.append(cell)
    return cells


def _candidates(settings: DicSettings, rng: np.random.Generator, cells: list[Cell]) -> Iterator[Cell]:
    """Yield cells at places to try, against a cell of the growing list or anywhere."""
    radius = settings.object_diameter / 2
    height, width = settings.shape
    tries = 20 + int(8 * (height + 2 * radius) * (width + 2 * radius) / (4 * radius**2))
    for _ in range(tries):
        if cells and rng.random() < settings.clustering:
            neighbour = cells[int(rng.integers(len(cells)))]
            direction = rng.uniform(0, 2 * np.pi)
            away = rng.uniform(1.2, 2.0) * radius
            y, x = neighbour.y + away * np.sin(direction), neighbour.x + away * np.cos(direction)
            aligned = neighbour.angle + rng.normal(0, 0.35)
        else:
            y, x = rng.uniform(-radius, height + radius), rng.uniform(-radius, width + radius)
            aligned = rng.uniform(0, 2 * np.pi)
        if -radius < y < height + radius and -radius < x < width + radius:
            yield _grow(settings, rng, float(y), float(x), float(aligned))


def _grow(settings: DicSettings, rng: np.random.Generator, y: float, x: float, angle: float) -> Cell:
    """Draw one cell at a place: rounded, or spread between a flat sheet and a thick spindle."""
    seed = int(rng.integers(2**31))
    if rng.random() < settings.rounded:
        radius = settings.object_diameter * rng.uniform(0.2, 0.34)
        lumpy = rng.random() < 0.3
        return Cell(
            y=y, x=x, angle=angle, length=radius * rng.uniform(1.0, 1.15), width=radius, pointedness=2.0,
            bend=0.0, outline=_outline(rng, 0.05 if lumpy else 0.01, 0, 0.0),
            thickness=settings.thickness * rng.uniform(2.0, 5.0), flatness=0.0,
            vesicles=int(rng.poisson(settings.vesicles * (1.0 if lumpy else 0.3))),
            level=2.0, rounded=True, seed=seed,
        )  # fmt: skip
    radius = settings.object_diameter / 2 * float(np.exp(rng.normal(0, 0.28)))
    ratio = min(6.0, 1 + (settings.elongation - 1) * float(rng.gamma(2.0, 0.5)))
    slender = float(np.clip((ratio - 1.3) / 2.0, 0, 1))
    return Cell(
        y=y, x=x, angle=angle, length=radius * ratio**0.5, width=radius / ratio**0.5,
        pointedness=2.0 - 0.7 * slender * float(rng.random()), bend=float(rng.normal(0, 0.12)),
        outline=_outline(rng, settings.raggedness, int(rng.poisson(settings.protrusions)), slender),
        thickness=settings.thickness * float(np.exp(rng.normal(0, 0.35))) * (0.75 + 0.5 * slender),
        flatness=float(np.clip(rng.normal(0.6 - 0.5 * slender, 0.2), 0, 0.9)),
        vesicles=int(rng.poisson(settings.vesicles * rng.gamma(3.0, 1 / 3))),
        level=0.3 * slender + 0.3 * float(rng.random()), rounded=False, seed=seed,
    )  # fmt: skip


def _outline(rng: np.random.Generator, raggedness: float, protrusions: int, slender: float) -> NDArray[np.float32]:
    """Relative radius by direction: low harmonics, corners and processes; the area is that of a circle."""
    direction = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)
    radius = np.ones(_DIRECTIONS)
    for order in range(2, 16):
        amplitude = 1.8 * raggedness * (1 - 0.6 * slender) * rng.normal() / order**1.2
        radius += amplitude * np.cos(order * direction + rng.uniform(0, 2 * np.pi))
    for _ in range(protrusions):
        sharpness = np.exp(rng.uniform(np.log(6), np.log(120)))
        towards = rng.uniform(0, 2 * np.pi) if rng.random() > slender else np.pi * rng.integers(2)
        radius += rng.uniform(0.15, 0.7) * np.exp(sharpness * (np.cos(direction - towards) - 1))
    radius = np.maximum(radius, 0.35)
    scaled: NDArray[np.float32] = (radius / np.sqrt(np.mean(radius**2))).astype(np.float32)
    return scaled
