"""What Segment knows and allows while the network runs and the labels follow the settings; no window."""

from __future__ import annotations

import pytest

from blunet.widgets.segment_state import EDITED, FAILED, NO_IMAGE, OTHER_MODEL, SEGMENTING, Phase, SegmentState


@pytest.fixture
def state():
    state = SegmentState()
    state.accept_image(3)
    return state


@pytest.fixture
def found(state):
    """A run has found cells."""
    state.start(3)
    state.advance(3)
    state.find(12, 3)
    state.end_run()
    return state


def test_without_an_image_nothing_can_start():
    state = SegmentState()
    assert (state.phase, state.status, state.can_start) == (Phase.IDLE, NO_IMAGE, False)
    state.accept_image(1)
    assert (state.status, state.can_start) == ("", True)
    state.refuse_image("'Colour' is a colour image.")
    assert (state.status, state.can_start) == ("'Colour' is a colour image.", False)
    state.refuse_image()
    assert state.status == NO_IMAGE


def test_another_image_leaves_what_was_found_before(found):
    found.accept_image(1)
    assert found.status == "Found 12 cells in 3 frames."


def test_a_run(state):
    state.warn("An old warning.")
    state.start(3)
    assert (state.phase, state.status, state.warning) == (Phase.RUNNING, SEGMENTING, "")
    assert (state.running, state.busy, state.can_start) == (True, True, False)
    state.advance(2, 40)
    assert (state.done, state.count) == (2, 3)
    assert state.status == f"{SEGMENTING} 2 of 3 frames are done, about 40 seconds left."
    state.find(12, 3)
    assert not state.end_run()
    assert (state.phase, state.status, state.can_start) == (Phase.IDLE, "Found 12 cells in 3 frames.", True)


@pytest.mark.parametrize(
    ("objects", "frames", "mask", "sentence"),
    [
        (1, 1, False, "Found 1 cell."),
        (2, 1, False, "Found 2 cells."),
        (1, 4, True, "Found area of cells in 4 frames."),
        (0, 1, False, "No cells found: try a lower threshold."),
    ],
)
def test_the_number_of_cells_found_is_shown(state, objects, frames, mask, sentence):
    state.find(objects, frames, mask=mask)
    assert state.status == sentence


def test_labels_follow_a_change_at_once_when_nothing_goes_on(found):
    assert found.change()
    found.update()
    assert (found.phase, found.busy, found.running, found.can_start) == (Phase.UPDATING, True, False, True)
    assert not found.end_update()
    assert found.phase is Phase.IDLE


def test_a_change_during_a_run_waits_for_its_end(state):
    state.start(1)
    assert not state.change()
    assert state.phase is Phase.WAITING
    assert state.end_run()  # the labels are to be made again
    state.update()
    assert state.phase is Phase.UPDATING
    assert not state.end_update()


def test_a_change_during_an_update_waits_for_its_end(found):
    found.change()
    found.update()
    assert not found.change()
    assert found.phase is Phase.WAITING
    assert found.end_update()


def test_cancelling_a_run_forgets_the_change(state):
    state.start(1)
    state.change()
    state.stop()
    assert not state.end_run()
    assert (state.phase, state.status) == (Phase.IDLE, "Stopped before any labels were made.")


@pytest.mark.parametrize(
    ("count", "labelled", "sentence"),
    [(8, 3, "Stopped. The labels of 3 of 8 frames are kept."), (1, 1, "Stopped. The labels are kept.")],
)
def test_a_cancelled_run_says_what_is_kept(state, count, labelled, sentence):
    state.start(count)
    state.stop(labelled)
    state.end_run()
    assert state.status == sentence


def test_a_new_run_begins_while_labels_are_updated(found):
    found.change()
    found.update()
    found.start(1)
    found.change()
    assert not found.end_update()  # the run goes on
    assert found.phase is Phase.WAITING
    assert found.end_run()


def test_edited_labels_are_kept_and_the_user_is_informed(found):
    found.edit()
    assert found.phase is Phase.EDITED
    assert found.change()
    found.update()
    assert found.phase is Phase.UPDATING
    found.find(9, 1)
    assert found.status == f"Found 9 cells. {EDITED}"
    found.end_update()
    assert found.phase is Phase.IDLE  # the new labels are not edited
    found.update()
    found.find(8, 1)
    assert found.status == f"Found 8 cells. {EDITED}"  # still true
    found.note("Copied: blunet segment x.tif")
    assert found.status == f"Found 8 cells. {EDITED} Copied: blunet segment x.tif"
    found.start(1)
    assert found.status == SEGMENTING


def test_labels_held_back_from_edited_ones_are_made_once_more(state):
    state.start(4)
    state.edit()
    state.hold_back()
    assert state.phase is Phase.WAITING
    assert state.end_run()


def test_warnings_about_different_subjects_are_all_shown(state):
    state.warn("Hardly any grey values.", "image")
    state.warn("The objects found are small.", "size")
    state.warn("The objects found are large.", "size")
    assert state.warning == "Hardly any grey values.\nThe objects found are large."
    state.clear_warnings("size")
    assert state.warning == "Hardly any grey values."
    state.clear_warnings()
    assert state.warning == ""


def test_the_size_filter_is_named_where_it_leaves_nothing(state):
    state.find(0, 1, dropped=7, min_size=200)
    assert state.status == "No cells found: all 7 objects are smaller than the smallest area of 200 px."
    state.find(0, 1, dropped=1, min_size=200)
    assert state.status == "No cells found: the only object is smaller than the smallest area of 200 px."


def test_labels_of_another_model_are_named_beside_what_was_found(found):
    found.note_model(True)
    found.note("Saved.")
    assert found.status == f"Found 12 cells in 3 frames. {OTHER_MODEL} Saved."
    found.note_model(False)
    assert found.status == "Found 12 cells in 3 frames. Saved."


def test_an_instruction_takes_the_place_of_the_status_while_it_lasts(found):
    found.instruct("Draw a line.")
    assert (found.instruction, found.status) == ("Draw a line.", "Found 12 cells in 3 frames.")


@pytest.mark.parametrize("meanwhile", ["", "Preparing the network, once after installing…"])
def test_a_run_that_fails_leaves_its_warning(state, meanwhile):
    state.start(1)
    if meanwhile:
        state.note(meanwhile)
    state.warn("The image has NaN.")
    state.end_run()
    assert (state.phase, state.status, state.warning) == (Phase.IDLE, FAILED, "The image has NaN.")


def test_every_change_is_emitted(state):
    phases = []
    state.changed.connect(lambda: phases.append(state.phase))
    state.start(2)
    state.advance(1)
    state.change()
    state.end_run()
    state.update()
    state.edit()
    state.end_update()
    assert phases == [
        Phase.RUNNING, Phase.RUNNING, Phase.WAITING, Phase.IDLE, Phase.UPDATING, Phase.UPDATING, Phase.EDITED,
    ]  # fmt: skip


def test_it_needs_no_qt():
    import subprocess
    import sys

    heavy = "any(m.split('.')[0] in ('qtpy', 'PySide6', 'PyQt6', 'napari', 'magicgui') for m in sys.modules)"
    code = f"import sys, blunet.widgets.segment_state; sys.exit({heavy})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_slices_are_called_slices():
    state = SegmentState()
    state.accept_image(5, slices=True)
    state.start(5)
    state.advance(2)
    assert "2 of 5 slices are done" in state.status
    state.find(7, 5)
    assert state.status.startswith("Found 7 cells in 5 slices.")
    state.accept_image(5)
    assert state.plural == "frames"
