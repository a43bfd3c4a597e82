"""A progress bar on stderr, so that stdout is for results only."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

#: Seconds after which the bar appears.
PATIENCE = 1.0


class Bar:
    """A progress bar that appears after a second, in a terminal only, and is removed at the end.

    Use it in a `with` statement.

    Parameters
    ----------
    title : str
        Shown before the bar.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._total: float | None = None
        self._done = 0.0
        self._lock = threading.Lock()
        self._ended = False
        self._progress: Progress | None = None
        self._timer = threading.Timer(PATIENCE, self._appear)
        self._timer.daemon = True

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._ended = True
            if self._progress is not None:
                self._progress.stop()
                self._progress = None

    def update(self, done: float, total: float | None = None, title: str | None = None) -> None:
        """Show how many steps are done; `total` and `title` are given if they have changed."""
        with self._lock:
            self._done = done
            self._total = self._total if total is None else total
            self.title = self.title if title is None else title
            if self._progress is not None:
                task = self._progress.task_ids[0]
                self._progress.update(
                    task, completed=done, total=self._total, description=self.title, count=self._count()
                )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hide the bar while lines are printed."""
        with self._lock:
            if self._progress is not None:
                self._progress.stop()
            try:
                yield
            finally:
                if self._progress is not None:
                    self._progress.start()

    def _appear(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        with self._lock:
            if self._ended:
                return
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=32),
                TextColumn("{task.fields[count]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._progress.add_task(self.title, total=self._total, completed=int(self._done), count=self._count())
            self._progress.start()

    def _count(self) -> str:
        return "" if self._total is None else f"{self._done:.0f}/{self._total:.0f}"
