"""Runs a compression in a child process, which can be cancelled and killed."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from blunet.compression.run_directory import LOG
from blunet.compression.run_events import Event, Note, RunDone, RunFailed, RunStopped, event_from_json
from blunet.compression.run_request import Request
from blunet.dataset.single_image import cut_if_single
from blunet.errors import InputError
from blunet.jobs.events import Cancelled, CancelToken
from blunet.jobs.training_data import DATA_FOLDER_SUFFIX

#: Command of the child process. With -P, Python imports no modules from the current folder.
COMMAND = (sys.executable, "-P", "-m", "blunet.compression.child_process")
#: Seconds after which a cancelled child process is killed. A batch and the checkpoint of a large network take some.
GRACE = 60.0
#: Seconds between two looks at the cancel token.
POLL = 0.1
#: Lines of the child's log that an error quotes.
LAST_LINES = 8
#: Lines that TensorFlow always writes, and that never say why a process ended.
CHATTER = re.compile(r"I\d{4} |WARNING: All log messages before absl|\s*$")
#: Events that end a run.
ENDS = (RunDone, RunStopped, RunFailed)


class ChildError(RuntimeError):
    """The child process died; the sentence says how.

    Attributes
    ----------
    last_lines : tuple of str
        The last lines of its output.
    """

    def __init__(self, sentence: str, last_lines: tuple[str, ...]) -> None:
        super().__init__(sentence)
        self.last_lines = last_lines


def compress(
    request: Request,
    token: CancelToken | None = None,
    *,
    grace: float = GRACE,
    kill: CancelToken | None = None,
    command: Sequence[str] | None = None,
) -> Iterator[Event]:
    """Compress in a child process, and yield its events.

    The child process never outlives this generator. To close the generator, or an exception while it waits, cancels the
    child process and waits for its end; a second exception, or one after `token` was cancelled, kills it at once.

    Parameters
    ----------
    request : Request
        Data with one pair are cut in two first, in a folder beside that of the run (`DATA_FOLDER_SUFFIX`).
    token : CancelToken, optional
        When it is cancelled, the child process saves its state and stops at the next batch.
    grace : float
        Seconds after which a cancelled child process is killed. What it saved stays.
    kill : CancelToken, optional
        When it is cancelled, the child process is killed at once.
    command : sequence of str, optional
        Command of the child process; None: `COMMAND`. The run's folder is appended, which shows in lists of processes.

    Yields
    ------
    Event
        The events of the run, and a Note when it is cancelled. RunDone, RunStopped or RunFailed last.

    Raises
    ------
    Cancelled
        If the child process was killed after it was cancelled.
    ChildError
        If the child process died before the run had ended.
    """
    token = token or CancelToken()
    try:
        data = cut_if_single(request.data, Path(f"{request.run}{DATA_FOLDER_SUFFIX}"))
    except InputError as e:
        yield RunFailed(str(e))
        return
    if data != Path(request.data):
        yield Note(f"One image with a mask: it was cut in two, written to '{data}'.", warning=False)
        name = request.name or f"BLU-Net of {Path(request.data).resolve().name}"
        request = request.changed(data=str(data), name=name)
    with tempfile.TemporaryFile() as log:
        child = _Child([*(command or COMMAND), request.run], request.to_json(), log)
        ended = False
        try:
            for event in child.events(token, grace, kill or CancelToken()):
                ended = ended or isinstance(event, ENDS)
                yield event
        except BaseException:
            if ended or not child.cancelled:  # after its last event it only cleans up
                child.cancel()
                child.wait(grace)
            raise
        finally:
            child.kill()
        if ended:
            return
        if child.overdue:
            raise Cancelled
        raise _describe_death(child.wait(grace), _keep_log(log, Path(request.run)))


class _Child:
    """The child process, and a thread that reads its output."""

    def __init__(self, command: list[str], request: str, log: IO[bytes]) -> None:
        self.cancelled = False
        self.overdue = False
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, **_detach_options()
        )
        self._reader = threading.Thread(target=self._read, name="compression", daemon=True)
        self._reader.start()
        self._send(request)

    def events(self, token: CancelToken, grace: float, kill: CancelToken) -> Iterator[Event]:
        """Yield events until the child process closes its stdout; cancel or kill it if a token is cancelled.

        A cancelled child process, or one that has sent its last event, is killed after `grace` seconds.
        """
        deadline = float("inf")
        while True:
            if token.cancelled and not self.cancelled:
                self.cancel()
                deadline = time.monotonic() + grace
                yield Note("Stopping at the next batch and saving.")
            if (kill.cancelled or time.monotonic() > deadline) and not self.overdue:
                self.overdue = True
                self.kill()
            try:
                line = self._lines.get(timeout=POLL)
            except queue.Empty:
                continue
            if line is None:
                break
            try:
                event = event_from_json(line.decode(errors="replace"))
            except ValueError:
                continue
            if isinstance(event, ENDS):
                deadline = min(deadline, time.monotonic() + grace)
            yield event
        self.wait(grace)

    def cancel(self) -> None:
        """Let the child process stop at its next batch."""
        self.cancelled = True
        self._send("cancel")

    def wait(self, seconds: float) -> int:
        """Wait for the child process to end, kill it after a number of seconds, and return its exit code."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def kill(self) -> None:
        """Kill the child process and those that it has started, and close the pipes."""
        if self._process.poll() is None:
            if sys.platform == "win32":
                self._process.kill()
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        with contextlib.suppress(OSError):
            self._stdin.close()
        self._reader.join()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _send(self, line: str) -> None:
        with contextlib.suppress(OSError):  # the end of its stdout shows that a child process has died
            self._stdin.write(line.encode() + b"\n")
            self._stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)


def _detach_options() -> dict[str, Any]:
    """Return options that keep Ctrl-C in the terminal from the child process, and hide its console window."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def _keep_log(log: IO[bytes], run: Path) -> tuple[str, ...]:
    """Append the child process's log to that of the run, if the run has a folder, and return its last lines."""
    log.seek(0)
    text = log.read().decode(errors="replace")
    if run.is_dir():
        with contextlib.suppress(OSError), (run / LOG).open("a", encoding="utf-8") as kept:
            kept.write(text)
    return tuple(line[:200] for line in text.splitlines() if not CHATTER.match(line))[-LAST_LINES:]


def _describe_death(code: int, last_lines: tuple[str, ...]) -> ChildError:
    """Return an error that says how the child process died."""
    how, advice = f"ended with exit code {code} before the run was over", "report this if it happens again"
    if code < 0:
        names = {number.value: number.name for number in signal.Signals}
        how = f"was ended by signal {-code} ({names.get(-code, 'unknown')})"
        if names.get(-code) == "SIGKILL":
            advice = "if memory ran out, close other programs first, or begin one with smaller crops or fewer filters"
    return ChildError(
        f"The process that compresses {how}: what was saved is kept, so resume the run, and {advice}.", last_lines
    )
