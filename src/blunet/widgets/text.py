"""Text in a dock: sentences, dim remarks, and warnings that can be read in dark and light themes."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGraphicsOpacityEffect, QLabel

if TYPE_CHECKING:
    from napari.viewer import Viewer

#: Opacity of a remark; a disabled label would be too pale to read.
REMARK_OPACITY = 0.72
#: Colours of a warning on a dark and on a light background.
ON_DARK, ON_LIGHT = "#e0ac2b", "#8a5a00"


def make_sentence_label() -> QLabel:
    """Return an empty label for whole sentences, which the user can copy."""
    label = QLabel()
    _for_sentences(label)
    return label


def make_remark_label(text: str = "") -> QLabel:
    """Return a label that is dimmer than the controls."""
    label = make_sentence_label()
    label.setText(text)
    effect = QGraphicsOpacityEffect(label)
    effect.setOpacity(REMARK_OPACITY)
    label.setGraphicsEffect(effect)
    return label


def wrap_tooltip(text: str) -> str:
    """Return a text that Qt breaks into lines when it is shown as a tooltip."""
    return f"<p>{html.escape(text)}</p>"


class WarningLabel(QLabel):
    """A label for whole sentences, in a colour that suits the viewer's theme."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        _for_sentences(self)
        viewer.events.theme.connect(self._on_theme)
        self._on_theme()

    def _on_theme(self, _: object = None) -> None:
        from napari.utils.theme import get_theme

        background = get_theme(str(self._viewer.theme)).background.as_rgb_tuple()
        dark = sum(background[:3]) / 3 < 128
        self.setStyleSheet(f"color: {ON_DARK if dark else ON_LIGHT};")


def _for_sentences(label: QLabel) -> None:
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
