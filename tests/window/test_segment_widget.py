"""The Segment widget in a real window, on real images."""

from __future__ import annotations

import shlex
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDoubleSpinBox, QLineEdit
from segmenting import enter, entered, run, wait

import blunet
from blunet.packed.packed_model import BUNDLED, load_model
from blunet.segmentation.objects import typical_diameter
from blunet.widgets.ruler import INSTRUCTION
from blunet.widgets.segment_state import FAILED, NO_IMAGE
from blunet.widgets.segment_widget import SegmentWidget


@pytest.fixture
def widget(viewer, qtbot):
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Segment")
    return widget


def test_nothing_is_loaded(widget):
    assert not widget.form.start_button.isEnabled()
    assert widget.form.status.text() == NO_IMAGE
    widget.start()
    assert not widget.busy


def test_labels_are_those_of_the_library_and_lie_on_their_image(viewer, widget, qtbot, field):
    image = viewer.add_image(
        field, name="Field", scale=(0.3, 0.4), translate=(5, 7), rotate=20, units=("um", "um"), axis_labels=("y", "x")
    )
    widget.form.measure_box.setChecked(True)
    widget.form.probability_box.setChecked(True)
    run(qtbot, widget)
    labels = viewer.layers["Field – cells"]
    assert np.array_equal(labels.data, blunet.segment(field))
    assert labels.data.max() > 0
    for other in (labels, viewer.layers["Field – probability"]):
        for name in ("scale", "translate", "rotate", "shear"):
            np.testing.assert_allclose(getattr(other, name), getattr(image, name))
        assert other.units == image.units
        assert other.axis_labels == image.axis_labels
    assert viewer.layers.selection.active is labels
    table = labels.features
    assert list(table["index"]) == list(range(1, labels.data.max() + 1))
    np.testing.assert_allclose(table["area_um2"], np.bincount(labels.data.ravel())[1:] * 0.3 * 0.4)
    made = labels.metadata["blunet"]
    assert made["model"]["file"] == BUNDLED.name
    assert made["settings"]["threshold"] == pytest.approx(widget.form.picker.model.info.threshold)
    assert "Found" in widget.form.status.text()


@pytest.mark.parametrize("kind", ["watershed", "components", "mask"])
def test_labels_follow_the_settings_without_another_run(viewer, widget, qtbot, field, kind):
    viewer.add_image(field, name="Field")
    run(qtbot, widget)
    labels = widget.result.labels
    enter(widget, "threshold", 0.8)
    enter(widget, "min_size", 90)
    enter(widget, "splitting", 0.7)
    enter(widget, "objects", kind)
    assert widget._timer.isActive()
    wait(qtbot, widget)
    assert widget.result.labels is labels
    assert np.array_equal(labels.data, blunet.segment(field, threshold=0.8, splitting=0.7, min_size=90, objects=kind))
    assert labels.metadata["blunet"]["settings"]["objects"] == kind


def test_what_was_painted_is_kept(viewer, widget, qtbot, field):
    viewer.add_image(field, name="Field")
    run(qtbot, widget)
    first = widget.result.labels
    first.selected_label = 77
    first.paint((20, 20), 77)
    painted = first.data.copy()
    assert (painted == 77).any()
    enter(widget, "threshold", 0.9)
    wait(qtbot, widget)
    assert np.array_equal(first.data, painted)
    assert widget.result.labels is not first
    assert np.array_equal(widget.result.labels.data, blunet.segment(field, threshold=0.9))
    assert "edited" in widget.form.status.text() or "Found" in widget.form.status.text()


def test_a_time_lapse_is_read_lazily_and_numbered_on(viewer, widget, qtbot, field):
    stack = np.stack([field, field[::-1], field[:, ::-1]])
    read = []

    def frame(block_info=None):
        t = block_info[None]["array-location"][0][0]
        read.append(t)
        return stack[t : t + 1]

    lazy = da.map_blocks(frame, chunks=((1, 1, 1), (192,), (256,)), dtype=stack.dtype, meta=stack[:0])
    viewer.add_image(lazy, name="Lapse", contrast_limits=(0, 65535))
    viewer.dims.set_point(0, 1)
    widget.form.measure_box.setChecked(True)
    run(qtbot, widget)  # the frame that is shown
    labels = widget.result.labels
    assert labels.data[1].any()
    assert not labels.data[0].any()
    widget.form.parts.choose("all")
    assert widget.form.parts.kinds.itemText(1) == "All 3 frames"
    run(qtbot, widget)
    labels = widget.result.labels
    sets = [set(np.unique(labels.data[t])) - {0} for t in range(3)]
    assert sorted(n for numbers in sets for n in numbers) == list(range(1, labels.data.max() + 1))
    assert list(labels.features["frame"]) == sorted(labels.features["frame"])
    assert set(labels.features["frame"]) == {0, 1, 2}
    assert set(read) == {0, 1, 2}


