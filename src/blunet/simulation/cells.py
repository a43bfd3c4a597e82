"""Simulated cells: their outlines, and how they are placed in a field, alone and in clusters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blunet.simulation.dic_settings import DicSettings

#: Directions in which an outline is stored.
OUTLINE_DIRECTIONS = 1024
#: A cell of which more than this fraction is covered by others is not placed.
_MAX_OVERLAP = 0.45


@dataclass(frozen=True, eq=False)
class Cell:
    """One cell: its place, its outline and its inside.

    Parameters
    ----------
    y, x : float
        Centre in px.
    angle : float
        Direction of the long axis, from +X towards +Y, in radians.
    length, width : float
        Half axes in px.
    pointedness : float
        Exponent of the superellipse that the outline is based on: 2 is an ellipse, near 1 a spindle.
    bend : float
        Sideways displacement of the tips, relative to the half length.
    outline : (1024,) float array
        Relative radius in each direction, measured from the long axis.
    thickness : float
        Phase of the cell body in radians.
    flatness : float
        Fraction of the radius that is a thin, even lamella, 0 to 1.
    vesicles : int
        Number of vesicles and granules.
    level : float
        Where cells overlap, pixels belong to the cell of the higher level.
    roundness : float
        0 is a spread sheet; 1 a ball, as mitotic and floating cells are; between them a cell that rounds up.
    seed : int
        Seed of the inside, which moves with the cell.
    age : float
        Time in frames for which the vesicles have wandered.
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
    roundness: float
    seed: int
    age: float = 0.0

    @property
    def reach(self) -> float:
        """Upper bound of the distance between the centre and the outline in px."""
        furthest = float(self.outline.max())
        bent = abs(self.bend) * self.length * max(0.3, furthest**2)
        return max(self.length, self.width) * furthest + bent + 2.0


def measure_relative_distance(
    cell: Cell, shape: tuple[int, int], step: int = 1
) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
    """Return the distance of pixels from a cell's centre, relative to its outline: below 1 inside, 1 at the border.

    Parameters
    ----------
    cell : Cell
    shape : (int, int)
        Field (Y, X) in px.
    step : int
        Use only every step-th pixel of each axis.

    Returns
    -------
    box : (slice, slice)
        Bounding box of the cell in the grid of every step-th pixel; may be empty.
    distance : float32 array
        The distances within the box.
    """
    reach = cell.reach
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
    direction = np.arctan2(across, along) * np.float32(OUTLINE_DIRECTIONS / (2 * np.pi))
    relative = cell.outline[direction.astype(np.int32) % OUTLINE_DIRECTIONS]
    if cell.pointedness == 2.0:
        radius = np.hypot(along, across)
    else:
        power = np.float32(cell.pointedness)
        radius = (np.abs(along) ** power + np.abs(across) ** power) ** (1 / power)
    distance: NDArray[np.float32] = (radius / relative).astype(np.float32, copy=False)
    return (spans[0], spans[1]), distance


def place_cells(settings: DicSettings, rng: np.random.Generator) -> list[Cell]:
    """Place cells in a field, one after the other, until its coverage is reached.

    Parameters
    ----------
    settings : DicSettings
    rng : numpy.random.Generator

    Returns
    -------
    list of Cell
        In the order in which they were placed; some extend beyond the field's border.
    """
    step = max(1, int(settings.object_diameter // 16))
    occupied = np.zeros([-(-size // step) for size in settings.shape], bool)
    cells: list[Cell] = []
    covered, goal = 0, settings.coverage * occupied.size
    for cell in _draw_candidates(settings, rng, cells):
        if covered >= goal:
            break
        box, distance = measure_relative_distance(cell, settings.shape, step)
        inside = distance < 1
        area, occupied_here = int(inside.sum()), occupied[box]
        free = area - int((inside & occupied_here).sum())
        if free < (1 - _MAX_OVERLAP) * area or area == 0:
            continue
        if covered + free / 2 > goal and cells:
            break
        occupied_here |= inside
        covered += free
        cells.append(cell)
    return cells


def _draw_candidates(settings: DicSettings, rng: np.random.Generator, cells: list[Cell]) -> Iterator[Cell]:
    """Yield cells at random places, or beside one of `cells`, which grows meanwhile."""
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
            yield _draw_cell(settings, rng, float(y), float(x), float(aligned))


def _draw_cell(settings: DicSettings, rng: np.random.Generator, y: float, x: float, angle: float) -> Cell:
    """Draw one cell: rounded, or anything between a flat sheet and a thick spindle."""
    seed = int(rng.integers(2**31))
    if rng.random() < settings.rounded:
        radius = settings.object_diameter * rng.uniform(0.2, 0.34)
        lumpy = rng.random() < 0.3
        return Cell(
            y=y, x=x, angle=angle, length=radius * rng.uniform(1.0, 1.15), width=radius, pointedness=2.0,
            bend=0.0, outline=draw_outline(rng, 0.05 if lumpy else 0.01, 0, 0.0),
            thickness=settings.thickness * rng.uniform(2.0, 5.0), flatness=0.0,
            vesicles=int(rng.poisson(settings.vesicles * (1.0 if lumpy else 0.3))),
            level=2.0, roundness=1.0, seed=seed,
        )  # fmt: skip
    radius = settings.object_diameter / 2 * float(np.exp(rng.normal(0, 0.28)))
    ratio = min(6.0, 1 + (settings.elongation - 1) * float(rng.gamma(2.0, 0.5)))
    slender = float(np.clip((ratio - 1.3) / 2.0, 0, 1))
    return Cell(
        y=y, x=x, angle=angle, length=radius * ratio**0.5, width=radius / ratio**0.5,
        pointedness=2.0 - 0.7 * slender * float(rng.random()), bend=float(rng.normal(0, 0.12)),
        outline=draw_outline(rng, settings.raggedness, int(rng.poisson(settings.protrusions)), slender),
        thickness=settings.thickness * float(np.exp(rng.normal(0, 0.35))) * (0.75 + 0.5 * slender),
        flatness=float(np.clip(rng.normal(0.6 - 0.5 * slender, 0.2), 0, 0.9)),
        vesicles=int(rng.poisson(settings.vesicles * rng.gamma(3.0, 1 / 3))),
        level=0.3 * slender + 0.3 * float(rng.random()), roundness=0.0, seed=seed,
    )  # fmt: skip


def draw_outline(rng: np.random.Generator, raggedness: float, protrusions: int, slender: float) -> NDArray[np.float32]:
    """Draw relative radii: low harmonics, corners and processes, scaled to the area of a circle."""
    direction = np.arange(OUTLINE_DIRECTIONS) * (2 * np.pi / OUTLINE_DIRECTIONS)
    radius = np.ones(OUTLINE_DIRECTIONS)
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
