"""A path in a form: typed, chosen in a dialog, or dropped."""

from __future__ import annotations

import functools
from collections.abc import Callable

from magicgui.types import FileDialogMode
from magicgui.widgets import FileEdit
from qtpy.QtCore import Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QHBoxLayout, QMenu, QPushButton, QToolButton, QWidget


class PathBox(QWidget):
    """magicgui's `FileEdit`, which also takes a file or folder that is dropped on it.

    Parameters
    ----------
    hint : str
        Shown while the box is empty.
    files : str, optional
        A filter of Qt's file dialog, such as "Images (*.tif *.png)". None: a folder is wanted.
    new : callable, optional
        Returns the path of a folder that does not exist yet, for a button *New*.
    earlier : callable, optional
        Returns titles and paths for a menu of earlier folders. It is called when the menu is opened.
    """

    changed = Signal()
    """Emitted when a path was entered, not at every key."""

    def __init__(
        self,
        hint: str,
        *,
        files: str | None = None,
        new: Callable[[], str] | None = None,
        earlier: Callable[[], list[tuple[str, str]]] | None = None,
    ) -> None:
        super().__init__()
        mode = FileDialogMode.EXISTING_FILE if files else FileDialogMode.EXISTING_DIRECTORY
        self._edit = FileEdit(mode=mode, filter=files, nullable=True)
        self._edit.choose_btn.text = "Choose…"
        line = self._edit.line_edit.native
        line.setMinimumWidth(80)
        line.setPlaceholderText(hint)
        line.setAcceptDrops(False)  # it would insert the address as text
        self.setAcceptDrops(True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._edit.native, 1)
        if new is not None:
            self.new_button = QPushButton("New")
            self.new_button.setToolTip("Enter the name of a folder that does not exist yet.")
            self.new_button.clicked.connect(lambda: self.set_text(new()))
            layout.addWidget(self.new_button)
        if earlier is not None:
            layout.addWidget(self._make_menu_button(earlier))
        line.editingFinished.connect(self.changed)
        self._edit.choose_btn.changed.connect(self._on_chosen)  # after the dialog, which FileEdit opens first

    @property
    def text(self) -> str:
        """The path as it was entered, without spaces around it; empty if there is none."""
        return str(self._edit.line_edit.value).strip()

    def set_text(self, text: str) -> None:
        """Enter a path."""
        self._edit.line_edit.value = text
        self.changed.emit()

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Accept a file or folder."""
        if event is not None and _dropped(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Enter the path of what was dropped."""
        if event is not None and (path := _dropped(event)):
            event.acceptProposedAction()
            self.set_text(path)

    def _make_menu_button(self, earlier: Callable[[], list[tuple[str, str]]]) -> QToolButton:
        button = self.earlier_button = QToolButton()
        button.setText("▾")
        button.setStyleSheet("QToolButton::menu-indicator { image: none; }")  # it would lie on the text
        button.setToolTip("Earlier runs")
        button.setAccessibleName("Earlier runs")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        menu.setToolTipsVisible(True)

        def fill() -> None:
            menu.clear()
            for title, path in earlier():
                action = menu.addAction(title, functools.partial(self.set_text, path))
                action.setToolTip(path)
            if menu.isEmpty():
                menu.addAction("No earlier runs").setEnabled(False)

        menu.aboutToShow.connect(fill)
        button.setMenu(menu)
        return button

    def _on_chosen(self) -> None:
        self.changed.emit()


def _dropped(event: QDropEvent) -> str:
    mime = event.mimeData()
    paths = [url.toLocalFile() for url in mime.urls() if url.isLocalFile()] if mime is not None else []
    return paths[0] if len(paths) == 1 else ""
