"""The report as one page that any browser shows: figures, example images, curves. No Keras here."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from blunet.compression.report import Report, StageChange, StageFigures
from blunet.compression.report_examples import Example
from blunet.compression.report_pictures import FOUND, MADE_UP, MISSED
from blunet.compression.run_events import EpochDone, Event
from blunet.quantities import describe_duration

WIDTH, HEIGHT, MARGIN = 720, 180, 44
#: Width of a letter in a figure; a band that is narrower than its name goes without, and tells it under the pointer.
LETTER = 6.2
SMALLEST_LOSS = 1e-9
COLOURS = ("#0072b2", "#e69f00")
BANDS = ("#f2f5f9", "#ffffff")
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 980px; margin: 40px auto; padding: 0 20px }
h1 { font-size: 24px; margin-bottom: 0 } h2 { font-size: 17px; margin-top: 36px; margin-bottom: 8px }
h3 { font-size: 13px; margin: 18px 0 4px; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
td, th { padding: 6px 10px; text-align: right; border-bottom: 1px solid #ddd }
td:first-child, th:first-child { text-align: left } th { border-bottom: 2px solid #888; font-weight: 600 }
tr:last-child td { font-weight: 600 }
.row { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); gap: 10px } figure { margin: 0 }
figcaption, p.small { font-size: 13px; color: #555 } figcaption { line-height: 1.35; margin-top: 4px }
img { width: 100%; display: block } svg { display: block; width: 100%; margin-bottom: 10px }
.keys { display: flex; flex-wrap: wrap; gap: 4px 18px; margin-top: 4px }
.keys i { display: inline-block; width: 12px; height: 12px; margin-right: 6px; outline: 1px solid #aaa }
"""


def report_page(report: Report, events: Iterable[Event], examples: Sequence[Example]) -> str:
    """Write the report as HTML.

    Parameters
    ----------
    report : Report
    events : iterable of Event
        Of the run, for the curves.
    examples : sequence of Example
        A row of pictures each.

    Returns
    -------
    str
        A page that needs no other file.
    """
    # An epoch that was told before its step was begun again is not shown twice.
    epochs = list({(e.step, e.epoch): e for e in events if isinstance(e, EpochDone)}.values())
    scored = "test files" if report.test else "validation files"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>BLU-Net compression</title><style>{STYLE}</style></head><body>
<h1>From a U-Net to BLU-Net</h1>
<p class="small">{len(report.training)} images to learn from, {len(report.validation)} to choose by
({escape(", ".join(report.validation))}); teacher: {escape(report.teacher)};
{describe_duration(report.seconds)} of training.</p>
<h2>What each stage reaches</h2>
{_table(report.models)}
<p class="small">Means over the {len(report.scored)} {scored}. IoU and F1 of the foreground, AP50 of the objects, at
IoU 0.5; time per image on this computer. {_thresholds(report.models)} {_sentence(report.losses)}</p>
{_pictures(examples)}
<h2>How it learnt</h2>
{_curves(epochs, "val_iou", "validation IoU")}
{_curves(epochs, "loss", "training loss (blue), validation loss (orange), on a logarithmic scale", "val_loss")}
</body></html>
"""


def _pictures(examples: Sequence[Example]) -> str:
    """Show each example as a row of pictures, under a key of their colours."""
    if not examples:
        return ""
    rows = []
    for example in examples:
        cells = "".join(
            f'<figure><img alt="{escape(what)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
            f"<figcaption>{escape(what)}<br>{figure}</figcaption></figure>"
            for what, figure, png in example.pictures
        )
        rows.append(f'<h3>{escape(example.name)}</h3><div class="row">{cells}</div>')
    keys = "".join(
        f'<span><i style="background: rgb{colour}"></i>{word}</span>'
        for colour, word in ((FOUND, "cells, found"), (MISSED, "missed"), (MADE_UP, "found where no cell is"))
    )
    return f"""<h2>What it looks like</h2>
