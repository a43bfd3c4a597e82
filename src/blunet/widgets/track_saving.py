"""Saving tracks into a folder that the user is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog

from blunet.images.frame_source import FrameSource
from blunet.jobs.track_saving import FrameSaved, save_tracks
from blunet.tracking.tracks import Tracks
from blunet.widgets.label_files import window_of
from blunet.widgets.preferences import recall, remember
from blunet.widgets.track_layers import TrackLayers
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    from napari.viewer import Viewer


def ask_for_folder(viewer: Viewer) -> Path | None:
    """Ask for a folder for the tracks of a time-lapse; None if the dialog was cancelled."""
    dialog = QFileDialog(window_of(viewer), "Folder for masks and tables of the tracks")
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
    dialog.setLabelText(QFileDialog.DialogLabel.Accept, "Save here")
    dialog.setDirectory(recall("save_folder", str(Path.home())))
    if not dialog.exec():
        return None
    folder = Path(dialog.selectedFiles()[0])
    remember("save_folder", str(folder))
    return folder


def start_saving(layers: TrackLayers, tracks: Tracks, folder: Path, owner: QObject) -> Job:
    """Write tracked labels and their tables in a thread; return the job, which has started."""
    labels = FrameSource.from_array(
        layers.labels.data, name=layers.labels.name, pixel_size=layers.size, interval=layers.interval
    )
    made = layers.labels.metadata.get("blunet", {}).get("tracking", {})
    about = {"labels": layers.source.name, "settings": made, "interval_s": layers.interval}
    job = Job(lambda token: save_tracks(labels, tracks, folder, about, token), owner, f"Saving {layers.tracks.name}")

    def show(event: FrameSaved) -> None:
        job.show_progress(event.frame, event.frames, f"frame {event.frame} of {event.frames}")

    job.event.connect(show)
    job.start()
    return job
