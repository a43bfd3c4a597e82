"""Choosing image files: dropped, chosen in a dialog, or typed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from qtpy.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from blunet.dataset.annotations.formats import ANNOTATION_ENDINGS
from blunet.images.image_files import ENDINGS
from blunet.widgets.preferences import recall, remember
from blunet.widgets.text import wrap_tooltip

FILTER = (
    f"Images ({' '.join('*' + ending for ending in ENDINGS)});;"
    f"Annotations ({' '.join('*' + ending for ending in ANNOTATION_ENDINGS)});;All files (*)"
)
IDLE = "QFrame#drop { border: 1px dashed palette(mid); border-radius: 6px; }"
OVER = "QFrame#drop { border: 1px solid palette(highlight); border-radius: 6px; }"


class SourceBox(QFrame):
    """A place to drop files and folders, with two buttons and a line for patterns."""

    changed = Signal()
    """Emitted when other files, folders or patterns are chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sources: tuple[str, ...] = ()
        self.setObjectName("drop")
        self.setStyleSheet(IDLE)
        self.setAcceptDrops(True)
        hint = QLabel("Drop images or a folder here")
        hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.files_button = QPushButton("Choose files…")
        self.files_button.setToolTip(
            wrap_tooltip(
                "One or more image files: TIFF, PNG or JPEG. Or annotations of ImageJ, QuPath, Labelme or COCO, which "
                "open the image beside them with its cells as labels."
            )
        )
        self.files_button.clicked.connect(self._choose_files)
        self.folder_button = QPushButton("Choose a folder…")
        self.folder_button.setToolTip(
            "A folder of images, or one with the folders 'images' and 'masks', whose files have equal names."
        )
        self.folder_button.clicked.connect(self._choose_folder)
        self.line = QLineEdit()
        self.line.setPlaceholderText("or type a path or pattern: plate/*.tif")
        self.line.setToolTip("A file, a folder or a pattern, in which * matches any characters. Press Enter.")
        self.line.setClearButtonEnabled(True)
        self.line.editingFinished.connect(self._on_typed)
        buttons = QHBoxLayout()
        buttons.addWidget(self.files_button)
        buttons.addWidget(self.folder_button)
        layout = QVBoxLayout(self)
        layout.addWidget(hint)
        layout.addLayout(buttons)
        layout.addWidget(self.line)

    @property
    def sources(self) -> tuple[str, ...]:
        """The chosen files, folders or patterns."""
        return self._sources

    def set_sources(self, sources: Sequence[str | Path]) -> None:
        """Choose files, folders or patterns."""
        self._sources = tuple(str(source) for source in sources)
        first = self._sources[0] if self._sources else ""
        more = f"  and {len(self._sources) - 1} more" if len(self._sources) > 1 else ""
        self.line.setText(first + more)
        self.line.setModified(False)
        self.changed.emit()

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Accept files and folders."""
        if event is not None and _files(event):
            event.acceptProposedAction()
            self.setStyleSheet(OVER)

    def dragLeaveEvent(self, event: QDragLeaveEvent | None) -> None:
        """Remove the highlight."""
        self.setStyleSheet(IDLE)

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Choose what was dropped."""
        self.setStyleSheet(IDLE)
        if event is not None and (files := _files(event)):
            event.acceptProposedAction()
            self.set_sources(files)

    def _on_typed(self) -> None:
        if not self.line.isModified():
            return  # the line lost the focus without a change
        text = self.line.text().strip().strip("\"'")
        self.set_sources([text] if text else [])

    def _choose_files(self) -> None:
        files, _ = QFileDialog.getOpenFileNames(self, "Choose images", recall("load_folder", ""), FILTER)
        if files:
            remember("load_folder", str(Path(files[0]).parent))
            self.set_sources(files)

    def _choose_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a folder of images", recall("load_folder", ""))
        if folder:
            remember("load_folder", str(Path(folder).parent))
            self.set_sources([folder])


def _files(event: QDropEvent) -> list[str]:
    mime = event.mimeData()
    return [url.toLocalFile() for url in mime.urls() if url.isLocalFile()] if mime is not None else []
