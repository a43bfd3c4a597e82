"""Finds out whether a folder is free for a run, or holds a run that can be resumed."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.run_directory import LOCK, LOG, RunDirectory, describe_changed_setting
from blunet.compression.run_events import Event, read_events
from blunet.compression.run_request import WITHOUT_FILE
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
        Those of the run so far.
    model, report : Path or None
        None before it is finished.
    finished_steps : frozenset of str
        Names of the steps that are done.
    """

    data: Path
    teacher: str
    settings: CompressionSettings
    events: tuple[Event, ...]
    model: Path | None
    report: Path | None
    finished_steps: frozenset[str] = frozenset()

    def describe_change(self, teacher: str, settings: CompressionSettings) -> str:
        """Say what keeps the run from being resumed with a teacher and settings; empty if nothing does."""
        files = not {teacher, self.teacher} & set(WITHOUT_FILE)  # a file may have moved: the run compares its content
        if teacher != self.teacher and not files:
            return f"The run was begun with the teacher '{self.teacher}': choose the same, or another run folder."
        change = describe_changed_setting(self.settings, settings, self.finished_steps)
        return f"The run was begun with other settings: {change}" if change else ""


@dataclass(frozen=True)
class RunFolder:
    """A folder that was chosen for a run.

    Attributes
    ----------
    path : Path
    problem : str
        Why a run can be neither started nor resumed there, in one sentence; empty if it can.
    earlier : EarlierRun or None
        The run that can be resumed there.
    """

    path: Path
    problem: str = ""
    earlier: EarlierRun | None = None

    @property
    def finished(self) -> bool:
        """Whether the run there has come to its end."""
        return self.earlier is not None and self.earlier.model is not None


def inspect_folder(folder: Path) -> RunFolder:
    """Find out whether a run can be started or resumed in a folder, which need not exist."""
    if not RunDirectory(folder).facts.is_file():
        return RunFolder(folder, _find_obstacle(folder))
    try:
        return RunFolder(folder, earlier=read_run(folder))
    except InputError as e:
        return RunFolder(folder, str(e))


def read_run(folder: Path) -> EarlierRun:
    """Read the facts, the settings and the events of a run.

    Raises
    ------
    InputError
        If a file of the run is damaged.
    """
    run = RunDirectory(folder)
    try:
        facts = json.loads(run.facts.read_text(encoding="utf-8"))
        data, teacher = Path(facts["data"]["folder"]), str(facts["teacher"])
        events = tuple(read_events(run.events)) if run.events.is_file() else ()
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise InputError(f"The run in '{folder}' cannot be read ({e}); choose another folder.") from e
    finished = run.model.is_file() and run.report.is_file()
    return EarlierRun(
        data,
        teacher,
        read_settings(run.settings),
        events,
        model=run.model if finished else None,
        report=run.report if finished else None,
        finished_steps=run.finished_steps,
    )


def _find_obstacle(folder: Path) -> str:
    """Return why no run can begin in a folder, in one sentence; empty if one can."""
    try:
        if folder.is_dir():
            others = sorted(path.name for path in folder.iterdir() if path.name not in (LOG, LOCK))
            if others:
                return f"The run folder '{folder}' holds other files ('{others[0]}'): choose an empty or a new one."
        there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    except OSError as e:
        return f"The run folder '{folder}' cannot be used: {e.strerror}. Choose another."
    if not there.is_dir():
        return f"The run folder '{folder}' cannot be made: '{there}' is a file. Choose another."
    if not os.access(there, os.W_OK):
        return f"The run folder '{folder}' cannot be made: '{there}' cannot be written to. Choose another."
    return ""
