"""How the window feels while jobs run: a real napari window, on a display or under Xvfb.

    scripts/with-display python benchmarks/window.py

A timer of 5 ms in the event loop notes by how much it comes late; the 99th percentile and the worst are told, while a
2048 x 2048 image is segmented and while a network is trained, and how long cancelling and live changes take.
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

from blunet.images.simulate import simulate_dic
from blunet.widgets.segment import SegmentWidget

TICK = 0.005


class Pulse:
    """Notes how late a timer of the event loop comes."""

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

    def told(self) -> str:
        """Return the 99th percentile and the worst in milliseconds."""
        late = 1000 * np.array(self.delays)
        return f"99 % within {np.percentile(late, 99):.0f} ms, worst {late.max():.0f} ms ({late.size} beats)"


def until(condition: Callable[[], bool], seconds: float = 120) -> float:
    """Run the event loop until something is true; return how long that took."""
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
        widget.form.objects.setCurrentIndex(widget.form.objects.findData(kind))
        until(lambda: not widget.busy and not widget._timer.isActive())
        times = []
        with Pulse() as pulse:
            for threshold in (0.3, 0.4, 0.5, 0.6, 0.7):
                ended: list[float] = []
                widget.finished.connect(lambda ended=ended: ended.append(time.perf_counter()))
                begin = time.perf_counter()
                widget.form.threshold.setValue(threshold)
                until(lambda ended=ended: bool(ended))
                times.append(ended[0] - begin)
                widget.finished.disconnect()
        print(f"live threshold, 1024 x 1024, {kind}: median {1000 * np.median(times):.0f} ms, "
              f"worst {1000 * max(times):.0f} ms; event loop {pulse.told()}")  # fmt: skip

    viewer.add_image(large, name="2048")
    with Pulse() as pulse:
        widget.start()
        took = until(lambda: not widget.busy)
    print(f"segmenting 2048 x 2048 ({took:.1f} s): event loop {pulse.told()}")
    cancels = []
    for _ in range(3):
        widget.start()
        until_seconds = time.perf_counter() + 0.7
        until(lambda end=until_seconds: time.perf_counter() > end)
        widget.cancel()
        cancels.append(until(lambda: not widget.busy))
    print(f"cancel while segmenting 2048 x 2048: worst {max(cancels):.2f} s")
    folder_of_frames(viewer)
    viewer.close()


def folder_of_frames(viewer: Viewer) -> None:
    """Open 500 frames."""
    with tempfile.TemporaryDirectory() as name:
        frame = simulate_dic().image
        for t in range(500):
            tifffile.imwrite(Path(name) / f"t{t}.tif", frame)
        begin = time.perf_counter()
        viewer.open(name, plugin="napari-blunet")
        print(f"opening a folder of 500 frames of 512 x 512: {time.perf_counter() - begin:.2f} s")
        viewer.layers.clear()


if __name__ == "__main__":
    main()
