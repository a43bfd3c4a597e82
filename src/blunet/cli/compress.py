"""`blunet compress`."""

from __future__ import annotations

import json
import shlex
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from blunet.cli.console import BAD_INPUT, INTERRUPTED, fail, given_path, note, report_errors, say, warn

if TYPE_CHECKING:
    from blunet.compression.compression_settings import CompressionSettings
    from blunet.compression.report import CellFigures, StageFigures
    from blunet.compression.run_events import RunDone, RunStopped
    from blunet.compression.run_request import Request
    from blunet.jobs.events import CancelToken

#: Columns of the final table: heading, name of the figure, format.
COLUMNS = (
    ("cells found", "cells", ""),
    ("IoU", "iou", ".4f"),
    ("F1", "f1", ".4f"),
    ("AP50", "ap50", ".4f"),
    ("mAP", "map", ".4f"),
    ("parameters", "parameters", ",d"),
    ("MiB", "size_mib", ".3f"),
    ("s per image", "seconds", ".3f"),
)


@report_errors
def compress(
    data: Annotated[Path, typer.Option(parser=given_path, metavar="DIR")],
    run: Annotated[Path, typer.Option("--out", parser=given_path, metavar="RUN")],
    settings: Annotated[
        Path | None,
        typer.Option(parser=given_path, metavar="FILE", help="TOML file of the settings that differ from the preset."),
    ] = None,
    preset: Annotated[
        Literal["study", "full", "quick"] | None,
        typer.Option(help="quick: minutes on a laptop, the default. full: some hours. study: as published, days."),
    ] = None,
    teacher: Annotated[str | None, typer.Option(metavar="FILE|simulated|scratch")] = None,
    test: Annotated[Path | None, typer.Option(parser=given_path, metavar="DIR")] = None,
    name: Annotated[str | None, typer.Option(metavar="TEXT")] = None,
    resume: Annotated[bool, typer.Option("--resume")] = False,
) -> None:
    """Compress a U-Net of your own into a BLU-Net, in three phases.

    Ctrl-C or a termination signal stops the run at the next batch and saves it; --resume continues it. A second one
    stops at once.
    """
    from blunet.compression.run_request import Request

    if teacher is not None:
        teacher = str(given_path(teacher))
    request = Request(
        data=str(data),
        run=str(run),
        settings=_choose_settings(run, settings, preset, resume=resume),
        teacher=teacher or (_earlier_teacher(run) if resume else None) or "simulated",
        test=None if test is None else str(test),
        name=name or "",
        resume=resume,
    )
    given = {"--data": data, "--out": run, "--settings": settings, "--preset": preset, "--teacher": teacher}
    _print_result(_follow(request, _resume_command(given | {"--test": test, "--name": name})))


def _follow(request: Request, resume_command: str) -> RunDone:
    """Show the run until it is done; one that is not done ends the command with its exit code."""
    from blunet.cli.step_progress import StepProgress
    from blunet.compression.run_events import RunDone, RunFailed, RunStopped
    from blunet.jobs.compression_run import ChildError
    from blunet.jobs.compression_run import compress as job
    from blunet.jobs.events import Cancelled, CancelToken

    token = CancelToken()
    try:
        with StepProgress() as progress, _cancel_on_signal(token):
            for event in job(request, token):
                match event:
                    case RunFailed(sentence):
                        with progress.paused():
                            fail(sentence)
                        raise typer.Exit(BAD_INPUT)
                    case RunStopped():
                        with progress.paused():
                            note(f"Stopped{describe_place(event)}; resume with: {resume_command}")
                        raise typer.Exit(INTERRUPTED)
                    case RunDone():
                        done = event
                    case _:
                        progress.show(event)
    except ChildError as e:
        fail(str(e))
        for line in e.last_lines:
            note(f"  | {line}")
        raise typer.Exit(BAD_INPUT) from e
    except (Cancelled, KeyboardInterrupt) as e:
        note(f"Stopped before the last batches were saved; resume with: {resume_command}")
        raise typer.Exit(INTERRUPTED) from e
    return done


def _choose_settings(run: Path, file: Path | None, preset_name: str | None, *, resume: bool) -> CompressionSettings:
    """Return the preset, or the settings of the run to be resumed, changed by the settings file."""
    from blunet.compression.presets import preset
    from blunet.compression.run_directory import RunDirectory
    from blunet.compression.settings_file import read_settings

    base = preset(preset_name or "quick")
    earlier = RunDirectory(run).settings
    if resume and preset_name is None and earlier.exists():
        base = read_settings(earlier)  # what a file of an older version leaves out has the default, not the preset's
    return base if file is None else read_settings(file, base)


def _earlier_teacher(run: Path) -> str | None:
    """Return the teacher of the run to be resumed; None if it cannot be read, which the run itself then reports."""
    from blunet.compression.run_directory import RunDirectory

    try:
        return str(json.loads(RunDirectory(run).facts.read_text(encoding="utf-8"))["teacher"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def _cancel_on_signal(token: CancelToken) -> Iterator[None]:
    """Let the first Ctrl-C or termination signal cancel the run, and the second end it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled = [number for number, handler in before.items() if handler is not signal.SIG_IGN]

    def cancel(*_: object) -> None:
        token.cancel()
        for number in handled:
            signal.signal(number, signal.default_int_handler)

    for number in handled:
        signal.signal(number, cancel)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])


def describe_place(event: RunStopped) -> str:
    """Return where a run was stopped, as the end of a sentence."""
    if event.step == "report":
        return " while the stages were scored; all steps are done"
    if event.epoch == 0:
        return f" before the step '{event.step}'"
    return f" in the step '{event.step}', epoch {event.epoch}, batch {event.batch}"


def _resume_command(options: Mapping[str, object]) -> str:
    """Return the command that resumes the run that was started with these options."""
    words = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    return shlex.join(["blunet", "compress", *words, "--resume"])


def _print_result(done: RunDone) -> None:
    from blunet.compression.report import read_report

    report = read_report(done.report)
    say(f"BLU-Net: {report.summary}")
    if report.warning:
        warn(report.warning)
    say()
    for line in format_table(report.models):
        say(line)
    say()
    say(f"Model   {done.model}")
    say(f"Report  {done.report}")
    say(f"Use it  {shlex.join(['blunet', 'segment', 'IMAGE', '--model', done.model, '--out', 'DIR'])}")


def format_table(stages: Sequence[StageFigures]) -> list[str]:
    """Return the lines of a table with one row for each stage."""
    rows = [["", *(heading for heading, _, _ in COLUMNS)]]
    rows += [[stage.name, *(_cell(getattr(stage, name), form) for _, name, form in COLUMNS)] for stage in stages]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        f"{row[0]:<{widths[0]}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]


def _cell(figure: float | CellFigures | None, form: str) -> str:
    if figure is None:
        return "–"
    return format(figure, form) if isinstance(figure, (int, float)) else f"{figure.found} of {figure.cells}"
