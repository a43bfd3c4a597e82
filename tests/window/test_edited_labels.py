"""Labels that were edited by hand are saved with a table of their own, and never replaced by a run of the command."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import tifffile
from napari.utils.notifications import notification_manager
from segmenting import enter, run, wait
from typer.testing import CliRunner

from blunet._npe2 import write_labels
from blunet.cli import app
from blunet.widgets.measure import measure_selected
from blunet.widgets.segment_widget import SegmentWidget


def test_edited_labels_are_measured_again_and_kept(viewer, qtbot, field, tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", field)
    dic = viewer.add_image(field, name="DIC")
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Segment")
    widget.form.measure_box.setChecked(True)
    run(qtbot, widget)
    labels = widget.result.labels
    assert labels.metadata["blunet"]["labels_sha256"]
    last = int(labels.data.max())
    place = np.argwhere(labels.data == last)[0]
    labels.fill(tuple(int(i) for i in place), 0)
    labels.data_setitem((np.full(40, 3), np.arange(40)), last + 1)
    data, attributes, _ = labels.as_layer_data_tuple()
    write_labels(str(tmp_path / "x_labels.tif"), data, attributes)
    assert "measured again with the grey values of 'DIC'" in notification_manager.records[-1].message
    with open(tmp_path / "x_objects.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["label"]) for row in rows] == list(np.unique(labels.data)[1:])
    assert float(rows[-1]["mean_intensity"]) == pytest.approx(field[3, :40].mean(), rel=1e-6)
    saved = (tmp_path / "x_labels.tif").read_bytes()
    result = CliRunner().invoke(app, ["segment", str(tmp_path / "x.tif"), "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "was edited" in result.stderr
    assert (tmp_path / "x_labels.tif").read_bytes() == saved
    assert dic in viewer.layers


def test_measuring_uses_the_image_that_the_labels_were_made_from_and_says_so(viewer, qtbot, field):
    viewer.add_image(field, name="DIC")
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Segment")
    run(qtbot, widget)
    labels = widget.result.labels
    gfp = viewer.add_image(field // 100, name="GFP")

    def measured(*selected):
        viewer.layers.selection = set(selected)
        with qtbot.waitSignal(measure_selected(viewer).ended, timeout=20_000):
            pass
        return labels.features["mean_intensity"].mean(), notification_manager.records[-1].message

    mean, message = measured(labels)
    assert "with the grey values of 'DIC'" in message
    assert mean > field.min()
    mean, message = measured(labels, gfp)
    assert "with the grey values of 'GFP'" in message
    assert mean <= (field // 100).max()


def test_labels_that_follow_without_being_measured_lose_the_table_of_those_before(viewer, qtbot, field):
    viewer.add_image(field, name="DIC")
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Segment")
    widget.form.measure_box.setChecked(True)
    run(qtbot, widget)
    assert "area_px2" in widget.result.labels.features
    widget.form.measure_box.setChecked(False)
    enter(widget, "min_size", 200)
    wait(qtbot, widget)
    assert "area_px2" not in widget.result.labels.features
