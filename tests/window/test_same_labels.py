"""The command, the Segment widget and `blunet.segment` give the same labels of a time-lapse, array for array."""

from __future__ import annotations

import shlex
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QApplication
from segmenting import enter, run, wait
from two_map_model import TwoMapModel, touching_cells

import blunet
from blunet.jobs.file_segmentation import segment_files
from blunet.packed.packed_model import BUNDLED, load_model
from blunet.segmentation.segmentation_settings import SegmentationSettings
from blunet.widgets.load_widget import LoadWidget
from blunet.widgets.segment_widget import SegmentWidget


@pytest.fixture
def stack(field):
    """A field and its mirror images, each darker than the one before: limits of their own would change the labels."""
    frames = [field, field[::-1], field[:, ::-1], field[::-1, ::-1]]
    return np.stack([frame - frame.min() * t // 6 for t, frame in enumerate(frames)])


@pytest.fixture
def widget(viewer):
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Segment")
    widget.form.measure_box.setChecked(True)
    widget.form.parts.choose("all")
    return widget


def read_table(path):
    return np.genfromtxt(path, names=True, delimiter=",")


@pytest.mark.parametrize("objects", ["watershed", "components", "mask"])
def test_command_widget_and_python_agree(viewer, widget, qtbot, stack, tmp_path, objects):
    tifffile.imwrite(tmp_path / "lapse.tif", stack, imagej=True, metadata={"axes": "TYX"})
    settings = SegmentationSettings(threshold=0.4, splitting=0.6, min_size=50, objects=objects, diameter=70.0)
    list(segment_files([tmp_path / "lapse.tif"], tmp_path, load_model(), settings, save_measurements=True))
    viewer.add_image(stack, name="Lapse")
    viewer.dims.set_point(0, 2)
    enter(widget, "threshold", 0.4)
    enter(widget, "splitting", 0.6)
    enter(widget, "min_size", 50)
    enter(widget, "objects", objects)
    enter(widget, "diameter", 70)
    run(qtbot, widget)
    labels = widget.result.labels
    assert labels.data.max() > (0 if objects == "mask" else 10)
    np.testing.assert_array_equal(labels.data, tifffile.imread(tmp_path / "lapse_labels.tif"))
    np.testing.assert_array_equal(labels.data, blunet.segment(stack, **settings.to_dict()))
    table = read_table(tmp_path / "lapse_objects.csv")
    assert list(labels.features.columns) == ["index", *table.dtype.names]
    for name in table.dtype.names:
        np.testing.assert_allclose(labels.features[name], table[name], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("source", ["file", "folder"])
def test_the_copied_command_gives_the_labels_that_are_shown(viewer, widget, qtbot, stack, tmp_path, source):
    path = tmp_path / "a lapse"
    if source == "file":
        path = path.with_suffix(".tif")
        tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "TYX"})
    else:
        path.mkdir()
        for t, frame in enumerate(stack):
            tifffile.imwrite(path / f"t{t}.tif", frame)
    load = LoadWidget(viewer)
    viewer.window.add_dock_widget(load, name="Load")
    with qtbot.waitSignal(load.looked, timeout=20_000):
        load.set_sources([path])
    with qtbot.waitSignal(load.finished, timeout=20_000):
        load.start()
    enter(widget, "threshold", 0.37)
    enter(widget, "diameter", 70)
    run(qtbot, widget)
    enter(widget, "min_size", 80)  # the labels follow without another run
    enter(widget, "splitting", 0.75)
    wait(qtbot, widget)
    widget.form.copy_button.click()
    words = shlex.split(QApplication.clipboard().text())
    assert words[0] == "blunet"
    subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, check=True, capture_output=True)
    written = tifffile.imread(tmp_path / "segmented" / "a lapse_labels.tif")
    np.testing.assert_array_equal(written, widget.result.labels.data)
    assert written.max() > 10
    table = read_table(tmp_path / "segmented" / "a lapse_objects.csv")
    assert list(table["label"]) == list(widget.result.labels.features["label"]) == list(range(1, written.max() + 1))


@pytest.mark.parametrize("count", [1, 2])
def test_command_widget_and_python_agree_on_a_model_with_maps(viewer, widget, qtbot, tmp_path, monkeypatch, count):
    model = TwoMapModel()
    monkeypatch.setattr("blunet.jobs.layer_segmentation.load_model", lambda path, threads: model)
    image = touching_cells() if count == 1 else np.stack([touching_cells(), touching_cells()[::-1]])
    viewer.add_image(image, name="Cells")
    enter(widget, "threshold", 0.4)
    run(qtbot, widget)
    asked, labels = len(model.runs), widget.result.labels
    for splitting, cells in ((0.4, 3), (0.0, 2), (1.0, 3)):
        enter(widget, "splitting", splitting)  # the labels follow without another run
        wait(qtbot, widget)
        settings = SegmentationSettings(threshold=0.4, splitting=splitting)
        np.testing.assert_array_equal(labels.data, blunet.segment(image, TwoMapModel(), **settings.to_dict()))
        assert labels.data.max() == count * cells
        tifffile.imwrite(tmp_path / "x.tif", image, imagej=True, metadata={"axes": "TYX"[-image.ndim :]})
        list(segment_files([tmp_path / "x.tif"], tmp_path, TwoMapModel(), settings))
        np.testing.assert_array_equal(labels.data, tifffile.imread(tmp_path / "x_labels.tif"))
        assert labels.metadata["blunet"]["settings"] == settings.to_dict()
    assert len(model.runs) == asked == count


def test_files_and_layers_have_the_same_provenance(viewer, widget, qtbot, field, tmp_path):
    from blunet.images.image_writer import read_description

    tifffile.imwrite(tmp_path / "field.tif", field)
    viewer.add_image(field, name="Field")
    run(qtbot, widget)
    settings = widget.settings()
    list(segment_files([tmp_path / "field.tif"], tmp_path, load_model(), settings))
    made = read_description(tmp_path / "field_labels.tif")
    assert made.pop("image")["file"] == "field.tif"
    assert made.pop("found")["objects"] == widget.result.objects
    assert made == widget.result.labels.metadata["blunet"]
    assert made["model"]["file"] == BUNDLED.name
