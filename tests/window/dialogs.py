"""Answering Qt's file dialogs as a user would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit


@contextmanager
def answer_dialog(path: str | Path | None) -> Iterator[list[str]]:
    """Type a path into the file dialog that opens, or close it if the path is None; give what was proposed in it."""
    proposed: list[str] = []

    def answer() -> None:
        for dialog in QApplication.topLevelWidgets():
            if isinstance(dialog, QFileDialog) and dialog.isVisible():
                timer.stop()
                name = dialog.findChild(QLineEdit, "fileNameEdit")
                proposed.append(str(Path(dialog.directory().path(), name.text())))
                if path is None:
                    dialog.reject()
                    return
                name.setText(str(path))
                QTest.keyClick(name, Qt.Key.Key_Return)

    timer = QTimer()
    timer.timeout.connect(answer)
    timer.start(50)
    try:
        yield proposed
    finally:
        timer.stop()
    assert proposed, "no file dialog was opened"
