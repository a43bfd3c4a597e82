"""A part of a form that is shown and hidden by a click on its title."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

CLOSED, OPEN = "▸", "▾"


class Section(QWidget):
    """A title and, after a click on it, the content, which is not made before.

    Parameters
    ----------
    title : str
    make_content : callable
        Returns the content.
    """

    def __init__(self, title: str, make_content: Callable[[], QWidget], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title, self._make_content = title, make_content
        self._content: QWidget | None = None
        self._editable = True
        self.button = QPushButton(f"{CLOSED}  {title}")
        self.button.setCheckable(True)
        self.button.setStyleSheet("text-align: left; border: none; background: transparent; padding: 4px 0px;")
        self.button.toggled.connect(self._show_content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.button)

    def set_open(self, is_open: bool) -> None:
        """Show or hide the content."""
        self.button.setChecked(is_open)

    def set_title(self, title: str) -> None:
        """Change the title."""
        self._title = title
        self.button.setText(f"{OPEN if self.button.isChecked() else CLOSED}  {title}")

    def set_editable(self, editable: bool) -> None:
        """Enable or disable the content; it can be shown and hidden in any case."""
        self._editable = editable
        if self._content is not None:
            self._content.setEnabled(editable)

    def _show_content(self, shown: bool) -> None:
        if self._content is None:
            self._content = self._make_content()
            self._content.setEnabled(self._editable)
            layout = self.layout()
            assert layout is not None
            layout.addWidget(self._content)
        self._content.setVisible(shown)
        self.button.setText(f"{OPEN if shown else CLOSED}  {self._title}")
