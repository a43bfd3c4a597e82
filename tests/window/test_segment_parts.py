"""*Segment* on a part of an image, and on what is too large for memory: views, ranges, lazy layers, OME-Zarr."""

from __future__ import annotations

import threading
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import zarr
from bright_model import bright_model, squares
from qtpy.QtCore import Qt
from segmenting import enter, run, wait

import blunet
from blunet.images.labels_store import open_levels
from blunet.widgets import run_plan, segment_form
from blunet.widgets.segment_widget import SegmentWidget
from blunet.widgets.view_region import find_visible_window


@pytest.fixture
def make_widget(viewer, tmp_path):
    bright_model().save(tmp_path / "model.blunet")

    def make(data, **options) -> SegmentWidget:
        viewer.add_image(data, name="Lapse", **options)
        widget = SegmentWidget(viewer)
        viewer.window.add_dock_widget(widget, name="Segment")
        assert widget.use_model(tmp_path / "model.blunet")
        enter(widget, "min_size", 20)
        return widget

    return make


@pytest.fixture
def little_memory(monkeypatch):
    for module in (run_plan, segment_form):
        monkeypatch.setattr(module, "read_memory", lambda: 300_000)


def lapse(count=6):
    return np.stack([np.roll(squares(), 3 * t, 1) for t in range(count)])


def choose(qtbot, widget, text):
    """Choose from the list by typing, as a user does."""
    widget.form.parts.kinds.setFocus()
    qtbot.keyClicks(widget.form.parts.kinds, text)
    assert widget.form.parts.kinds.currentText().startswith(text)


class Recorded:
    """A lazy stack that records which parts of it are read."""

    def __init__(self, array):
        self.array, self.read = array, []

    def frame(self, block_info=None):
        t = block_info[None]["array-location"][0][0]
        self.read.append(t)
        return self.array[t : t + 1]

    def dask(self):
        chunks = ((1,) * len(self.array), *((n,) for n in self.array.shape[1:]))
        return da.map_blocks(self.frame, chunks=chunks, dtype=self.array.dtype, meta=np.empty((0, 0, 0), np.uint8))


def test_some_frames_of_a_lazy_layer(make_widget, qtbot, tmp_path):
    """Every second frame gets the labels that it has alone, numbered on; the others are not read once more."""
    lazy = Recorded(lapse())
    widget = make_widget(lazy.dask(), contrast_limits=(0, 255))
    form = widget.form
    assert not form.parts.fields.isVisibleTo(widget)
    choose(qtbot, widget, "Some")
    assert form.parts.fields.isVisibleTo(widget)
    assert (form.parts.first.value(), form.parts.last.value(), form.parts.step.value()) == (0, 5, 1)
    form.parts.first.setValue(1)
    form.parts.step.setValue(2)
    lazy.read.clear()
    with qtbot.waitSignal(widget.finished, timeout=60_000):
        qtbot.mouseClick(form.start_button, Qt.MouseButton.LeftButton)
    assert form.status.text() == "Found 6 cells in 3 frames."
    assert set(lazy.read) <= {0, 1, 3, 5}  # the first for the type of the values
    labels = widget.result.labels.data
    assert [sorted(set(np.unique(frame)) - {0}) for frame in labels] == [[], [1, 2], [], [3, 4], [], [5, 6]]
    form.parts.first.setValue(4)
    form.parts.last.setValue(2)
    widget.start()
    assert "No frame lies from 4 to 2" in form.warning.text()


def test_the_choice_comes_back_with_the_next_time_lapse(make_widget, viewer):
    """Also one that was made before there was any image."""
    widget = make_widget(lapse(2))
    widget.form.parts.choose("all")
    single = viewer.add_image(squares(), name="One")
    assert widget.form.parts.kinds.currentText() == "Whole image"
    viewer.layers.selection.active = viewer.layers["Lapse"]
    assert widget.form.parts.kinds.currentText() == "All 2 frames"
    viewer.layers.selection.active = single
    assert widget.form.values()["all_frames"]


def test_the_view_is_segmented_at_full_resolution(make_widget, viewer, qtbot):
    """Of a pyramid, turned and scaled, in its place in the world; settings change the labels of the view alone."""
    image = np.tile(squares((64, 96)), (20, 16))
    place = {"scale": (0.5, 0.5), "translate": (7, 9), "rotate": 90, "units": ("um", "um")}
    widget = make_widget([image, image[::2, ::2], image[::4, ::4]], multiscale=True, contrast_limits=(0, 255), **place)
    layer = viewer.layers["Lapse"]
    viewer.window._qt_window.resize(1024, 700)
    viewer.reset_view()
    viewer.scene.camera.zoom *= 8
    viewer.scene.camera.center = layer.data_to_world((640, 800))
    qtbot.wait(50)
    rows, columns = find_visible_window(viewer, layer)
    assert 0 < rows.start < 640 < rows.stop < 1280
    assert 0 < columns.start < 800 < columns.stop < 1536
    choose(qtbot, widget, "This view")
    run(qtbot, widget)
    labels = widget.result.labels
    assert labels.name == "Lapse, view – cells"
    top, left = np.round(layer.world_to_data(labels.data_to_world((0, 0)))).astype(int)
    assert top <= rows.start
    assert left <= columns.start
    assert labels.data.shape[0] < 1280
    whole = blunet.segment(image, widget.form.picker.path, min_size=20)
    seen = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
    np.testing.assert_array_equal(labels.data[seen] > 0, whole[rows, columns] > 0)
    assert set(np.unique(labels.data)) == set(np.unique(labels.data[seen]))
    before = labels.data.max()
    enter(widget, "min_size", 10_000)
    wait(qtbot, widget)
    assert before > 0
    assert labels.data.max() == 0


