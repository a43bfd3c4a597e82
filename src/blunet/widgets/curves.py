"""Curves of a compression while it runs: losses and IoU over the epochs of all steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import QSize, QTimer
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from blunet.compression.run_events import EpochDone, Event, RunStarted, StepDone, StepStarted
from blunet.compression.steps import STEPS

TRAINING, VALIDATION, BEST = "#4c9be8", "#f0a030", "#5fbf6a"


@dataclass
class Step:
    """The epochs of one step, by their number within it."""

    name: str
    epochs: dict[int, EpochDone] = field(default_factory=dict)
    best: int | None = None


class LossAxis(pg.AxisItem):
    """A logarithmic axis with ticks at 1, 2 and 5 of every decade, or at fewer where they would touch."""

    #: Smallest distance of two ticks, in pixels.
    TICK_DISTANCE = 20

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        """Return the ticks between two logarithms."""
        decades = range(math.floor(minVal), math.ceil(maxVal) + 1)
        for steps in ((1, 2, 5), (1, 3), (1,)):
            ticks = [decade + math.log10(step) for decade in decades for step in steps]
            ticks = [tick for tick in ticks if minVal <= tick <= maxVal]
            if len(ticks) * self.TICK_DISTANCE <= size:
                break
        return [(1.0, ticks)]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """Return the losses of which the axis shows the logarithms."""
        return [f"{10**value:.3g}" for value in values]


class Canvas(pg.GraphicsLayoutWidget):
    """A canvas for two plots whose preferred height leaves space for the rest of a dock."""

    def sizeHint(self) -> QSize:
        """Return the size at which both plots are easy to read."""
        return QSize(400, 340)


class Curves(QWidget):
    """Two plots, one above the other: the losses, and the IoU on the validation images."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.steps: list[Step] = []
        """The epochs of each step so far."""
        self._labels: list[tuple[Any, int]] = []
        self._epochs = 1
        self._view = Canvas()
        self._view.setMinimumHeight(260)
        self._loss = self._view.addPlot(row=0, col=0, axisItems={"left": LossAxis("left")})
        self._iou = self._view.addPlot(row=1, col=0)
        self._iou.setXLink(self._loss)
        for plot, label in ((self._loss, "loss"), (self._iou, "IoU")):
            plot.setLabel("left", label)
            plot.setMenuEnabled(False)
            plot.hideButtons()
            plot.getAxis("left").setWidth(44)
            plot.setMouseEnabled(x=False, y=False)
        self._loss.setLogMode(y=True)  # the losses of hints differ by orders of magnitude
        self._iou.setLabel("bottom", "epoch")
        self._iou.setYRange(0, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        legend = QLabel(
            f"<span style='color:{TRAINING}'>━</span> training &nbsp; "
            f"<span style='color:{VALIDATION}'>━</span> validation &nbsp; "
            f"<span style='color:{BEST}'>●</span> best epoch, which is kept"
        )
        legend.setToolTip("Validation images are not trained on: they choose the best epoch of each step.")
        layout.addWidget(legend)
        layout.addWidget(self._view)
        self.set_colours("#262930", "#f0f1f2")

    def clear(self) -> None:
        """Remove all epochs."""
        self.steps.clear()
        self._draw()

    def add(self, *events: Event) -> None:
        """Add events, in their order; an epoch that was resumed replaces the one before."""
        drawn = [event for event in events if isinstance(event, RunStarted | StepStarted | EpochDone | StepDone)]
        for event in drawn:
            self._take(event)
        if drawn:
            self._draw()

    def set_colours(self, background: str, text: str) -> None:
        """Use a theme's colours."""
        self._view.setBackground(background)
        self._text = text
        for plot in (self._loss, self._iou):
            for name in ("left", "bottom"):
                axis = plot.getAxis(name)
                axis.setPen(pg.mkPen(text))
                axis.setTextPen(pg.mkPen(text))
        self._draw()

    def _take(self, event: Event) -> None:
        match event:
            case RunStarted(resumed=False):
                self.steps.clear()
            case StepStarted():
                self._step(event.step)
            case EpochDone():
                self._step(event.step).epochs[event.epoch] = event
            case StepDone():
                self._step(event.step).best = event.best_epoch

    def _step(self, name: str) -> Step:
        for step in self.steps:
            if step.name == name:
                return step
        self.steps.append(Step(name))
        return self.steps[-1]

    def _draw(self) -> None:
        self.setVisible(bool(self.steps))
        for plot in (self._loss, self._iou):
            plot.clear()
        start = 0
        for number, step in enumerate(self.steps):
            epochs = [step.epochs[n] for n in sorted(step.epochs)]
            count = max((e.epochs for e in epochs), default=1)
            if number % 2:
                self._tint(start, start + count)
            x = [start + e.epoch for e in epochs]
            self._line(self._loss, x, [e.loss for e in epochs], TRAINING)
            self._line(self._loss, x, [e.val_loss for e in epochs], VALIDATION)
            seen = [(start + e.epoch, e.val_iou) for e in epochs if e.val_iou is not None]
            self._line(self._iou, [a for a, _ in seen], [b for _, b in seen], VALIDATION)
            best = max((e.epoch for e in epochs if e.best), default=0) if step.best is None else step.best
            if best in step.epochs:
                self._mark(start + best, step.epochs[best])
            start += count
        self._labels = []
        for name, first, count in self._names():
            label = pg.TextItem(name, color=self._text, anchor=(0, 0))
            self._iou.addItem(label, ignoreBounds=True)
            label.setPos(first, 1.0)
            self._labels.append((label, count))
        self._epochs = max(start, 1)
        self._loss.setXRange(0, self._epochs, padding=0.02)
        self._show_labels()

    def _show_labels(self) -> None:
        """Hide the names of steps that are too narrow for them."""
        pixels = self._iou.getViewBox().width() / (1.04 * self._epochs)
        for label, count in self._labels:
            label.setVisible(label.boundingRect().width() <= count * pixels)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show the names that fit into the new width."""
        super().resizeEvent(event)
        QTimer.singleShot(0, self, self._show_labels)  # after the plots have followed

    def _tint(self, start: int, stop: int) -> None:
        """Shade every other step."""
        for plot in (self._loss, self._iou):
            brush = pg.mkBrush(128, 128, 128, 32)
            region = pg.LinearRegionItem((start, stop), movable=False, brush=brush, pen=pg.mkPen(None))
            plot.addItem(region, ignoreBounds=True)

    def _names(self) -> Iterator[tuple[str, int, int]]:
        """Yield name, first epoch and number of epochs of each group of steps with one name."""
        first = 0
        for name, steps in groupby(self.steps, key=lambda step: STEPS[step.name].short_title):
            count = sum(max((e.epochs for e in step.epochs.values()), default=1) for step in steps)
            yield name, first, count
            first += count

    def _line(self, plot: Any, x: list[int], y: list[float], colour: str) -> None:
        symbol = {"symbol": "o", "symbolSize": 5, "symbolBrush": colour, "symbolPen": None} if len(x) == 1 else {}
        plot.plot(x, y, pen=pg.mkPen(colour, width=2), **symbol)

    def _mark(self, x: int, event: EpochDone) -> None:
        """Mark the best epoch."""
        marked = [(self._loss, event.val_loss)]
        marked += [(self._iou, event.val_iou)] if event.val_iou is not None else []
        for plot, y in marked:
            plot.plot([x], [y], pen=None, symbol="o", symbolSize=9, symbolBrush=BEST, symbolPen=None)


def read_theme_colours(name: str) -> tuple[str, str]:
    """Return the background and the text of one of napari's themes."""
    from napari.utils.theme import get_theme

    theme = get_theme(name)
    return theme.background.as_hex(), theme.text.as_hex()
