"""Running a job in a thread, with its events, its end and its errors on the GUI thread."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QCoreApplication, QObject, Qt, Signal

from blunet.errors import InputError
from blunet.jobs.events import Cancelled, CancelToken
from blunet.widgets.activity import ActivityBar

log = logging.getLogger(__name__)

#: How long the application waits for its cancelled jobs when it quits, in seconds. Compress kills its child sooner.
QUIT_SECONDS = 15.0

_running: set[Job] = set()
"""Jobs that have not ended. They are kept here, so that the thread never reports to an object that is gone."""


class Job(QObject):
    """A generator of events that runs in a thread of its own and stops when its token is cancelled.

    The signals are emitted on the GUI thread. A started job ends with one of `done`, `stopped` and `failed`, followed
    by `ended`. When `owner` is destroyed the token is cancelled and nothing more is emitted; when the application
    quits the token is cancelled and the thread is waited for.

    Parameters
    ----------
    make : callable
        Called in the thread with the token; returns the events. It must not touch widgets or layers: whatever it needs
        is read from them beforehand. It raises `Cancelled` to end early and `InputError` to fail.
    owner : QObject
        The widget that the job works for.
    title : str, optional
        Shown in napari's activity dock while the job runs. None: the job is not shown there.
    """

    event = Signal(object)
    """Emitted with each object that the generator yields."""
    done = Signal()
    """Emitted when the generator has come to its end."""
    stopped = Signal()
    """Emitted when the job was cancelled."""
    failed = Signal(str)
    """Emitted with one sentence when the job raised an error. napari has shown the sentence as a notification."""
    ended = Signal()
    """Emitted last, whichever way the job ended."""

    _posted = Signal()

    def __init__(self, make: Callable[[CancelToken], Iterable[Any]], owner: QObject, title: str | None = None) -> None:
        super().__init__()
        self.token = CancelToken()
        self._make = make
        self._title = title
        self._activity: ActivityBar | None = None
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._due = 0
        self._orphaned = False
        self._thread = threading.Thread(target=self._work, name=f"blunet: {title or 'job'}", daemon=True)
        self._posted.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        owner.destroyed.connect(self._on_owner_destroyed)

    @property
    def running(self) -> bool:
        """Whether the job was started and has not ended."""
        return self in _running

    def start(self) -> None:
        """Start the job."""
        application = QCoreApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(self._on_quit)
        _running.add(self)
        if self._title is not None:
            self._activity = ActivityBar(self._title)
        self._thread.start()

    def cancel(self) -> None:
        """Tell the job to stop; `stopped` follows."""
        self.token.cancel()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the thread has ended, and return whether it has. Blocks the thread that calls."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def show_progress(self, done: float, total: float, text: str = "") -> None:
        """Show in the activity dock that `done` of `total` steps are done."""
        if self._activity is not None:
            self._activity.show_progress(done, total, text)

    # In the thread ---------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        for item in _outcome(self._make, self.token):
            self._inbox.put(item)
            try:
                self._posted.emit()
            except RuntimeError:  # the application ended without waiting, and Qt's part of this object has gone
                log.debug("A job has outlived the application", exc_info=True)
                return

    # On the GUI thread -----------------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        """Handle one item for each time that the thread has posted one, in order.

        napari runs the event loop within some of the receivers, so that this is called while it has not returned.
        """
        self._due += 1
        if self._due > 1:
            return  # the call that has not returned handles this item next
        while self._due:
            try:
                self._handle(self._inbox.get_nowait())
            finally:
                self._due -= 1

    def _handle(self, item: Any) -> None:
        if isinstance(item, _End):
            self._end(item)
        elif not self._orphaned:
            self.event.emit(item)

    def _end(self, end: _End) -> None:
        self._thread.join()  # it has nothing more to do; afterwards only this thread refers to the job
        _running.discard(self)
        if self._activity is not None:
            self._activity.close()
        if self._orphaned:
            return
        if end.error:
            show_error(end.error)
            self.failed.emit(end.error)
        elif end.stopped:
            self.stopped.emit()
        else:
            self.done.emit()
        self.ended.emit()

    def _on_owner_destroyed(self) -> None:
        self._orphaned = True
        self.token.cancel()

    def _on_quit(self) -> None:
        for job in tuple(_running):  # all at once, so that they stop side by side
            job.cancel()
        self.wait(QUIT_SECONDS)


@dataclass(frozen=True)
class _End:
    """The last item that a thread posts: `error` is a sentence if the job failed, else empty."""

    stopped: bool = False
    error: str = ""


def _outcome(make: Callable[[CancelToken], Iterable[Any]], token: CancelToken) -> Iterator[Any]:
    """Yield the events of a job, and then how it ended; no exception passes."""
    try:
        yield from make(token)
    except Cancelled:
        yield _End(stopped=True)
    except InputError as e:
        yield _End(error=str(e))
    except Exception as e:
        if token.cancelled:  # a library that is being shut down, for instance
            log.debug("A cancelled job failed", exc_info=True)
            yield _End(stopped=True)
            return
        log.exception("A job failed")  # a defect of this plugin: one sentence for the user, the rest for the log
        yield _End(error=f"Something went wrong inside BLU-Net ({type(e).__name__}: {e}); the log has the details.")
    else:
        yield _End(stopped=token.cancelled)
