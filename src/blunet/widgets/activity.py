"""A progress bar in napari's activity dock."""

from __future__ import annotations

import contextlib
import math
import time

from napari.utils import progress

#: Shortest time between two changes of the bar, in seconds: at each one napari draws the window.
INTERVAL_SECONDS = 0.4


class ActivityBar:
    """A bar in napari's activity dock; it moves to and fro until `show_progress` is called.

    Parameters
    ----------
    title : str
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar = progress(total=0, desc=title)
        self._changed = -math.inf

    def show_progress(self, done: float, total: float, text: str = "") -> None:
        """Show that `done` of `total` steps are done, with `text` behind the title; too frequent calls are ignored."""
        bar, now = self._bar, time.monotonic()
        if now - self._changed < INTERVAL_SECONDS:
            return
        self._changed = now
        if bar.total != total:
            bar.total = total
        title = f"{self._title}: {text}" if text else self._title
        if title != bar.desc.removesuffix(": "):
            bar.set_description(title)
        if done > bar.n:
            bar.update(done - bar.n)

    def close(self) -> None:
        """Remove the bar."""
        with contextlib.suppress(RuntimeError):  # napari's window may have been deleted, and the bar with it
            self._bar.close()
