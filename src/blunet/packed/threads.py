"""How many threads the engine uses."""

from __future__ import annotations

import os

from blunet.errors import InputError

#: Names the number of threads for engines that are not told theirs; the command line sets it.
VARIABLE = "BLUNET_THREADS"


def thread_count(requested: int | None = None) -> int:
    """Return the number of threads to use.

    Parameters
    ----------
    requested : int, optional
        At least 1; more than there are processors are no help, and are cut to their number. None: what the
        environment variable BLUNET_THREADS says, else one for each processor that this process may use.

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
