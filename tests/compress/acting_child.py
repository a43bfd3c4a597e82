"""A process that speaks the protocol of `blunet.compression.child_process` around acts instead of the pipeline.

The request's teacher names the act.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from blunet.compression.child_process import serve
from blunet.compression.report import FileFigures, Report, StageFigures
from blunet.compression.run_events import (
    BatchDone,
    EpochDone,
    Event,
    Note,
    RunDone,
    RunFailed,
    RunStarted,
    RunStopped,
    StepDone,
    StepStarted,
)
from blunet.compression.run_request import Request
from blunet.errors import InputError

FILES = FileFigures(iou=0.5, f1=0.6, ap50=0.25, map=0.125, images=[])
REPORT = Report(
    models=[
        StageFigures(
            name="teacher before", network="unet", iou=0.5, f1=0.6, ap50=0.25, map=0.125, parameters=31030593,
            size_mib=118.372, seconds=1.5, threshold=0.5, validation=FILES,
        ),
        StageFigures(
            name="BLU-Net", network="blunet", iou=0.875, f1=0.9, ap50=0.75, map=0.375, parameters=11787396,
            size_mib=1.4312, seconds=0.25, threshold=0.5, validation=FILES,
        ),
    ],
    losses=[], training=["a"], validation=["b"], test=["d", "e"], teacher="simulated", settings={}, seconds=1.0,
    stored_bits=1,
)  # fmt: skip


def trains(request: Request, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """Train for minutes, and stop when cancelled."""
    yield from _begin(request)
    for epoch in range(1, 1001):
        for batch in range(1, 11):
            if cancelled():
                (Path(request.run) / "saved").write_text(f"{epoch} {batch}")
                yield RunStopped("transfer", epoch, batch)
                time.sleep(0.3)
                (Path(request.run) / "tidied").touch()
                return
            time.sleep(0.01)
            yield BatchDone("transfer", epoch, 1000, batch, 10, 0.5, 754.0)
        yield EpochDone("transfer", epoch, 1000, 0.5, 0.25, 0.875, 1e-4, True, 0.1)


def prepares(request: Request, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """Wait for some seconds before the first event."""
    time.sleep(2.5)
    yield from trains(request, cancelled)


def finishes(request: Request, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """Run to the end, and write a report."""
    yield from _begin(request)
    yield Note("The mask 'b_mask.tif' is empty.", warning=True)
    for epoch in (1, 2):
        yield BatchDone("transfer", epoch, 2, 10, 10, 0.5, 754.0)
        yield EpochDone("transfer", epoch, 2, 0.5, 0.25, 0.8125, 1e-4, epoch == 2, 0.1)
    yield StepDone("transfer", 2, 0.25, 0.8125, 200.0)
    run = Path(request.run)
    (run / "report.json").write_text(json.dumps(REPORT.to_dict()))
    yield RunDone(str(run / "model.blunet"), str(run / "report.json"), 200.0)


def chatters(request: Request, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """Print on stdout as libraries do: from Python, from C and from a process."""
    sys.stdout.write("from Python\n")
    sys.stdout.flush()
    os.write(1, b"from C\n")
    subprocess.run([sys.executable, "-c", "print('from a process')"], check=True)
    assert sys.stdin.read() == ""
    yield from finishes(request, cancelled)


def refuses(request: Request, cancelled: Callable[[], bool]) -> Iterator[Event]:
    raise InputError(f"There is no folder '{request.data}'; give one with images and masks.")
    yield


def gives_up(request: Request, cancelled: Callable[[], bool]) -> Iterator[Event]:
    yield from _begin(request)
    yield RunFailed("The loss is not a number; lower the learning rate.")


def breaks(request: Request, cancelled: Callable[[], bool]) -> Iterator[Event]:
    yield from _begin(request)
    raise ZeroDivisionError("division\nby zero")


def fills_the_disk(request: Request, cancelled: Callable[[], bool]) -> Iterator[Event]:
    yield from _begin(request)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.blunet")


def crashes(request: Request, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """Read from an invalid address."""
    yield from _begin(request)
    ctypes.string_at(0)


def leaves(request: Request, cancelled: Callable[[], bool]) -> Iterator[Event]:
    yield from _begin(request)
    sys.stderr.write("the backend gave up\nI0000 00:00:1.5 port.cc:153] oneDNN custom operations are on.\n")
    sys.stderr.flush()
    os._exit(3)


def hangs(request: Request, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """Never check for a cancel, in a batch that does not end."""
    yield from _begin(request)
    time.sleep(600)


def lives_on(request: Request, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """End the run but not the process."""
    yield from finishes(request, cancelled)
    time.sleep(600)


def _begin(request: Request) -> Iterator[Event]:
    run = Path(request.run)
    run.mkdir(exist_ok=True)
    (run / "pid").write_text(str(os.getpid()))
    yield RunStarted(request.run, ["transfer", "binarise"], ["a", "c"], ["b"], [], request.resume, 754.0, 2**27)
    yield StepStarted("transfer", 1, 1000, 10)


def act(request: Request, cancelled: Callable[[], bool]) -> Iterator[Event]:
    return globals()[request.teacher](request, cancelled)


if __name__ == "__main__":
    sys.stdout.write("not an event, before stdout is taken away\n")
    sys.exit(serve(lambda: act))
