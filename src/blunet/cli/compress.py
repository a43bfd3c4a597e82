"""`blunet compress`."""

from __future__ import annotations

import json
import shlex
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from blunet.cli.console import BAD_INPUT, INTERRUPTED, fail, given_path, note, report_errors, say

if TYPE_CHECKING:
    from blunet.compression.compression_settings import CompressionSettings
    from blunet.compression.report import StageFigures
    from blunet.compression.run_events import RunDone, RunStopped
    from blunet.jobs.events import CancelToken

#: Columns of the final table: heading, name of the figure, format.
COLUMNS = (
    ("IoU", "iou", ".4f"),
    ("F1", "f1", ".4f"),
    ("AP50", "ap50", ".4f"),
    ("parameters", "parameters", ",d"),
    ("MiB", "size_mib", ".3f"),
    ("s per image", "seconds", ".3f"),
)


@report_errors
def compress(
    data: Annotated[
        Path,
        typer.Option(
            parser=given_path, metavar="DIR", help="Folder with 'images' and 'masks', or 'x.tif' beside 'x_mask.tif'."
        ),
    ],
    out: Annotated[
        Path, typer.Option(parser=given_path, metavar="RUN", help="Folder of the run: checkpoints, report, model.")
    ],
    settings: Annotated[
        Path | None,
        typer.Option(parser=given_path, metavar="FILE", help="TOML file of settings that differ from the preset's."),
    ] = None,
    preset: Annotated[
        Literal["study", "quick"] | None,
        typer.Option(help="quick: minutes on a laptop, the default. study: as published, hours to days."),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|simulated|scratch",
            help="U-Net to start from: a .keras or published .h5 file; one pretrained on simulated images, the "
            "default; or none.",
        ),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(parser=given_path, metavar="DIR", help="Images and masks that are only scored, apart."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in RUN stood.")] = False,
) -> None:
    """Compress a U-Net of your own into a BLU-Net, in three phases.

    Ctrl-C, or a termination, stops at the next batch and saves; with --resume the run goes on there. A second one stops
    at once.
    """
    from blunet.cli.steps import Steps
    from blunet.compression.run_events import RunDone, RunFailed, RunStopped
    from blunet.compression.run_request import Request
    from blunet.jobs.compression_run import ChildError
    from blunet.jobs.compression_run import compress as job
    from blunet.jobs.events import Cancelled, CancelToken

    chosen = _settings(out, settings, preset, resume=resume)
    if teacher is None:
        taught_by = (_earlier_teacher(out) if resume else None) or "simulated"
    else:
        taught_by = str(given_path(teacher))
    request = Request(str(data), str(out), chosen, taught_by, None if test is None else str(test), resume)
    token = CancelToken()
    again = _command(
        {"--data": data, "--out": out, "--settings": settings, "--preset": preset, "--teacher": teacher, "--test": test}
    )
    try:
        with Steps() as steps, _cancelling(token):
            for event in job(request, token):
                match event:
                    case RunFailed(sentence):
                        with steps.paused():
                            fail(sentence)
                        raise typer.Exit(BAD_INPUT)
                    case RunStopped():
                        with steps.paused():
                            _stopped(place(event), again)
                        raise typer.Exit(INTERRUPTED)
                    case RunDone():
                        done = event
                    case _:
                        steps.show(event)
    except ChildError as e:
        fail(str(e))
        for line in e.last_lines:
            note(f"  | {line}")
        raise typer.Exit(BAD_INPUT) from e
    except (Cancelled, KeyboardInterrupt) as e:
        _stopped(" before it could save the last batches", again)
        raise typer.Exit(INTERRUPTED) from e
    _finish(done)


def _settings(out: Path, path: Path | None, preset_name: str | None, *, resume: bool) -> CompressionSettings:
    """Return the preset, or what the run in `out` was started with, changed by the settings file."""
    from blunet.compression.presets import preset
    from blunet.compression.run_directory import RunDirectory
    from blunet.compression.settings_file import read_settings

    base = preset(preset_name or "quick")
    earlier = RunDirectory(out).settings
    if resume and preset_name is None and earlier.exists():
        base = read_settings(earlier)  # what a file of another version leaves out is not the preset's
    return base if path is None else read_settings(path, base)


def _earlier_teacher(out: Path) -> str | None:
    """Return the teacher of the run in `out`; None where that cannot be told, which the run itself refuses."""
    from blunet.compression.run_directory import RunDirectory

    try:
        return str(json.loads(RunDirectory(out).facts.read_text(encoding="utf-8"))["teacher"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def _cancelling(token: CancelToken) -> Iterator[None]:
    """Have the first Ctrl-C cancel, and the second end at once; a termination is taken for a Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]

    def cancel(*_: object) -> None:
        token.cancel()
        for number in heard:
            signal.signal(number, signal.default_int_handler)

    for number in heard:
        signal.signal(number, cancel)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def place(event: RunStopped) -> str:
    """Say where a run was stopped."""
    if event.step == "report":
        return " while the stages were scored; all steps are done"
    if event.epoch == 0:
        return f" before the step '{event.step}'"
    return f" in the step '{event.step}', epoch {event.epoch}, batch {event.batch}"


def _stopped(where: str, again: str) -> None:
    note(f"Stopped{where}; go on with: {again}")


def _command(options: dict[str, object]) -> str:
    """Return the command that resumes the run that was started with these options."""
    words = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    return shlex.join(["blunet", "compress", *words, "--resume"])


def _finish(done: RunDone) -> None:
    from blunet.compression.report import read_report

    report = read_report(done.report)
    part, number = "test" if report.test else "validation", len(report.scored)
    say(f"Mean of {number} {part} {'image' if number == 1 else 'images'}:")
    for line in table(report.models):
        say(line)
    say()
    say(f"Model   {done.model}")
    say(f"Report  {done.report}")
    say(f"Use it  {shlex.join(['blunet', 'segment', 'IMAGE', '--model', done.model, '--out', 'DIR'])}")


def table(models: Sequence[StageFigures]) -> list[str]:
    """Return the lines of a table with one row for each stage."""
    rows = [["", *(heading for heading, _, _ in COLUMNS)]]
    for model in models:
        rows.append([model.name, *(format(getattr(model, name), form) for _, name, form in COLUMNS)])
    wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        f"{row[0]:<{wide[0]}}" + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], wide[1:], strict=True))
        for row in rows
    ]
