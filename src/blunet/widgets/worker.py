"""Running a job beside the window: its generator in a thread, its events, its end and its errors on the GUI thread."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

from napari.qt.threading import GeneratorWorker
from napari.utils import progress
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal

from blunet.errors import InputError
from blunet.jobs.compression_run import ChildError
from blunet.jobs.events import Cancelled, CancelToken

log = logging.getLogger(__name__)

#: The activity dock is told at most so often: at every change napari runs the event loop and draws the window.
SHOWN_SECONDS = 0.4


@dataclass(frozen=True)
class _End:
    """How a job ended: `sentence` is empty unless it failed."""

    stopped: bool = False
    sentence: str = ""


class Job(QObject):
    """One job: a generator of events that runs in a thread of napari's and is told to stop through a token.

    All signals are emitted on the GUI thread. Every started job ends in `ended`, after one of `done`, `stopped` and
    `failed`. When napari closes, or `parent` is destroyed, the token is cancelled.

    Parameters
    ----------
    make : callable
        Given the token, returns the events. It is called in the thread: it may read only what it was given before,
        never a widget or a layer. It ends early by raising `Cancelled`, and fails by raising `InputError`.
    parent : QObject
        The widget whose job it is.
    title : str
        Shown in napari's activity dock while the job runs; empty: nothing is shown there.
    """

    event = Signal(object)
    """What the generator yields."""
    done = Signal()
    """The generator came to its end."""
    stopped = Signal()
    """It was cancelled."""
    failed = Signal(str)
    """It raised; a sentence that says what was wrong. It was shown as a notification; the log has the rest."""
    ended = Signal()

    def __init__(self, make: Callable[[CancelToken], Iterable[Any]], parent: QObject, title: str = "") -> None:
        super().__init__(parent)
        self.token = CancelToken()
        self.title = title
        self._bar: progress | None = None
        self._shown = -math.inf
        self._running = False
        self._news: deque[object] = deque()
        self._telling = False
        self._worker = _Worker(make, self.token)
        self._worker.yielded.connect(self._on_event)
        self._worker.returned.connect(self._on_event)
        parent.destroyed.connect(self.token.cancel)

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._running

    def start(self) -> None:
        """Start the job."""
        self._running = True
        if self.title:
            self._bar = progress(total=0, desc=self.title)
        self._worker.start()

    def cancel(self) -> None:
        """Tell the job to stop; `stopped` follows."""
        self.token.cancel()

    def stop_at_once(self) -> None:
        """End a job that was cancelled and takes its time to save: its generator is closed where it waits."""
        self._worker.close_generator()

    def show_progress(self, done: float, total: float, text: str = "") -> None:
        """Show in the activity dock that `done` of `total` steps are done."""
        bar, now = self._bar, time.monotonic()
        if bar is None or now - self._shown < SHOWN_SECONDS:
            return
        self._shown = now
        if bar.total != total:
            bar.total = total
        title = f"{self.title}: {text}" if text else self.title
        if title != bar.desc.removesuffix(": "):
            bar.set_description(title)
        if done > bar.n:
            bar.update(done - bar.n)

    def _on_event(self, event: object) -> None:
        """Hand on what the worker tells, one after the other: napari runs the event loop while a handler works."""
        self._news.append(event)
        if self._telling:
            return
        self._telling = True
        try:
            while self._news:
                news = self._news.popleft()
                if isinstance(news, _End):
                    self._end(news)
                else:
                    self.event.emit(news)
        finally:
            self._telling = False

    def _end(self, end: _End) -> None:
        if not self._running:
            return
        self._running = False
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if end.sentence:
            show_error(end.sentence)
            self.failed.emit(end.sentence)
        elif end.stopped:
            self.stopped.emit()
        else:
            self.done.emit()
        self.ended.emit()


class _Worker(GeneratorWorker):
    """Napari's worker, but that `quit` (which napari calls when it closes) lets the job save and end by itself."""

    def __init__(self, make: Callable[[CancelToken], Iterable[Any]], token: CancelToken) -> None:
        super().__init__(_run, make, token)
        self._token = token
        self._closed = threading.Event()

    def quit(self, *_: object) -> None:
        self._token.cancel()
        super().quit()

    def close_generator(self) -> None:
        """Have the generator closed at its next event."""
        self._closed.set()

    def work(self) -> _End:
        """Emit what the generator yields until it ends, also after `quit`."""
        events = self._gen
        while not self._closed.is_set():
            try:
                event = next(events)
            except StopIteration as e:
                end: _End = e.value
                return end
            self.yielded.emit(event)
        events.close()
        return _End(stopped=True)

    def run(self) -> None:
        """Work, and tell of it. Not as napari's: that changes how the whole process treats warnings meanwhile."""
        self._running = True
        try:
            self.started.emit()
            self.returned.emit(self.work())
        except RuntimeError:  # the window, and with it the signals, are gone
            log.debug("A worker has outlived its window", exc_info=True)
        finally:
            self._running = False
            with contextlib.suppress(RuntimeError):
                self.finished.emit()
                self._finished.emit(self)


def _run(make: Callable[[CancelToken], Iterable[Any]], token: CancelToken) -> Generator[Any, None, _End]:
    """Run the job in the thread; no exception leaves it."""
    try:
        yield from make(token)
    except Cancelled:
        return _End(stopped=True)
    except InputError as e:
        return _End(sentence=str(e))
    except ChildError as e:
        log.error("%s\n%s", e, "\n".join(e.last_lines))
        return _End(sentence=str(e))
    except Exception as e:  # a mistake of ours: one sentence for the user, the rest for the log
        log.exception("A job failed")
        return _End(sentence=f"Something went wrong inside BLU-Net ({type(e).__name__}: {e}); the log has the details.")
    return _End(stopped=token.cancelled)
