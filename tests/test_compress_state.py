"""What Compress knows and allows, from choosing data to the end of a run; no window."""

from __future__ import annotations

from pathlib import Path

import pytest

from blunet.compression.presets import preset
from blunet.compression.run_events import BatchDone, Note, RunDone, RunFailed, RunStarted, RunStopped, StepStarted
from blunet.jobs.earlier_run import EarlierRun, RunFolder
from blunet.jobs.run_cost import RunCost
from blunet.jobs.training_data import Checked, Written
from blunet.widgets.compress_state import NO_DATA, NO_FOLDER, STOPPING, CompressState, Phase

STARTED = RunStarted("run", ["transfer", "binarise"], ["a"], ["b"], [], False)
DATA = Checked(("12 images with masks.", "Warning: one is dark."), ((64, 64),)), RunCost(750.0, 12_000_000)
NEW = RunFolder(Path("run"))


def earlier(*, finished):
    made = (Path("run/model.blunet"), Path("run/report.json")) if finished else (None, None)
    return RunFolder(Path("run"), earlier=EarlierRun(Path("data"), "scratch", preset("quick"), (), *made))


@pytest.fixture
def state():
    return CompressState()


@pytest.fixture
def ready(state):
    state.accept_folder(NEW)
    state.accept_data(*DATA)
    return state


@pytest.fixture
def running(ready):
    ready.start()
    ready.handle(STARTED)
    return ready


def allowed(state):
    return state.can_start, state.busy


def test_at_first_there_are_no_data(state):
    assert (state.phase, state.data_text) == (Phase.IDLE, NO_DATA)
    assert allowed(state) == (False, False)
    state.cancel()
    assert state.phase is Phase.IDLE


def test_data_and_folder_have_to_be_checked_before_a_run_can_start(state):
    state.check_data()
    assert state.phase is Phase.CHECKING
    state.accept_data(*DATA)
    assert state.phase is Phase.CHECKING  # the folder is not
    assert not state.can_start
    state.accept_folder(NEW)
    assert (state.phase, state.can_start, state.start_title) == (Phase.READY, True, "Start")
    assert state.data_text == "12 images with masks.\nA run takes about 12 minutes and 12 MB."
    assert state.data_warning == "Warning: one is dark."
    state.check_data()
    assert (state.phase, state.can_start) == (Phase.CHECKING, False)


def test_data_that_cannot_be_used_are_refused_with_the_reason(ready):
    ready.refuse_data("Only one image has a mask.")
    assert (ready.phase, ready.data_text, ready.data_warning) == (Phase.REFUSED, "", "Only one image has a mask.")
    assert allowed(ready) == (False, False)
    ready.miss_data()
    assert (ready.phase, ready.data_text, ready.data_warning) == (Phase.IDLE, NO_DATA, "")


def test_a_folder_that_cannot_be_used_is_refused_with_the_reason(ready):
    ready.choose_folder()
    ready.accept_folder(RunFolder(Path("x"), "'x' is a file."))
    assert (ready.phase, ready.warning, ready.can_start) == (Phase.REFUSED, "'x' is a file.", False)
    ready.choose_folder()
    ready.accept_folder(None)
    assert (ready.phase, ready.warning) == (Phase.REFUSED, NO_FOLDER)


@pytest.mark.parametrize(("finished", "title"), [(False, "Resume"), (True, "Continue")])
def test_a_run_in_the_folder_can_go_on(ready, finished, title):
    ready.choose_folder()
    ready.accept_folder(earlier(finished=finished))
    assert (ready.start_title, ready.resuming, ready.can_start) == (title, True, True)
    assert (ready.model is not None) == (ready.report is not None) == finished
    assert "epochs" in ready.start_hint if finished else "Resume" in ready.status
    ready.choose_folder()
    assert (ready.model, ready.report, ready.status) == (None, None, "")


