"""Drive the plugin in a real napari window and save the pictures of README and docs.

    scripts/with-display python scripts/make_screenshots.py [--out docs/images]

Everything is simulated, so that anybody gets the same pictures; the compression that is shown is a small one (minutes).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
import tifffile
from qtpy.QtWidgets import QApplication

from blunet.compression.presets import preset
from blunet.compression.steps import STEPS
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings
from blunet.simulation.life_settings import LifeSettings
from blunet.simulation.time_lapse import simulate_time_lapse
from blunet.widgets.compress_form import SCRATCH
from blunet.widgets.compress_widget import CompressWidget
from blunet.widgets.load_widget import LoadWidget
from blunet.widgets.scroll import UprightScroll
from blunet.widgets.segment_widget import SegmentWidget
from blunet.widgets.track_plots import AREA

SIZE = 1360, 860


def wait(seconds: float, condition: Callable[[], bool] = lambda: False) -> None:
    """Run the event loop until something is true, or for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not condition():
        QApplication.processEvents()
        time.sleep(0.005)


def window(widget_of: Callable[[napari.Viewer], object], name: str) -> tuple[napari.Viewer, object]:
    """Open a viewer with one dock."""
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(*SIZE)
    widget = widget_of(viewer)
    viewer.window.add_dock_widget(widget, name=name, area="right")
    wait(0.5)
    return viewer, widget


def save(viewer: napari.Viewer, path: Path) -> None:
    """Save a picture of the whole window."""
    wait(0.6)
    viewer.screenshot(str(path), canvas_only=False, flash=False)


def load(out: Path) -> None:
    """A folder of frames, opened as one time-lapse."""
    image, _ = simulate_time_lapse(DicSettings(shape=(384, 384)), 6, seed=3).stack()
    Path("lapse").mkdir()
    for t, frame in enumerate(image):
        tifffile.imwrite(f"lapse/t{t:02d}.tif", frame, imagej=True, resolution=(1 / 0.32,) * 2, metadata={"unit": "um"})
    viewer, widget = window(LoadWidget, "Load DIC images")
    widget.set_sources(["lapse"])
    wait(1.5)
    widget.start()
    wait(20, lambda: not widget.busy and bool(viewer.layers))
    save(viewer, out / "load.png")
    viewer.close()


def segment(out: Path) -> None:
    """The simulated field with its cells and their measurements."""
    viewer, widget = window(SegmentWidget, "Segment cells")
    field = simulate_dic()
    place = {"scale": (0.32, 0.32), "units": ("um", "um"), "axis_labels": ("y", "x")}
    viewer.add_image(field.image, name="Simulated DIC", **place)
    widget.form.measure_box.setChecked(True)
    widget.start()
    wait(60, lambda: not widget.busy)
    widget.result.labels.contour = 2
    viewer.canvas.overlays.scale_bar.visible = True
    save(viewer, out / "segment.png")
    viewer.close()


def track(out: Path) -> None:
    """A time-lapse whose true cells were tracked: the lineage of a cell that divides twice, and its area."""
    viewer, widget = window(SegmentWidget, "Segment cells")
    settings = DicSettings(shape=(320, 320), object_diameter=36, coverage=0.35, rounded=0.02)
    image, labels = simulate_time_lapse(settings, 40, seed=5, life=LifeSettings(cycle=55)).stack()
    place = {"scale": (300.0, 0.32, 0.32), "units": ("s", "um", "um"), "axis_labels": ("t", "y", "x")}
    viewer.add_image(image, name="Simulated time-lapse", **place)
    viewer.add_labels(labels, name="Simulated time-lapse – cells", **place)
    box = widget.form.track
    widget.form.track_section.set_open(True)
    box.start()
    wait(120, lambda: not box.busy)
    box.layers.labels.contour = 2
    tracks = box.state.tracks
    chosen = max(tracks.children, key=lambda number: (number in tracks.parents, len(tracks.lineage_of(number))))
    box.state.select(chosen)
    box.panel.plots_section.set_open(True)
    box.panel.plots.quantity.setCurrentText(AREA)
    box.panel.went.emit(tracks.spans[tracks.children[chosen][0]][0] + 1)
    wait(1)
    area = widget.findChild(UprightScroll)
    area.verticalScrollBar().setValue(box.mapTo(area.widget(), box.rect().topLeft()).y() - 34)
    save(viewer, out / "track.png")
    viewer.close()


def compress(out: Path) -> None:
    """A small compression: while it runs, and its report."""
    for name in ("images", "masks"):
        Path("fields", name).mkdir(parents=True)
    for i in range(12):
        field = simulate_dic(DicSettings(shape=(192, 192), object_diameter=40), seed=i)
        tifffile.imwrite(f"fields/images/field{i:02d}.tif", field.image)
        tifffile.imwrite(f"fields/masks/field{i:02d}.tif", field.labels.astype(np.uint16))
    settings = preset("quick").changed(levels=4, base_filters=8)
    epochs = {"transfer": 12, "hint_encoder": 4, "hint_decoder": 4, "retrain": 14, "binarise": 16}
    steps = {n: settings.step(n).changed(epochs=epochs.get(n, 1), batches=30, crop=96, batch=2) for n in STEPS}
    viewer, widget = window(CompressWidget, "Compress a U-Net")
    viewer.add_image(simulate_dic(DicSettings(shape=(192, 192), object_diameter=40), seed=0).image, name="field00")
    widget.form.teacher.setCurrentText(SCRATCH)
    widget.form.state.replace(settings.changed(**steps))
    widget.form.run.set_text("run")
    widget.form.folder.set_text("fields")
    wait(30, widget.view.start_button.isEnabled)
    save(viewer, out / "compress-data.png")
    widget.start()
    names = lambda: [step.name for step in widget.view.curves.steps]  # noqa: E731
    wait(600, lambda: "binarise" in names() and len(widget.view.curves.steps[-1].epochs) >= 9)
    viewer.reset_view()  # the validation image lies beside the field
    save(viewer, out / "compress.png")
    wait(600, lambda: not widget.busy)
    wait(0.5)
    area = widget.findChild(UprightScroll)
    area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
    save(viewer, out / "report.png")
    print(widget.view.status.text())
    viewer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("pictures", nargs="*", default=["load", "segment", "track", "compress"])
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BLUNET_SETTINGS_FOLDER"] = folder
        os.chdir(folder)  # so that the pictures show short names
        for name in arguments.pictures:
            {"load": load, "segment": segment, "track": track, "compress": compress}[name](out)
        os.chdir(out)


if __name__ == "__main__":
    main()
