"""The dock widget that compresses a U-Net into a BLU-Net."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog

from blunet.compression.run_directory import RunDirectory
from blunet.compression.run_events import EpochDone, Event, RunFailed, RunStarted
from blunet.compression.run_request import Request
from blunet.compression.settings_file import read_settings, write_settings
from blunet.errors import InputError
from blunet.files import expand_user
from blunet.jobs.compression_run import ChildError, compress
from blunet.jobs.earlier_run import RunFolder
from blunet.jobs.events import CancelToken
from blunet.jobs.training_data import DATA_FOLDER_SUFFIX, write_pairs
from blunet.jobs.validation_preview import read_preview
from blunet.widgets.compress_state import CompressState
from blunet.widgets.compress_view import CompressView
from blunet.widgets.data_check import DataCheck
from blunet.widgets.docks import show_segment_dock
from blunet.widgets.folder_check import FolderCheck
from blunet.widgets.layer_facts import unwrap_viewer
from blunet.widgets.preferences import add_recent_run, name_run_folder, recall, remember
from blunet.widgets.scroll import DockContent, fill
from blunet.widgets.validation_layers import ValidationLayers
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    import napari.viewer

log = logging.getLogger(__name__)

#: How long a cancelled run may take to save its last batches, in seconds; then it is killed.
GRACE = 10.0
SETTINGS_FILES = "Settings (*.toml)"


class CompressWidget(DockContent):
    """Trains a BLU-Net on the user's own images, in three phases, in a process of its own.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    finished = Signal()
    """Emitted when a run has ended, whichever way, and its folder has been inspected."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:  # napari finds the parameter by this annotation
        super().__init__()
        self.viewer = viewer = unwrap_viewer(viewer)
        self.job: Job | None = None
        self.state = CompressState()
        self.view = CompressView(viewer, self.state)
        self.form = self.view.form
        fill(self, self.view)
        self._kill = CancelToken()
        self._validation = ValidationLayers(viewer)
        self._preview: Job | None = None
        self._validated = Path(), ""
        """Folder of the data of the run, and the name of the validation image that is shown."""
        self._data_check = DataCheck(self.state, self.form, self._pairs_written, self)
        self._folder_check = FolderCheck(self.state, self)
        self.form.run_changed.connect(self._on_folder_changed)
        self.form.data_changed.connect(self._compare_with_earlier)
        self.form.load_button.clicked.connect(self._load_settings)
        self.form.save_button.clicked.connect(self._save_settings)
        self.view.start_button.clicked.connect(self.start)
        self.view.cancel_button.clicked.connect(self.cancel)
        self.view.use_button.clicked.connect(self._use_model)
        self.view.report_button.clicked.connect(self._open_report)
        self.closed.connect(self._on_dock_closed)
        self.form.set_values(recall("compress", {}))
        self.form.run.set_text(name_run_folder())

    @property
    def busy(self) -> bool:
        """Whether a run goes on, or its folder is inspected after it."""
        return self.state.busy or (self.state.has_ended and self.state.folder is None)

    @property
    def run_folder(self) -> Path:
        """The chosen run folder."""
        return expand_user(self.form.run.text)

    def start(self) -> None:
        """Start a run, or go on with the one in the chosen folder."""
        if not self.state.can_start:
            return
        try:
            make = self._capture()
        except InputError as e:
            self.state.refuse_data(str(e))
            return
        remember("compress", self.form.values())
        add_recent_run(self.run_folder.absolute())
        if not self.state.resuming:
            self.view.curves.clear()
        self.job = Job(make, self, "Compressing")
        self.job.event.connect(self._on_event)
        self.job.failed.connect(self.state.fail)
        self.job.stopped.connect(self.state.kill)
        self.job.ended.connect(self._on_ended)
        self.state.start()
        self.job.start()

    def cancel(self) -> None:
        """Stop at the next batch, and save; a second time: at once."""
        if self.job is None or not self.job.running:
            return
        if self.job.token.cancelled:
            self._kill.cancel()
        self.job.cancel()
        self.state.cancel()

    # A run -----------------------------------------------------------------------------------------------------------

    def _capture(self) -> Callable[[CancelToken], Iterable[Any]]:
        """Read from the form what the job needs.

        Raises
        ------
        InputError
            If something is missing or does not fit.
        """
        settings, teacher = self.form.settings(), self.form.teacher_name()
        folder, layers = expand_user(self.form.folder.text), None
        if self.form.from_layers:
            folder = self._pairs_folder
            layers = None if self._pairs_written() else self.form.layers()
        self._validated = folder, ""
        request = Request(
            data=str(folder),
            run=str(self.run_folder),
            settings=settings,
            teacher=teacher,
            name=self.form.model_name(),
            resume=self.state.resuming,
        )
        kill = self._kill = CancelToken()

        def make(token: CancelToken) -> Iterable[Any]:
            if layers is not None:
                image, labels, reviewed = layers
                yield from write_pairs(image, labels, folder, token, reviewed)
            try:
                yield from compress(request, token, grace=GRACE, kill=kill)
            except ChildError as e:
                log.error("%s\n%s", e, "\n".join(e.last_lines))
                yield RunFailed(str(e))

        return make

    @property
    def _pairs_folder(self) -> Path:
        """Where layers are written as pairs: beside the run folder, which has to be empty."""
        return self.run_folder.with_name(self.run_folder.name + DATA_FOLDER_SUFFIX)

    def _pairs_written(self) -> Path | None:
        """Return the pairs of the run that is to be resumed, if it was begun with layers."""
        return self._pairs_folder if self.state.resuming and self._pairs_folder.is_dir() else None

    def _on_event(self, event: Any) -> None:
        if isinstance(event, Event):
            self.view.curves.add(event)
        self.state.handle(event)
        if isinstance(event, RunStarted):
            self._validated = self._validated[0], event.validation[0]
        elif isinstance(event, EpochDone) and event.preview is not None:
            self._show_preview(Path(event.preview))
        elif isinstance(event, RunFailed):
            show_error(event.sentence)
        if self.job is not None and (progress := self.state.progress) is not None:
            self.job.show_progress(round(100 * progress.share), 100, progress.line)

    def _show_preview(self, picture: Path) -> None:
        """Show a mask of the validation image, unless the mask before it is still being read."""
        if not self.form.preview.isChecked() or (self._preview is not None and self._preview.running):
            return
        (data, name), like = self._validated, self.form.image.layer
        self._preview = Job(lambda _: read_preview(picture, data, name), self)
        self._preview.event.connect(lambda preview: self._validation.show(preview, like))
        self._preview.start()

    def _on_ended(self) -> None:
        self.state.end()
        self._folder_check.inspect(self.run_folder, lambda _: self.finished.emit())

    # The folder and the model ----------------------------------------------------------------------------------------

    def _on_folder_changed(self) -> None:
        self.state.choose_folder()
        if self.form.run.text:
            self._folder_check.inspect(self.run_folder, self._show_earlier)
        else:
            self._folder_check.forget()

    def _show_earlier(self, folder: RunFolder) -> None:
        if folder.earlier is not None:
            self.form.show_run(folder.earlier)
            self.view.curves.clear()
            self.view.curves.add(*folder.earlier.events)

    def _compare_with_earlier(self) -> None:
        """Say at once what keeps the run in the folder from being resumed."""
        with contextlib.suppress(InputError):  # what is missing or does not fit is said with the data
            self.state.compare(self.form.teacher_name(), self.form.settings())

    def _use_model(self) -> None:
        if self.state.model is not None and show_segment_dock(self.viewer).use_model(self.state.model):
            self.state.note("Segment uses the new model now.")

    def _open_report(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(RunDirectory(self.run_folder).page)))

    def _load_settings(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Load settings", "", SETTINGS_FILES)
        if name:
            try:
                self.form.state.replace(read_settings(name, self.form.state.settings))
            except InputError as e:
                self.state.note(str(e))

    def _save_settings(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save settings", "settings.toml", SETTINGS_FILES)
        if name:
            try:
                write_settings(self.form.settings(), name)
            except (InputError, OSError) as e:
                self.state.note(str(e))

    def _on_dock_closed(self) -> None:
        if self.job is not None:
            self.job.cancel()  # not at once: what was trained is saved
