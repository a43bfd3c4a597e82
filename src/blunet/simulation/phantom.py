"""The phase map of a field of cells: what the light passes through, with exact labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blunet.simulation.cells import Cell, relative_distance
from blunet.simulation.dic_settings import DicSettings
from blunet.simulation.particles import add_debris, add_scratches, add_vesicles

_TILE = 256  # px, period of the texture inside cells
_FIBRE_STRETCH = 4.0
_BALL_DEPTH = 6.0  # how far rounded cells lie above the focus, relative to vesicles

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Phantom:
    """What lies in the object plane.

    Parameters
    ----------
    phase : (Y, X) float32 array
        Phase above the medium in radians.
    depth : (Y, X) float32 array
        Phase in radians times its signed distance from the plane of focus (relative: vesicles -1 to 1).
    labels : (Y, X) int32 array
        0 background, otherwise 1 + index of the cell; every cell in one 4-connected piece.
    """

    phase: Floats
    depth: Floats
    labels: Labels


def label_cells(cells: Sequence[Cell], shape: tuple[int, int]) -> tuple[Labels, Floats]:
    """Give every pixel to the cell that covers it most, and keep each cell's largest 4-connected piece.

    Parameters
    ----------
    cells : sequence of Cell
    shape : (int, int)
        Field (Y, X) in px.

    Returns
    -------
    labels : (Y, X) int32 array
        0 background, otherwise 1 + index in ``cells``.
    distance : (Y, X) float32 array
        Distance from the own cell's centre relative to its outline, 0 to 1; 1 in the background.
    """
    from scipy import ndimage

    labels = np.zeros(shape, np.int32)
    distance = np.ones(shape, np.float32)
    rank = np.full(shape, np.inf, np.float32)
    for index, cell in enumerate(cells):
        window, own = relative_distance(cell, shape)
        wins = (own < 1) & (own - np.float32(cell.level) < rank[window])
        rank[window][wins] = own[wins] - np.float32(cell.level)
        distance[window][wins] = own[wins]
        labels[window][wins] = index + 1
    for index, window in enumerate(ndimage.find_objects(labels)):
        if window is None:
            continue
        own_pixels = labels[window] == index + 1
        pieces, count = ndimage.label(own_pixels)
        if count > 1:
            largest = np.bincount(pieces.ravel())[1:].argmax() + 1
            lost = own_pixels & (pieces != largest)
            labels[window][lost] = 0
            distance[window][lost] = 1
    return labels, distance


def draw_phantom(cells: Sequence[Cell], settings: DicSettings, rng: np.random.Generator) -> Phantom:
    """Draw the phase map of cells, with debris, scratches and an uneven substrate around them.

    Parameters
    ----------
    cells : sequence of Cell
    settings : DicSettings
    rng : numpy.random.Generator
        Source of what does not move with the cells.

    Returns
    -------
    Phantom
    """
    from scipy import ndimage

    labels, distance = label_cells(cells, settings.shape)
    tiles = _texture_tiles(settings, rng)
    phase = np.zeros(settings.shape, np.float32)
    depth = np.zeros(settings.shape, np.float32)
    if cells:
        _add_bodies(phase, cells, labels, distance, settings, tiles)
        balls = np.array([False, *(cell.rounded for cell in cells)])[labels]
        if balls.any():
            halo = 0.035 * settings.object_diameter
            depth += _BALL_DEPTH * ndimage.gaussian_filter(np.where(balls, phase, 0), halo)
        _add_nuclei(phase, cells, labels, settings)
        add_vesicles(phase, depth, cells, labels, settings)
    add_debris(phase, depth, labels, settings, rng)
    add_scratches(phase, settings, rng)
    if settings.roughness > 0:
        slow = ndimage.gaussian_filter(rng.standard_normal(settings.shape, np.float32), 2.0)
        phase += slow * np.float32(settings.roughness * 2 * np.pi**0.5 * 2.0)
    return Phantom(phase, depth, labels)


def _texture_tiles(settings: DicSettings, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Two periodic tiles of noise with standard deviation 1: a fine grain, and coarser ruffles."""
    from scipy import ndimage

    tiles = []
    for size in (0.016, 0.05):
        sigma = max(0.5, size * settings.object_diameter)
        noise = rng.standard_normal((_TILE, _TILE), np.float32)
        band = ndimage.gaussian_filter(noise, sigma, mode="wrap")
        band -= ndimage.gaussian_filter(noise, 2 * sigma, mode="wrap")
        tiles.append(band / band.std())
    return tiles[0], tiles[1]


