"""Plots of tracked cells over the frames: all cells, and the selected track among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from blunet.images.pixel_size import PixelSize
from blunet.tracking.series import (
    Series,
    count_objects,
    measure_area,
    measure_confluence,
    measure_speed,
    summarise_by_frame,
)
from blunet.tracking.tracks import Tracks
from blunet.widgets.lineage_tree import Colour, make_visible
from blunet.widgets.scroll import WheelGuard

ALL = "#4c9be8"
#: Quantities of a frame, and of each cell.
COUNT, CONFLUENCE, AREA, SPEED = "Number of cells", "Confluence", "Area", "Speed"


class _NarrowPlot(pg.PlotWidget):
    """A plot that does not widen the dock."""

    def minimumSizeHint(self) -> QSize:
        """Return the smallest size at which the axes can be read."""
        return QSize(160, 150)


class TrackPlots(QWidget):
    """A list of quantities, and the plot of the chosen one: of all cells, and of the selected track with its family.

    For area and speed, all cells are shown by their median and a band that holds the middle half of them.
    """

    picked = Signal(int)
    """Emitted with the frame that was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.quantity = QComboBox()
        self.quantity.addItems([COUNT, CONFLUENCE, AREA, SPEED])
        self.quantity.setToolTip("What is plotted over the frames.")
        WheelGuard(self).protect(self.quantity)
        self.plot = _NarrowPlot()
        self.plot.setFixedHeight(150)
        self.plot.setToolTip("Click to go to a frame.")
        item = self.plot.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.setMouseEnabled(x=False, y=False)
        item.setLabel("bottom", "frame")
        item.getAxis("left").setWidth(48)
        self._now = pg.InfiniteLine(0, pen=pg.mkPen("#888888", style=Qt.PenStyle.DashLine))
        self._tracks: Tracks | None = None
        self._selected: int | None = None
        self._background = "#262930"
        self._size: PixelSize | None = None
        self._interval: float | None = None
        self._colour_of: Callable[[int], Colour] = lambda _: (160, 160, 160)
        self._series: dict[str, Series] = {}
        self._quartiles: dict[str, NDArray[np.float64]] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.quantity)
        layout.addWidget(self.plot)
        self.quantity.currentIndexChanged.connect(self._draw)
        self.plot.scene().sigMouseClicked.connect(self._on_clicked)

    def show_tracks(
        self, tracks: Tracks, size: PixelSize | None, interval: float | None, colour_of: Callable[[int], Colour]
    ) -> None:
        """Plot other tracks."""
        self._tracks, self._size, self._interval, self._colour_of = tracks, size, interval, colour_of
        self._series, self._quartiles = {}, {}
        self._draw()

    def select(self, track: int | None) -> None:
        """Show a track among all cells."""
        if track != self._selected:
            self._selected = track
            self._draw()

    def set_frame(self, t: int) -> None:
        """Mark the frame that is shown."""
        self._now.setValue(t)

    def set_colours(self, background: str, text: str) -> None:
        """Use a theme's colours."""
        self.plot.setBackground(background)
        self._background = background
        for name in ("left", "bottom"):
            axis = self.plot.getPlotItem().getAxis(name)
            axis.setPen(pg.mkPen(text))
            axis.setTextPen(pg.mkPen(text))

    def showEvent(self, event: QShowEvent) -> None:
        """Draw what has changed while the plots were hidden."""
        super().showEvent(event)
        self._draw()

    def _draw(self, _: object = None) -> None:
        if not self.isVisible():
            return
        item = self.plot.getPlotItem()
        item.clear()
        tracks, name = self._tracks, self.quantity.currentText()
        if tracks is None:
            return
        series = self._series.setdefault(name, self._measure(tracks, name))
        frames = np.arange(tracks.frames)
        item.setLabel("left", series.unit or "cells")
        if name in (COUNT, CONFLUENCE):
            item.plot(frames, series.values, pen=pg.mkPen(ALL, width=2))
        else:
            if name not in self._quartiles:
                self._quartiles[name] = summarise_by_frame(tracks, series.values)
            low, middle, high = self._quartiles[name]
            edges = [item.plot(frames, edge, pen=pg.mkPen(None), connect="finite") for edge in (low, high)]
            item.addItem(pg.FillBetweenItem(*edges, brush=pg.mkBrush(76, 155, 232, 60)))
            item.plot(frames, middle, pen=pg.mkPen(ALL, width=1.5), connect="finite")
            self._draw_family(tracks, series)
        item.addItem(self._now, ignoreBounds=True)
        item.enableAutoRange(y=True)
        item.setXRange(0, max(1, tracks.frames - 1), padding=0.03)
        if name in (COUNT, CONFLUENCE):
            item.setYRange(0, 1.1 * max(1.0, float(np.nanmax(series.values, initial=0))), padding=0)

    def _draw_family(self, tracks: Tracks, series: Series) -> None:
        if self._selected is None or self._selected not in tracks.spans:
            return
        family = [self._selected, *tracks.children.get(self._selected, [])]
        if self._selected in tracks.parents:
            family.append(tracks.parents[self._selected])
        for track in reversed(family):
            rows = tracks.rows_of(track)
            colour = make_visible(self._colour_of(track), self._background)
            pen = pg.mkPen(colour, width=3 if track == self._selected else 1.5)
            dot = {"symbol": "o", "symbolSize": 5, "symbolBrush": colour, "symbolPen": None}
            known = int(np.isfinite(series.values[rows]).sum())
            self.plot.plot(
                tracks.frame[rows], series.values[rows], pen=pen, connect="finite", **(dot if known == 1 else {})
            )

    def _measure(self, tracks: Tracks, name: str) -> Series:
        if name == COUNT:
            return count_objects(tracks)
        if name == CONFLUENCE:
            return measure_confluence(tracks)
        if name == AREA:
            return measure_area(tracks, self._size)
        return measure_speed(tracks, self._size, self._interval)

    def _on_clicked(self, event: Any) -> None:
        if self._tracks is not None:
            x = self.plot.getPlotItem().getViewBox().mapSceneToView(event.scenePos()).x()
            self.picked.emit(int(min(max(round(x), 0), self._tracks.frames - 1)))
