"""The dock widget that compresses a U-Net into a BLU-Net."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QStandardPaths, QTimer, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from blunet.compression.events import (
    BatchDone,
    EpochDone,
    Event,
    Note,
    RunDone,
    RunFailed,
    RunStarted,
    RunStopped,
    StepStarted,
    read_events,
)
from blunet.compression.request import Request
from blunet.compression.settings import preset, read_settings
from blunet.errors import InputError
from blunet.jobs.compress import compress
from blunet.jobs.events import CancelToken
from blunet.jobs.training_data import SUFFIX, Checked, Written, check_data, write_pairs
from blunet.widgets.compress_form import TITLES, CompressForm
from blunet.widgets.compress_table import ReportTable
from blunet.widgets.curves import Curves, theme_colours
from blunet.widgets.docks import segment_dock
from blunet.widgets.layers import bare, frames_of
from blunet.widgets.scroll import fill
from blunet.widgets.settings import preference, recall, remember
from blunet.widgets.text import sentence
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image

#: A change of the form waits so long (milliseconds) for the next before the data are checked.
PATIENCE = 400
#: A cancelled run is given so many seconds to save its last batches.
GRACE = 10.0
FIRST = "Choose a folder with images and masks, or layers with labels: then this says what they are worth."


class CompressWidget(QWidget):
    """Trains a BLU-Net on the user's own images, in three phases, in a process of its own.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    finished = Signal()
    """A run has ended, however it did."""
    checked = Signal()
    """The data were checked, whatever came of it."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:  # napari knows the parameter by this very annotation
        super().__init__()
        self.viewer = viewer = bare(viewer)
        self.job: Job | None = None
        self.model: Path | None = None
        """What the latest run has made."""
        self._checking: Job | None = None
        self._reason = FIRST
        self._preview: Image | None = None
        self._steps: list[str] = []
        self.form = CompressForm(viewer)
        self.curves, self.table = Curves(), ReportTable()
        self.facts, self.status = sentence(), sentence()
        self.start_button, self.cancel_button = QPushButton("Start"), QPushButton("Cancel")
        self.start_button.setToolTip("Train in the background; napari stays yours meanwhile.")
        self.cancel_button.setToolTip("Stop at the next batch and save; the run can go on later. Twice: stop at once.")
        self.bars = [QProgressBar() for _ in range(3)]
        self.use_button, self.report_button = QPushButton("Use this model"), QPushButton("Open report")
        self.use_button.setToolTip("Segment with the new model.")
        self.report_button.setToolTip("Scores and example masks of every stage, in your browser.")
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PATIENCE)
        self._timer.timeout.connect(self._check)
        self._lay_out()
        self._connect()
        self._restore()
        self._refuse(FIRST)
        self._timer.start()

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
        return bool(self.form.run.text) and (self.run_folder / "run.json").is_file()

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
            self.job.stop_at_once()
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
        if not self.form.run.text:
            raise InputError("Choose a folder for the run.")
        settings, run, resume = self.form.settings(), self.run_folder, self.resuming
        teacher = self.form.teacher_name()
        if self.form.from_layers:
            image, labels = self.form.image.layer, self.form.labels.layer
            if image is None or labels is None:
                raise InputError("Choose an image layer and a labels layer.")
            data, truth = frames_of(image).data, labels.data
            folder = run.with_name(run.name + SUFFIX)
        else:
            data = truth = None
            folder = Path(self.form.folder.text).expanduser()
        request = Request(str(folder), str(run), settings, teacher, None, resume)

        def make(token: CancelToken) -> Iterable[Any]:
            if data is not None and not (resume and folder.is_dir()):
                yield from write_pairs(data, truth, folder, token)
            yield from compress(request, token, grace=GRACE)

        return make

    def _on_event(self, event: Any) -> None:
        if isinstance(event, Event):
            self.curves.add(event)
        match event:
            case Written():
                self._tell(f"Writing the training data: frame {event.done} of {event.frames}.")
            case RunStarted():
                self._steps = event.steps
                for bar in self.bars:
                    bar.show()
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

    def _move(self, event: Any, epochs: int, batch: int, left: float | None) -> None:
        number = self._steps.index(event.step) if event.step in self._steps else 0
        share = (epochs + batch / event.batches) / event.epochs
        whole, epoch, batches = self.bars
        for bar, value, most, text in (
            (whole, int(1000 * (number + share)), 1000 * max(1, len(self._steps)),
             f"Step {number + 1} of {len(self._steps)}: {TITLES[event.step]}"),
            (epoch, epochs, event.epochs, f"Epoch {epochs + 1} of {event.epochs}"),
            (batches, batch, event.batches, f"Batch {batch} of {event.batches}"),
        ):  # fmt: skip
            bar.setRange(0, most)
            bar.setValue(value)
            bar.setFormat(text)
        if left is not None:
            self._tell(f"About {_time(left)} left.")
        if self.job is not None:
            self.job.show_progress(whole.value(), whole.maximum(), f"{TITLES[event.step]}, epoch {epochs + 1}")

    def _show_preview(self, path: str | None) -> None:
        if path is None or not self.form.preview.isChecked() or not Path(path).is_file():
            return
        from PIL import Image as Picture

        with Picture.open(path) as picture:
            mask = np.asarray(picture) > 0
        layer = self._preview
        if layer is None or layer not in self.viewer.layers or layer.data.shape != mask.shape:
            self._preview = self.viewer.add_image(
                mask.astype(np.uint8), name="Validation mask", contrast_limits=(0, 1), opacity=0.6, colormap="green",
                metadata={"blunet": {"preview": True}},
            )  # fmt: skip
        else:
            layer.data = mask.astype(np.uint8)

    def _on_done(self, event: RunDone) -> None:
        self.model = Path(event.model)
        which = self.table.show_report(Path(event.report))
        self.table.show()
        self._tell(f"Done in {_time(event.seconds)}. {which}")

    def _on_ended(self) -> None:
        self._set_busy(False)
        self.finished.emit()

    # The data --------------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        """Look at the data in a thread, as soon as there are some."""
        if self._checking is not None and self._checking.running:
            self._checking.cancel()
            self._timer.start()
            return
        try:
            settings, teacher = self.form.settings(), self.form.teacher_name()
        except InputError as e:
            self._refuse(str(e))
            return
        if self.form.from_layers:
            self._check_layers()
            return
        folder = self.form.folder.text
        if not folder:
            self._refuse(FIRST)
            return
        self._refuse("Looking at the data…")
        job = self._checking = Job(lambda _: _gently(check_data(Path(folder).expanduser(), settings, teacher)), self)
        job.event.connect(self._on_checked)
        job.ended.connect(self.checked)
        job.start()

    def _on_checked(self, found: Any) -> None:
        if isinstance(found, InputError):
            self._refuse(str(found))
            return
        assert isinstance(found, Checked)
        lines = [*found.report.lines(), f"A run takes about {_time(found.seconds)} and {found.bytes / 2**20:.0f} MB."]
        self.facts.setText("\n".join(lines))
        self._reason = ""
        self._show_state()

    def _check_layers(self) -> None:
        image, labels = self.form.image.layer, self.form.labels.layer
        if image is None or labels is None:
            self._refuse("Open an image and label some of its frames first, or choose a folder.")
            return
        try:
            shape = frames_of(image).data.shape
        except InputError as e:
            self._refuse(str(e))
            return
        if tuple(shape) != tuple(labels.data.shape):
            self._refuse(
                f"'{labels.name}' has the shape {tuple(labels.data.shape)} and '{image.name}' {tuple(shape)}: choose "
                "labels that were made on this image."
            )
            return
        if len(shape) == 2:
            self._refuse("One image is too few: give a stack with at least two labelled frames, or a folder.")
            return
        self.facts.setText(f"{shape[0]} frames of {shape[1]} × {shape[2]} pixels; those with labels are used.")
        self._reason = ""
        self._show_state()
        self.checked.emit()

    def _refuse(self, reason: str) -> None:
        self.facts.setText(reason)
        self._reason = reason
        self._show_state()
        self.checked.emit()

    # State -----------------------------------------------------------------------------------------------------------

    def _on_run_folder(self) -> None:
        """Show what is in a folder that holds a run."""
        self.table.hide()
        self.model = None
        if self.resuming:
            self._show_earlier()
        self._show_state()

    def _show_earlier(self) -> None:
        folder = self.run_folder
        try:
            self.form.use_settings(read_settings(folder / "settings.toml", preset("quick")))
            events = list(read_events(folder / "events.jsonl"))
        except (InputError, OSError) as e:
            self._tell(f"The run in this folder cannot be read: {e}")
            return
        self.curves.clear()
        self.curves.add(*events)
        model = folder / "model.blunet"
        if model.is_file() and (folder / "report.json").is_file():
            self.model = model
            which = self.table.show_report(folder / "report.json")
            self.table.show()
            self._tell(f"A finished run. {which}")
        else:
            self._tell("A run that was stopped: Resume goes on where it stood.")

    def _show_state(self) -> None:
        ready = not self._reason and bool(self.form.run.text)
        finished = self.resuming and (self.run_folder / "model.blunet").is_file()
        self.start_button.setText("Train on" if finished else "Resume" if self.resuming else "Start")
        self.start_button.setToolTip(
            "This run is finished. With more epochs of Binarisation (Steps in detail) it goes on."
            if finished
            else "Train in the background; napari stays yours meanwhile."
        )
        self.start_button.setEnabled(ready and not self.busy)
        self.cancel_button.setEnabled(self.busy)
        self.use_button.setVisible(self.model is not None)
        self.report_button.setVisible(self.model is not None)

    def _set_busy(self, busy: bool) -> None:
        self.form.set_busy(busy)
        self.facts.setVisible(not busy)
        for bar in self.bars:
            bar.setVisible(busy)
            bar.reset()
            bar.setFormat("")
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
                self.form.settings().write(name)
            except (InputError, OSError) as e:
                self._tell(str(e))

    def _on_theme(self, _: object = None) -> None:
        self.curves.set_colours(*theme_colours(str(self.viewer.theme)))

    def _remember(self) -> None:
        remember("compress", {"folder": self.form.folder.text, "source": self.form.source.currentIndex()})

    def _restore(self) -> None:
        values = recall("compress", {})
        self.form.source.setCurrentIndex(int(values.get("source", 0)))
        if values.get("folder"):
            self.form.folder.set_text(str(values["folder"]))
        parent = preference("run_folder", None)
        if not parent:
            documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
            parent = str(Path(documents) / "BLU-Net runs")
        self.form.run.set_text(str(Path(parent) / f"run {datetime.now():%Y-%m-%d %H%M}"))

    def _connect(self) -> None:
        self.form.data_changed.connect(self._timer.start)
        self.form.run_changed.connect(self._on_run_folder)
        self.form.load_button.clicked.connect(self._load_settings)
        self.form.save_button.clicked.connect(self._save_settings)
        self.start_button.clicked.connect(self.start)
        self.cancel_button.clicked.connect(self.cancel)
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
        layout.addLayout(buttons)
        for bar in self.bars:
            bar.hide()
            layout.addWidget(bar)
        layout.addWidget(self.status)
        layout.addWidget(self.curves)
        self.table.hide()
        layout.addWidget(self.table)
        layout.addLayout(after)
        layout.addStretch(1)
        fill(self, inner)


def _gently(found: Iterable[Checked]) -> Iterable[Any]:
    """Yield what was found, or why it cannot be used: no notification for what is being chosen."""
    try:
        yield from found
    except InputError as e:
        yield e


def _time(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1.5:
        return f"{max(1, round(seconds))} s" if seconds < 60 else "1 minute"
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
