"""A small lineage tree: the family of one track over the frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import QSize, Qt, Signal

from blunet.tracking.lineage_layout import Branch, lay_out_lineage
from blunet.tracking.tracks import Tracks

Colour = tuple[int, int, int]
#: Largest height in pixels, and the height of a row.
_TALLEST, _ROW = 220, 22
#: In larger families the branches have no names, which would cover each other.
_MOST_NAMED = 24
#: Smallest difference of the brightness of a line from that of its background, 0 to 255.
_CONTRAST = 70


class LineageTree(pg.PlotWidget):
    """Draws each track of a family as a line from its first to its last frame, joined to its mother."""

    picked = Signal(int, int)
    """Emitted with the track and the frame that were clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.branches: list[Branch] = []
        """What is drawn."""
        self._background, self._text = "#262930", "#f0f1f2"
        self._height = 90
        plot = self.getPlotItem()
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setMouseEnabled(x=False, y=False)
        plot.hideAxis("left")
        plot.setLabel("bottom", "frame")
        plot.getViewBox().invertY(True)
        self._now = pg.InfiniteLine(0, pen=pg.mkPen("#888888", style=Qt.PenStyle.DashLine))
        self.setToolTip("Click a line to go to that cell in that frame.")
        self.setMinimumHeight(90)
        self.scene().sigMouseClicked.connect(self._on_clicked)

    def minimumSizeHint(self) -> QSize:
        """Return a width that does not widen the dock."""
        return QSize(160, self._height)

    def sizeHint(self) -> QSize:
        """Return a height at which all branches can be told apart, up to a limit."""
        return QSize(240, self._height)

    def show_family(self, tracks: Tracks | None, selected: int | None, colour_of: Callable[[int], Colour]) -> None:
        """Draw the family of a track; nothing without one."""
        self.clear()
        known = tracks is not None and selected is not None
        self.branches = lay_out_lineage(tracks, selected) if tracks is not None and selected is not None else []
        self.setVisible(known)
        if tracks is None or not self.branches:
            return
        rows = max(branch.row for branch in self.branches)
        for branch in self.branches:
            colour = make_visible(colour_of(branch.track), self._background)
            self._draw(branch, colour, thick=branch.track == selected)
            if rows < _MOST_NAMED:
                self._name(branch, late=branch.start > 0.9 * tracks.frames)
        self.addItem(self._now, ignoreBounds=True)
        self.setXRange(0, max(1, tracks.frames - 1), padding=0.03)
        self.setYRange(-0.8, rows + 0.5, padding=0)
        self._height = int(min(_TALLEST, 60 + _ROW * (rows + 1)))
        self.setFixedHeight(self._height)

    def set_frame(self, t: int) -> None:
        """Mark the frame that is shown."""
        self._now.setValue(t)

    def set_colours(self, background: str, text: str) -> None:
        """Use a theme's colours."""
        self.setBackground(background)
        self._background, self._text = background, text
        axis = self.getPlotItem().getAxis("bottom")
        axis.setPen(pg.mkPen(text))
        axis.setTextPen(pg.mkPen(text))

    def pick(self, frame: float, row: float) -> Branch | None:
        """Return the branch nearest to a place in the tree, if one is near."""
        near = [b for b in self.branches if b.start - 1 <= frame <= b.end + 1 and abs(b.row - row) < 0.5]
        return min(near, key=lambda branch: abs(branch.row - row), default=None)

    def _draw(self, branch: Branch, colour: Colour, *, thick: bool) -> None:
        pen = pg.mkPen(colour, width=5 if thick else 2.5)
        end = branch.end if branch.end > branch.start else branch.start + 0.4
        if branch.parent_row is not None:
            join = branch.start - 0.5
            self.plot([join, join], [branch.parent_row, branch.row], pen=pg.mkPen(self._text, width=1))
            self.plot([join, branch.start], [branch.row] * 2, pen=pen)
        self.plot([branch.start, end], [branch.row] * 2, pen=pen)

    def _name(self, branch: Branch, *, late: bool) -> None:
        text = pg.TextItem(str(branch.track), color=self._text, anchor=(1, 0.5) if late else (0, 0.9))
        self.addItem(text, ignoreBounds=True)
        text.setPos(branch.start - 0.5 * late, branch.row)

    def _on_clicked(self, event: Any) -> None:
        place = self.getPlotItem().getViewBox().mapSceneToView(event.scenePos())
        branch = self.pick(place.x(), place.y())
        if branch is not None:
            self.picked.emit(branch.track, int(min(max(round(place.x()), branch.start), branch.end)))


def make_visible(colour: Colour, background: str) -> Colour:
    """Return a colour that can be seen on a background: mixed with white or black where it is too much like it."""
    behind = pg.mkColor(background)
    brightness = _measure_brightness((behind.red(), behind.green(), behind.blue()))
    if abs(_measure_brightness(colour) - brightness) >= _CONTRAST:
        return colour
    other = 255 if brightness < 128 else 0
    red, green, blue = ((part + other) // 2 for part in colour)
    return red, green, blue


def _measure_brightness(colour: Colour) -> float:
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue
