"""The child process that compresses: its events, how it is cancelled, and how it can end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from acted import ACTING, PARENT, child_of, lives, posix, wait_until

from blunet.compression.presets import preset
from blunet.compression.run_events import (
    BatchDone,
    EpochDone,
    Event,
    Note,
    RunDone,
    RunFailed,
    RunStarted,
    RunStopped,
)
from blunet.compression.run_request import Request
from blunet.jobs import compression_run as job
from blunet.jobs.events import Cancelled, CancelToken


@pytest.fixture
def request_to(tmp_path) -> Callable[[str], Request]:
    return lambda act: Request(data="data", run=str(tmp_path / "run"), settings=preset("quick"), teacher=act)


def compress(request: Request, token: CancelToken | None = None, grace: float = 30.0) -> Iterator[Event]:
    return job.compress(request, token, grace=grace, command=ACTING)


def test_events_come_whole_and_in_order(request_to):
    events = list(compress(request_to("finishes")))
    kinds = [type(event).__name__ for event in events]
    assert kinds == [
        "RunStarted", "StepStarted", "Note", "BatchDone", "EpochDone", "BatchDone", "EpochDone", "StepDone", "RunDone",
    ]  # fmt: skip
    assert events[0] == RunStarted(
        request_to("").run, ["transfer", "binarise"], ["a", "c"], ["b"], [], False, 754.0, 2**27
    )
    assert events[3] == BatchDone("transfer", 1, 2, 10, 10, 0.5, 754.0)


def test_the_request_arrives_as_it_was_sent(request_to):
    request = request_to("finishes").changed(resume=True)
    started = next(event for event in compress(request) if isinstance(event, RunStarted))
    assert started.resumed


def test_output_of_libraries_is_no_event(request_to):
    assert list(compress(request_to("chatters"))) == list(compress(request_to("finishes")))


def test_cancelling_stops_at_the_next_batch_and_saves(request_to):
    request, token = request_to("trains"), CancelToken()
    events = []
    for event in compress(request, token):
        events.append(event)
        if isinstance(event, EpochDone):
            token.cancel()
    stopped = events[-1]
    assert isinstance(stopped, RunStopped)
    assert (Path(request.run) / "saved").read_text() == f"{stopped.epoch} {stopped.batch}"
    assert sum(isinstance(event, Note) for event in events) == 1
    assert not lives(child_of(request))


def test_closing_the_events_stops_saves_and_waits(request_to):
    request = request_to("trains")
    events = compress(request)
    assert any(isinstance(event, BatchDone) for event in events)
    events.close()
    assert (Path(request.run) / "saved").exists()
    assert not lives(child_of(request))


def test_a_child_that_does_not_stop_is_killed_after_the_grace_period(request_to):
    request, token = request_to("hangs"), CancelToken()
    events = compress(request, token, grace=0.5)
    assert isinstance(next(events), RunStarted)
    token.cancel()
    with pytest.raises(Cancelled):
        list(events)
    assert not lives(child_of(request))


def test_a_child_is_killed_at_once_when_asked_to(request_to):
    request, token, kill = request_to("hangs"), CancelToken(), CancelToken()
    events = job.compress(request, token, grace=600, kill=kill, command=ACTING)
    assert isinstance(next(events), RunStarted)
    token.cancel()
    assert isinstance(next(events), Note)
    kill.cancel()
    with pytest.raises(Cancelled):
        list(events)
    assert not lives(child_of(request))


def test_a_child_process_that_outlives_its_run_is_killed(request_to):
    request = request_to("lives_on")
    assert isinstance(list(compress(request, grace=0.5))[-1], RunDone)
    assert not lives(child_of(request))


@pytest.mark.parametrize(
    ("act", "words"),
    [
        ("refuses", ["There is no folder 'data'; give one with images and masks."]),
        ("gives_up", ["The loss is not a number; lower the learning rate."]),
        ("breaks", ["unexpected ZeroDivisionError", "division", "log.txt"]),
        ("fills_the_disk", ["disk of", "is full", "resume"]),
    ],
)
def test_failures_are_described_in_one_sentence(request_to, act, words):
    last = list(compress(request_to(act)))[-1]
    assert isinstance(last, RunFailed)
    assert "\n" not in last.sentence
    assert last.sentence.endswith(".")
    for word in words:
        assert word in last.sentence


def test_the_traceback_of_an_unexpected_error_is_kept(request_to):
    request = request_to("breaks")
    list(compress(request))
    assert "in breaks" in (Path(request.run) / "log.txt").read_text()


def test_an_early_exit_is_an_error_with_the_last_lines(request_to):
    request = request_to("leaves")
    with pytest.raises(job.ChildError, match="exit code 3") as error:
        list(compress(request))
    assert error.value.last_lines[-1] == "the backend gave up"
    assert "the backend gave up" in (Path(request.run) / "log.txt").read_text()


@posix
def test_a_crash_is_an_error_that_names_the_signal_and_the_place(request_to):
    request = request_to("crashes")
    with pytest.raises(job.ChildError, match=r"signal 11 \(SIGSEGV\)") as error:
        list(compress(request))
    assert "in crashes" in " ".join(error.value.last_lines)
    assert "Segmentation fault" in (Path(request.run) / "log.txt").read_text()


@posix
def test_a_killed_child_process_is_an_error_that_mentions_memory(request_to):
    request = request_to("trains")
    events = compress(request)
    next(event for event in events if isinstance(event, BatchDone))
    os.kill(child_of(request), signal.SIGKILL)
    with pytest.raises(job.ChildError, match=r"SIGKILL.*memory"):
        list(events)


@posix
def test_the_child_process_ignores_ctrl_c_and_is_cancelled_by_a_termination_signal(request_to):
    request, token = request_to("trains"), CancelToken()
    events = compress(request, token)
    next(event for event in events if isinstance(event, BatchDone))
    os.kill(child_of(request), signal.SIGINT)
    assert next(event for event in events if isinstance(event, EpochDone))
    os.kill(child_of(request), signal.SIGTERM)
    assert isinstance(list(events)[-1], RunStopped)


@posix
def test_a_child_whose_parent_was_killed_saves_and_ends(request_to):
    request = request_to("trains")
    command = [sys.executable, "-c", PARENT, request.to_json()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        wait_until(lambda: parent.stdout.readline() == "BatchDone\n")
        parent.kill()
    wait_until(lambda: (Path(request.run) / "saved").exists())
    child = child_of(request)
    wait_until(lambda: not lives(child))


def test_watching_needs_no_keras():
    code = "import blunet.jobs.compression_run, blunet.cli.step_progress, sys; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"keras", "tensorflow", "qtpy", "h5py"}.isdisjoint(process.stdout.split())
