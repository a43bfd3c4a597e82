"""The packed engine: runs a compiled binary network on bit planes, with numba's kernels on threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from blunet.packed.binary_weights import BinaryWeights
from blunet.packed.kernels.layout import CodedMap, MapLayout, Words
from blunet.packed.operation import Operation, RunState
from blunet.packed.program import compile_program
from blunet.packed.regions import find_regions
from blunet.packed.threads import ThreadTeam, choose_thread_count

#: Maps up to this size in bytes are kept for the next run. Larger ones take far longer to compute than to allocate.
KEPT_BYTES = 2**23


class Engine:
    """Runs a binary network.

    Parameters
    ----------
    weights : BinaryWeights
        Compiled here (see `compile_program`).
    threads : int, optional
        How many threads share the work, at least 1; the result does not depend on it. None: one for each processor.

    Raises
    ------
    InputError
        If `threads` is not positive.
    """

    def __init__(self, weights: BinaryWeights, threads: int | None = None) -> None:
        self.settings = weights.settings
        self.team = ThreadTeam(choose_thread_count(threads))
        self.program = compile_program(weights)
        last_users = {name: operation.layer.name for operation in self.program for name in operation.inputs}
        self._last_seen_by: dict[str, list[str]] = {}
        for name, user in last_users.items():
            self._last_seen_by.setdefault(user, []).append(name)
        self._memory = _MapMemory()
        self._lock = threading.Lock()

    def run(
        self,
        image: NDArray[np.float32],
        check: Callable[[], None] | None = None,
        inside: tuple[slice, slice] | None = None,
    ) -> NDArray[np.float32]:
        """Return all maps, in one pass.

        Parameters
        ----------
        image : ndarray of float32, shape (H, W)
            In [0, 1]; H and W multiples of ``settings.multiple``.
        check : callable, optional
            Called before every layer; what it raises ends the run.
        inside : (slice, slice), optional
            Rows and columns that are wanted: of every layer only what these depend on is computed. None: all.

        Returns
        -------
        ndarray of float32, shape (K, H, W)
            In [0, 1], in the order of ``settings.maps``; valid only inside `inside`.
        """
        with closing(self.steps(image, check, inside)) as steps:
            *_, (_, state) = steps
        return state.outputs[self.program[-1].layer.name]

    def steps(
        self,
        image: NDArray[np.float32],
        check: Callable[[], None] | None = None,
        inside: tuple[slice, slice] | None = None,
    ) -> Generator[tuple[Operation, RunState], None, None]:
        """Run operation by operation.

        Parameters
        ----------
        image, check, inside
            As in `run`.

        Yields
        ------
        operation : Operation
            That has just run.
        state : RunState
            With its map or output, which later runs overwrite.
        """
        if image.ndim != 2 or any(n % self.settings.multiple for n in image.shape):
            raise ValueError(f"sides of {image.shape} are not multiples of {self.settings.multiple}")
        height, width = image.shape
        with self._lock:  # the memory of the maps is kept from run to run
            self._memory.prepare((height, width))
            regions = find_regions(self.program, (height, width), inside)
            state = RunState(
                np.asarray(image, np.float32), regions, self.team.threads, self.team.run, self._memory.allocate
            )
            try:
                for operation in self.program:
                    if check is not None:
                        check()
                    operation.run(state)
                    yield operation, state
                    for name in self._last_seen_by.get(operation.layer.name, ()):
                        self._memory.release(state.maps.pop(name))
            finally:
                for coded in state.maps.values():
                    self._memory.release(coded)


def time_operations(engine: Engine, image: NDArray[np.float32], runs: int) -> NDArray[np.float64]:
    """Measure how long each operation of an engine takes.

    Parameters
    ----------
    engine : Engine
    image : ndarray of float32, shape (H, W)
        As in `Engine.run`.
    runs : int
        Counted runs, after one that is not.

    Returns
    -------
    ndarray of float64, shape (operations,)
        Seconds, of the fastest run of each.
    """
    engine.run(image)
    seconds = []
    for _ in range(runs):
        stamps = [time.perf_counter()]
        stamps += [time.perf_counter() for _ in engine.steps(image)]
        seconds.append(np.diff(stamps))
    fastest: NDArray[np.float64] = np.min(seconds, axis=0)
    return fastest


class _MapMemory:
    """Memory of maps, kept for the next map of the same layout; its borders are 0 and are never written."""

    def __init__(self) -> None:
        self._free: dict[MapLayout, list[Words]] = {}
        self._shape = (0, 0)

    def prepare(self, shape: tuple[int, int]) -> None:
        """Forget what was kept for images of another shape."""
        if shape != self._shape:
            self._shape = shape
            self._free.clear()

    def allocate(self, layout: MapLayout) -> Words:
        free = self._free.get(layout)
        return free.pop() if free else np.zeros(layout.size, np.uint64)

    def release(self, coded: CodedMap) -> None:
        if coded.words.nbytes <= KEPT_BYTES:
            self._free.setdefault(coded.layout, []).append(coded.words)