def _add_bodies(
    phase: Floats,
    cells: Sequence[Cell],
    labels: Labels,
    distance: Floats,
    settings: DicSettings,
    tiles: tuple[Floats, Floats],
) -> None:
    """Add sheets, domes and balls, thin at the border, with grain and fibres along the cell's axis."""
    rows, columns = np.nonzero(labels)
    if rows.size == 0:
        return
    own = labels[rows, columns] - 1

    def each(values: list[float]) -> Floats:
        taken: Floats = np.array(values, np.float32)[own]
        return taken

    inside = distance[rows, columns]
    border = _border_distance(labels)[rows, columns]
    seeds = [np.random.default_rng(cell.seed) for cell in cells]
    margin = each([settings.object_diameter * g.uniform(0.02, 0.09) for g in seeds])
    grain = each([settings.texture * g.lognormal(0, 0.35) for g in seeds])
    fibre = each([settings.texture * g.lognormal(0, 0.5) for g in seeds])
    ridge = each([settings.edge * g.exponential(0.5) for g in seeds])
    phase_start = each([float(g.uniform(0, _TILE)) for g in seeds])
    thickness = each([cell.thickness for cell in cells])
    flatness = each([cell.flatness for cell in cells])
    ball = each([float(cell.rounded) for cell in cells])

    rise = 1 - np.exp(-border / margin)
    core = np.clip(1 - (inside / (1 - 0.6 * flatness)) ** 2, 0, None) ** 1.5
    lamella = settings.edge + (0.12 + 0.5 * (1 - flatness)) * rise * (1 - 0.6 * inside)
    crest = ridge * np.exp(-(((border - margin) / (0.4 * margin + 0.5)) ** 2))
    sheet = thickness * (lamella + crest + (0.35 + 0.4 * (1 - flatness)) * core * rise)
    sphere = thickness * np.sqrt(np.clip(1 - inside**2, 0, None))

    dy, dx = rows - each([cell.y for cell in cells]), columns - each([cell.x for cell in cells])
    cos, sin = each([np.cos(cell.angle) for cell in cells]), each([np.sin(cell.angle) for cell in cells])
    along, across = cos * dx + sin * dy + phase_start, cos * dy - sin * dx + phase_start
    fine, coarse = tiles
    grained = grain * _sample(fine, across, along)
    ruffled = fibre * _sample(coarse, across, along / _FIBRE_STRETCH) * (1 - ball)
    veil = (0.4 + 0.6 * (1 - inside)) * rise * (1 + ball)
    phase[rows, columns] += np.where(ball > 0, sphere, sheet) + (grained + ruffled) * veil


def _sample(tile: Floats, y: Floats, x: Floats) -> Floats:
    """Nearest value of a periodic tile."""
    values: Floats = tile[y.astype(np.int64) % _TILE, x.astype(np.int64) % _TILE]
    return values


def _border_distance(labels: Labels) -> Floats:
    """Distance of each pixel in px from the nearest pixel that has a neighbour of another label, plus 0.5."""
    from scipy import ndimage

    inner = np.ones(labels.shape, bool)
    for here, there in (
        ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
    ):
        differs = labels[here] != labels[there]
        inner[here] &= ~differs
        inner[there] &= ~differs
    if inner.all():
        return np.full(labels.shape, float(max(labels.shape)), np.float32)
    distance: Floats = ndimage.distance_transform_edt(inner).astype(np.float32) + np.float32(0.5)
    return distance


def _add_nuclei(phase: Floats, cells: Sequence[Cell], labels: Labels, settings: DicSettings) -> None:
    """Add an oval nucleus with nucleoli to every spread cell."""
    for index, cell in enumerate(cells):
        if cell.rounded:
            continue
        rng = np.random.default_rng((cell.seed, 1))
        size = min(0.2 * settings.object_diameter * rng.uniform(0.8, 1.2), 0.75 * cell.width)
        height = cell.thickness * rng.uniform(0.05, 0.25)
        _add_disc(phase, labels, index + 1, cell, (0.0, 0.0), (1.25 * size, size), height)
        for _ in range(int(rng.integers(1, 5))):
            place = (float(rng.normal(0, 0.4)) * size, float(rng.normal(0, 0.35)) * size)
            spot = size * rng.uniform(0.12, 0.28)
            _add_disc(phase, labels, index + 1, cell, place, (spot, spot), height * rng.uniform(0.4, 1.0))


def _add_disc(
    phase: Floats,
    labels: Labels,
    label: int,
    cell: Cell,
    place: tuple[float, float],
    half_axes: tuple[float, float],
    height: float,
) -> None:
    """Add a soft-edged oval in the cell's own axes, only where the cell is."""
    cos, sin = np.cos(cell.angle), np.sin(cell.angle)
    y = cell.y + sin * place[0] + cos * place[1]
    x = cell.x + cos * place[0] - sin * place[1]
    reach = 1.4 * max(half_axes) + 2
    top, left = max(0, int(y - reach)), max(0, int(x - reach))
    window = slice(top, max(top, int(y + reach) + 1)), slice(left, max(left, int(x + reach) + 1))
    there = labels[window] == label
    if not there.any():
        return
    dy = np.arange(there.shape[0])[:, None] + top - y
    dx = np.arange(there.shape[1])[None, :] + left - x
    radius = np.hypot((cos * dx + sin * dy) / half_axes[0], (cos * dy - sin * dx) / half_axes[1])
    disc = height * np.clip(1.5 * min(half_axes) ** 0.5 * (1 - radius) + 0.5, 0, 1)
    phase[window] += np.where(there, disc, 0).astype(np.float32)
