"""Jobs in threads: their signals are emitted on the GUI thread; cancelling, closing and quitting stop them."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication

from blunet.errors import InputError
from blunet.widgets.worker import Job

GUI = threading.main_thread()


class Record:
    """What a job has emitted, and in which threads."""

    def __init__(self, job: Job) -> None:
        self.items: list[object] = []
        self.threads: set[threading.Thread] = set()
        job.event.connect(self.note)
        job.done.connect(lambda: self.note("done"))
        job.stopped.connect(lambda: self.note("stopped"))
        job.failed.connect(lambda sentence: self.note(("failed", sentence)))
        job.ended.connect(lambda: self.note("ended"))

    def note(self, what: object) -> None:
        self.items.append(what)
        self.threads.add(threading.current_thread())


@pytest.fixture
def owner(qapp):
    return QObject()


def endless(token):
    """Yield numbers until the token is cancelled."""
    number = 0
    while True:
        token.check()
        yield number
        number += 1
        threading.Event().wait(0.001)


def run(qtbot, make, owner):
    job = Job(make, owner)
    record = Record(job)
    with qtbot.waitSignal(job.ended, timeout=10_000):
        job.start()
        assert job.running
    assert not job.running
    assert record.threads == {GUI}
    return record.items


def test_events_come_in_order_on_the_gui_thread(qtbot, owner):
    threads = []

    def make(token):
        threads.append(threading.current_thread())
        yield from range(500)

    assert run(qtbot, make, owner) == [*range(500), "done", "ended"]
    assert threads[0] is not GUI


def test_events_stay_in_order_while_a_receiver_runs_the_event_loop(qtbot, owner):
    job = Job(lambda token: range(50), owner)
    record = Record(job)
    job.event.connect(lambda _: QApplication.processEvents())
    with qtbot.waitSignal(job.ended, timeout=10_000):
        job.start()
    assert record.items == [*range(50), "done", "ended"]


def test_cancelling_stops_the_job(qtbot, owner):
    job = Job(endless, owner)
    record = Record(job)
    job.event.connect(lambda number: job.cancel() if number == 3 else None)
    with qtbot.waitSignal(job.ended, timeout=10_000):
        job.start()
    assert record.items[-2:] == ["stopped", "ended"]
    assert job.wait(0)


def test_a_job_that_ends_by_itself_after_it_was_cancelled_was_stopped(qtbot, owner):
    def make(token):
        while not token.cancelled:
            yield "working"
        yield "saved"

    job = Job(make, owner)
    record = Record(job)
    job.event.connect(lambda _: job.cancel())
    with qtbot.waitSignal(job.ended, timeout=10_000):
        job.start()
    assert record.items[-3:] == ["saved", "stopped", "ended"]


def test_bad_input_ends_the_job_with_its_sentence(qtbot, owner):
    def make(token):
        yield 1
        raise InputError("There is no file 'a.tif'; check the name.")

    notification_manager.records.clear()
    sentence = "There is no file 'a.tif'; check the name."
    assert run(qtbot, make, owner) == [1, ("failed", sentence), "ended"]
    assert [notice.message for notice in notification_manager.records] == [sentence]


def test_a_defect_ends_the_job_with_one_sentence_and_is_logged(qtbot, owner, caplog):
    def make(token):
        yield 1 / 0

    ((_, sentence), _) = run(qtbot, make, owner)
    assert sentence.startswith("Something went wrong inside BLU-Net (ZeroDivisionError")
    assert "Traceback" in caplog.text


def test_nothing_is_emitted_after_the_owner_was_destroyed(qtbot, qapp):
    owner = QObject()
    job = Job(endless, owner)
    record = Record(job)
    with qtbot.waitSignal(job.event, timeout=10_000):
        job.start()
    owner.deleteLater()
    qtbot.waitUntil(lambda: job.token.cancelled, timeout=10_000)
    items = list(record.items)
    qtbot.waitUntil(lambda: not job.running, timeout=10_000)
    assert job.wait(0)
    assert record.items == items


def test_more_jobs_than_processors_run_side_by_side(qtbot, owner):
    everybody = threading.Barrier(12, timeout=10)

    def make(token):
        everybody.wait()
        yield "here"

    jobs = [Job(make, owner) for _ in range(12)]
    for job in jobs:
        job.start()
    qtbot.waitUntil(lambda: not any(job.running for job in jobs), timeout=10_000)
    assert not everybody.broken


QUIT = """
import threading
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QApplication
from blunet.widgets.worker import Job

def make(token):
    yield "begun"
    while not token.cancelled:
        threading.Event().wait(0.001)
    threading.Event().wait(0.2)
    print("saved\\n", end="")

app = QApplication([])
owner = QObject()
jobs = [Job(make, owner) for _ in range(3)]
for job in jobs:
    job.event.connect(lambda _: QTimer.singleShot(50, app.quit))
    job.start()
app.exec()
print("quit")
"""


def test_quitting_the_application_lets_jobs_save(tmp_path):
    ended = subprocess.run([sys.executable, "-c", QUIT], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout.split()) == (0, ["saved"] * 3 + ["quit"]), ended.stderr
