"""One left edge for the controls of several forms."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QFormLayout, QWidget

#: Events after which a label may have another width.
RESIZING = (QEvent.Type.Polish, QEvent.Type.FontChange, QEvent.Type.StyleChange)


class LabelAlignment(QObject):
    """Gives all labels of forms that stand one above the other the width of the widest one.

    The style sheet of napari changes the font after the forms were made; the widths follow.

    Parameters
    ----------
    parent : QObject
    *forms : QFormLayout
    """

    def __init__(self, parent: QObject, *forms: QFormLayout) -> None:
        super().__init__(parent)
        self._labels: list[QWidget] = []
        for form in forms:
            for row in range(form.rowCount()):
                item = form.itemAt(row, QFormLayout.ItemRole.LabelRole)
                label = None if item is None else item.widget()
                if label is not None:
                    self._labels.append(label)
                    label.installEventFilter(self)
        self._align()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Align the labels anew when one has another font."""
        if event.type() in RESIZING:
            self._align()
        return bool(super().eventFilter(watched, event))

    def _align(self) -> None:
        widest = max(label.sizeHint().width() for label in self._labels)
        for label in self._labels:
            label.setMinimumWidth(widest)
