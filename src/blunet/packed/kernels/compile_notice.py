"""Announcing that kernels are being compiled. This module imports no numba, so that subscribing costs nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable

#: The sentence for users.
COMPILE_MESSAGE = "Compiling kernels, once for this computer: up to 20 seconds."

_lock = threading.Lock()
_callbacks: list[Callable[[str], None]] = []
_announced = False


def on_compile(callback: Callable[[str], None]) -> Callable[[], None]:
    """Call a function when this process compiles its first kernel.

    Compiling takes seconds and is done once for each computer and version: a process that finds all kernels in the
    cache never calls back.

    Parameters
    ----------
    callback : callable
        Called once, with a sentence for the user, in the thread that compiles.

    Returns
    -------
    callable
        Ends the subscription. Calling it a second time does nothing.
    """
    with _lock:
        _callbacks.append(callback)

    def unsubscribe() -> None:
        with _lock:
            _callbacks[:] = [other for other in _callbacks if other is not callback]

    return unsubscribe


def announce_compilation() -> None:
    """Call the subscribers. Only the first call in a process does."""
    global _announced
    with _lock:
        if _announced:
            return
        _announced, callbacks = True, list(_callbacks)
    for callback in callbacks:  # without the lock: a callback may unsubscribe
        callback(COMPILE_MESSAGE)
