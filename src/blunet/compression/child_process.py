"""The process that compresses, started and watched by `blunet.jobs.compression_run`.

It is started by `python -m blunet.compression.child_process RUN`.

It speaks lines. On stdin: the request as JSON, then `cancel`, or the end of the file when whoever asked is gone; both
stop the run at its next batch, saved. On stdout: one event a line, and nothing else: what libraries print goes to
stderr. The argument only tells people who list processes which run this is. No Keras here until it is needed.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import TextIO

from blunet.compression.run_events import Event, RunFailed
from blunet.compression.run_request import Request
from blunet.errors import InputError

Pipeline = Callable[[Request, Callable[[], bool]], Iterator[Event]]

#: Exit codes: ended as told by the last event; an error of this program; bad input.
DONE, BROKEN, BAD_INPUT = 0, 1, 2
CANCEL = b"cancel"
#: Where the traceback of an unexpected error, or the last words of a dead child, are kept in the run's folder.
LOG = "log.txt"
#: What the system says where a disk, a quota or a file may not grow.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main() -> int:
    """Compress as stdin asks and return the exit code."""
    return serve(_pipeline)


def serve(load: Callable[[], Pipeline]) -> int:
    """Speak the protocol around a pipeline.

    Parameters
    ----------
    load : callable
        Returns the pipeline; called when stdin and stdout are safe from the libraries that it imports.

    Returns
    -------
    int
        The process's exit code.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches whoever started this, who then cancels
    requests, events = _own_stdin(), _own_stdout()
    faulthandler.enable(all_threads=False)
    cancelled = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: cancelled.set())
    request = Request.from_json(requests.readline().decode())
    threading.Thread(target=_listen, args=(requests, cancelled), name="listen", daemon=True).start()
    failure, code = _attempt(load, request, events, cancelled)
    if failure is not None:
        _tell(events, failure, cancelled)
    return code


def _pipeline() -> Pipeline:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        from blunet.compression.pipeline import compress
    except (ImportError, ValueError) as e:  # Keras raises ValueError for a backend it does not know
        backend = os.environ["KERAS_BACKEND"]
        raise InputError(
            f"Compressing needs Keras on '{backend}', and it cannot be imported ({_first_line(e)}); install it, or "
            "name another backend (tensorflow, jax, torch) in the environment variable KERAS_BACKEND."
        ) from e
    return compress


def _attempt(
    load: Callable[[], Pipeline], request: Request, events: TextIO, cancelled: threading.Event
) -> tuple[RunFailed | None, int]:
    """Run the pipeline to its end; return how it failed, if it raised, and the exit code."""
    last: Event | None = None
    try:
        for last in load()(request, cancelled.is_set):
            _tell(events, last, cancelled)
    except InputError as e:
        return RunFailed(str(e)), BAD_INPUT
    except OSError as e:
        _log(request.run)
        return RunFailed(_disk_sentence(e, request.run)), BROKEN
    except MemoryError:
        _log(request.run)
        return RunFailed("The memory ran out; choose smaller crops or fewer filters, or close other programs."), BROKEN
    except Exception as e:  # the border of the process: whatever it was, the user gets a sentence
        where = _log(request.run)
        details = f"; details are in '{where}'" if where else ""
        return RunFailed(f"An unexpected {type(e).__name__} ended the run: {_first_line(e)}{details}."), BROKEN
    return None, BAD_INPUT if isinstance(last, RunFailed) else DONE


def _tell(events: TextIO, event: Event, cancelled: threading.Event) -> None:
    """Send an event; if nobody listens any more, have the run stop."""
    try:
        events.write(event.to_json() + "\n")
        events.flush()
    except OSError:
        cancelled.set()


def _listen(requests: FileIO, cancelled: threading.Event) -> None:
    """Wait for `cancel` or the end of stdin."""
    with contextlib.suppress(OSError):
        while (line := requests.readline()) and line.strip() != CANCEL:
            pass
    cancelled.set()


def _own_stdin() -> FileIO:
    """Take stdin away from everyone else, who finds it empty.

    Unbuffered: at exit Python must not wait for the lock of a buffer in which another thread reads.
    """
    own = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return FileIO(own, "r")


def _own_stdout() -> TextIO:
    """Take stdout away from everyone else, whose output goes to stderr."""
    own = os.dup(1)
    sys.stdout.flush()
    os.dup2(2, 1)
    return open(own, "w", encoding="utf-8", newline="\n")


def _log(run: str) -> Path | None:
    """Print the traceback of the current error on stderr and keep it in the run's folder, if that was made."""
    text = traceback.format_exc()
    with contextlib.suppress(OSError):  # stderr may be a file on the very disk that is full
        sys.stderr.write(text)
        sys.stderr.flush()
    folder = Path(run)
    try:
        with (folder / LOG).open("a", encoding="utf-8") as log:
            log.write(text)
    except OSError:
        return None
    return folder / LOG


def _disk_sentence(error: OSError, run: str) -> str:
    if error.errno in FULL:
        return f"The disk of '{run}' is full ({os.strerror(error.errno)}); free some space, then resume the run."
    reason = error.strerror or _first_line(error)
    return f"'{error.filename or run}' could not be read or written: {reason}; mend that, then resume the run."


def _first_line(error: Exception, most: int = 200) -> str:
    lines = str(error).strip().splitlines() or ["no reason was given"]
    return lines[0].rstrip(".:")[:most]


if __name__ == "__main__":
    sys.exit(main())
