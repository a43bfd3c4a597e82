"""A path in a form: typed, or chosen in a dialog."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QWidget


class PathBox(QWidget):
    """A path, typed or chosen.

    Parameters
    ----------
    hint : str
        Shown while nothing is written.
    file : str
        Which files are offered; empty: a folder is wanted.
    new : callable, optional
        Returns a path that is not there yet, for a button that writes it.
    """

    changed = Signal()

    def __init__(self, hint: str, *, file: str = "", new: Callable[[], str] | None = None) -> None:
        super().__init__()
        self._file = file
        self.edit = QLineEdit()
        self.edit.setMinimumWidth(80)
        self.edit.setPlaceholderText(hint)
        self.edit.editingFinished.connect(self.changed)
        button = QPushButton("Choose…")
        button.clicked.connect(self._choose)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.edit, 1)
        layout.addWidget(button)
        if new is not None:
            self.new_button = QPushButton("New")
            self.new_button.setToolTip("Write the name of a folder that is not there yet.")
            self.new_button.clicked.connect(lambda: self.set_text(new()))
            layout.addWidget(self.new_button)

    @property
    def text(self) -> str:
        """What is written, without spaces around it."""
        return self.edit.text().strip()

    def set_text(self, text: str) -> None:
        """Write a path."""
        self.edit.setText(text)
        self.changed.emit()

    def _choose(self) -> None:
        if self._file:
            name, _ = QFileDialog.getOpenFileName(self, self.edit.placeholderText(), self.text, self._file)
        else:
            name = QFileDialog.getExistingDirectory(self, self.edit.placeholderText(), self.text)
        if name:
            self.set_text(name)
