"""The report as one HTML page: figures, example images, curves. No Keras here."""

from __future__ import annotations

import base64
import functools
from collections.abc import Iterable, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from blunet.compression.report import Report
from blunet.compression.report_curves import draw_curves
from blunet.compression.report_examples import Example
from blunet.compression.report_pictures import FALSE_POSITIVE, FOUND, MISSED
from blunet.compression.run_events import EpochDone, Event
from blunet.quantities import describe_duration

COLOURS = ((FOUND, "cells, found"), (MISSED, "missed"), (FALSE_POSITIVE, "found where no cell is"))


def render_report(report: Report, events: Iterable[Event], examples: Sequence[Example]) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    report : Report
    events : iterable of Event
        The events of the run, for the curves.
    examples : sequence of Example
        Shown as a row of pictures each.

    Returns
    -------
    str
        A page that needs no other file.
    """
    # The epochs of a step that was begun again are in the events twice.
    epochs = list({(event.step, event.epoch): event for event in events if isinstance(event, EpochDone)}.values())
    return _template().render(
        report=report,
        duration=describe_duration(report.seconds),
        examples=examples,
        colours=COLOURS,
        curves=list(draw_curves(epochs)),
    )


@functools.cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("blunet.compression"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    environment.filters["px"] = lambda length: f"{length:.1f}"
    return environment.get_template("report.html.jinja")
