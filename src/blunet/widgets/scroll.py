"""What the docks of this plugin share: scrolling, a sufficient width, and noticing that they are closed."""

from __future__ import annotations

from typing import TypeVar

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer, Signal
from qtpy.QtWidgets import QDockWidget, QFormLayout, QLabel, QMainWindow, QScrollArea, QVBoxLayout, QWidget

from blunet.widgets.mnemonics import add_mnemonics

MINIMUM_HEIGHT = 200

Found = TypeVar("Found", bound=QWidget)


class DockContent(QWidget):
    """A widget in one of napari's docks, which keeps it, without a parent, when the user closes the dock.

    Docks of this plugin that are opened one after the other become tabs: each needs the height of the window.
    """

    closed = Signal()
    """Emitted when the dock was closed, so that nobody sees what goes on."""

    def changeEvent(self, event: QEvent) -> None:
        """Notice that the dock was closed."""
        super().changeEvent(event)
        if event.type() != QEvent.Type.ParentChange:
            return
        if self.parentWidget() is None:
            self.closed.emit()
        else:
            QTimer.singleShot(0, self, self._become_tab)  # napari adds the dock to the window after this

    def _become_tab(self) -> None:
        dock, window = _find_parent(self, QDockWidget), _find_parent(self, QMainWindow)
        if dock is None or window is None or dock.isFloating():
            return
        area = window.dockWidgetArea(dock)
        for other in window.findChildren(QDockWidget):
            beside = other is not dock and other.findChild(DockContent) is not None
            if beside and not other.isFloating() and not other.isHidden() and window.dockWidgetArea(other) == area:
                if dock not in window.tabifiedDockWidgets(other):
                    window.tabifyDockWidget(other, dock)
                dock.raise_()
                return


class UprightScroll(QScrollArea):
    """Scrolls `inner` vertically only; its smallest width is that of `inner` and the scroll bar."""

    def __init__(self, inner: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(inner)

    def minimumSizeHint(self) -> QSize:
        """Return the smallest size, at which the whole width is visible."""
        inner = self.widget()
        return QSize(self._beside_bar(0 if inner is None else inner.minimumSizeHint().width()), MINIMUM_HEIGHT)

    def sizeHint(self) -> QSize:
        """Return the size at which everything is visible, as narrow as it can be: the image needs the room."""
        inner = self.widget()
        height = MINIMUM_HEIGHT if inner is None else inner.sizeHint().height()
        return QSize(self.minimumSizeHint().width(), height)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow a new smallest width of the content."""
        if event.type() == QEvent.Type.LayoutRequest and watched is self.widget():
            self.updateGeometry()
        return bool(super().eventFilter(watched, event))

    def _beside_bar(self, across: int) -> int:
        return across + self.verticalScrollBar().sizeHint().width()


def _find_parent(widget: QWidget, kind: type[Found]) -> Found | None:
    """Return the nearest widget around `widget` that is of a kind."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, kind):
        parent = parent.parentWidget()
    return parent


def fill(dock: QWidget, inner: QWidget) -> None:
    """Put `inner` into a dock, with a scroll bar."""
    for rows in inner.findChildren(QFormLayout):
        _name_controls(rows)
    add_mnemonics(inner)
    outer = QVBoxLayout(dock)
    outer.setContentsMargins(0, 0, 0, 0)
    outer.addWidget(UprightScroll(inner))


def _name_controls(rows: QFormLayout) -> None:
    """Give controls the text of their labels as the name that a screen reader says."""
    for row in range(rows.rowCount()):
        items = (rows.itemAt(row, role) for role in (QFormLayout.ItemRole.LabelRole, QFormLayout.ItemRole.FieldRole))
        label, control = (None if item is None else item.widget() for item in items)
        if isinstance(label, QLabel) and control is not None and label.text() and not control.accessibleName():
            control.setAccessibleName(label.text())


class WheelGuard(QObject):
    """Keeps the wheel from changing a control that was not clicked before: it scrolls the dock instead."""

    def protect(self, control: QWidget) -> None:
        """Protect a control and the widgets in it."""
        for widget in (control, *control.findChildren(QWidget)):
            if widget.focusPolicy() == Qt.FocusPolicy.WheelFocus:
                widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Ignore the wheel on a control without the focus."""
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return bool(super().eventFilter(watched, event))
