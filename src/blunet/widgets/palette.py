"""Commands of the palette that ask for a file or folder first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Labels
from napari.utils.notifications import show_warning
from qtpy.QtWidgets import QFileDialog

from blunet.dataset.annotations.formats import ANNOTATION_ENDINGS
from blunet.errors import InputError
from blunet.widgets.docks import show_segment_dock
from blunet.widgets.label_files import save_labels_as, window_of
from blunet.widgets.model_picker import MODEL_FILES
from blunet.widgets.preferences import PLUGIN, recall, remember

if TYPE_CHECKING:
    from napari.viewer import Viewer

#: Files that labels can be exported as.
EXPORT_FILES = "Regions of ImageJ (*.zip);;GeoJSON of QuPath (*.geojson);;Table (*.csv);;Parquet (*.parquet)"


def open_chosen_folder(viewer: Viewer) -> None:
    """Ask for a folder and open its images as a time-lapse."""
    folder = QFileDialog.getExistingDirectory(window_of(viewer), "Open a folder of images", recall("load_folder", ""))
    if not folder:
        return
    remember("load_folder", str(Path(folder).parent))
    try:
        viewer.open(folder, plugin=PLUGIN)
    except (InputError, ValueError) as e:  # npe2's own error where the folder holds no images
        show_warning(str(e) if isinstance(e, InputError) else f"The folder '{folder}' holds no images.")


def open_chosen_labels(viewer: Viewer) -> None:
    """Ask for a file of labels and open it with its table."""
    name, _ = QFileDialog.getOpenFileName(
        window_of(viewer), "Open saved labels", recall("save_folder", ""), "Saved labels (*_labels.tif *_labels.tiff)"
    )
    if name:
        remember("save_folder", str(Path(name).parent))
        viewer.open(name, plugin=PLUGIN)


def open_chosen_annotations(viewer: Viewer) -> None:
    """Ask for a file of annotations and open the image that it belongs to, with its cells as labels."""
    endings = " ".join(f"*{ending}" for ending in ANNOTATION_ENDINGS)
    name, _ = QFileDialog.getOpenFileName(
        window_of(viewer), "Open annotations", recall("load_folder", ""), f"Annotations ({endings})"
    )
    if not name:
        return
    remember("load_folder", str(Path(name).parent))
    try:
        viewer.open(name, plugin=PLUGIN)
    except InputError as e:
        show_warning(str(e))


def use_chosen_model(viewer: Viewer) -> None:
    """Ask for a model file and make it that of the Segment widget."""
    name, _ = QFileDialog.getOpenFileName(window_of(viewer), "Choose a model", recall("model_folder", ""), MODEL_FILES)
    if name:
        remember("model_folder", str(Path(name).parent))
        show_segment_dock(viewer).use_model(name)


def save_selected_labels(viewer: Viewer) -> list[Path]:
    """Ask for a name and save the selected Labels layer with its table; return the files."""
    labels = _selected_labels(viewer, "saved")
    return [] if labels is None else save_labels_as(viewer, labels)


def export_selected_labels(viewer: Viewer) -> None:
    """Ask for a name, and save the selected Labels layer for another program."""
    labels = _selected_labels(viewer, "exported")
    if labels is None:
        return
    proposed = str(Path(recall("save_folder", "")) / f"{labels.name}_RoiSet.zip")
    name, _ = QFileDialog.getSaveFileName(window_of(viewer), "Export labels", proposed, EXPORT_FILES)
    if not name:
        return
    remember("save_folder", str(Path(name).parent))
    try:
        labels.save(name, plugin=PLUGIN)
    except InputError as e:
        show_warning(str(e))


def _selected_labels(viewer: Viewer, what: str) -> Labels | None:
    """Return the selected Labels layer; None, with a warning, if there is not exactly one."""
    chosen = [layer for layer in viewer.layers.selection if isinstance(layer, Labels)]
    if len(chosen) != 1:
        problem = f"{len(chosen)} Labels layers are selected" if chosen else "No Labels layer is selected"
        show_warning(f"{problem}; select the layer that is to be {what}.")
        return None
    return chosen[0]
