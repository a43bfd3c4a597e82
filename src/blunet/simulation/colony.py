"""Many cells that live beside each other: they move, give way, and divide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from blunet.simulation.cells import Cell, place_cells
from blunet.simulation.dic_settings import DicSettings
from blunet.simulation.life_settings import LifeSettings
from blunet.simulation.living_cells import LivingCell, bring_to_life

#: Width of the strip around the field in which cells live unseen, in object diameters.
MARGIN = 1.5
#: Rounds in which overlapping cells push each other apart: at the start, and in every frame.
_FIRST_ROUNDS, _ROUNDS = 60, 6
#: Largest push of a round, in object diameters.
_LARGEST_PUSH = 0.04
#: How much a round cell still moves, relative to a spread one.
_ROUND_PACE = 0.15

Vectors = NDArray[np.float64]


class Colony:
    """The cells in a field and in a strip around it, from which they enter.

    Parameters
    ----------
    settings : DicSettings
    life : LifeSettings
    rng : numpy.random.Generator
        The same one gives the same lives.
    """

    def __init__(self, settings: DicSettings, life: LifeSettings, rng: np.random.Generator) -> None:
        self._settings, self._life, self._rng = settings, life, rng
        self._margin = MARGIN * settings.object_diameter
        strip = 2 * int(self._margin)
        height, width = settings.shape
        bodies = place_cells(settings.changed(shape=(height + strip, width + strip)), rng)
        moved = [replace(body, y=body.y - strip / 2, x=body.x - strip / 2) for body in bodies]
        self.cells = [bring_to_life(body, i + 1, settings, life, rng) for i, body in enumerate(moved)]
        self._next = len(self.cells) + 1
        self._push_apart(_FIRST_ROUNDS)

    def look(self) -> list[Cell]:
        """Return what all cells look like now."""
        looks = zip(self._looks, self.cells, strict=True)
        return [replace(look, y=cell.y, x=cell.x) for look, cell in looks]

    def step(self) -> None:
        """Let a frame pass."""
        cells: list[LivingCell] = []
        for cell in self.cells:
            if cell.left <= 1:
                numbers = self._next, self._next + 1
                self._next += 2
                cells += cell.divide(numbers, self._settings, self._life, self._rng)
            else:
                self._move(cell)
                cell.step_shape(self._settings, self._life, self._rng)
                cells.append(cell)
        self.cells = cells
        self._push_apart(_ROUNDS)

    def _move(self, cell: LivingCell) -> None:
        rng, life, diameter = self._rng, self._life, self._settings.object_diameter
        roundness = cell.measure_roundness(life.mitosis)
        activity = 1 + roundness * (_ROUND_PACE - 1)
        cell.heading += float(rng.normal(0, (2 / life.persistence) ** 0.5))
        distance = activity * cell.pace * life.speed * diameter * float(rng.gamma(3, 1 / 3))
        cell.y += distance * float(np.sin(cell.heading))
        cell.x += distance * float(np.cos(cell.heading))
        slenderness = 1 - cell.body.width / cell.body.length
        turn = 0.12 * slenderness * float(np.sin(2 * (cell.heading - cell.angle))) + float(rng.normal(0, 0.02))
        cell.angle += (1 - roundness) * turn
        self._keep_in_strip(cell)

    def _keep_in_strip(self, cell: LivingCell) -> None:
        """Turn a cell back that reaches the outer border of the strip."""
        height, width = self._settings.shape
        y = float(np.clip(cell.y, -self._margin, height + self._margin))
        x = float(np.clip(cell.x, -self._margin, width + self._margin))
        if (y, x) != (cell.y, cell.x):
            cell.y, cell.x = y, x
            cell.heading = float(np.arctan2(height / 2 - y, width / 2 - x))

    def _push_apart(self, rounds: int) -> None:
        """Move cells that overlap away from each other, and turn those that were stopped."""
        looks = self._looks = [cell.look(self._settings, self._life) for cell in self.cells]
        if len(looks) < 2:
            return
        place = np.array([(cell.y, cell.x) for cell in self.cells])
        start, largest = place.copy(), _LARGEST_PUSH * self._settings.object_diameter
        ellipses = np.array([(cell.angle, cell.length, cell.width) for cell in looks])
        pairs = _find_pairs(place, ellipses, 2 * rounds * largest)
        for _ in range(rounds):
            push = _measure_push(place, ellipses, pairs)
            if not push.any():
                break
            place += push * np.minimum(1, largest / np.maximum(np.hypot(*push.T), 1e-9))[:, None]
        for cell, (y, x), (dy, dx) in zip(self.cells, place, place - start, strict=True):
            cell.y, cell.x = float(y), float(x)
            strength = min(1.0, float(np.hypot(dy, dx)) / largest)
            away = float(np.arctan2(dy, dx)) - cell.heading
            cell.heading += 0.5 * strength * float(np.sin(away))


def _find_pairs(place: Vectors, ellipses: Vectors, moved: float) -> NDArray[np.intp]:
    """Return pairs of indices (P, 2) of the cells that can touch after moving `moved` px towards each other."""
    from scipy.spatial import KDTree

    longest = ellipses[:, 1:].max(1)
    pairs: NDArray[np.intp] = KDTree(place).query_pairs(2 * longest.max() + moved, output_type="ndarray")
    pairs = pairs[np.lexsort(pairs.T[::-1])]  # sums depend on the order
    near: NDArray[np.intp] = pairs[_measure_distance(place, pairs)[1] < longest[pairs].sum(1) + moved]
    return near


def _measure_push(place: Vectors, ellipses: Vectors, pairs: NDArray[np.intp]) -> Vectors:
    """Return how far each cell is pushed by those that overlap with it, in px (N, 2).

    Parameters
    ----------
    place : (N, 2) float array
        Centres (Y, X) in px.
    ellipses : (N, 3) float array
        The shapes: angle, half length and half width.
    pairs : (P, 2) int array
        The cells that may overlap.
    """
    away, distance = _measure_distance(place, pairs)
    direction, overlap = np.arctan2(*away.T), -distance
    for side in (0, 1):  # an ellipse has the same radius in the opposite direction
        angle, length, width = ellipses[pairs[:, side]].T
        overlap += 1 / np.hypot(np.cos(direction - angle) / length, np.sin(direction - angle) / width)
    push = (0.25 * np.maximum(0, overlap) / distance)[:, None] * away
    pushed: Vectors = np.zeros_like(place)
    np.add.at(pushed, pairs[:, 0], push)
    np.subtract.at(pushed, pairs[:, 1], push)
    return pushed


def _measure_distance(place: Vectors, pairs: NDArray[np.intp]) -> tuple[Vectors, Vectors]:
    """Return the vector (P, 2) from the second to the first cell of each pair, and its length (P,), never 0."""
    away = place[pairs[:, 0]] - place[pairs[:, 1]]
    return away, np.maximum(np.hypot(*away.T), 1e-6)
