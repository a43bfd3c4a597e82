"""The phase map of a field of cells, with exact labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blunet.simulation.cells import Cell, measure_relative_distance
from blunet.simulation.dic_settings import DicSettings
from blunet.simulation.particles import (
    add_debris,
    add_floating_cells,
    add_remnants,
    add_scratches,
    add_vesicles,
    draw_transmission,
)

#: Period of the texture inside cells in px.
_PERIOD = 256
#: Length of fibres relative to their width.
_FIBRE_STRETCH = 4.0
#: Height of rounded cells above the focus, relative to vesicles.
_BALL_DEPTH = 6.0
#: Length of the unevenness of a seam, relative to the texture of the cells' insides.
_SEAM_STRETCH = 3.0
#: Each pixel beside the one below it, and beside the one to its right.
_NEIGHBOURS = (
    ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
    ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
)

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Phantom:
    """The object plane.

    Parameters
    ----------
    phase : (Y, X) float32 array
        Phase above the medium in radians.
    depth : (Y, X) float32 array
        Phase in radians times its signed distance from the focus, in units in which vesicles lie at -1 to 1.
    labels : (Y, X) int32 array
        0 is background, else 1 + index of the cell; each cell is 4-connected.
    transmission : (Y, X) float32 array or None
        The share of light that passes the dust on the optics; None without dust.
    """

    phase: Floats
    depth: Floats
    labels: Labels
    transmission: Floats | None = None


def label_cells(cells: Sequence[Cell], shape: tuple[int, int], step: int = 1) -> tuple[Labels, Floats]:
    """Assign each pixel to the cell that covers it most, and keep each cell's largest 4-connected component.

    Parameters
    ----------
    cells : sequence of Cell
    shape : (int, int)
        Field (Y, X) in px.
    step : int
        Use only every step-th pixel of each axis.

    Returns
    -------
    labels : (Y, X) int32 array
        0 is background, else 1 + index in `cells`.
    distance : (Y, X) float32 array
        Distance from the centre of the pixel's cell, relative to its outline, 0 to 1; 1 in the background.
    """
    from scipy import ndimage

    grid = -(-shape[0] // step), -(-shape[1] // step)
    labels = np.zeros(grid, np.int32)
    distance = np.ones(grid, np.float32)
    rank = np.full(grid, np.inf, np.float32)
    for index, cell in enumerate(cells):
        box, own = measure_relative_distance(cell, shape, step)
        wins = (own < 1) & (own - np.float32(cell.level) < rank[box])
        rank[box][wins] = own[wins] - np.float32(cell.level)
        distance[box][wins] = own[wins]
        labels[box][wins] = index + 1
    for index, box in enumerate(ndimage.find_objects(labels)):
        if box is None:
            continue
        own_pixels = labels[box] == index + 1
        components, count = ndimage.label(own_pixels)
        if count > 1:
            largest = np.bincount(components.ravel())[1:].argmax() + 1
            lost = own_pixels & (components != largest)
            labels[box][lost] = 0
            distance[box][lost] = 1
    return labels, distance


def draw_phantom(cells: Sequence[Cell], settings: DicSettings, rng: np.random.Generator) -> Phantom:
    """Draw the phase map of cells, with debris, scratches and an uneven substrate around them.

    Parameters
    ----------
    cells : sequence of Cell
    settings : DicSettings
    rng : numpy.random.Generator
        Source of everything that does not move with the cells.

    Returns
    -------
    Phantom
    """
    from scipy import ndimage

    labels, distance = label_cells(cells, settings.shape)
    textures = _draw_textures(settings, rng)
    phase = np.zeros(settings.shape, np.float32)
    depth = np.zeros(settings.shape, np.float32)
    if cells:
        _add_bodies(phase, cells, labels, distance, settings, textures)
        balls = np.array([0, *(cell.roundness for cell in cells)], np.float32)[labels]
        if balls.any():
            halo = 0.035 * settings.object_diameter
            depth += _BALL_DEPTH * ndimage.gaussian_filter(balls * phase, halo)
        _add_nuclei(phase, cells, labels, settings)
        if settings.seams > 0:
            _add_seams(phase, depth, np.where(balls > 0, 0, labels), settings, textures[1])
        add_vesicles(phase, depth, cells, labels, settings)
    add_debris(phase, depth, labels, settings, rng)
    add_scratches(phase, settings, rng)
    if settings.remnants > 0:
        add_remnants(phase, labels, settings, textures[0], rng)
    if settings.floating > 0:
        add_floating_cells(phase, labels, settings, rng)
    if settings.roughness > 0:
        slow = ndimage.gaussian_filter(rng.standard_normal(settings.shape, np.float32), 2.0)
        phase += slow * np.float32(settings.roughness * 2 * np.pi**0.5 * 2.0)
    return Phantom(phase, depth, labels, draw_transmission(settings, rng) if settings.dust > 0 else None)


def _draw_textures(settings: DicSettings, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw two periodic textures with a standard deviation of 1: a fine grain, and coarser ruffles."""
    from scipy import ndimage

    textures = []
    for size in (0.016, 0.05):
        sigma = max(0.5, size * settings.object_diameter)
        noise = rng.standard_normal((_PERIOD, _PERIOD), np.float32)
        band = ndimage.gaussian_filter(noise, sigma, mode="wrap")
        band -= ndimage.gaussian_filter(noise, 2 * sigma, mode="wrap")
        textures.append(band / band.std())
    return textures[0], textures[1]


