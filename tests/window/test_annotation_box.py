"""Annotations of other programs in the window: imported in Compress, dropped on Load."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from napari.layers import Image, Labels
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from blunet.dataset.pairs import find_pairs
from blunet.outlines.imagej_rois import write_rois
from blunet.outlines.tracing import trace_outlines
from blunet.widgets.annotation_box import AnnotationBox
from blunet.widgets.compress_form import CompressForm
from blunet.widgets.load_widget import LoadWidget


@pytest.fixture
def regions(tmp_path):
    labels = np.zeros((64, 80), np.int32)
    labels[5:20, 5:25] = 1
    labels[30:50, 40:70] = 2
    tifffile.imwrite(tmp_path / "x.tif", np.random.default_rng(0).integers(1, 200, labels.shape).astype(np.uint8))
    write_rois(tmp_path / "x_RoiSet.zip", trace_outlines(labels))
    return tmp_path / "x_RoiSet.zip"


@pytest.fixture
def form(make_napari_viewer, qtbot):
    form = CompressForm(make_napari_viewer())
    qtbot.addWidget(form)
    form.resize(420, 900)
    form.show()
    return form


def test_imported_annotations_become_the_training_data(form, qtbot, regions):
    form.annotations.set_open(True)
    box = form.findChild(AnnotationBox)
    assert not box.button.isEnabled()
    box.source.set_text(str(regions))
    QTest.keyClicks(box.origin, "drawn by hand")
    with qtbot.waitSignal(box.imported, timeout=20_000):
        QTest.mouseClick(box.button, Qt.MouseButton.LeftButton)
    folder = regions.with_name("x_RoiSet pairs")
    assert form.folder.text == str(folder)
    assert [pair.name for pair in find_pairs(folder).pairs] == ["x"]
    assert json.loads((folder / "origin.json").read_text())["imports"][0]["origin"] == "drawn by hand"
    assert box.status.text() == "1 image with 2 cells (roi) in 'x_RoiSet pairs'."
    assert box.folder.name == "x_RoiSet pairs 2"


def test_what_cannot_be_imported_is_told_in_the_box(form, qtbot, regions, monkeypatch):
    monkeypatch.setattr("blunet.widgets.worker.show_error", lambda sentence: None)
    form.annotations.set_open(True)
    box = form.findChild(AnnotationBox)
    regions.write_text("no zip file")
    box.source.set_text(str(regions))
    box.start()
    qtbot.waitUntil(lambda: box.status.text() == "Nothing was imported.", timeout=20_000)
    assert "holds no annotations that are known" in box.warning.text()
    assert not form.folder.text


def test_load_opens_the_image_of_annotations_with_its_cells(make_napari_viewer, qtbot, regions):
    viewer = make_napari_viewer()
    widget = LoadWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Load")
    with qtbot.waitSignal(widget.looked, timeout=20_000):
        widget.set_sources([regions])
    assert widget.form.found.text() == "x: 80 × 64 pixels (uint8), with annotations"
    with qtbot.waitSignal(widget.finished, timeout=20_000):
        QTest.mouseClick(widget.form.open_button, Qt.MouseButton.LeftButton)
    image, labels = viewer.layers
    assert isinstance(image, Image)
    assert isinstance(labels, Labels)
    assert labels.name == "x – annotations"
    assert np.unique(labels.data).tolist() == [0, 1, 2]
