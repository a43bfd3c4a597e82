"""The folder of a run: its files, its lock, and the check that a run is resumed with the same settings and data."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.report import Report
from blunet.compression.run_events import Event
from blunet.compression.run_request import WITHOUT_FILE, Request
from blunet.compression.settings_file import read_settings, write_settings
from blunet.compression.steps import STEPS
from blunet.dataset.dataset_report import DatasetReport, find_changed_files, record_dataset
from blunet.dataset.pair_facts import hash_file
from blunet.errors import InputError
from blunet.files import output_folder, remove_unfinished, replacing

#: Version of `run.json`.
FORMAT = 1
TEACHER_HASH = "teacher_sha256"
#: Files that may be in the folder of a run that has not begun: the log of errors, and the lock.
LOG, LOCK = "log.txt", "lock"
#: An error names this many changed files at most.
NAMED_FILES = 5


class RunDirectory:
    """The folder of a run.

    Parameters
    ----------
    path : str or Path

    Attributes
    ----------
    path : Path
        The folder. The others are in it.
    settings, facts, events, report, page, model, log : Path
        Files.
    checkpoints : Path
        Folder of the states and results of the steps.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.settings = self.path / "settings.toml"
        self.facts = self.path / "run.json"
        self.events = self.path / "events.jsonl"
        self.report = self.path / "report.json"
        self.page = self.path / "report.html"
        self.model = self.path / "model.blunet"
        self.checkpoints = self.path / "checkpoints"
        self.log = self.path / LOG

    def result(self, step: str) -> Path:
        """Return the file of a finished step's network."""
        return self.checkpoints / f"{step}.keras"

    def last(self, step: str) -> Path:
        """Return the file of an unfinished step's last state."""
        return self.checkpoints / f"{step}-last.npz"

    def best(self, step: str) -> Path:
        """Return the file of an unfinished step's best weights."""
        return self.checkpoints / f"{step}-best.npz"

    def preview(self, step: str) -> Path:
        """Return the picture of the mask that a step's latest weights predict for the first validation image."""
        return self.path / "preview" / f"{step}.png"

    @contextmanager
    def enter(self, request: Request, data: DatasetReport) -> Iterator[bool]:
        """Make the folder of a run, or enter that of a run to be resumed, and lock it while the run lasts.

        Parameters
        ----------
        request : Request
        data : DatasetReport
            Its files are compared with those of the run to be resumed; the data's folder itself may have moved.

        Yields
        ------
        bool
            Whether a run is resumed.

        Raises
        ------
        InputError
            If the folder cannot be made or is in use by another run; if it is not empty and `resume` is not set; if it
            holds no run, or a run of another version, or with other settings, another teacher or other data.
        """
        output_folder(self.path)
        with self._lock():
            resumed = any(path.name not in (LOG, LOCK) for path in self.path.iterdir())
            if resumed and not request.resume:
                raise InputError(
                    f"The run folder '{self.path}' is not empty; add --resume to go on, or choose another."
                )
            if resumed:
                self._check(request, data)
            try:
                self._begin(request, data)
            except OSError:
                if not resumed:  # an incomplete beginning could not be resumed
                    self._empty()
                raise
            self._end_torn_line()
            yield resumed

    def _begin(self, request: Request, data: DatasetReport) -> None:
        for folder in (self.path, self.checkpoints, self.preview("").parent):
            folder.mkdir(exist_ok=True)
            remove_unfinished(folder)
        write_settings(request.settings, self.settings)
        facts = {"format": FORMAT, "teacher": _absolute(request.teacher), "data": record_dataset(data)}
        self._write(self.facts, facts | _teacher_hash(request))

    def _empty(self) -> None:
        for path in (self.settings, self.facts):
            path.unlink(missing_ok=True)
        for folder in (self.checkpoints, self.preview("").parent):
            if folder.exists():
                folder.rmdir()

    def append_event(self, event: Event) -> Event:
        """Append an event to `events.jsonl` and return it."""
        with self.events.open("a", encoding="utf-8") as file:
            file.write(event.to_json() + "\n")
        return event

    def write_report(self, report: Report, page: str) -> None:
        """Write `report.json` and `report.html`."""
        self._write(self.report, report.to_dict())
        with replacing(self.page) as temporary:
            temporary.write_text(page, encoding="utf-8", errors="replace")  # names may hold bytes that are not UTF-8

    def _check(self, request: Request, data: DatasetReport) -> None:
        """Refuse to resume a run of another version, or with another teacher, other data or other settings."""
        try:
            facts = json.loads(self.facts.read_text(encoding="utf-8"))
            version, teacher, record = facts["format"], facts["teacher"], dict(facts["data"])
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise InputError(
                f"'{self.path}' cannot be resumed: 'run.json' is missing or damaged; start again in another folder."
            ) from e
        if version != FORMAT:
            raise InputError(
                f"'{self.path}' was made by another version (format {version}, not {FORMAT}); start again."
            )
        self._check_teacher(request, teacher, facts.get(TEACHER_HASH))
        self._check_data(record, data)
        self._check_settings(request)

    def _check_teacher(self, request: Request, teacher: str, recorded: str | None) -> None:
        """Compare the teacher's name and hash; a run of an older version has no hash recorded."""
        now = _teacher_hash(request).get(TEACHER_HASH)
        if _absolute(teacher) != _absolute(request.teacher) and (now is None or now != recorded):
            raise InputError(
                f"'{self.path}' has the teacher '{teacher}', not '{request.teacher}'; choose another folder."
            )
        if recorded is not None and now != recorded:
            raise InputError(
                f"Since '{self.path}' was begun, its teacher '{teacher}' was changed: put back the file that was "
                "there, or start a new run in another folder."
            )

    def _check_data(self, record: dict[str, Any], data: DatasetReport) -> None:
        if changed := find_changed_files(record, data):
            names = ", ".join(f"'{name}'" for name in changed[:NAMED_FILES])
            more = f" and {len(changed) - NAMED_FILES} more" if len(changed) > NAMED_FILES else ""
            verb = "was" if len(changed) == 1 else "were"
            raise InputError(
                f"Since '{self.path}' was begun, {names}{more} in '{data.folder}' {verb} "
                "changed, added or removed: put back what was there, or start a new run in another folder."
            )

    @property
    def finished_steps(self) -> frozenset[str]:
        """Names of the steps whose results are there."""
        return frozenset(step for step in STEPS if self.result(step).exists())

    def _check_settings(self, request: Request) -> None:
        before = read_settings(self.settings)
        if change := describe_changed_setting(before, request.settings, self.finished_steps):
            raise InputError(f"'{self.path}' was begun with other settings: {change}")

    def _end_torn_line(self) -> None:
        """End the last line of `events.jsonl`, which is incomplete after a run was killed or the disk was full."""
        if self.events.exists() and (content := self.events.read_bytes()) and not content.endswith(b"\n"):
            with self.events.open("ab") as file:
                file.write(b"\n")

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Lock the folder for this process; the system releases the lock of a process that was killed."""
        lock = FileLock(self.path / LOCK, timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout as e:
            raise InputError(f"The run folder '{self.path}' is in use by another run; wait until it ends.") from e
        try:
            yield
        finally:
            lock.release()
            with suppress(OSError):  # Windows: the next run has locked it already
                (self.path / LOCK).unlink()

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")


def describe_changed_setting(
    before: CompressionSettings, now: CompressionSettings, finished: Collection[str] = ()
) -> str:
    """Say which setting keeps a run from being resumed.

    Parameters
    ----------
    before, now : CompressionSettings
        Those that the run was begun with, and those that it is to be resumed with. Epochs of the last step and rates of
        unfinished steps may change.
    finished : collection of str
        Names of the finished steps.

    Returns
    -------
    str
        A sentence that begins with the setting's name; empty if the run can be resumed.
    """
    begun, wanted = _flatten(before.to_dict()), _flatten(now.to_dict())
    free = {"binarise.epochs", *(f"{step}.learning_rate" for step in STEPS if step not in finished)}
    for name in sorted((begun | wanted).keys() - free):
        then = begun.get(name)
        if wanted.get(name) != then:
            was = "not set" if then is None else repr(then)
            return f"'{name}' was {was}; give the same, or choose another folder."
    return ""


def _absolute(teacher: str) -> str:
    """Return a teacher's absolute path, as a run may be resumed from another folder."""
    return teacher if teacher in WITHOUT_FILE else str(Path(teacher).absolute())


def _teacher_hash(request: Request) -> dict[str, str]:
    path = request.teacher_file
    return {} if path is None else {TEACHER_HASH: hash_file(path)}


def _flatten(settings: dict[str, Any], within: str = "") -> dict[str, Any]:
    """Name each setting with the tables that it is in: {"transfer": {"epochs": 3}} becomes {"transfer.epochs": 3}."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flatten(value, f"{within}{key}.") if isinstance(value, dict) else {f"{within}{key}": value}
    return flat
