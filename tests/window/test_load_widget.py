"""The Load widget in a real window, on real files."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from blunet.images.normalisation import normalise
from blunet.images.normalisation_settings import Normalisation
from blunet.widgets.load_form import NOTHING
from blunet.widgets.load_prepare import EXPLANATION
from blunet.widgets.load_widget import LoadWidget

RANDOM = np.random.default_rng(0)


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def widget(viewer, qtbot):
    widget = LoadWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Load")
    return widget


@pytest.fixture
def lapse(tmp_path):
    """A folder of five frames with a pixel size, and a mask of the second."""
    folder = tmp_path / "lapse"
    folder.mkdir()
    for t in range(1, 6):
        options = {"resolution": (4, 2), "metadata": {"unit": "um", "axes": "YX"}}
        tifffile.imwrite(folder / f"t{t}.tif", shaded(t), imagej=True, **options)
    mask = np.zeros((96, 128), np.uint8)
    mask[20:40, 30:60] = 1
    tifffile.imwrite(folder / "t2_mask.tif", mask)
    return folder


def shaded(t=0):
    return (np.linspace(1000, 9000, 128) + RANDOM.normal(100 * t, 200, (96, 128))).astype(np.uint16)


def choose(qtbot, widget, *sources):
    with qtbot.waitSignal(widget.looked, timeout=30_000):
        widget.set_sources(sources)


def load(qtbot, widget, *sources):
    choose(qtbot, widget, *sources)
    with qtbot.waitSignal(widget.finished, timeout=30_000):
        widget.form.open_button.click()


def shown(widget, name):
    """Return what a line of the form shows: what was typed, or what is in its place."""
    line = widget.form.asked.control(name).native
    return line.text() or line.placeholderText()


def type_number(widget, name, text):
    line = (widget.form.asked if name in ("pixel_size", "interval") else widget.form).control(name).native
    line.selectAll()
    QTest.keyClicks(line, text)
    QTest.keyClick(line, Qt.Key.Key_Return)


def settle(qtbot, widget):
    qtbot.waitUntil(lambda: not widget.prepare.busy, timeout=30_000)


def test_nothing_is_chosen(widget):
    assert widget.form.status.text() == NOTHING
    assert not widget.form.open_button.isEnabled()
    assert not widget.prepare.shading.isEnabled()
    assert widget.prepare.note.text() == "Open an image first."
    widget.start()
    assert not widget.busy


def test_a_folder_becomes_one_time_lapse_with_its_masks(viewer, widget, qtbot, lapse):
    load(qtbot, widget, lapse)
    image, labels = viewer.layers
    assert (image.name, labels.name) == ("lapse", "lapse – mask")
    for layer in (image, labels):
        assert layer.data.shape == (5, 96, 128)
        assert layer.axis_labels == ("t", "y", "x")
        np.testing.assert_allclose(layer.scale, (1, 0.5, 0.25))
        assert [f"{unit:~P}" for unit in layer.units] == ["pixel", "µm", "µm"]
    assert image.data.chunksize == (1, 96, 128)
    np.testing.assert_array_equal(image.data[3].compute(), tifffile.imread(lapse / "t4.tif"))
    assert labels.data[1].sum() == 600
    low, high = image.contrast_limits
    np.testing.assert_allclose((low, high), np.percentile(tifffile.imread(lapse / "t1.tif"), (0.1, 99.9)))
    assert viewer.layers.selection.active is image
    assert "Opened 'lapse'" in widget.form.status.text()


def test_the_user_adds_what_the_files_do_not_say(viewer, widget, qtbot, lapse, tmp_path):
    choose(qtbot, widget, lapse)
    assert shown(widget, "pixel_size") == "0.25 × 0.5 µm, from the file"
    assert shown(widget, "interval") == "not in the file: type it"
    type_number(widget, "interval", "30")
    with qtbot.waitSignal(widget.finished):
        widget.start()
    np.testing.assert_allclose(viewer.layers["lapse"].scale, (30, 0.5, 0.25))
    assert f"{viewer.layers['lapse'].units[0]:~P}" == "s"
    tifffile.imwrite(tmp_path / "plain.tif", shaded())
    choose(qtbot, widget, tmp_path / "plain.tif")
    assert shown(widget, "pixel_size") == "not in the file: type it"
    assert not widget.form.asked.control("interval").native.isVisibleTo(widget)
    type_number(widget, "pixel_size", "0.65")
    with qtbot.waitSignal(widget.finished):
        widget.start()
    np.testing.assert_allclose(viewer.layers["plain"].scale, (0.65, 0.65))
    choose(qtbot, widget, lapse)  # whose own size is used again
    assert shown(widget, "pixel_size") == "0.25 × 0.5 µm, from the file"


def test_fields_that_show_words_are_typed_into_after_a_click(viewer, widget, qtbot, tmp_path):
    tifffile.imwrite(tmp_path / "plain.tif", np.stack([shaded()] * 2))
    viewer.window.show()
    choose(qtbot, widget, tmp_path / "plain.tif")
    for name, number in (("pixel_size", 0.325), ("interval", 12.5)):
        line = widget.form.asked.control(name).native
        assert line.placeholderText() == "not in the file: type it"
        QTest.mouseClick(line, Qt.MouseButton.LeftButton)
        QTest.keyClicks(line, f"{number}")
        QTest.keyClick(line, Qt.Key.Key_Return)
        assert getattr(widget.form.settings_state.settings, name) == number


def test_a_pixel_size_that_cannot_be_used(widget, qtbot, tmp_path):
    tifffile.imwrite(tmp_path / "plain.tif", shaded())
    choose(qtbot, widget, tmp_path / "plain.tif")
    type_number(widget, "pixel_size", "-1")
    assert widget.form.warning.text() == "Pixel size is -1.0; give a number, above 0."
    assert not widget.form.open_button.isEnabled()
    type_number(widget, "pixel_size", "0.108333")
    assert widget.form.warning.text() == ""
    with qtbot.waitSignal(widget.finished):
        widget.form.open_button.click()
    assert widget.viewer.layers["plain"].scale[0] == 0.108333  # not rounded


def test_images_can_be_layers_of_their_own(viewer, widget, qtbot, lapse):
    widget.form.together.setCurrentIndex(1)
    load(qtbot, widget, lapse / "t1.tif", lapse / "t2.tif")
    assert [layer.name for layer in viewer.layers] == ["t1", "t2", "t2 – mask"]
    other = LoadWidget(viewer)
    qtbot.addWidget(other)
    assert other.form.together.currentData() is False  # remembered


def test_files_are_dropped(widget, qtbot, lapse):
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(lapse / "t1.tif")), QUrl.fromLocalFile(str(lapse / "t2.tif"))])
    source, buttons = widget.form.source, (Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    enter = QDragEnterEvent(QPoint(5, 5), Qt.DropAction.CopyAction, mime, *buttons)
    QApplication.sendEvent(source, enter)
    assert enter.isAccepted()
    with qtbot.waitSignal(widget.looked):
        QApplication.sendEvent(source, QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, *buttons))
    assert "2 frames of 128 × 96 pixels" in widget.form.found.text()
    assert source.line.text().endswith("t1.tif  and 1 more")


def test_a_pattern_is_typed(widget, qtbot, lapse):
    with qtbot.waitSignal(widget.looked):
        QTest.keyClicks(widget.form.source.line, str(lapse / "t[1-3].tif"))
        QTest.keyClick(widget.form.source.line, Qt.Key.Key_Return)
    assert "3 frames" in widget.form.found.text()
    assert widget.form.open_button.isEnabled()
    with qtbot.waitSignal(widget.looked):
        widget.form.source.line.clear()
        widget.form.source.line.setModified(True)
        QTest.keyClick(widget.form.source.line, Qt.Key.Key_Return)
    assert widget.form.status.text() == NOTHING
    assert not widget.form.open_button.isEnabled()


def test_bad_sources_give_a_warning(viewer, widget, qtbot, tmp_path):
    choose(qtbot, widget, tmp_path / "nowhere")
    assert "no file or folder" in widget.form.warning.text()
    assert not widget.form.open_button.isEnabled()
    tifffile.imwrite(tmp_path / "channels.tif", np.zeros((2, 3, 8, 8), np.uint8), imagej=True)
    choose(qtbot, widget, tmp_path / "channels.tif")
    assert "choose the channel" in widget.form.warning.text()
    (tmp_path / "notes.tif").write_text("These are my notes")
    tifffile.imwrite(tmp_path / "good.tif", shaded())
    load(qtbot, widget, tmp_path)
    assert [layer.name for layer in viewer.layers] == ["good"]
    assert "notes.tif' is no TIFF" in widget.form.warning.text()
    assert "channels.tif" in widget.form.warning.text()


def test_files_that_are_deleted_before_they_are_opened(viewer, widget, qtbot, lapse):
    choose(qtbot, widget, lapse)
    for path in lapse.iterdir():
        path.unlink()
    with qtbot.waitSignal(widget.finished):
        widget.start()
    assert not viewer.layers
    assert "no file" in widget.form.warning.text()
    assert widget.form.status.text() == "Nothing could be opened."


def test_the_layer_knows_its_file(viewer, widget, qtbot, lapse):
    from blunet.segmentation.segmentation_settings import DEFAULTS
    from blunet.widgets.layer_facts import write_command_line

    load(qtbot, widget, lapse)
    words = shlex.split(write_command_line(viewer.layers["lapse"], None, DEFAULTS, False, False))
    assert words[:3] == ["blunet", "segment", str(lapse)]


def test_contrast_follows_the_percentiles(viewer, widget, qtbot, lapse):
    load(qtbot, widget, lapse)
    image = viewer.layers["lapse"]
    viewer.dims.set_point(0, 3)
    widget.prepare.form.control("low").value = 5
    widget.prepare.form.control("high").value = 80
    settle(qtbot, widget)
    expected = np.percentile(tifffile.imread(lapse / "t4.tif"), (5, 80))
    np.testing.assert_allclose(image.contrast_limits, expected)
    np.testing.assert_array_equal(image.data[3].compute(), tifffile.imread(lapse / "t4.tif"))


def test_percentiles_that_do_not_fit(viewer, widget, qtbot, lapse):
    load(qtbot, widget, lapse)
    before = viewer.layers["lapse"].contrast_limits
    widget.prepare.form.control("high").value = 0.05
    settle(qtbot, widget)
    assert "Low percentile is 0.1; give less than" in widget.prepare.note.text()
    assert viewer.layers["lapse"].contrast_limits == before
    widget.start()
    assert "Low percentile" in widget.form.warning.text()
    assert not widget.busy
    widget.prepare.form.control("low").value = 0.01
    settle(qtbot, widget)
    assert widget.prepare.note.text() == EXPLANATION
    assert viewer.layers["lapse"].contrast_limits[1] < before[1]


def test_contrast_set_by_hand_is_kept_when_the_shading_changes(viewer, widget, qtbot, lapse):
    load(qtbot, widget, lapse)
    viewer.layers["lapse"].contrast_limits = (123, 4567)
    type_number(widget.prepare, "shading", "30")
    settle(qtbot, widget)
    assert tuple(viewer.layers["lapse"].contrast_limits) == (123, 4567)


def test_the_preview_shows_the_frame_without_its_shading(viewer, widget, qtbot, lapse):
    load(qtbot, widget, lapse)
    image, box = viewer.layers["lapse"], widget.prepare
    viewer.dims.set_point(0, 1)
    type_number(box, "shading", "20")
    box.shading.setChecked(True)
    settle(qtbot, widget)
    settings = Normalisation(method="percentile", low=0.1, high=99.9, shading=20)
    np.testing.assert_array_equal(box.preview.data[0], normalise(tifffile.imread(lapse / "t2.tif"), settings))
    np.testing.assert_allclose(box.preview.translate, (1, 0, 0))
    assert viewer.layers.selection.active is image
    assert list(viewer.layers).index(box.preview) == 1  # above the image, under the mask
    assert [box.images.itemText(i) for i in range(box.images.count())] == ["lapse"]
    viewer.dims.set_point(0, 4)
    settle(qtbot, widget)
    np.testing.assert_array_equal(box.preview.data[0], normalise(tifffile.imread(lapse / "t5.tif"), settings))
    np.testing.assert_allclose(box.preview.translate, (4, 0, 0))
    viewer.layers.remove(box.preview)
    assert not box.shading.isChecked()
    box.shading.setChecked(True)
    settle(qtbot, widget)
    assert box.preview in viewer.layers
    viewer.layers.remove(image)
    assert box.preview is None
    assert [layer.name for layer in viewer.layers] == ["lapse – mask"]


def test_the_corrected_image_becomes_a_layer_of_its_own(viewer, widget, qtbot, lapse):
    load(qtbot, widget, lapse)
    image, box = viewer.layers["lapse"], widget.prepare
    raw = image.data
    type_number(box, "shading", "12")
    box.shading.setChecked(True)
    settle(qtbot, widget)
    box.add_button.click()
    settle(qtbot, widget)
    corrected = viewer.layers["lapse – without shading"]
    assert corrected.data.shape == image.data.shape
    assert corrected.data.chunksize == (1, 96, 128)
    assert corrected.axis_labels == image.axis_labels
    assert corrected.units == image.units
    np.testing.assert_allclose(corrected.scale, image.scale)
    assert np.ptp(corrected.data[2].compute()[:, 40:-40].mean(axis=0)) < 0.2
    assert image.data is raw
    assert box.preview is None
    assert box.images.count() == 2  # it can be chosen, here and in Segment


def test_the_shading_of_a_single_image(viewer, widget, qtbot):
    image = viewer.add_image(shaded(), name="One", scale=(0.5, 0.5))
    widget.prepare.shading.setChecked(True)
    settle(qtbot, widget)
    assert widget.prepare.preview.data.shape == image.data.shape
    widget.prepare.add()
    settle(qtbot, widget)
    assert viewer.layers["One – without shading"].data.dtype == np.float32


def test_images_without_contrast_or_shading(viewer, widget, qtbot):
    viewer.add_image(np.zeros((20, 20, 3), np.uint8), name="Colour", rgb=True)
    assert "colour" in widget.prepare.note.text()
    assert not widget.prepare.shading.isEnabled()
    viewer.add_image(np.zeros((2, 3, 20, 20), np.uint8), name="Four")
    assert "4 dimensions" in widget.prepare.note.text()
    viewer.add_image(np.full((20, 20), 7, np.uint8), name="Flat", contrast_limits=(0, 10))
    widget.prepare.shading.setChecked(True)
    settle(qtbot, widget)
    assert "constant" in widget.prepare.note.text()
    assert widget.prepare.preview is None


def test_closing_the_viewer_while_opening(make_napari_viewer, qtbot, lapse):
    viewer = make_napari_viewer()
    widget = LoadWidget(viewer)
    viewer.window.add_dock_widget(widget)
    choose(qtbot, widget, lapse)
    done: list[bool] = []
    widget.start()
    token, job = widget.job.token, widget.job
    widget.job.done.connect(lambda: done.append(True))  # a few frames may be opened before the viewer is closed
    viewer.close()
    qtbot.waitUntil(lambda: (token.cancelled or bool(done)) and job.wait(0), timeout=20_000)


def test_the_widget_imports_no_keras():
    import subprocess
    import sys

    code = "import blunet.widgets.load_widget, sys; sys.exit(any(m in sys.modules for m in ('keras', 'tensorflow')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
