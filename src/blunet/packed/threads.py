"""How many threads the engine uses, and how it runs a kernel in all of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from blunet.errors import InputError

#: Environment variable: the number of threads where none is given. The command line sets it.
VARIABLE = "BLUNET_THREADS"


def choose_thread_count(requested: int | None = None) -> int:
    """Return the number of threads to use.

    Parameters
    ----------
    requested : int, optional
        At least 1; reduced to the number of processors. None: the environment variable BLUNET_THREADS, else one for
        each processor that this process may use.

    Raises
    ------
    InputError
        If a number is not positive or the variable is not a number.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if requested is None:
        named = os.environ.get(VARIABLE, "").strip()
        if not named:
            return available
        try:
            requested = int(named)
        except ValueError as e:
            raise InputError(f"{VARIABLE} is '{named}'; give a whole number, 1 or more.") from e
    if requested < 1:
        raise InputError(f"The number of threads is {requested}; give 1 or more.")
    return min(requested, available)


class ThreadTeam:
    """Threads that run a kernel together.

    Parameters
    ----------
    threads : int
        At least 1.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads - 1, "blunet") if threads > 1 else None

    def run(self, kernel: Callable[..., None], *arguments: Any) -> None:
        """Run a kernel in this thread and all others; they share the work by a counter, the kernel's last argument."""
        counter = np.zeros(1, np.int64)
        others = [self._pool.submit(kernel, *arguments, counter) for _ in range(self.threads - 1)] if self._pool else []
        kernel(*arguments, counter)
        for other in others:
            other.result()
