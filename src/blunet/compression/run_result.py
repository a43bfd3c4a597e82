"""The end of a run: its stages are scored, and the packed model and the report are written."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

from blunet.architecture import Network, count_parameters
from blunet.compression.report import SCORES, Report, compare_stages
from blunet.compression.report_examples import choose_examples
from blunet.compression.report_page import render_report
from blunet.compression.run_context import RunContext
from blunet.compression.run_events import Event, StepDone, read_events
from blunet.compression.scoring import Stage, score_stage
from blunet.compression.steps import STEPS
from blunet.networks.keras_file import KerasModel
from blunet.simulation.dic_fields import DicField

#: The stage that the run starts from, and that is no result of it.
BEFORE = "U-Net before transfer"


@dataclass(frozen=True)
class RunNetworks:
    """The networks of a run with their final weights.

    Attributes
    ----------
    before : keras.Model or None
        The U-Net before transfer learning; None if it starts from random weights.
    teacher, student, binary : keras.Model
        The U-Net, the lightweight U-Net and BLU-Net.
    """

    before: keras.Model | None
    teacher: keras.Model
    student: keras.Model
    binary: keras.Model


def write_result(context: RunContext, networks: RunNetworks, held_out: Sequence[DicField]) -> None:
    """Score every stage, and write the packed model and the report.

    Parameters
    ----------
    context : RunContext
    networks : RunNetworks
    held_out : sequence of DicField
        Simulated fields that help to choose thresholds and splittings.

    Raises
    ------
    Stopped
        If the run is cancelled.
    """
    data, folder, info = context.data, context.folder, context.info
    stages: list[Stage] = []
    for name, network, kind in _list_stages(context, networks):
        model: Any = KerasModel(network, context.settings.network(kind), info)
        model = model.packed() if kind == "blunet" else model
        check = functools.partial(context.check, "report")
        stages.append(score_stage(name, model, data.validation, data.test, folder.path, check, held_out))
    last = stages[-1].figures
    figures = {f"validation_{key}": getattr(last.validation, key) for key in SCORES}
    info = info.changed(threshold=last.threshold, splitting=last.splitting, card=info.card.changed(figures=figures))
    replace(model, info=info).save(folder.model)
    events = list(read_events(folder.events))
    report = _make_report(context, stages, events)
    results = [stage for stage in stages if stage.figures.name != BEFORE]
    folder.write_report(
        report, render_report(report, events, choose_examples(results, data.validation, info.normalisation))
    )


def _list_stages(context: RunContext, networks: RunNetworks) -> Iterator[tuple[str, keras.Model, Network]]:
    """Yield the name, network and kind of each stage that has learned something, and of BLU-Net in any case."""
    if networks.before is not None and "transfer" in context.steps:
        yield BEFORE, networks.before, "unet"
    if networks.before is not None or "transfer" in context.steps:
        yield "U-Net", networks.teacher, "unet"
    if any(STEPS[step].network == "lightweight" for step in context.steps):
        yield "lightweight U-Net", networks.student, "lightweight"
    yield "BLU-Net", networks.binary, "blunet"


def _make_report(context: RunContext, stages: Sequence[Stage], events: Sequence[Event]) -> Report:
    data, settings = context.data, context.settings
    figures = [stage.figures for stage in stages]
    seconds = {event.step: event.seconds for event in events if isinstance(event, StepDone)}
    return Report(
        models=figures,
        losses=compare_stages(figures),
        training=[pair.name for pair in data.training],
        validation=[pair.name for pair in data.validation],
        test=[pair.name for pair in data.test],
        teacher=context.request.teacher,
        settings=settings.to_dict(),
        seconds=sum(seconds.values()),
        stored_bits=count_parameters(settings.network("blunet")).bits,
    )
