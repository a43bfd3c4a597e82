"""The curves of a report: where lines, bands and rings are drawn. No Keras here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from blunet.compression.run_events import EpochDone
from blunet.compression.steps import STEPS

#: Size of a drawing, and the space left of it for numbers, in pixels.
WIDTH, HEIGHT, MARGIN = 720, 180, 44
#: Space below the curves and above them, in pixels.
BELOW, ABOVE = 20, 24
#: Mean width of a letter in pixels: a band shows only a name that fits.
LETTER_WIDTH = 6.2
#: Smaller losses are drawn as this one, as there is no logarithm of 0.
MIN_LOSS = 1e-9
LINE_COLOURS = ("#0072b2", "#e69f00")
BAND_COLOURS = ("#f2f5f9", "#ffffff")


@dataclass(frozen=True)
class Band:
    """The epochs of one step, shaded; `label` is what fits of the step's `title`. Left and width in pixels."""

    left: float
    width: float
    colour: str
    title: str
    label: str


@dataclass(frozen=True)
class Line:
    """A line between two epochs, from (x1, y1) to (x2, y2) in pixels."""

    x1: float
    y1: float
    x2: float
    y2: float
    colour: str


@dataclass(frozen=True)
class Curve:
    """A drawing of figures of all epochs of a run.

    Attributes
    ----------
    title : str
    bands : list of Band
    lines : list of Line
    best : list of (x, y)
        The best epoch of each step, in pixels.
    ticks : list of (value, y)
        The lowest and the highest value, and their places in pixels.
    width, height, margin : int
        In pixels.
    """

    title: str
    bands: list[Band]
    lines: list[Line]
    best: list[tuple[float, float]]
    ticks: list[tuple[float, float]]
    width: int = WIDTH
    height: int = HEIGHT
    margin: int = MARGIN


def draw_curves(epochs: Sequence[EpochDone]) -> Iterator[Curve]:
    """Yield the curves of the validation IoU and of the losses; none of figures that no epoch has.

    Losses are drawn by their logarithms, because those of hints are of another order of magnitude.
    """
    scored = [epoch for epoch in epochs if epoch.val_iou is not None]
    ious = [epoch.val_iou for epoch in scored if epoch.val_iou is not None]
    if scored:
        yield _draw("validation IoU", scored, [ious], (0.0, max(ious) or 1.0))
    if epochs:
        losses = [[epoch.loss for epoch in epochs], [epoch.val_loss for epoch in epochs]]
        low = max(min(map(min, losses)), MIN_LOSS)
        limits = (low, max(max(map(max, losses)) or 1.0, 1.01 * low))
        title = "training loss (blue), validation loss (orange), on a logarithmic scale"
        yield _draw(title, epochs, losses, limits, logarithmic=True)


def _draw(
    title: str,
    epochs: Sequence[EpochDone],
    values: Sequence[Sequence[float]],
    limits: tuple[float, float],
    *,
    logarithmic: bool = False,
) -> Curve:
    low, high = limits

    def y(value: float) -> float:
        share = math.log(max(value, low) / low) / math.log(high / low) if logarithmic else value / high
        return HEIGHT - BELOW - (HEIGHT - BELOW - ABOVE) * share

    x = [_x(i, len(epochs)) for i in range(len(epochs))]
    lines = [
        Line(x[a], y(series[a]), x[b], y(series[b]), colour)
        for series, colour in zip(values, LINE_COLOURS, strict=False)
        for a, b in pairwise(range(len(epochs)))
        if epochs[a].step == epochs[b].step
    ]
    best = {epoch.step: i for i, epoch in enumerate(epochs) if epoch.best}
    return Curve(
        title=title,
        bands=list(_draw_bands([epoch.step for epoch in epochs])),
        lines=lines,
        best=[(x[i], y(values[-1][i])) for i in best.values()],
        ticks=[(value, y(value)) for value in limits],
    )


def _x(index: float, count: int) -> float:
    return MARGIN + (WIDTH - MARGIN) * (index + 0.5) / count


def _draw_bands(steps: Sequence[str]) -> Iterator[Band]:
    """Yield a band for each run of equal names."""
    starts = [i for i in range(len(steps)) if i == 0 or steps[i] != steps[i - 1]]
    for number, (start, end) in enumerate(pairwise([*starts, len(steps)])):
        left, right = _x(start - 0.5, len(steps)), _x(end - 0.5, len(steps))
        step = STEPS[steps[start]]
        fitting = (text for text in (step.title, step.short_title) if LETTER_WIDTH * len(text) < right - left)
        yield Band(left, right - left, BAND_COLOURS[number % 2], step.title, next(fitting, ""))