def test_the_view_of_a_frame_lies_in_that_frame(make_widget, viewer, qtbot):
    widget = make_widget(np.tile(lapse(4), (1, 8, 8)), scale=(30, 1, 1))
    viewer.dims.set_point(0, 60)
    viewer.scene.camera.zoom *= 4
    choose(qtbot, widget, "This view")
    widget.form.measure_box.setChecked(True)
    run(qtbot, widget)
    first = widget.result
    assert first.labels.data.shape[0] == 1
    assert first.labels.translate[0] == 60
    assert set(first.labels.features["frame"]) == {2}
    viewer.scene.camera.center = (0, *(-5000.0, -5000.0))
    widget.start()
    assert "Nothing of the image is visible" in widget.form.warning.text()
    viewer.reset_view()
    run(qtbot, widget)
    assert widget.result is not first
    assert not first.labels.visible  # the new view covers it


def test_what_does_not_fit_into_memory_goes_to_a_zarr(make_widget, viewer, qtbot, little_memory, tmp_path):
    """The labels are those in memory; the folder can be chosen, and nothing is overwritten."""
    stack = lapse()
    stored = zarr.create_array(tmp_path / "x.zarr", shape=stack.shape, chunks=(1, 30, 45), dtype=stack.dtype)
    stored[...] = stack
    widget = make_widget(stored, contrast_limits=(0, 255), scale=(30, 0.5, 0.5), units=("s", "um", "um"))
    form = widget.form
    assert not form.store.isVisibleTo(widget)
    choose(qtbot, widget, "All 6")
    assert form.store.isVisibleTo(widget)
    form.store.folder.set_text(str(tmp_path))
    assert "'Lapse_labels.ome.zarr'" in form.store.remark.text()
    with qtbot.waitSignal(widget.finished, timeout=60_000):
        qtbot.mouseClick(form.start_button, Qt.MouseButton.LeftButton)
    path = tmp_path / "Lapse_labels.ome.zarr"
    assert form.status.text() == f"Found 12 cells in 6 frames. The labels are in '{path}'."
    wanted = blunet.segment(stack, tmp_path / "model.blunet", min_size=20)
    (layer,) = (layer for layer in viewer.layers if layer.name == "Lapse – cells")
    np.testing.assert_array_equal(np.asarray(layer.data), wanted)
    np.testing.assert_array_equal(open_levels(path)[0][...], wanted)
    assert not layer.editable
    enter(widget, "min_size", 10_000)
    qtbot.wait(50)
    assert np.asarray(layer.data).max() == 12
    assert "'Lapse 2_labels.ome.zarr'" in form.store.remark.text()


def test_a_zarr_of_labels_shows_frames_as_they_are_done_and_keeps_them(
    make_widget, viewer, qtbot, little_memory, tmp_path
):
    gate = threading.Event()
    stack = lapse()

    def slow(block_info=None):
        t = block_info[None]["array-location"][0][0]
        if t == 3:
            gate.wait(60)
        return stack[t : t + 1]

    lazy = da.map_blocks(slow, chunks=((1,) * 6, (60,), (90,)), dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8))
    widget = make_widget(lazy, contrast_limits=(0, 255))
    widget.form.store.folder.set_text(str(tmp_path))
    choose(qtbot, widget, "All 6")
    qtbot.mouseClick(widget.form.start_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: widget.stored is not None and widget.stored.frames >= 2, timeout=60_000)
    shown = widget.stored.labels.data
    assert [bool(np.asarray(shown[t]).any()) for t in (0, 1, 4, 5)] == [True, True, False, False]
    assert "of 6 frames are done" in widget.form.status.text()
    qtbot.mouseClick(widget.form.cancel_button, Qt.MouseButton.LeftButton)
    gate.set()
    wait(qtbot, widget)
    path = tmp_path / "Lapse_labels.ome.zarr"
    assert f"of 6 frames are kept. They are in '{path}'." in widget.form.status.text()
    assert np.asarray(widget.stored.labels.data[1]).any()
    assert sorted(each.name for each in tmp_path.iterdir() if each.name.startswith(".")) == []


def test_a_view_that_is_too_large_asks_to_zoom_in(make_widget, viewer, qtbot, little_memory):
    widget = make_widget(np.tile(squares(), (10, 10)))
    viewer.reset_view()
    choose(qtbot, widget, "This view")
    widget.start()
    assert "zoom in" in widget.form.warning.text()
    assert not widget.state.running


def test_a_folder_that_cannot_be_written_is_named(make_widget, qtbot, little_memory, tmp_path):
    widget = make_widget(lapse())
    choose(qtbot, widget, "All 6")
    widget.form.store.folder.set_text(str(tmp_path / "model.blunet"))
    widget.start()
    wait(qtbot, widget)
    assert "Labels cannot be written to" in widget.form.warning.text()
    assert Path(tmp_path / "model.blunet").is_file()
