"""What is in the folder of a run: nothing yet, an earlier run that can go on, or something else."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.run_directory import RunDirectory
from blunet.compression.run_events import Event, read_events
from blunet.compression.settings_file import read_settings
from blunet.errors import InputError


@dataclass(frozen=True)
class EarlierRun:
    """A run that was begun.

    Attributes
    ----------
    data : Path
        Folder of its images and masks.
    teacher : str
        As a request names it.
    settings : CompressionSettings
    events : tuple of Event
        What it has told so far.
    model, report : Path or None
        None before it is finished.
    """

    data: Path
    teacher: str
    settings: CompressionSettings
    events: tuple[Event, ...]
    model: Path | None
    report: Path | None


def holds_run(folder: Path) -> bool:
    """Tell whether a run was begun in a folder."""
    return RunDirectory(folder).facts.is_file()


def is_finished(folder: Path) -> bool:
    """Tell whether a folder holds a run that has come to its end."""
    run = RunDirectory(folder)
    return run.facts.is_file() and run.model.is_file() and run.report.is_file()


def read_run(folder: Path) -> EarlierRun:
    """Read what a run says about itself.

    Raises
    ------
    InputError
        If it is damaged.
    """
    run = RunDirectory(folder)
    try:
        facts = json.loads(run.facts.read_text(encoding="utf-8"))
        data, teacher = Path(facts["data"]["folder"]), str(facts["teacher"])
        events = tuple(read_events(run.events)) if run.events.is_file() else ()
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise InputError(f"The run in '{folder}' cannot be read ({e}); choose another folder.") from e
    ended = is_finished(folder)
    made = (run.model, run.report) if ended else (None, None)
    return EarlierRun(data, teacher, read_settings(run.settings), events, *made)


def why_no_run(folder: Path) -> str:
    """Say in a sentence why a run can be neither begun nor resumed in a folder; an empty one if it can."""
    if holds_run(folder):
        return ""
    if folder.is_dir():
        others = sorted(path.name for path in folder.iterdir() if path.name not in ("log.txt", "lock"))
        if others:
            return f"The run folder '{folder}' holds other files ('{others[0]}'): choose an empty or a new one."
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if not there.is_dir():
        return f"The run folder '{folder}' cannot be made: '{there}' is a file. Choose another."
    if not os.access(there, os.W_OK):
        return f"The run folder '{folder}' cannot be made: '{there}' cannot be written to. Choose another."
    return ""
