"""What the docks share: long names do not widen them, and they can be closed at any time."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QApplication, QLabel

from blunet.widgets.compress_widget import CompressWidget
from blunet.widgets.layer_list import LayerList
from blunet.widgets.load_widget import LoadWidget
from blunet.widgets.scroll import UprightScroll
from blunet.widgets.segment_widget import SegmentWidget


def open_and_close(kind, viewer, qtbot):
    widget = kind(viewer)
    viewer.window.add_dock_widget(widget)
    image = viewer.add_image(np.random.default_rng(0).random((64, 64)), name="First")
    if isinstance(widget, SegmentWidget):
        widget.start()
        qtbot.waitUntil(lambda: not widget.busy, timeout=60_000)
    viewer.window.remove_dock_widget(widget)
    return image


@pytest.mark.parametrize("kind", [LoadWidget, SegmentWidget, CompressWidget])
def test_closing_a_dock_disconnects_its_widget(make_napari_viewer, qtbot, kind):
    viewer = make_napari_viewer()
    image = open_and_close(kind, viewer, qtbot)
    gc.collect()  # PyQt6 calls what is connected to `destroyed` from within: a lambda is gone by then
    gc.collect()
    image.name = "Second"
    viewer.theme = "light"
    viewer.layers.remove(image)
    qtbot.wait(10)  # an exception of a running timer would fail the test


def test_docks_are_tabs_with_the_latest_in_front(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    window = viewer.window._qt_window
    docks = []
    for kind in (LoadWidget, SegmentWidget, CompressWidget):
        docks.append(viewer.window.add_dock_widget(kind(viewer), name=kind.__name__))
        qtbot.waitUntil(lambda: len(window.tabifiedDockWidgets(docks[0])) == len(docks) - 1, timeout=10_000)
    qtbot.waitUntil(lambda: docks[2].geometry().height() > 0.6 * window.height(), timeout=10_000)
    assert docks[2].widget().isVisible()
    viewer.window.remove_dock_widget(docks[2])
    again = viewer.window.add_dock_widget(CompressWidget(viewer), name="Again")
    qtbot.waitUntil(lambda: again in window.tabifiedDockWidgets(docks[0]), timeout=10_000)
    other = viewer.window.add_dock_widget(SegmentWidget(viewer), name="Left", area="left")
    qtbot.wait(50)
    assert other not in window.tabifiedDockWidgets(docks[0])


@pytest.mark.parametrize("kind", [LoadWidget, SegmentWidget, CompressWidget])
def test_long_names_do_not_widen_a_dock(make_napari_viewer, kind):
    viewer = make_napari_viewer()
    widget = kind(viewer)
    viewer.window.add_dock_widget(widget)
    inner = widget.findChild(UprightScroll).widget()
    before = inner.minimumSizeHint().width()
    viewer.add_image(np.random.default_rng(0).random((64, 64)), name="A name that a microscope gave it " * 4)
    for box in widget.findChildren(LayerList):
        assert box.minimumSizeHint().width() < 0.7 * before


def test_controls_of_forms_above_each_other_have_one_left_edge(make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    load, segment = LoadWidget(viewer), SegmentWidget(viewer)
    for widget in (load, segment):
        viewer.window.add_dock_widget(widget)
    viewer.window.show()
    viewer.add_image(np.random.default_rng(0).random((64, 64)), name="Image")
    edges = {
        "load": [load.form.together, load.form.masks, load.prepare.images, load.prepare.form.control("high").native],
        "segment": [segment.form.images, segment.form.diameter, segment.form.labels_form.control("min_size").native],
    }
    for controls in edges.values():
        qtbot.waitUntil(lambda c=controls: len({x.mapToGlobal(x.rect().topLeft()).x() for x in c}) == 1, timeout=5000)


def test_controls_have_the_names_of_their_labels(make_napari_viewer):
    segment = SegmentWidget(make_napari_viewer())
    assert segment.form.images.accessibleName() == "Image"
    assert segment.form.parts.kinds.accessibleName() == "Part"


@pytest.mark.parametrize("kind", [LoadWidget, SegmentWidget, CompressWidget])
def test_letters_are_used_once_and_never_those_of_the_menus(make_napari_viewer, kind):
    widget = kind(make_napari_viewer())
    keys = [each.shortcut().toString() for each in widget.findChildren(QAbstractButton)]
    letters = [key[-1] for key in keys if key.startswith("Alt+")]
    for label in widget.findChildren(QLabel):
        if label.buddy() is not None and "&" in label.text():
            letters.append(label.text().split("&")[1][0].upper())
    assert len(letters) > 4
    assert len(set(letters)) == len(letters)
    assert not set(letters) & set("FVLPWHD")


def test_alt_and_a_letter_reach_a_control(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget)
    viewer.add_image(np.random.default_rng(0).random((64, 64)), name="Image")
    viewer.window._qt_window.activateWindow()
    qtbot.waitUntil(widget.isVisible)
    (title,) = (label for label in widget.findChildren(QLabel) if label.text().replace("&", "") == "Image")
    letter = title.text().split("&")[1][0]
    qtbot.keyClick(viewer.window._qt_window, letter.lower(), Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(
        lambda: widget.form.images.hasFocus() or widget.form.images.isAncestorOf(QApplication.focusWidget())
    )
