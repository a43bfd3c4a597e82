"""What this plugin's docks have in common: they scroll, are never too narrow, and notice that they are closed."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QSize, Qt, Signal
from qtpy.QtWidgets import QScrollArea, QVBoxLayout, QWidget

LEAST_HEIGHT = 200


class DockContent(QWidget):
    """A widget in a dock of napari's, which keeps it, without a parent, when the user closes the dock."""

    closed = Signal()
    """The dock was closed: nobody sees any more what goes on here."""

    def changeEvent(self, event: QEvent) -> None:
        """Notice that the dock is gone."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parentWidget() is None:
            self.closed.emit()


class UprightScroll(QScrollArea):
    """Scrolls `inner` vertically alone; its least width is that of `inner` beside the scroll bar."""

    def __init__(self, inner: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(inner)

    def minimumSizeHint(self) -> QSize:
        """Return the least size that shows everything across."""
        inner = self.widget()
        return QSize(self._beside_bar(0 if inner is None else inner.minimumSizeHint().width()), LEAST_HEIGHT)

    def sizeHint(self) -> QSize:
        """Return a comfortable size."""
        inner = self.widget()
        wanted = QSize(0, LEAST_HEIGHT) if inner is None else inner.sizeHint()
        return QSize(self._beside_bar(wanted.width()), wanted.height())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take over a new least width of what is shown."""
        if event.type() == QEvent.Type.LayoutRequest and watched is self.widget():
            self.updateGeometry()
        return bool(super().eventFilter(watched, event))

    def _beside_bar(self, across: int) -> int:
        return across + self.verticalScrollBar().sizeHint().width()


def fill(dock: QWidget, inner: QWidget) -> None:
    """Fill a dock with `inner`, which scrolls."""
    outer = QVBoxLayout(dock)
    outer.setContentsMargins(0, 0, 0, 0)
    outer.addWidget(UprightScroll(inner))


class WheelGuard(QObject):
    """Lets the wheel scroll the dock, not change the control that happens to be under it, unless that was clicked."""

    def protect(self, control: QWidget) -> None:
        """Protect a control and what it consists of."""
        for widget in (control, *control.findChildren(QWidget)):
            if widget.focusPolicy() == Qt.FocusPolicy.WheelFocus:
                widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Pass the wheel on from a control without the focus."""
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return bool(super().eventFilter(watched, event))
