"""The process that compresses, started by `blunet.jobs.compression_run` as
`python -m blunet.compression.child_process RUN`.

It reads lines from stdin: the request as JSON, then `cancel`. `cancel`, or the end of stdin if the parent process has
ended, saves the state and stops the run at the next batch. It writes events to stdout, one per line, and nothing else;
what libraries print goes to stderr. The argument only shows in a list of processes which run this is. Keras is imported
when it is needed.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import importlib
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import TextIO

from blunet.compression.run_directory import LOG
from blunet.compression.run_events import Event, RunFailed
from blunet.compression.run_request import Request
from blunet.environment import ignore_debugging
from blunet.errors import InputError

Pipeline = Callable[[Request, Callable[[], bool]], Iterator[Event]]

#: Exit codes: ended as the last event says; an error of this program; bad input.
DONE, BROKEN, BAD_INPUT = 0, 1, 2
CANCEL = b"cancel"
#: Errors of the system for a full disk, a used-up quota, or a file that is too large.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main() -> int:
    """Compress what stdin requests and return the exit code."""
    return serve(_import_pipeline)


def serve(load: Callable[[], Pipeline]) -> int:
    """Run a pipeline with the protocol of this module.

    Parameters
    ----------
    load : callable
        Returns the pipeline. It is called when the libraries that it imports can no longer use stdin and stdout.

    Returns
    -------
    int
        Exit code of the process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C and cancels
    requests, events = _take_stdin(), _take_stdout()
    faulthandler.enable(all_threads=False)
    cancelled = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: cancelled.set())
    request = Request.from_json(requests.readline().decode())
    threading.Thread(target=_wait_for_cancel, args=(requests, cancelled), name="wait for cancel", daemon=True).start()
    failure, code = _run(load, request, events, cancelled)
    if failure is not None:
        _send(events, failure, cancelled)
    return code


def _import_pipeline() -> Pipeline:
    ignore_debugging()
    warnings.simplefilter("default")  # PYTHONWARNINGS=error would let a library's warning end the run
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        importlib.import_module("blunet.networks")  # first, as it imports Keras without the user's settings
        from blunet.compression.pipeline import compress
    except (ImportError, ValueError) as e:  # Keras raises ValueError for a backend it does not know
        backend = os.environ["KERAS_BACKEND"]
        raise InputError(
            f"Compressing needs Keras on '{backend}', and it cannot be imported ({_first_line(e)}); install it, or "
            "name another backend (tensorflow, jax, torch) in the environment variable KERAS_BACKEND."
        ) from e
    return compress


def _run(
    load: Callable[[], Pipeline], request: Request, events: TextIO, cancelled: threading.Event
) -> tuple[RunFailed | None, int]:
    """Run the pipeline; return the event of its failure, if it raised an exception, and the exit code."""
    last: Event | None = None
    try:
        for last in load()(request, cancelled.is_set):
            _send(events, last, cancelled)
    except InputError as e:
        return RunFailed(str(e)), BAD_INPUT
    except OSError as e:
        _write_log(request.run)
        return RunFailed(_describe_disk_error(e, request.run)), BROKEN
    except MemoryError:
        _write_log(request.run)
        return RunFailed("The memory ran out; choose smaller crops or fewer filters, or close other programs."), BROKEN
    except Exception as e:  # the border of the process: the user gets a sentence for every error
        where = _write_log(request.run)
        details = f"; details are in '{where}'" if where else ""
        return RunFailed(f"An unexpected {type(e).__name__} ended the run: {_first_line(e)}{details}."), BROKEN
    return None, BAD_INPUT if isinstance(last, RunFailed) else DONE


def _send(events: TextIO, event: Event, cancelled: threading.Event) -> None:
    """Send an event; stop the run if the parent process has ended."""
    try:
        events.write(event.to_json() + "\n")
        events.flush()
    except OSError:
        cancelled.set()


def _wait_for_cancel(requests: FileIO, cancelled: threading.Event) -> None:
    """Wait for `cancel` or the end of stdin."""
    with contextlib.suppress(OSError):
        while (line := requests.readline()) and line.strip() != CANCEL:
            pass
    cancelled.set()


def _take_stdin() -> FileIO:
    """Return stdin for this module alone; for all other code it is empty.

    It is unbuffered: at exit, Python must not wait for the lock of a buffer that another thread reads.
    """
    own = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return FileIO(own, "r")


def _take_stdout() -> TextIO:
    """Return stdout for this module alone; all other output goes to stderr."""
    own = os.dup(1)
    sys.stdout.flush()
    os.dup2(2, 1)
    return open(own, "w", encoding="utf-8", newline="\n")


def _write_log(run: str) -> Path | None:
    """Write the traceback of the current error to stderr and, if there is one, to the run's folder."""
    text = traceback.format_exc()
    with contextlib.suppress(OSError):  # stderr can be a file on the full disk
        sys.stderr.write(text)
        sys.stderr.flush()
    folder = Path(run)
    try:
        with (folder / LOG).open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(text)
    except OSError:
        return None
    return folder / LOG


def _describe_disk_error(error: OSError, run: str) -> str:
    if error.errno in FULL:
        return f"The disk of '{run}' is full ({os.strerror(error.errno)}); free some space, then resume the run."
    reason = error.strerror or _first_line(error)
    return f"'{error.filename or run}' could not be read or written: {reason}; correct that, then resume the run."


def _first_line(error: Exception, most: int = 200) -> str:
    lines = str(error).strip().splitlines() or ["no reason was given"]
    return lines[0].rstrip(".:")[:most]


if __name__ == "__main__":
    sys.exit(main())