def _add_bodies(
    phase: Floats,
    cells: Sequence[Cell],
    labels: Labels,
    distance: Floats,
    settings: DicSettings,
    textures: tuple[Floats, Floats],
) -> None:
    """Add cell bodies: sheets, domes and balls, thin at the border, with grain and fibres along the cell's axis."""
    rows, columns = np.nonzero(labels)
    if rows.size == 0:
        return
    own = labels[rows, columns] - 1

    def spread(values: list[float]) -> Floats:
        by_pixel: Floats = np.array(values, np.float32)[own]
        return by_pixel

    inside = distance[rows, columns]
    border = _measure_border_distance(labels)[rows, columns]
    seeds = [np.random.default_rng(cell.seed) for cell in cells]
    margin = spread([settings.object_diameter * g.uniform(0.02, 0.09) for g in seeds])
    grain = spread([settings.texture * g.lognormal(0, 0.35) for g in seeds])
    fibre = spread([settings.texture * g.lognormal(0, 0.5) for g in seeds])
    ridge = spread([settings.edge * g.exponential(0.5) for g in seeds])
    phase_start = spread([float(g.uniform(0, _PERIOD)) for g in seeds])
    thickness = spread([cell.thickness for cell in cells])
    flatness = spread([cell.flatness for cell in cells])
    ball = spread([cell.roundness for cell in cells])

    rise = 1 - np.exp(-border / margin)
    core = np.clip(1 - (inside / (1 - 0.6 * flatness)) ** 2, 0, None) ** 1.5
    lamella = settings.edge + (0.12 + 0.5 * (1 - flatness)) * rise * (1 - 0.6 * inside)
    crest = ridge * np.exp(-(((border - margin) / (0.4 * margin + 0.5)) ** 2))
    sheet = thickness * (lamella + crest + (0.35 + 0.4 * (1 - flatness)) * core * rise)
    sphere = thickness * np.sqrt(np.clip(1 - inside**2, 0, None))

    dy, dx = rows - spread([cell.y for cell in cells]), columns - spread([cell.x for cell in cells])
    cos, sin = spread([np.cos(cell.angle) for cell in cells]), spread([np.sin(cell.angle) for cell in cells])
    along, across = cos * dx + sin * dy + phase_start, cos * dy - sin * dx + phase_start
    fine, coarse = textures
    grained = grain * _sample(fine, across, along)
    ruffled = fibre * _sample(coarse, across, along / _FIBRE_STRETCH) * (1 - ball)
    veil = (0.4 + 0.6 * (1 - inside)) * rise * (1 + ball)
    phase[rows, columns] += ball * sphere + (1 - ball) * sheet + (grained + ruffled) * veil