def test_progress_counts_steps_epochs_and_batches(running):
    assert (running.phase, running.progress) == (Phase.RUNNING, None)
    assert allowed(running) == (False, True)
    running.handle(StepStarted("binarise", 3, 4, 10))
    assert running.status == "Residual binarisation…"
    running.handle(BatchDone("binarise", 3, 4, 5, 10, 0.1, 125.0))
    assert running.progress.share == pytest.approx((1 + 2.5 / 4) / 2)
    assert running.status == "About 2 minutes left."
    assert running.progress.line == "binarise, epoch 3 of 4, about 2 minutes left"


def test_notes_before_the_first_step_are_shown(running):
    running.handle(Written(2, 1, 4))
    assert running.status == "Writing the training data: frame 1 of 4."
    running.handle(Note("Simulating 60 images."))
    running.handle(Note("A warning that the check of the data has shown.", warning=True))
    assert running.status == "Simulating 60 images."


@pytest.mark.parametrize(
    ("event", "phase", "words"),
    [
        (RunDone("run/model.blunet", "run/report.json", 240.0), Phase.FINISHED, "Finished in 4 minutes."),
        (RunStopped("transfer", 1, 3), Phase.STOPPED, "Resume continues"),
        (RunFailed("The disk is full; make space."), Phase.FAILED, "The disk is full"),
    ],
)
def test_every_end_allows_to_start_again(running, event, phase, words):
    running.handle(event)
    assert running.busy  # the process still tidies up
    running.end()
    assert running.phase is phase
    assert words in running.status
    assert not running.can_start  # before the folder has been inspected again
    running.accept_folder(earlier(finished=phase is Phase.FINISHED))
    assert running.can_start
    assert words in running.status
    assert (running.model is not None) == (phase is Phase.FINISHED)
    running.check_data()
    assert running.phase is Phase.CHECKING


def test_cancelling_saves_and_a_second_time_stops_at_once(running):
    running.cancel()
    assert (running.phase, running.busy, running.can_start) == (Phase.STOPPING, True, False)
    sentence = running.status
    running.handle(BatchDone("transfer", 1, 4, 5, 10, 0.1, 125.0))
    running.handle(Note("Stopping at the next batch and saving."))
    assert running.status == sentence  # neither the time left nor a note is in its way
    running.cancel()
    assert "at once" in running.status
    running.kill()
    running.end()
    assert running.phase is Phase.STOPPED
    assert "Stopped at once" in running.status


def test_one_cancel_says_that_the_state_is_saved_also_where_the_process_had_to_be_ended(running):
    running.handle(BatchDone("transfer", 1, 4, 5, 10, 0.1, 125.0))
    running.cancel()
    running.handle(Written(1, 2, 3))
    assert running.status == STOPPING
    running.kill()
    running.end()
    assert running.status == "Stopped. The state that was saved last is kept; Resume continues from there."


def test_a_run_that_stopped_in_time_was_not_killed(running):
    running.cancel()
    running.handle(RunStopped("transfer", 1, 3))
    running.kill()
    running.end()
    assert running.status.startswith("Stopped and saved")


def test_a_run_that_ends_without_an_event_has_failed(running):
    running.end()
    assert running.phase is Phase.FAILED


def test_data_are_checked_while_a_run_goes_on(running):
    running.check_data()
    running.refuse_data("The layers have gone.")
    assert running.phase is Phase.RUNNING
    running.handle(RunStopped("transfer", 1, 3))
    running.end()
    assert running.phase is Phase.STOPPED
    assert not running.can_start


def test_every_change_is_emitted(state):
    phases = []
    state.changed.connect(lambda: phases.append(state.phase))
    state.check_data()
    state.accept_data(*DATA)
    state.accept_folder(NEW)
    state.start()
    state.handle(STARTED)
    state.cancel()
    state.end()
    assert phases == [
        Phase.CHECKING, Phase.CHECKING, Phase.READY, Phase.RUNNING, Phase.RUNNING, Phase.STOPPING, Phase.FAILED,
    ]  # fmt: skip


def test_it_needs_no_qt():
    import subprocess
    import sys

    heavy = "any(m.split('.')[0] in ('qtpy', 'PySide6', 'PyQt6', 'napari', 'magicgui', 'keras') for m in sys.modules)"
    code = f"import sys, blunet.widgets.compress_state, blunet.widgets.settings_state; sys.exit({heavy})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
