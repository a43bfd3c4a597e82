"""The dock widget that compresses a U-Net into a BLU-Net."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from blunet.compression.run_events import (
    BatchDone,
    EpochDone,
    Event,
    Note,
    RunDone,
    RunFailed,
    RunStarted,
    RunStopped,
    StepStarted,
)
from blunet.compression.run_request import Request
from blunet.compression.settings_file import write_settings
from blunet.compression.steps import STEPS
from blunet.errors import InputError
from blunet.jobs.compression_run import ChildError, compress
from blunet.jobs.earlier_run import holds_run, is_finished, read_run, why_no_run
from blunet.jobs.events import CancelToken
from blunet.jobs.training_data import DATA_FOLDER_SUFFIX, Written, write_pairs
from blunet.jobs.validation_preview import read_preview
from blunet.quantities import describe_duration
from blunet.widgets.compress_bars import RunBars
from blunet.widgets.compress_form import CompressForm
from blunet.widgets.compress_table import ReportTable
from blunet.widgets.curves import Curves, theme_colours
from blunet.widgets.data_check import DataCheck
from blunet.widgets.docks import segment_dock
from blunet.widgets.layer_facts import bare
from blunet.widgets.preferences import new_run_folder, recall, remember
from blunet.widgets.scroll import DockContent, fill
from blunet.widgets.text import WarningLabel, sentence
from blunet.widgets.validation_layers import ValidationLayers
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    import napari.viewer

log = logging.getLogger(__name__)

#: A cancelled run is given so many seconds to save its last batches.
GRACE = 10.0


class CompressWidget(DockContent):
    """Trains a BLU-Net on the user's own images, in three phases, in a process of its own.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    finished = Signal()
    """A run has ended, however it did."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:  # napari knows the parameter by this very annotation
        super().__init__()
        self.viewer = viewer = bare(viewer)
        self.job: Job | None = None
        self._kill = CancelToken()
        self.model: Path | None = None
        """What the latest run has made."""
        self.form = CompressForm(viewer)
        self.check = DataCheck(self.form, self._written, self)
        self._validation = ValidationLayers(viewer)
        self._preview: Job | None = None
        self._shown = Path(), ""
        """Folder of the data of the run, and the name of the validation image that is shown."""
        self.curves, self.table = Curves(), ReportTable()
        self.facts, self.warning, self.status = sentence(), WarningLabel(viewer), sentence()
        self.start_button, self.cancel_button = QPushButton("Start"), QPushButton("Cancel")
        self.start_button.setToolTip("Train in the background; napari stays yours meanwhile.")
        self.cancel_button.setToolTip("Stop at the next batch and save; the run can go on later. Twice: stop at once.")
        self.bars = RunBars()
        self.use_button, self.report_button = QPushButton("Use this model"), QPushButton("Open report")
        self.use_button.setToolTip("Segment with the new model.")
        self.report_button.setToolTip("Scores and example masks of every stage, in your browser.")
        self._lay_out()
        self._connect()
        self._restore()

    @property
    def busy(self) -> bool:
        """Whether a run goes on."""
        return self.job is not None and self.job.running

    @property
    def run_folder(self) -> Path:
        """The chosen run's folder."""
        return Path(self.form.run.text).expanduser()

    @property
    def resuming(self) -> bool:
        """Whether the chosen folder holds a run."""
        return bool(self.form.run.text) and holds_run(self.run_folder)

    # A run -----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a run, or go on with the one in the chosen folder."""
        if self.busy or not self.start_button.isEnabled():
            return
        try:
            make = self._prepared()
        except InputError as e:
            self._tell(str(e))
            return
        self._remember()
        if not self.resuming:
            self.curves.clear()
        self.table.hide()
        self.model = None
        self.job = Job(make, self, "Compressing")
        self.job.event.connect(self._on_event)
        self.job.failed.connect(self._tell)
        self.job.stopped.connect(
            lambda: self._tell("Stopped at once; what was saved before stays. Resume goes on there.")
        )
        self.job.ended.connect(self._on_ended)
        self._tell("Starting a process of its own: some seconds…")
        self.job.start()
        self._set_busy(True)

    def cancel(self) -> None:
        """Stop at the next batch, saved; a second time: at once."""
        if self.job is None or not self.job.running:
            return
        if self.job.token.cancelled:
            self._kill.cancel()
            return
        self.job.cancel()
        self._tell("Stopping at the next batch and saving… Cancel again stops at once.")

    def _prepared(self) -> Any:
        """Capture what the job needs, on the GUI thread.

        Raises
        ------
        InputError
            If something is missing.
        """
        settings, run, resume = self.form.settings(), self.run_folder, self.resuming
        teacher, data, truth = self.form.teacher_name(), None, None
        folder = Path(self.form.folder.text).expanduser()
        if self.form.from_layers:
            folder = self._beside
            if self._written() is None:
                data, truth = self.form.layers()
        self._shown = folder, ""
        request = Request(str(folder), str(run), settings, teacher, None, resume)

        kill = self._kill = CancelToken()

        def make(token: CancelToken) -> Iterable[Any]:
            if data is not None:
                yield from write_pairs(data, truth, folder, token)
            try:
                yield from compress(request, token, grace=GRACE, kill=kill)
            except ChildError as e:
                log.error("%s\n%s", e, "\n".join(e.last_lines))
                yield RunFailed(str(e))

        return make

    @property
    def _beside(self) -> Path:
        """Where layers are written as pairs: beside the run's folder, which has to be empty."""
        return self.run_folder.with_name(self.run_folder.name + DATA_FOLDER_SUFFIX)

    def _written(self) -> Path | None:
        """Return the pairs that the run to be resumed was begun with, if it was begun with layers."""
        return self._beside if self.resuming and self._beside.is_dir() else None

    def _on_event(self, event: Any) -> None:
        if isinstance(event, Event):
            self.curves.add(event)
        match event:
            case Written():
                self._tell(f"Writing the training data: frame {event.done} of {event.frames}.")
            case RunStarted():
                self.bars.steps = event.steps
                self._shown = self._shown[0], event.validation[0]
            case Note(text, warning):
                if not warning:  # the check of the data has told these
                    self._tell(text)
            case StepStarted():
                self._move(event, event.epoch - 1, 0, None)
            case BatchDone():
                self._move(event, event.epoch - 1, event.batch, event.seconds_left)
            case EpochDone():
                self._show_preview(event.preview)
            case RunDone():
                self._on_done(event)
            case RunStopped():
                self._tell("Stopped and saved. Resume goes on where it stood.")
            case RunFailed(sentence):
                self._tell(sentence)
                show_error(sentence)

    def _move(self, event: Any, epochs: int, batch: int, left: float | None) -> None:
        self.bars.show_progress(event, epochs, batch)
        if self.job is None or self.job.token.cancelled:
            return  # it was told that the run is being stopped
        time_left = "" if left is None else f"about {describe_duration(left)} left"
        self._tell(f"{time_left.capitalize()}." if time_left else f"{STEPS[event.step].title}…")
        where = ", ".join(
            filter(None, (STEPS[event.step].short_title, f"epoch {epochs + 1} of {event.epochs}", time_left))
        )
        self.job.show_progress(round(100 * self.bars.share), 100, where)

    def _show_preview(self, path: str | None) -> None:
        if path is None or not self.form.preview.isChecked() or (self._preview and self._preview.running):
            return
        (data, name), like = self._shown, self.form.image.layer
        self._preview = Job(lambda _: read_preview(Path(path), data, name), self)
        self._preview.event.connect(lambda preview: self._validation.show(preview, like))
        self._preview.start()

    def _on_done(self, event: RunDone) -> None:
        self.model = Path(event.model)
        which = self.table.show_report(Path(event.report))
        self.table.show()
        self._tell(f"Done in {describe_duration(event.seconds)}. {which}")

    def _on_ended(self) -> None:
        self._set_busy(False)
        self.finished.emit()

    # State -----------------------------------------------------------------------------------------------------------

    def _on_run_folder(self) -> None:
        """Show what is in a folder that holds a run."""
        self.table.hide()
        self.model = None
        if self.resuming:
            self._show_earlier()
        self._show_state()

    def _show_earlier(self) -> None:
        try:
            run = read_run(self.run_folder)
        except InputError as e:
            self._tell(str(e))
            return
        self.form.show_run(run)
        self.curves.clear()
        self.curves.add(*run.events)
        self.model = run.model
        if run.report is not None:
            which = self.table.show_report(run.report)
            self.table.show()
            self._tell(f"A finished run. {which}")
        else:
            self._tell("A run that was stopped: Resume goes on where it stood.")

    def _show_state(self) -> None:
        wrong = why_no_run(self.run_folder) if self.form.run.text else "Choose a folder for the run."
        self.facts.setText(self.check.text)
        self.warning.setText(wrong)
        self.warning.setVisible(bool(wrong) and not self.busy)
        finished = bool(self.form.run.text) and is_finished(self.run_folder)
        self.start_button.setText("Train on" if finished else "Resume" if self.resuming else "Start")
        self.start_button.setToolTip(
            "This run is finished. With more epochs of Residual binarisation (Steps in detail) it goes on."
            if finished
            else "Train in the background; napari stays yours meanwhile."
        )
        self.start_button.setEnabled(not self.check.refused and not wrong and not self.busy)
        self.cancel_button.setEnabled(self.busy)
        self.use_button.setVisible(self.model is not None)
        self.report_button.setVisible(self.model is not None)

    def _set_busy(self, busy: bool) -> None:
        self.form.set_busy(busy)
        self.facts.setVisible(not busy)
        self.bars.setVisible(busy)
        self.bars.reset()
        self._show_state()

    def _tell(self, text: str) -> None:
        self.status.setText(text)

    def _use(self) -> None:
        if self.model is None:
            return
        if segment_dock(self.viewer).use_model(self.model):
            self._tell("Segment uses the new model now.")

    def _open_report(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.run_folder / "report.html")))

    def _load_settings(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Settings", "", "Settings (*.toml)")
        if name:
            try:
                self.form.load(name)
            except InputError as e:
                self._tell(str(e))

    def _save_settings(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Settings", "settings.toml", "Settings (*.toml)")
        if name:
            try:
                write_settings(self.form.settings(), name)
            except (InputError, OSError) as e:
                self._tell(str(e))

    def _on_theme(self, _: object = None) -> None:
        self.curves.set_colours(*theme_colours(str(self.viewer.theme)))

    def _remember(self) -> None:
        remember("compress", self.form.values())

    def _restore(self) -> None:
        self.form.set_values(recall("compress", {}))
        self.form.run.set_text(new_run_folder())

    def _connect(self) -> None:
        self.check.changed.connect(self._show_state)
        self.form.run_changed.connect(self._on_run_folder)
        self.form.load_button.clicked.connect(self._load_settings)
        self.form.save_button.clicked.connect(self._save_settings)
        self.start_button.clicked.connect(self.start)
        self.cancel_button.clicked.connect(self.cancel)
        self.closed.connect(lambda: None if self.job is None else self.job.cancel())  # saved, not at once
        self.use_button.clicked.connect(self._use)
        self.report_button.clicked.connect(self._open_report)
        self.viewer.events.theme.connect(self._on_theme)
        self._on_theme()

    def _lay_out(self) -> None:
        inner = QWidget()
        layout = QVBoxLayout(inner)
        buttons, after = QHBoxLayout(), QHBoxLayout()
        buttons.addWidget(self.start_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        after.addWidget(self.use_button, 1)
        after.addWidget(self.report_button, 1)
        layout.addWidget(self.form)
        layout.addWidget(self.facts)
        layout.addWidget(self.warning)
        layout.addLayout(buttons)
        layout.addWidget(self.bars)
        layout.addWidget(self.status)
        layout.addWidget(self.curves)
        self.table.hide()
        layout.addWidget(self.table)
        layout.addLayout(after)
        layout.addStretch(1)
        fill(self, inner)
