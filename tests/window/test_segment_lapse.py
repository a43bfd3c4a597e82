"""Segmenting a time-lapse: labels as they arrive, after Cancel, and frame by frame."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from segmenting import enter, run, wait

import blunet
from blunet.segmentation.frames import label_frames
from blunet.segmentation.objects import typical_diameter
from blunet.widgets.segment_widget import SegmentWidget


@pytest.fixture
def stack(field):
    return np.stack([field, field[::-1], field[:, ::-1], field[::-1, ::-1]])


@pytest.fixture
def widget(viewer, stack):
    viewer.add_image(stack, name="Lapse")
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Segment")
    return widget


def numbers(frame):
    return set(np.unique(frame)) - {0}


def test_frames_are_labelled_as_they_arrive(viewer, widget, qtbot, stack):
    viewer.dims.set_point(0, 2)
    widget.form.parts.choose("all")
    widget.form.measure_box.setChecked(True)
    labelled, said = [], []

    def look():
        if widget.result is not None and widget.result.labels is not None:
            labelled.append([bool(frame.any()) for frame in widget.result.labels.data])
        said.append(widget.form.status.text())

    widget.state.changed.connect(look)
    run(qtbot, widget)
    assert labelled[0] == [False, False, True, False]  # the frame that is shown comes first
    assert [True, False, True, False] in labelled
    assert [True, True, True, False] in labelled
    assert any(text.startswith("Segmenting… 2 of 4 frames are done, about ") for text in said)
    labels = widget.result.labels
    np.testing.assert_array_equal(labels.data, blunet.segment(stack))
    assert list(labels.features["label"]) == list(range(1, labels.data.max() + 1))
    assert list(labels.features["frame"]) == sorted(labels.features["frame"])
    assert labels.selected_label == labels.data.max() + 1


def test_what_stays_after_cancel_has_labels_and_numbers_of_its_own(viewer, widget, qtbot, monkeypatch):
    gate, calls = threading.Event(), []

    def label_slowly(*args, **keywords):
        calls.append(args)
        if len(calls) > 3:
            gate.wait(120)
        return label_frames(*args, **keywords)

    monkeypatch.setattr("blunet.jobs.layer_segmentation.label_frames", label_slowly)
    viewer.dims.set_point(0, 3)
    widget.form.parts.choose("all")
    widget.form.measure_box.setChecked(True)
    widget.start()
    qtbot.waitUntil(lambda: widget.result.labelled == 3, timeout=120_000)
    widget.cancel()
    gate.set()
    wait(qtbot, widget)
    labels = widget.result.labels
    assert widget.form.status.text() == "Stopped. The labels of 3 of 4 frames are kept."
    assert [bool(frame.any()) for frame in labels.data] == [True, True, False, True]
    found = [numbers(frame) for frame in labels.data]
    assert len(set.union(*found)) == sum(map(len, found))
    assert set(labels.features["label"]) == numbers(labels.data)


def test_this_frame_on_another_frame_writes_into_the_same_labels(viewer, widget, qtbot):
    viewer.dims.set_point(0, 0)
    run(qtbot, widget)
    labels = widget.result.labels
    first = labels.data[0].copy()
    labels.selected_label = 900
    labels.paint((0, 5, 5), 900)
    painted = labels.data[0].copy()
    for t in (3, 1):
        viewer.dims.set_point(0, t)
        run(qtbot, widget)
    assert [layer.name for layer in viewer.layers] == ["Lapse", "Lapse – cells"]
    np.testing.assert_array_equal(labels.data[0], painted)
    assert (painted != first).any()
    assert [bool(frame.any()) for frame in labels.data] == [True, True, False, True]
    found = [numbers(frame) for frame in labels.data]
    assert len(set.union(*found)) == sum(map(len, found))
    viewer.dims.set_point(0, 0)
    run(qtbot, widget)  # this frame was painted on
    assert [layer.name for layer in viewer.layers] == ["Lapse", "Lapse – cells", "Lapse – cells [1]"]
    np.testing.assert_array_equal(labels.data[0], painted)


def test_labels_of_an_earlier_run_are_hidden(viewer, widget, qtbot):
    run(qtbot, widget)
    first = widget.result.labels
    enter(widget, "diameter", 60)
    run(qtbot, widget)
    assert not first.visible
    assert widget.result.labels.visible
    enter(widget, "min_size", 10_000)
    wait(qtbot, widget)
    assert "are smaller than the smallest area of 10000 px" in widget.form.status.text()


def test_a_dock_that_is_opened_again_goes_on_with_its_labels(viewer, widget, qtbot):
    run(qtbot, widget)
    enter(widget, "threshold", 0.8)
    wait(qtbot, widget)
    labels = widget.result.labels
    viewer.window.remove_dock_widget(widget)
    again = SegmentWidget(viewer)
    viewer.window.add_dock_widget(again, name="Segment again")
    assert again.settings().threshold == 0.8
    assert again.form.save_button.isEnabled()
    before = labels.data.copy()
    enter(again, "threshold", 0.95)
    wait(qtbot, again)
    assert again.result.labels is labels
    assert (labels.data != before).any()
    again.form.reset_button.click()
    wait(qtbot, again)
    assert again.settings().threshold == again.form.picker.model.info.threshold
    assert not again.form.reset_button.isEnabled()


def test_the_estimate_takes_the_cells_and_not_the_crumbs(viewer, widget, qtbot):
    assert typical_diameter(np.array([4] * 500 + [1000, 1100, 1200])) > 30
    widget.form.diameter.set_found(6.4)
    widget.form.diameter.estimate_button.click()
    assert "times as long" in widget.form.warning.text()
    enter(widget, "diameter", "")
    assert widget.form.warning.text() == ""


def test_what_a_run_does_not_read_is_locked_meanwhile(viewer, widget, qtbot):
    widget.start()
    locked = (widget.form.images, widget.form.picker, widget.form.diameter, widget.form.parts)
    assert not any(control.isEnabled() for control in locked)
    wait(qtbot, widget)
    assert all(control.isEnabled() for control in locked)
