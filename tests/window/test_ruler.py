"""Measuring a cell with a line, in a window that is drawn."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import napari, numpy as np
from qtpy.QtTest import QTest
from blunet.simulation.dic_fields import simulate_dic
from blunet.widgets.segment_widget import SegmentWidget

viewer = napari.Viewer()
widget = SegmentWidget(viewer)
viewer.window.add_dock_widget(widget)
viewer.add_image(simulate_dic().image[:96, :128], name="Field")
QTest.qWait(200)
for again in range(2):
    widget.form.diameter.ruler_button.click()
    ruler = viewer.layers[-1]
    QTest.qWait(200)
    ruler.add([[10, 10], [10, 60]], shape_type="line")
    QTest.qWait(400)
    assert ruler not in viewer.layers and widget.settings().diameter == 50
widget.form.diameter.ruler_button.click()
QTest.qWait(200)
viewer.layers[-1].add([[1, 1], [1, 1]], shape_type="line")  # too short to be a cell
QTest.qWait(200)
viewer.layers.remove(viewer.layers[-1])  # as the user may
assert not widget.form.diameter.ruler_button.isChecked()
widget.start()
while widget.busy:
    QTest.qWait(50)
QTest.qWait(300)
viewer.screenshot(canvas_only=True)
print("alive", viewer.layers.selection.active.name)
viewer.close()
"""


def test_the_window_is_drawn_after_the_line_is_gone(monkeypatch, tmp_path):
    """In a process of its own: what it tests for ends the process."""
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False, timeout=240)
    assert "alive Field – cells" in run.stdout, run.stderr[-2000:]
