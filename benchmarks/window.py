"""How promptly the window responds while jobs run: a real napari window, on a display or under Xvfb.

    scripts/with-display python benchmarks/window.py

A timer of 5 ms in the event loop measures its delay. The 99th percentile and the worst delay are printed, while a
2048 x 2048 image is segmented and while a network is trained, and the time that cancelling and live changes take.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from napari import Viewer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.presets import preset
from blunet.compression.steps import STEPS
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings
from blunet.widgets.compress_form import SCRATCH
from blunet.widgets.compress_widget import CompressWidget
from blunet.widgets.segment_widget import SegmentWidget

TICK = 0.005


class Pulse:
    """Measures the delay of a timer in the event loop."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.setInterval(int(1000 * TICK))
        self._timer.timeout.connect(self._beat)

    def __enter__(self) -> Pulse:
        self._last = time.perf_counter()
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.stop()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.delays.append(max(0.0, now - self._last - TICK))
        self._last = now

    def describe(self) -> str:
        """Return the 99th percentile and the worst delay in milliseconds."""
        late = 1000 * np.array(self.delays)
        return f"99 % within {np.percentile(late, 99):.0f} ms, worst {late.max():.0f} ms ({late.size} beats)"


def until(condition: Callable[[], bool], seconds: float = 120) -> float:
    """Run the event loop until a condition is true; return how long that took."""
    begin = time.perf_counter()
    while not condition():
        QApplication.processEvents()
        time.sleep(0.001)
        if time.perf_counter() - begin > seconds:
            raise TimeoutError
    return time.perf_counter() - begin


def main() -> None:
    viewer = Viewer()
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget)
    field = simulate_dic().image
    large = np.tile(field, (4, 4))
    small = np.tile(field, (2, 2))

    viewer.add_image(small, name="1024")
    widget.start()  # kernels are loaded, the window has been drawn
    until(lambda: not widget.busy)
    for kind in ("mask", "components", "watershed"):
        enter(widget, "objects", kind)
        times = []
        with Pulse() as pulse:
            for threshold in (0.3, 0.4, 0.5, 0.6, 0.7):
                times.append(enter(widget, "threshold", threshold))
        print(f"live threshold, 1024 x 1024, {kind}: median {1000 * np.median(times):.0f} ms, "
              f"worst {1000 * max(times):.0f} ms; event loop {pulse.describe()}")  # fmt: skip

    viewer.add_image(large, name="2048")
    with Pulse() as pulse:
        widget.start()
        took = until(lambda: not widget.busy)
    print(f"segmenting 2048 x 2048 ({took:.1f} s): event loop {pulse.describe()}")
    cancels = []
    for _ in range(3):
        widget.start()
        until_seconds = time.perf_counter() + 0.7
        until(lambda end=until_seconds: time.perf_counter() > end)
        widget.cancel()
        cancels.append(until(lambda: not widget.busy))
    print(f"cancel while segmenting 2048 x 2048: worst {max(cancels):.2f} s")
    open_folder(viewer)
    train(viewer)
    viewer.close()


def enter(widget: SegmentWidget, name: str, value: object) -> float:
    """Change a setting of the labels; return how long the widget takes to show the new ones."""
    ended: list[float] = []
    connection = widget.finished.connect(lambda: ended.append(time.perf_counter()))
    begin = time.perf_counter()
    widget.form.labels_form.control(name).value = value
    until(lambda: bool(ended))
    widget.finished.disconnect(connection)
    return ended[0] - begin


def open_folder(viewer: Viewer) -> None:
    """Open 500 frames."""
    with tempfile.TemporaryDirectory() as name:
        frame = simulate_dic().image
        for t in range(500):
            tifffile.imwrite(Path(name) / f"t{t}.tif", frame)
        begin = time.perf_counter()
        viewer.open(name, plugin="napari-blunet")
        print(f"opening a folder of 500 frames of 512 x 512: {time.perf_counter() - begin:.2f} s")
        viewer.layers.clear()


def train(viewer: Viewer) -> None:
    """Compress in the background: a small run through all its steps, and runs that are cancelled."""
    with tempfile.TemporaryDirectory() as name:
        for part in ("images", "masks"):
            Path(name, "data", part).mkdir(parents=True)
        for i in range(12):
            field = simulate_dic(DicSettings(shape=(256, 256)), seed=i)
            tifffile.imwrite(Path(name, "data", "images", f"{i}.tif"), field.image)
            tifffile.imwrite(Path(name, "data", "masks", f"{i}.tif"), field.labels.astype(np.uint16))
        widget = CompressWidget(viewer)
        viewer.window.add_dock_widget(widget)
        viewer.add_image(np.tile(simulate_dic().image, (2, 2)), name="shown meanwhile")
        quick = preset("quick")
        short = quick.changed(**{n: quick.step(n).changed(epochs=4, batches=20) for n in STEPS})
        choose(widget, name, "whole", short)
        with Pulse() as pulse:
            widget.start()
            took = until(lambda: not widget.busy, 900)
        status = widget.view.status.text()
        print(f"training, all steps of 16 filters ({took:.0f} s): event loop {pulse.describe()}; {status}")
        for filters, crop in ((16, 192), (64, 256)):
            settings = quick.changed(base_filters=filters, **{n: quick.step(n).changed(crop=crop) for n in STEPS})
            choose(widget, name, f"cancelled{filters}", settings)
            cancels = []
            for _ in range(2):
                widget.start()
                until(lambda: widget.state.progress is not None and widget.state.progress.batch >= 3, 300)
                widget.cancel()
                cancels.append(until(lambda: not widget.busy))
            print(f"cancel while training {filters} filters, to a saved run: worst {max(cancels):.2f} s")


def choose(widget: CompressWidget, folder: str, run: str, settings: CompressionSettings) -> None:
    """Fill in the form, and wait until the data are checked."""
    widget.form.teacher.setCurrentText(SCRATCH)
    widget.form.state.replace(settings)
    widget.form.run.set_text(str(Path(folder, run)))
    widget.form.folder.set_text(str(Path(folder, "data")))
    until(widget.view.start_button.isEnabled)


if __name__ == "__main__":
    main()
