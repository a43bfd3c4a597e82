"""Simulated time-lapses of living cells, with their true tracks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.simulation.cells import Cell
from blunet.simulation.colony import Colony
from blunet.simulation.dic_fields import DicField, record_image
from blunet.simulation.dic_settings import DicSettings
from blunet.simulation.life_settings import LifeSettings
from blunet.simulation.phantom import draw_phantom, label_cells

#: A cell enters when it shows this share of a typical cell, and leaves when it shows less than half of that.
_ENTERS = 0.08


@dataclass(frozen=True)
class TrueTrack:
    """A cell from the frame in which it appears to the one after which it divides or leaves.

    Parameters
    ----------
    number : int
        Its label in every frame of `start` to `end`, from 1.
    start, end : int
        First and last frame, counted from 0.
    parent : int
        Number of the track that it came from by division; 0: it was there at the start, or came from outside.
    """

    number: int
    start: int
    end: int
    parent: int


class TimeLapse:
    """A simulated time-lapse: its frames are made when they are asked for, in any order.

    `simulate_time_lapse` makes one.

    Attributes
    ----------
    settings : DicSettings
        Of every frame.
    life : LifeSettings
    seed : int
    tracks : tuple of TrueTrack
        In order of their numbers.
    """

    def __init__(
        self,
        settings: DicSettings,
        life: LifeSettings,
        seed: int,
        cells: list[dict[int, Cell]],
        tracks: list[TrueTrack],
    ) -> None:  # fmt: skip
        self.settings, self.life, self.seed = settings, life, seed
        self.tracks = tuple(tracks)
        self._cells = cells

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._cells)

    def __iter__(self) -> Iterator[DicField]:
        """Yield the frames, one after the other."""
        return (self.frame(t) for t in range(len(self)))

    @property
    def divisions(self) -> int:
        """Number of tracks that end with a division of which both daughters are seen."""
        parents = [track.parent for track in self.tracks if track.parent]
        return sum(parents.count(parent) > 1 for parent in set(parents))

    def frame(self, t: int) -> DicField:
        """Return the image and the labels of frame `t`; labels are numbers of tracks."""
        cells, rng = list(self._cells[t].values()), np.random.default_rng((self.seed, 1))
        phantom = draw_phantom(cells, self.settings, rng)
        image = record_image(phantom, self.settings, np.random.default_rng((self.seed, 2, t)))
        return DicField(image, self._renumber(t, phantom.labels), self.settings, self.seed)

    def labels(self, t: int) -> NDArray[np.int32]:
        """Return the labels (Y, X) of frame `t` alone, which are made much faster than its image."""
        return self._renumber(t, label_cells(list(self._cells[t].values()), self.settings.shape)[0])

    def places(self, t: int) -> dict[int, tuple[float, float]]:
        """Return the centres (Y, X) in px of the cells of frame `t` by their tracks; some lie outside the field."""
        return {number: (cell.y, cell.x) for number, cell in self._cells[t].items()}

    def stack(self) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
        """Return all images (T, Y, X) and all labels (T, Y, X), made on all processors."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            fields = list(pool.map(self.frame, range(len(self))))
        return np.stack([field.image for field in fields]), np.stack([field.labels for field in fields])

    def _renumber(self, t: int, labels: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.array([0, *self._cells[t]], np.int32)[labels]


def simulate_time_lapse(
    settings: DicSettings = DicSettings(),  # noqa: B008
    frames: int = 100,
    seed: int = 0,
    life: LifeSettings = LifeSettings(),  # noqa: B008
) -> TimeLapse:
    """Simulate a time-lapse in which cells move, change their shape, divide, and enter and leave the field.

    A cell follows its direction for a while (a persistent random walk), gives way to others, and crawls along its
    long axis. Before it divides it rounds up into a thick, bright ball; the two daughters spread again. The substrate
    and the illumination stay, the camera's noise is new in each frame.

    Parameters
    ----------
    settings : DicSettings
        Of every frame: the cells at the start, the substrate, the microscope and the camera.
    frames : int
        Number of frames, at least 1.
    seed : int
        Seed of everything random, at least 0: the same one gives the same time-lapse.
    life : LifeSettings
        How the cells move and divide.

    Returns
    -------
    TimeLapse

    Raises
    ------
    InputError
        If `frames` is below 1.

    Examples
    --------
    >>> lapse = simulate_time_lapse(DicSettings(shape=(96, 128), object_diameter=20), 5, seed=1)
    >>> len(lapse), lapse.frame(4).image.shape, lapse.tracks[0].start
    (5, (96, 128), 0)
    """
    if frames < 1:
        raise InputError(f"frames is {frames}: give at least 1 frame.")
    colony = Colony(settings, life, np.random.default_rng(seed))
    book = _TrackBook(settings)
    cells = []
    for t in range(frames):
        if t:
            colony.step()
        parents = {cell.number: cell.parent for cell in colony.cells}
        cells.append(book.enter(t, dict(zip(parents, colony.look(), strict=True)), parents))
    return TimeLapse(settings, life, seed, cells, book.tracks)


class _TrackBook:
    """Gives tracks to the cells that are seen: a cell that leaves and comes back begins another track."""

    def __init__(self, settings: DicSettings) -> None:
        self._shape = settings.shape
        self._step = max(1, int(settings.object_diameter // 12))
        typical = np.pi / 4 * settings.object_diameter**2 / self._step**2
        self._enters, self._leaves = _ENTERS * typical, _ENTERS / 2 * typical
        self._seen: dict[int, int] = {}  # the track of each cell that is seen
        self._before: dict[int, int] = {}  # the same in the frame before
        self.tracks: list[TrueTrack] = []

    def enter(self, t: int, looks: dict[int, Cell], parents: dict[int, int]) -> dict[int, Cell]:
        """Return the cells of frame `t` that are seen, by their tracks."""
        labels, _ = label_cells(list(looks.values()), self._shape, self._step)
        areas = np.bincount(labels.ravel(), minlength=len(looks) + 1)[1:]
        self._before, self._seen = self._seen, {}
        cells = {}
        for (number, cell), area in zip(looks.items(), areas, strict=True):
            track = self._before.get(number)
            if area < max(1.0, self._enters if track is None else self._leaves):
                continue
            self._seen[number] = track = self._follow(t, track, self._before.get(parents[number], 0))
            cells[track] = cell
        return cells

    def _follow(self, t: int, track: int | None, parent: int) -> int:
        if track is None:
            track = len(self.tracks) + 1
            self.tracks.append(TrueTrack(track, t, t, parent))
        else:
            begun = self.tracks[track - 1]
            self.tracks[track - 1] = TrueTrack(track, begun.start, t, begun.parent)
        return track
