"""A path that is typed, chosen in a dialog, or dropped."""

from __future__ import annotations

import pytest
from dialogs import answer_dialog
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit, QPushButton

from blunet.widgets.path_box import PathBox

BUTTONS = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def box(qtbot):
    box = PathBox("Folder with images", new=lambda: "/a/new one")
    qtbot.addWidget(box)
    box.show()
    return box


def test_a_path_is_typed(box, qtbot):
    line = box.findChild(QLineEdit)
    assert line.placeholderText() == "Folder with images"
    assert box.text == ""
    items = []
    box.changed.connect(lambda: items.append(box.text))
    QTest.keyClicks(line, " ~/my data ")
    assert items == []  # not at every key
    QTest.keyClick(line, Qt.Key.Key_Return)
    assert items == ["~/my data"]


def test_a_folder_is_chosen_in_a_dialog(box, qtbot, tmp_path):
    (button,) = (b for b in box.findChildren(QPushButton) if b.text() == "Choose…")
    with answer_dialog(tmp_path), qtbot.waitSignal(box.changed, timeout=20_000):
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert box.text == str(tmp_path)


def test_a_new_folder_is_named(box, qtbot):
    with qtbot.waitSignal(box.changed):
        QTest.mouseClick(box.new_button, Qt.MouseButton.LeftButton)
    assert box.text == "/a/new one"


def drop(box, mime):
    enter = QDragEnterEvent(QPoint(5, 5), Qt.DropAction.CopyAction, mime, *BUTTONS)
    QApplication.sendEvent(box, enter)
    if enter.isAccepted():
        QApplication.sendEvent(box, QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, *BUTTONS))
    return enter.isAccepted()


def test_a_folder_is_dropped(box, qtbot, tmp_path):
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path))])
    with qtbot.waitSignal(box.changed):
        assert drop(box, mime)
    assert box.text == str(tmp_path)
    mime.setUrls([QUrl.fromLocalFile("/a"), QUrl.fromLocalFile("/b")])
    assert not drop(box, mime)
    mime = QMimeData()
    mime.setText("some words")
    assert not drop(box, mime)
    assert box.text == str(tmp_path)