def test_the_labels_belong_to_the_layer_that_was_chosen_at_the_start(viewer, widget, qtbot, field):
    first = viewer.add_image(field, name="First", scale=(2, 2))
    widget.start()
    viewer.add_image(field[:64, :64], name="Second")
    assert widget.form.image.name == "Second"
    wait(qtbot, widget)
    labels = widget.result.labels
    assert labels.name == "First – cells"
    assert labels.data.shape == first.data.shape
    np.testing.assert_allclose(labels.scale, (2, 2))


def test_cancel_stops_within_a_frame(viewer, widget, qtbot):
    viewer.add_image(np.random.default_rng(0).integers(0, 4000, (2048, 2048)).astype(np.uint16), name="Large")
    widget.start()
    qtbot.wait(300)
    with qtbot.waitSignal(widget.finished, timeout=10_000):
        widget.cancel()
    assert "Stopped" in widget.form.status.text()
    assert widget.form.start_button.isEnabled()
    assert [layer.name for layer in viewer.layers] == ["Large"]


def test_layers_that_are_removed_during_a_run(viewer, widget, qtbot, field):
    image = viewer.add_image(np.stack([field] * 4), name="Lapse")
    widget.form.parts.choose("all")
    widget.start()
    viewer.layers.remove(image)
    wait(qtbot, widget)  # its frames were captured before
    labels = widget.result.labels
    assert labels in viewer.layers
    viewer.add_image(np.stack([field] * 30), name="Longer")
    widget.start()
    qtbot.waitUntil(lambda: widget.result.labels is not None, timeout=30_000)
    viewer.layers.remove(widget.result.labels)
    wait(qtbot, widget)
    assert widget.form.start_button.isEnabled()


def test_closing_the_viewer_stops_the_run(make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget)
    viewer.add_image(np.zeros((40, 512, 512), np.uint16) + np.arange(512, dtype=np.uint16))
    widget.form.parts.choose("all")
    widget.start()
    token, job = widget.job.token, widget.job
    qtbot.wait(100)
    viewer.close()
    qtbot.waitUntil(lambda: token.cancelled and job.wait(0), timeout=20_000)


@pytest.mark.parametrize(
    ("add", "words"),
    [
        (lambda v: v.add_image(np.zeros((40, 40, 3), np.uint8), rgb=True), "colour"),
        (lambda v: v.add_image(np.zeros((2, 3, 40, 40), np.uint8)), "4 dimensions"),
    ],
)
def test_layers_that_are_not_grey_images(viewer, widget, add, words):
    add(viewer)
    assert words in widget.form.status.text()
    assert not widget.form.start_button.isEnabled()


def test_bad_images_give_a_warning(viewer, widget, qtbot):
    image = np.ones((64, 64), np.float32)
    image[3, 3] = np.nan
    viewer.add_image(image, name="Holes", contrast_limits=(0, 1))
    run(qtbot, widget)
    assert "NaN" in widget.form.warning.text()
    viewer.add_image(np.full((64, 64), 7, np.uint8), name="Flat", contrast_limits=(0, 10))
    run(qtbot, widget)
    assert "constant" in widget.form.warning.text()
    viewer.add_image(np.random.default_rng(0).integers(0, 99, (64, 64)).astype(np.uint8), name="Any")
    enter(widget, "diameter", 9000)
    assert not widget.form.start_button.isEnabled()
    widget.start()
    assert not widget.busy
    assert "9000 px" in widget.form.warning.text()
    enter(widget, "diameter", "")
    viewer.layers.selection.active = viewer.layers["Flat"]
    assert widget.form.warning.text() == ""  # the warning was about another image


def test_a_file_that_is_not_a_model_keeps_the_model(widget, tmp_path):
    bad = tmp_path / "model.blunet"
    bad.write_bytes(b"nothing of the kind")
    assert not widget.use_model(bad)
    assert "model.blunet" in widget.form.warning.text()
    assert widget.form.picker.path is None
    good = tmp_path / "good.blunet"
    good.write_bytes(BUNDLED.read_bytes())
    assert widget.use_model(good)
    assert widget.form.picker._list.currentText() == "good.blunet"
    assert widget.form.warning.text() == ""


def test_last_values_are_remembered(viewer, widget, qtbot, field, tmp_path):
    model = tmp_path / "mine.blunet"
    model.write_bytes(BUNDLED.read_bytes())
    widget.use_model(model)
    viewer.add_image(field, name="Field")
    enter(widget, "min_size", 123)
    enter(widget, "objects", "components")
    run(qtbot, widget)
    other = SegmentWidget(viewer)
    qtbot.addWidget(other)
    assert entered(other, "min_size") == 123
    assert entered(other, "objects") == "components"
    assert other.form.picker.path == model


def test_splitting_is_the_models_own_and_offered_where_objects_are_split(viewer, widget, tmp_path):
    model = load_model()
    eager = tmp_path / "eager.blunet"
    replace(model, info=model.info.changed(splitting=0.75)).save(eager)
    assert entered(widget, "splitting") == model.info.splitting
    enter(widget, "splitting", 0.3)
    widget.use_model(eager)
    assert entered(widget, "splitting") == 0.75
    control = widget.form.labels_form.control("splitting").native
    for objects in ("components", "mask", "watershed"):
        enter(widget, "objects", objects)
        assert control.isHidden() == (objects != "watershed")


