"""The part of *Segment* that segments a folder or a plate without opening its images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from blunet.errors import InputError
from blunet.images.plane_choice import PlaneChoice, read_slice
from blunet.jobs.batch import segment_batch, suggest_results
from blunet.jobs.events import CancelToken
from blunet.segmentation.segmentation_settings import SegmentationSettings
from blunet.widgets.batch_state import BatchState
from blunet.widgets.path_box import PathBox
from blunet.widgets.preferences import read_preference
from blunet.widgets.text import WarningLabel, make_remark_label, make_sentence_label
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    from napari.viewer import Viewer

#: Returns the model's file, the settings, and whether cells are measured; it raises InputError.
Choice = Callable[[], tuple[Path | None, SegmentationSettings, bool]]


class BatchBox(QWidget):
    """A folder or plate, a folder for the results, and how the batch goes.

    Parameters
    ----------
    viewer : Viewer
    read_choice : callable
        Called when a batch starts: the model, settings and measuring of the form around.
    """

    finished = Signal()
    """Emitted when a batch has ended, whichever way."""

    def __init__(self, viewer: Viewer, read_choice: Choice, parent: QWidget) -> None:
        super().__init__(parent)
        self.state = BatchState()
        self.job: Job | None = None
        self._read_choice = read_choice
        self._suggested = ""
        self.source = PathBox("Folder, OME-Zarr or pattern")
        self.source.setToolTip("All images of a folder, the wells of an OME-Zarr plate, or a pattern: plate/*.tif")
        self.results = PathBox("Folder for labels and tables")
        self.results.setToolTip("It is made if there is none. Files that BLU-Net has not made are never replaced.")
        self.channel, self.slice = QLineEdit(), QLineEdit()
        self.channel.setPlaceholderText("The one of DIC")
        self.channel.setToolTip(
            "Name or number, counted from 0, of the channel in files of several. Empty: the one named DIC, or else "
            "another one of transmitted light."
        )
        self.slice.setPlaceholderText("All, one by one")
        self.slice.setToolTip(
            "Number, counted from 0, of a slice of Z stacks; or best-focus for the sharpest of each frame."
        )
        self.resume_box = QCheckBox("Leave out what is finished")
        self.resume_box.setToolTip(
            "Images whose results were made from the same file by the same model and settings are not segmented again."
        )
        self.resume_box.setChecked(True)
        self.start_button, self.cancel_button = QPushButton("Start batch"), QPushButton("Cancel batch")
        self.start_button.setToolTip("Segment all images with the model and settings above, without opening them.")
        self.cancel_button.setToolTip("Stop within a moment. The images that are finished stay.")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(6)
        self.status, self.warning = make_sentence_label(), WarningLabel(viewer)
        self._lay_out()
        self.source.changed.connect(self._on_source)
        self.results.changed.connect(self._show_state)
        self.start_button.clicked.connect(self.start)
        self.cancel_button.clicked.connect(self.cancel)
        self.state.changed.connect(self._show_state)
        self._show_state()

    @property
    def busy(self) -> bool:
        """Whether a batch goes on."""
        return self.state.running

    def start(self) -> None:
        """Segment all images."""
        if self.busy or not self.source.text or not self.results.text:
            return
        source, out, resume = self.source.text, self.results.text, self.resume_box.isChecked()
        self.state.start()
        try:
            model, settings, measured = self._read_choice()
            planes = PlaneChoice(self.channel.text().strip() or None, read_slice(self.slice.text().strip() or None))
        except InputError as e:
            self.state.fail(str(e))
            return
        threads = read_preference("threads", 0) or None

        def run(token: CancelToken) -> Iterable[Any]:
            return segment_batch(
                source,
                out,
                model,
                settings,
                token,
                planes=planes,
                measured=measured,
                resume=resume,
                threads=threads,
            )

        job = self.job = Job(run, self, f"Segmenting {Path(source).name}")
        job.event.connect(self._on_event)
        job.done.connect(lambda: self.state.finish(out))
        job.stopped.connect(lambda: self.state.stop(out))
        job.failed.connect(self.state.fail)
        job.ended.connect(self.finished)
        job.start()

    def cancel(self) -> None:
        """Stop the batch."""
        if self.job is not None and self.job.running:
            self.job.cancel()

    def _on_event(self, event: object) -> None:
        self.state.add(event)
        if self.job is not None:
            self.job.show_progress(self.state.done, self.state.total, self.state.status.rstrip("."))

    def _on_source(self) -> None:
        """Suggest a folder for the results, unless the user has chosen one."""
        if self.results.text in ("", self._suggested):
            self._suggested = suggest_results(self.source.text)
            self.results.set_text(self._suggested)
        self._show_state()

    def _show_state(self) -> None:
        state, ready = self.state, bool(self.source.text and self.results.text)
        for widget in (self.source, self.channel, self.slice, self.results, self.resume_box):
            widget.setEnabled(not state.running)
        self.start_button.setEnabled(ready and not state.running)
        self.cancel_button.setEnabled(state.running)
        self.bar.setVisible(state.running)
        self.bar.setRange(0, 1000 * state.total)
        self.bar.setValue(int(1000 * state.done))
        self.status.setText(state.status)
        self.warning.setText(state.warning)
        self.warning.setVisible(bool(state.warning))

    def _lay_out(self) -> None:
        rows = self.rows = QFormLayout()
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows.addRow("Images", self.source)
        rows.addRow("Channel", self.channel)
        rows.addRow("Slice", self.slice)
        rows.addRow("Results", self.results)
        rows.addRow("", self.resume_box)
        buttons = QHBoxLayout()
        buttons.addWidget(self.start_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(make_remark_label("The model, settings and measuring above are used for every image."))
        layout.addLayout(rows)
        layout.addLayout(buttons)
        for widget in (self.bar, self.status, self.warning):
            layout.addWidget(widget)
