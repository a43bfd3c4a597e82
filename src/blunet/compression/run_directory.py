"""The folder of a run: what lies where, who may use it, and whether it is the same run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from blunet.compression.run_events import Event
from blunet.compression.run_request import WITHOUT_FILE, Request
from blunet.compression.settings_file import read_settings, write_settings
from blunet.compression.steps import STEPS
from blunet.dataset.dataset_report import DatasetReport, find_changed_files, record_dataset
from blunet.dataset.pair_facts import hash_file
from blunet.errors import InputError
from blunet.files import output_folder, remove_unfinished, replacing

FORMAT = 1
TEACHER_HASH = "teacher_sha256"
#: A sentence names so many changed files and counts the rest.
NAMED = 5


class RunDirectory:
    """A run's folder.

    Parameters
    ----------
    path : str or Path

    Attributes
    ----------
    path, settings, facts, events, report, page, model, checkpoints, log : Path
        The folder and what lies in it.
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
        self.log = self.path / "log.txt"
        self._lock = self.path / "lock"

    def result(self, step: str) -> Path:
        """The finished model of a step."""
        return self.checkpoints / f"{step}.keras"

    def last(self, step: str) -> Path:
        """The last state of an unfinished step."""
        return self.checkpoints / f"{step}-last.npz"

    def best(self, step: str) -> Path:
        """The best weights of an unfinished step."""
        return self.checkpoints / f"{step}-best.npz"

    def preview(self, step: str) -> Path:
        """The mask that the step's latest weights give for the first validation image."""
        return self.path / "preview" / f"{step}.png"

    @contextmanager
    def opened(self, request: Request, data: DatasetReport) -> Iterator[bool]:
        """Make or enter the folder for a run and hold it; gives whether an earlier part is there.

        Parameters
        ----------
        request : Request
        data : DatasetReport
            Its files are compared with those of the earlier part; the folder itself may have moved.

        Raises
        ------
        InputError
            If the folder cannot be made, holds something and `resume` is not set, is not a run, is of another
            version, of other settings, teacher or data, or in use by another run.
        """
        output_folder(self.path)
        others = [p.name for p in self.path.iterdir() if p.name not in ("log.txt", "lock")]
        if others and not request.resume:
            self._refuse_in_use()
            raise InputError(f"The run folder '{self.path}' is not empty; add --resume to go on, or choose another.")
        with self._held():
            earlier = bool(others)
            if earlier:
                self._check(request, data)
            try:
                self._begin(request, data)
            except OSError:
                if not earlier:  # nobody could go on with half of a beginning
                    self._empty()
                raise
            self._end_torn_line()
            yield earlier

    def _begin(self, request: Request, data: DatasetReport) -> None:
        for folder in (self.path, self.checkpoints, self.preview("").parent):
            folder.mkdir(exist_ok=True)
            remove_unfinished(folder)
        write_settings(request.settings, self.settings)
        facts = {"format": FORMAT, "teacher": _whole(request.teacher), "data": record_dataset(data)}
        self._write(self.facts, facts | _teacher_hash(request))

    def _empty(self) -> None:
        for path in (self.settings, self.facts):
            path.unlink(missing_ok=True)
        for folder in (self.checkpoints, self.preview("").parent):
            if folder.exists():
                folder.rmdir()

    def tell(self, event: Event) -> Event:
        """Append an event to `events.jsonl` and return it."""
        with self.events.open("a", encoding="utf-8") as file:
            file.write(event.to_json() + "\n")
        return event

    def write_report(self, report: dict[str, Any], page: str) -> None:
        """Write `report.json` and `report.html`."""
        self._write(self.report, report)
        with replacing(self.page) as temporary:
            temporary.write_text(page, encoding="utf-8")

    def _check(self, request: Request, data: DatasetReport) -> None:
        try:
            held = json.loads(self.facts.read_text(encoding="utf-8"))
            version, teacher, before = held["format"], held["teacher"], dict(held["data"])
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise InputError(
                f"'{self.path}' cannot be resumed: 'run.json' is missing or damaged; start again in another folder."
            ) from e
        if version != FORMAT:
            raise InputError(
                f"'{self.path}' was made by another version (format {version}, not {FORMAT}); start again."
            )
        given, noted = _teacher_hash(request).get(TEACHER_HASH), held.get(TEACHER_HASH)
        if _whole(teacher) != _whole(request.teacher) and (given is None or given != noted):
            raise InputError(
                f"'{self.path}' has the teacher '{teacher}', not '{request.teacher}'; choose another folder."
            )
        if noted is not None and given != noted:  # a run begun before hashes were noted has none
            raise InputError(
                f"Since '{self.path}' was begun, its teacher '{teacher}' was changed: put back the file that was "
                "there, or start a new run in another folder."
            )
        if others := find_changed_files(before, data):
            names = ", ".join(f"'{name}'" for name in others[:NAMED])
            more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
            verb = "was" if len(others) == 1 else "were"
            raise InputError(
                f"Since '{self.path}' was begun, {names}{more} in '{data.folder}' {verb} "
                "changed, added or removed: put back what was there, or start a new run in another folder."
            )
        earlier, now = _flat(read_settings(self.settings).to_dict()), _flat(request.settings.to_dict())
        free = {"binarise.epochs"}  # more of them are how a finished run goes on
        free |= {f"{step}.learning_rate" for step in STEPS if not self.result(step).exists()}
        for name in sorted((earlier | now).keys() - free):
            then = earlier.get(name)
            if now.get(name) != then:
                was = "not set" if then is None else repr(then)
                raise InputError(
                    f"'{self.path}' was begun with other settings: '{name}' was {was}; "
                    "give the same, or choose another folder."
                )

    def _end_torn_line(self) -> None:
        """End the line of `events.jsonl` at which a run was killed or the disk was full: the next starts its own."""
        if self.events.exists() and (told := self.events.read_bytes()) and not told.endswith(b"\n"):
            with self.events.open("ab") as file:
                file.write(b"\n")

    @contextmanager
    def _held(self) -> Iterator[None]:
        mark = f"{os.getpid()} {psutil.Process().create_time():.3f}"
        try:
            descriptor = os.open(self._lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            self._refuse_in_use()
            self._lock.unlink(missing_ok=True)
            descriptor = os.open(self._lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(mark)
            yield
        finally:
            self._lock.unlink(missing_ok=True)

    def _refuse_in_use(self) -> None:
        """Raise InputError if the process that made the lock still runs; a killed run leaves its lock behind."""
        try:
            number, began = self._lock.read_text().split()
            lives = abs(psutil.Process(int(number)).create_time() - float(began)) < 0.1
        except (OSError, ValueError, psutil.NoSuchProcess):
            lives = False
        if lives:
            raise InputError(f"The run folder '{self.path}' is in use by another run; wait until it ends.")

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")


def _whole(teacher: str) -> str:
    """Return a teacher's file by its whole path: a run is resumed from other folders too."""
    return teacher if teacher in WITHOUT_FILE else str(Path(teacher).absolute())


def _teacher_hash(request: Request) -> dict[str, str]:
    path = request.teacher_file
    return {} if path is None else {TEACHER_HASH: hash_file(path)}


def _flat(settings: dict[str, Any], within: str = "") -> dict[str, Any]:
    """Name each setting with the tables that it is in: {"transfer": {"epochs": 3}} -> {"transfer.epochs": 3}."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{within}{key}.") if isinstance(value, dict) else {f"{within}{key}": value}
    return flat
