"""Where labels that are too large for memory are written."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QVBoxLayout, QWidget

from blunet.images.image_files import stem_of
from blunet.images.labels_store import ENDING
from blunet.jobs.result_files import LABELS_SUFFIX
from blunet.quantities import describe_size
from blunet.widgets.layer_facts import file_of
from blunet.widgets.path_box import PathBox
from blunet.widgets.preferences import recall
from blunet.widgets.text import make_remark_label

if TYPE_CHECKING:
    from napari.layers import Image


class StorePlace(QWidget):
    """The folder of a new OME-Zarr of labels, and why there is to be one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: Image | None = None
        self._suggested = ""
        self.folder = PathBox("Folder for the labels")
        self.folder.setToolTip("The labels become an OME-Zarr in this folder. Nothing is overwritten.")
        self.remark = make_remark_label("")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.folder)
        layout.addWidget(self.remark)
        self.folder.changed.connect(self._show_name)

    @property
    def path(self) -> Path:
        """Path of the Zarr, of which there is none yet."""
        return _new_name(Path(self.folder.text or self._suggested), self._image)

    def set_need(self, image: Image, needed: int) -> None:
        """Suggest a folder for the labels of an image which need so many bytes."""
        self._image, self._needed = image, needed
        if self.folder.text in ("", self._suggested):
            self._suggested = _suggest_folder(image)
            self.folder.set_text(self._suggested)
        self._show_name()

    def _show_name(self) -> None:
        if self._image is None:
            return
        self.remark.setText(
            f"Labels and maps of {describe_size(self._needed)} do not fit into memory: the labels are written to "
            f"'{self.path.name}', and stay as they are when a setting is changed."
        )


def _suggest_folder(image: Image) -> str:
    """Return the folder of the image's file if it can be written to, else the one that was saved to last."""
    file = file_of(image)
    beside = Path(file).absolute().parent if file else None
    if beside is not None and beside.is_dir() and os.access(beside, os.W_OK):
        return str(beside)
    return recall("save_folder", str(Path.home()))


def _new_name(folder: Path, image: Image | None) -> Path:
    name = "image" if image is None else stem_of(file_of(image) or image.name)
    name = "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in name).strip(". ") or "image"
    names = (f"{name}{f' {n}' if n > 1 else ''}{LABELS_SUFFIX}{ENDING}" for n in count(1))
    return next(path for each in names if not (path := folder / each).exists())