<p class="small">Validation files, from the one that BLU-Net segments best to the worst. Of large ones the middle is
shown; the IoU is that of the whole.
<span class="keys">{keys}</span></p>
{"".join(rows)}"""


def _table(models: Sequence[StageFigures]) -> str:
    rows = "".join(
        f"<tr><td>{escape(m.name)}</td><td>{m.iou:.3f}</td><td>{m.f1:.3f}</td><td>{m.ap50:.3f}</td>"
        f"<td>{m.parameters:,}</td><td>{m.size_mib:.3f}</td><td>{m.seconds:.2f}</td></tr>"
        for m in models
    )
    head = (
        "<tr><th>stage</th><th>IoU</th><th>F1</th><th>AP50</th><th>parameters</th><th>MiB</th><th>s / image</th></tr>"
    )
    return f"<table>{head}{rows}</table>"


def _thresholds(models: Sequence[StageFigures]) -> str:
    chosen = ", ".join(f"{m.threshold:g} ({escape(m.name)})" for m in models)
    return f"Foreground is more probable than a threshold that was chosen on the validation files: {chosen}."


def _sentence(changes: Sequence[StageChange]) -> str:
    steps = [f"{escape(change.before)} to {escape(change.after)} {change.iou:+.1f}" for change in changes]
    return f"Points of IoU gained or lost: {'; '.join(steps)}." if steps else ""


def _curves(epochs: Sequence[EpochDone], first: str, title: str, second: str | None = None) -> str:
    """Draw figures of the epochs over the whole run, a band for each step, a ring at each best epoch.

    Two figures are losses: they are drawn by their logarithms, as those of hints are of another size.
    """
    keys = [key for key in (first, second) if key]
    shown = [e for e in epochs if all(getattr(e, key) is not None for key in keys)]
    if not shown:
        return ""
    values = [getattr(e, key) for e in shown for key in keys]
    low, high = 0.0, max(values) or 1.0
    if second:
        low = max(min(values), SMALLEST_LOSS)
        high = max(high, 1.01 * low)

    def x(i: float) -> float:
        return MARGIN + (WIDTH - MARGIN) * (i + 0.5) / len(shown)

    def y(value: float) -> float:
        share = math.log(max(value, low) / low) / math.log(high / low) if second else value / high
        return HEIGHT - 20 - (HEIGHT - 44) * share

    parts = [_bands(shown, x)]
    for key, colour in zip(keys, COLOURS, strict=False):
        for a, b in pairwise(range(len(shown))):
            if shown[a].step == shown[b].step:
                start, end = (f"{y(getattr(shown[i], key)):.1f}" for i in (a, b))
                ends = f'x1="{x(a):.1f}" y1="{start}" x2="{x(b):.1f}" y2="{end}"'
                parts.append(f'<line {ends} stroke="{colour}" stroke-width="2"/>')
    best = {e.step: i for i, e in enumerate(shown) if e.best}
    for i in best.values():
        middle = f'cx="{x(i):.1f}" cy="{y(getattr(shown[i], keys[-1])):.1f}"'
        parts.append(f'<circle {middle} r="4" fill="white" stroke="#222"/>')
    for value in (low, high):
        parts.append(f'<text x="{MARGIN - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.2g}</text>')
    parts.append(f'<text x="{MARGIN}" y="{HEIGHT - 5}" fill="#555">{escape(title)}; rings: best epochs</text>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" font-size="11">{"".join(parts)}</svg>'


def _bands(shown: Sequence[EpochDone], x: Any) -> str:
    parts: list[str] = []
    start = band = 0
    for i in range(1, len(shown) + 1):
        if i == len(shown) or shown[i].step != shown[start].step:
            left, right = x(start - 0.5), x(i - 0.5)
            colour = BANDS[band % 2]
            name = escape(shown[start].step.replace("_", " "))
            parts.append(
                f'<rect x="{left:.1f}" y="0" width="{right - left:.1f}" height="{HEIGHT - 16}" fill="{colour}">'
                f"<title>{name}</title></rect>"
            )
            if right - left > LETTER * len(name):
                parts.append(f'<text x="{left + 4:.1f}" y="12" fill="#555">{name}</text>')
            band += 1
            start = i
    return "".join(parts)
