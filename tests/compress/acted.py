"""Compressions whose child process acts instead of training, and helpers to watch processes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from blunet.compression.run_request import Request

ACTING = (sys.executable, str(Path(__file__).with_name("acting_child.py")))
#: Runs the command as a shell would, also where this process was told to ignore Ctrl-C.
WITH_INTERRUPT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from blunet.cli import main
main()
"""
#: The same on acts.
COMMAND = f"from blunet.jobs import compression_run as job\njob.COMMAND = {ACTING!r}\n{WITH_INTERRUPT}"
#: Compresses with the command line's job and prints what comes.
PARENT = f"""
import sys
from blunet.compression.run_request import Request
from blunet.jobs.compression_run import compress
for event in compress(Request.from_json(sys.argv[1]), command={ACTING!r}):
    print(type(event).__name__, flush=True)
"""
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


def child_of(request: Request) -> int:
    return int((Path(request.run) / "pid").read_text())


def lives(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(true: Callable[[], bool]) -> None:
    """Wait until a condition is true; the time limit of the test ends the wait."""
    while not true():
        time.sleep(0.02)
