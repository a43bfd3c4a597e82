"""Inspecting the run folder of *Compress* in a thread: its files may be large, or on a slow drive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from qtpy.QtCore import QObject

from blunet.jobs.earlier_run import RunFolder, inspect_folder
from blunet.widgets.compress_state import CompressState
from blunet.widgets.worker import Job


class FolderCheck(QObject):
    """Inspects a folder and passes what was found to `state`.

    Parameters
    ----------
    state : CompressState
    parent : QObject
    """

    def __init__(self, state: CompressState, parent: QObject) -> None:
        super().__init__(parent)
        self._state = state
        self._job: Job | None = None

    def inspect(self, folder: Path, then: Callable[[RunFolder], None]) -> None:
        """Inspect a folder and call `then` with what was found; an inspection that goes on is forgotten."""

        def make(_: object) -> Iterator[RunFolder]:
            yield inspect_folder(folder)

        job = self._job = Job(make, self)
        job.event.connect(lambda found: self._on_inspected(job, found, then))
        job.failed.connect(lambda sentence: self._on_inspected(job, RunFolder(folder, sentence), then))
        job.start()

    def forget(self) -> None:
        """Forget an inspection that goes on, because no folder is chosen any more."""
        self._job = None
        self._state.accept_folder(None)

    def _on_inspected(self, job: Job, found: RunFolder, then: Callable[[RunFolder], None]) -> None:
        if job is self._job:
            self._state.accept_folder(found)
            then(found)
