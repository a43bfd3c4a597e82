"""Compressing in a child process that is watched, cancelled and, if it hangs, ended."""

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

from blunet.compression.child_process import LOG
from blunet.compression.run_events import Event, Note, RunDone, RunFailed, RunStopped, event_from_json
from blunet.compression.run_request import Request
from blunet.jobs.events import Cancelled, CancelToken

#: Starts the child. With -P, modules in the folder where the user stands are not taken for libraries.
COMMAND = (sys.executable, "-P", "-m", "blunet.compression.child_process")
#: A child that was told to stop is given so many seconds: a large teacher's batch and checkpoint take some.
GRACE = 60.0
#: How often the token is looked at, in seconds.
POLL = 0.1
#: Lines of the child's log that an error quotes.
LAST_LINES = 8
#: What TensorFlow always says, and what never is the reason of an end.
CHATTER = re.compile(r"I\d{4} |WARNING: All log messages before absl|\s*$")
#: Events that end a run.
ENDS = (RunDone, RunStopped, RunFailed)


class ChildError(RuntimeError):
    """The process that compresses died: a sentence that says how.

    Attributes
    ----------
    last_lines : tuple of str
        The last of what it printed.
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
    """Compress in a child process and yield its events as they come.

    The child is gone when this ends, however it ends. Closing the generator, or an exception while it waits, cancels
    the child and waits for it; a second exception, or one after `token` was cancelled, ends it at once.

    Parameters
    ----------
    request : Request
    token : CancelToken, optional
        When cancelled, the child is told to stop at its next batch, saved.
    grace : float
        Seconds after which a cancelled child is killed; what it had saved stays.
    kill : CancelToken, optional
        When cancelled, the child is killed at once.
    command : sequence of str, optional
        Starts the child; None: `COMMAND`. The run's folder is appended, which names the run in a list of processes.

    Yields
    ------
    Event
        The child's, and a Note when it is told to stop. At last RunDone, RunStopped or RunFailed.

    Raises
    ------
    Cancelled
        If the child had to be killed after it was cancelled.
    ChildError
        If the child died without saying how the run ended.
    """
    token = token or CancelToken()
    with tempfile.TemporaryFile() as log:
        child = _Child([*(command or COMMAND), request.run], request.to_json(), log)
        ended = False
        try:
            for event in child.events(token, grace, kill or CancelToken()):
                ended = ended or isinstance(event, ENDS)
                yield event
        except BaseException:
            if ended or not child.cancelled:  # a child that has told its end still tidies up
                child.cancel()
                child.wait(grace)
            raise
        finally:
            child.kill()
        if ended:
            return
        if child.overdue:
            raise Cancelled
        raise _death(child.wait(grace), _kept(log, Path(request.run)))


class _Child:
    """The child process, a thread that reads its lines, and what is known of its end."""

    def __init__(self, command: list[str], request: str, log: IO[bytes]) -> None:
        self.cancelled = False
        self.overdue = False
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, **_apart())
        self._reader = threading.Thread(target=self._read, name="compression", daemon=True)
        self._reader.start()
        self._send(request)

    def events(self, token: CancelToken, grace: float, kill: CancelToken) -> Iterator[Event]:
        """Yield events until the child closes its stdout, passing the token's word on.

        A child that does not stop when told to, or lives on after its last event, is killed after `grace` seconds.
        """
        last_call = float("inf")
        while True:
            if token.cancelled and not self.cancelled:
                self.cancel()
                last_call = time.monotonic() + grace
                yield Note("Stopping at the next batch and saving.")
            if (kill.cancelled or time.monotonic() > last_call) and not self.overdue:
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
                last_call = min(last_call, time.monotonic() + grace)
            yield event
        self.wait(grace)

    def cancel(self) -> None:
        """Tell the child to stop at its next batch."""
        self.cancelled = True
        self._send("cancel")

    def wait(self, seconds: float) -> int:
        """Wait for the child's end, kill it after `seconds`, and return its exit code."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def kill(self) -> None:
        """End the child and what it has started, if they still live, and close the pipes."""
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
        with contextlib.suppress(OSError):  # a dead child is noticed by the end of its stdout
            self._stdin.write(line.encode() + b"\n")
            self._stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)


def _apart() -> dict[str, Any]:
    """Options that keep the terminal's Ctrl-C from the child, and a console window from the screen."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def _kept(log: IO[bytes], run: Path) -> tuple[str, ...]:
    """Append the child's log to that of the run, if the run's folder was made, and return its last lines."""
    log.seek(0)
    text = log.read().decode(errors="replace")
    if run.is_dir():
        with contextlib.suppress(OSError), (run / LOG).open("a", encoding="utf-8") as kept:
            kept.write(text)
    return tuple(line[:200] for line in text.splitlines() if not CHATTER.match(line))[-LAST_LINES:]


def _death(code: int, last_lines: tuple[str, ...]) -> ChildError:
    """Say how the child died."""
    how, advice = f"ended with exit code {code} before the run was over", "report this if it happens again"
    if code < 0:
        names = {number.value: number.name for number in signal.Signals}
        how = f"was ended by signal {-code} ({names.get(-code, 'unknown')})"
        if names.get(-code) == "SIGKILL":
            advice = "if memory ran out, close other programs first, or begin one with smaller crops or fewer filters"
    return ChildError(
        f"The process that compresses {how}: what was saved is kept, so resume the run, and {advice}.", last_lines
    )