def _sample(texture: Floats, y: Floats, x: Floats) -> Floats:
    """Return the nearest values of a periodic texture."""
    values: Floats = texture[y.astype(np.int64) % _PERIOD, x.astype(np.int64) % _PERIOD]
    return values


def _measure_border_distance(labels: Labels) -> Floats:
    """Return the distance of each pixel from the nearest pixel beside another label, plus 0.5, in px."""
    from scipy import ndimage

    inner = np.ones(labels.shape, bool)
    for here, there in _NEIGHBOURS:
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
        if cell.roundness == 1:
            continue
        rng = np.random.default_rng((cell.seed, 1))
        size = min(0.2 * settings.object_diameter * rng.uniform(0.8, 1.2), 0.75 * cell.width)
        height = (1 - cell.roundness) * cell.thickness * rng.uniform(0.05, 0.25)
        _add_disc(phase, labels, index + 1, cell, (0.0, 0.0), (1.25 * size, size), height)
        for _ in range(int(rng.integers(1, 5))):
            place = (float(rng.normal(0, 0.4)) * size, float(rng.normal(0, 0.35)) * size)
            spot = size * rng.uniform(0.12, 0.28)
            _add_disc(phase, labels, index + 1, cell, place, (spot, spot), height * rng.uniform(0.4, 1.0))


def _add_seams(phase: Floats, depth: Floats, labels: Labels, settings: DicSettings, texture: Floats) -> None:
    """Add a ridge of uneven height where two cells touch; `labels` are those of spread cells."""
    from scipy import ndimage

    seam = np.zeros(labels.shape, np.float32)
    for here, there in _NEIGHBOURS:
        touching = (labels[here] != labels[there]) & (labels[here] > 0) & (labels[there] > 0)
        seam[here] += touching
        seam[there] += touching
    sigma = max(0.6, 0.014 * settings.object_diameter)
    ridge = ndimage.gaussian_filter(np.minimum(seam, 1), sigma) * np.float32((2 * np.pi) ** 0.5 * sigma / 2)
    rows, columns = (np.arange(size, dtype=np.float32) / np.float32(_SEAM_STRETCH) for size in labels.shape)
    uneven = np.clip(1 + 0.5 * _sample(texture, rows[:, None], columns[None, :]), 0.2, 2)
    ridge *= np.float32(settings.seams) * uneven
    phase += ridge
    depth += np.float32(settings.seam_depth) * ridge


def _add_disc(
    phase: Floats,
    labels: Labels,
    label: int,
    cell: Cell,
    place: tuple[float, float],
    half_axes: tuple[float, float],
    height: float,
) -> None:
    """Add an oval with soft edges, aligned with the cell's axes and confined to the cell."""
    cos, sin = np.cos(cell.angle), np.sin(cell.angle)
    y = cell.y + sin * place[0] + cos * place[1]
    x = cell.x + cos * place[0] - sin * place[1]
    reach = 1.4 * max(half_axes) + 2
    top, left = max(0, int(y - reach)), max(0, int(x - reach))
    box = slice(top, max(top, int(y + reach) + 1)), slice(left, max(left, int(x + reach) + 1))
    inside = labels[box] == label
    if not inside.any():
        return
    dy = np.arange(inside.shape[0])[:, None] + top - y
    dx = np.arange(inside.shape[1])[None, :] + left - x
    radius = np.hypot((cos * dx + sin * dy) / half_axes[0], (cos * dy - sin * dx) / half_axes[1])
    disc = height * np.clip(1.5 * min(half_axes) ** 0.5 * (1 - radius) + 0.5, 0, 1)
    phase[box] += np.where(inside, disc, 0).astype(np.float32)