def test_the_command_that_does_the_same(viewer, widget, field, tmp_path):
    path = tmp_path / "a field.tif"
    tifffile.imwrite(path, field)
    viewer.open(str(path), plugin="napari")
    enter(widget, "diameter", 80)
    widget.form.copy_button.click()
    words = shlex.split(QApplication.clipboard().text())
    assert words[:3] == ["blunet", "segment", str(path)]
    assert float(words[words.index("--diameter") + 1]) == 80
    assert float(words[words.index("--threshold") + 1]) == widget.settings().threshold  # to the last digit
    assert float(words[words.index("--splitting") + 1]) == widget.settings().splitting
    viewer.add_image(field, name="Made up")
    widget.form.copy_button.click()
    assert "does not come from a file" in widget.form.warning.text()


def test_the_diameter_is_measured_with_a_line(viewer, widget, qtbot, field):
    viewer.add_image(field, name="Field", scale=(0.5, 0.5))
    widget.form.diameter.ruler_button.click()
    ruler = viewer.layers[-1]
    assert widget.form.status.text() == INSTRUCTION
    assert ruler.mode == "add_line"
    ruler.add([[10, 10], [10, 50]], shape_type="line")
    assert entered(widget, "diameter") == 40
    qtbot.waitUntil(lambda: ruler not in viewer.layers)
    assert viewer.layers.selection.active.name == "Field"
    assert widget.form.status.text() != INSTRUCTION
    assert not widget.form.diameter.estimate_button.isEnabled()
    run(qtbot, widget)
    widget.form.diameter.estimate_button.click()
    sizes = np.bincount(widget.result.labels.data.ravel())[1:]
    assert entered(widget, "diameter") == round(typical_diameter(sizes))


def test_the_threshold_can_be_read(viewer, widget):
    """In napari's style the number beside magicgui's slider has no space unless it is given some."""
    viewer.window.show()
    number = widget.form.labels_form.control("threshold").native.findChild(QDoubleSpinBox)
    text = number.findChild(QLineEdit)
    assert text.text() == f"{load_model().info.threshold:.2f}"
    assert text.width() >= text.fontMetrics().horizontalAdvance(text.text())


def test_a_diameter_that_cannot_be_used(viewer, widget, qtbot, field):
    viewer.add_image(field, name="Field")
    line = widget.form.diameter.control.native
    line.setFocus()
    QTest.keyClicks(line, "large")
    QTest.keyClick(line, Qt.Key.Key_Return)
    assert widget.form.warning.text() == "Cell diameter is 'large'; give a number, above 0."
    assert not widget.form.start_button.isEnabled()
    assert not widget.form.copy_button.isEnabled()
    line.selectAll()
    QTest.keyClicks(line, "75.5")
    QTest.keyClick(line, Qt.Key.Key_Return)
    assert widget.form.warning.text() == ""
    assert widget.form.start_button.isEnabled()
    assert widget.settings().diameter == 75.5
    line.clear()
    QTest.keyClick(line, Qt.Key.Key_Return)
    assert widget.settings().diameter is None


def test_a_diameter_is_refused_while_it_is_typed(viewer, widget, qtbot, field):
    """A field that shows words is clicked and typed into; nothing but the keys says that typing goes on."""
    viewer.add_image(field, name="Field")
    viewer.window.show()
    line = widget.form.diameter.control.native
    assert line.placeholderText() == "as in the model"
    QTest.mouseClick(line, Qt.MouseButton.LeftButton)
    QTest.keyClicks(line, "7,5")
    assert (line.text(), widget.settings().diameter) == ("7,5", 7.5)
    QTest.keyClick(line, Qt.Key.Key_Backspace)
    assert (line.text(), widget.settings().diameter) == ("7,", 7)
    line.selectAll()
    QTest.keyClicks(line, "9000")
    assert widget.form.warning.text().startswith("The diameter is 9000 px but the model was trained with")
    assert not widget.form.start_button.isEnabled()
    QTest.keyClick(line, Qt.Key.Key_Backspace)
    QTest.keyClick(line, Qt.Key.Key_Backspace)
    assert (line.text(), widget.form.warning.text()) == ("90", "")
    assert widget.form.start_button.isEnabled()


def test_a_failed_run_does_not_go_on_saying_that_it_segments(viewer, widget, qtbot, field, tmp_path):
    model = tmp_path / "gone.blunet"
    model.write_bytes(BUNDLED.read_bytes())
    widget.use_model(model)
    model.unlink()
    viewer.add_image(field, name="Field")
    run(qtbot, widget)
    assert widget.form.status.text() == FAILED
    assert "gone.blunet" in widget.form.warning.text()


def test_widgets_import_no_keras():
    import subprocess
    import sys

    code = "import blunet.widgets.segment_widget, sys; sys.exit(any(m in sys.modules for m in ('keras', 'tensorflow')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
