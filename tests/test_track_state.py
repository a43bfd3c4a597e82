"""The state of *Track*: what is said, what clicks mean, and corrections with undo. No window."""

from __future__ import annotations

import numpy as np
import pytest

from blunet.tracking.array_tracking import track
from blunet.tracking.tracker import FrameRead, Linked
from blunet.widgets.track_state import HINT, NO_LABELS, TrackState


@pytest.fixture
def state():
    """A state that shows two tracks of six frames."""
    labels = np.zeros((6, 20, 40), np.int32)
    labels[:, 2:8, 2:8], labels[:, 2:8, 25:31] = 1, 2
    state = TrackState()
    state.accept("")
    state.start()
    state.finish(track(labels).tracks)
    return state


def test_what_goes_on_is_said():
    state = TrackState()
    assert (state.status, state.can_start) == (NO_LABELS, False)
    state.accept("")
    assert state.can_start
    state.start()
    assert (state.status, state.can_start) == ("Looking at the labels…", False)
    state.add(FrameRead(1, 5))
    assert state.status.startswith("Linking: frame 2 of 5")
    state.add(Linked(3, "The frames look shuffled."))
    assert state.warning == "The frames look shuffled."
    state.stop()
    assert state.status == "Stopped. The labels are as they were."


def test_a_warning_of_linking_and_one_of_painting_are_both_said(state):
    tracks = state.tracks
    state.start()
    state.add(Linked(2, "Look at the frames."))
    state.finish(tracks, edited="Cells")
    assert state.warning.startswith("Look at the frames.\n'Cells' was painted on while it was linked")
    assert state.status == "2 tracks in 6 frames, 0 divisions."


def test_clicks_select_or_answer_a_question(state):
    assert state.hint == HINT
    state.click(1, 0)
    assert state.hint == "Track 1: frames 0 to 5."
    state.ask("swap")
    state.click(0, 3)  # the background is no answer
    assert state.task == "swap"
    state.click(2, 3)
    assert state.task is None
    assert state.status == "Swap 1 and 2 from frame 3."
    state.click(0, 3)
    assert state.selected is None


def test_corrections_are_taken_back_and_made_again_and_the_selection_stays_if_it_can(state):
    told = []
    state.corrected.connect(told.append)
    state.select(2)
    state.cut(4)
    assert state.can_undo == "Cut 2 at frame 4"
    assert state.selected == 2
    state.select(3)
    state.undo()
    assert state.selected == 2  # what was 3 is 2 again
    assert (state.can_undo, state.can_redo) == ("", "Cut 2 at frame 4")
    state.redo()
    assert sorted(state.tracks.spans) == [1, 2, 3]
    state.cut(5)
    assert state.can_redo == ""
    assert [done.correction.title for done in told] == ["Cut 2 at frame 4"] * 3
    assert "Track 2 is not in frame 5" in state.warning


def test_nothing_is_tracked_while_tracks_are_saved(state):
    state.ask("join")
    state.start_saving()
    assert not state.can_start
    state.end_saving("Saved.")
    assert (state.can_start, state.status) == (True, "Saved.")
