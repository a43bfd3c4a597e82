"""Saving a Labels layer and its table under a name that the user is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info, show_warning
from qtpy.QtWidgets import QFileDialog, QWidget

from blunet.errors import InputError
from blunet.images.image_files import stem_of
from blunet.jobs.label_saving import save_labels
from blunet.jobs.result_files import LABELS
from blunet.widgets.layer_facts import file_of, frames_of, image_of
from blunet.widgets.preferences import recall, remember

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from napari.viewer import Viewer

LABEL_FILES = "Labels (*.tif *.tiff)"


def save_labels_as(viewer: Viewer, labels: Labels, image: Image | None = None) -> list[Path]:
    """Ask for a name, save labels as a TIFF with their table beside it, and return the files; none if cancelled.

    Parameters
    ----------
    viewer : Viewer
    labels : Labels
    image : Image, optional
        The layer that the labels were made from: its file gives the folder and the name that are proposed.
    """
    dialog = QFileDialog(window_of(viewer), "Save labels and table", filter=LABEL_FILES)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix("tif")  # before the dialog asks whether a file may be replaced
    proposed = _propose_path(labels, image)
    dialog.setDirectory(str(proposed.parent))
    dialog.selectFile(proposed.name)
    if not dialog.exec():
        return []
    path = Path(dialog.selectedFiles()[0])
    remember("save_folder", str(path.parent))
    data, attributes, _ = labels.as_layer_data_tuple()
    image = image_of(viewer, labels.metadata, labels.data.shape) if image is None else image
    try:
        frames = frames_of(image) if image is not None and image.data.shape == labels.data.shape else None
        written = save_labels(path, data, attributes, image=frames, remark=show_warning)
    except InputError as e:
        show_warning(str(e))
        return []
    names = " and ".join(f"'{file.name}'" for file in written)
    show_info(f"Saved {names} in '{path.parent}'.")
    return written


def _propose_path(labels: Labels, image: Image | None) -> Path:
    """Return `x_labels.tif` beside the image's file `x.tif`, or else a name made from the layer's."""
    file = file_of(image) if image is not None else None
    if file is not None and Path(file).exists():
        return Path(file).with_name(f"{stem_of(file)}_{LABELS}")
    name = "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in labels.name)
    return Path(recall("save_folder", str(Path.home()))) / f"{name.strip() or 'cells'}.tif"


def window_of(viewer: Viewer) -> QWidget | None:
    """Return the window that a dialog belongs to."""
    window: QWidget | None = viewer.window.main_menu.window()
    return window
