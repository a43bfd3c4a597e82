"""Importing annotations of other programs as training data, in a part of *Compress*."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from blunet.files import expand_user
from blunet.images.image_files import stem_of
from blunet.jobs.annotation_import import Event, Imported, Recognised, import_annotations
from blunet.jobs.events import CancelToken, Skipped, Warned
from blunet.widgets.path_box import PathBox
from blunet.widgets.text import WarningLabel, make_sentence_label
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    from napari.viewer import Viewer

FILES = "Annotations (*.zip *.roi *.geojson *.json *.tif *.tiff *.png);;All files (*)"
#: Number of sentences that are shown; the rest is counted.
MOST_SENTENCES = 4


class AnnotationBox(QWidget):
    """Makes a folder of pairs of annotations, beside these.

    Parameters
    ----------
    viewer : Viewer
    """

    imported = Signal(str)
    """Emitted with the folder of pairs."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.job: Job | None = None
        self._sentences: list[str] = []
        self._pairs = self._cells = 0
        self._format = ""
        self.source = PathBox("A file of annotations; a folder can be dropped", files=FILES)
        self.source.setToolTip(
            "Regions of ImageJ, GeoJSON of QuPath, Labelme, COCO, masks of Cellpose, or a folder of the Cell Tracking "
            "Challenge. The images lie beside them."
        )
        self.origin, self.licence = QLineEdit(), QLineEdit()
        self.origin.setPlaceholderText("who or what made the labels")
        self.origin.setToolTip("Goes into the card of the model: a person, or a program such as Cellpose.")
        self.licence.setPlaceholderText("what the images' and labels' terms allow")
        self.licence.setToolTip("Goes into the card of the model, such as CC BY 4.0.")
        self.button = QPushButton("Import")
        self.button.setToolTip("Write the images and their masks into a new folder, and choose it as training data.")
        self.status, self.warning = make_sentence_label(), WarningLabel(viewer)
        self.rows = QFormLayout()
        self.rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for title, field in (("Annotations", self.source), ("Origin", self.origin), ("Licence", self.licence)):
            self.rows.addRow(title, field)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self.rows)
        for widget in (self.button, self.status, self.warning):
            layout.addWidget(widget)
        self._show("")
        self.source.changed.connect(lambda: self._show(""))
        self.button.clicked.connect(self.start)

    @property
    def folder(self) -> Path:
        """Where the pairs are written: beside the annotations, under a name that does not exist yet."""
        source = expand_user(self.source.text)
        name = source.name if source.is_dir() else stem_of(source)
        folder, number = source.with_name(f"{name} pairs"), 2
        while folder.exists():
            folder, number = source.with_name(f"{name} pairs {number}"), number + 1
        return folder

    def start(self) -> None:
        """Import the chosen annotations."""
        if not self.source.text or (self.job is not None and self.job.running):
            return
        source, folder = self.source.text, self.folder
        origin, licence = self.origin.text(), self.licence.text()
        self._sentences, self._pairs, self._cells = [], 0, 0

        def make(token: CancelToken) -> Iterator[Event]:
            return import_annotations(source, folder, origin=origin, licence=licence, token=token)

        self.job = Job(make, self, "Importing annotations")
        self.job.event.connect(self._on_event)
        self.job.failed.connect(self._sentences.append)
        self.job.ended.connect(lambda: self._on_ended(folder))
        self._show("Importing…")
        self.button.setEnabled(False)
        self.job.start()

    def _on_event(self, event: Event) -> None:
        match event:
            case Recognised(name, remarks):
                self._format = name
                self._sentences += remarks
            case Skipped(reason=sentence) | Warned(message=sentence):
                self._sentences.append(sentence)
            case Imported():
                self._pairs += len(event.names)
                self._cells += event.counts.objects
                self._show(f"{self._count()}…")

    def _on_ended(self, folder: Path) -> None:
        if self._pairs:
            self._show(f"{self._count()} ({self._format}) in '{folder.name}'.")
            self.imported.emit(str(folder))
        else:
            self._show("Nothing was imported.")

    def _count(self) -> str:
        images, cells = self._pairs, self._cells
        return f"{images:,} image{'s' * (images != 1)} with {cells:,} cell{'s' * (cells != 1)}"

    def _show(self, text: str) -> None:
        running = self.job is not None and self.job.running
        self.button.setEnabled(bool(self.source.text) and not running)
        self.status.setText(text)
        self.status.setVisible(bool(text))
        more = len(self._sentences) - MOST_SENTENCES
        shown = [*self._sentences[:MOST_SENTENCES], *[f"… and {more} more."] * (more > 0)]
        self.warning.setText("\n".join(shown))
        self.warning.setVisible(bool(shown))
