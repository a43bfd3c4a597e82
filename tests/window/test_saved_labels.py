"""Labels that were saved: the file's name, and opening it again beside its image or by itself."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from dialogs import answer_dialog
from napari.layers import Image, Labels
from npe2 import PluginManager
from segmenting import run

from blunet.errors import InputError
from blunet.widgets.load_widget import LoadWidget
from blunet.widgets.segment_widget import SegmentWidget

PLUGIN = "napari-blunet"


@pytest.fixture
def viewer(viewer_with_plugin):
    return viewer_with_plugin


@pytest.fixture
def segmented(viewer, qtbot, field, tmp_path):
    """`x.tif` was opened, segmented and measured, and its labels were saved with the button of the dock."""
    tifffile.imwrite(tmp_path / "x.tif", field, imagej=True, resolution=(2, 2), metadata={"unit": "um"})
    viewer.open(str(tmp_path / "x.tif"), plugin="napari")
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Segment")
    assert not widget.form.save_button.isEnabled()
    widget.form.measure_box.setChecked(True)
    run(qtbot, widget)
    assert widget.form.save_button.isEnabled()
    with answer_dialog(tmp_path / "x_labels") as proposed:
        widget.form.save_button.click()
    assert proposed == [str(tmp_path / "x_labels.tif")]
    assert widget.form.status.text().endswith("Saved x_labels.tif and x_objects.csv.")
    labels = widget.result.labels
    viewer.layers.clear()
    assert not widget.form.save_button.isEnabled()
    return labels


def load(qtbot, viewer, *sources):
    widget = LoadWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Load")
    with qtbot.waitSignal(widget.looked, timeout=30_000):
        widget.set_sources(sources)
    with qtbot.waitSignal(widget.finished, timeout=30_000):
        widget.form.open_button.click()
    return widget


def test_saved_labels_are_opened_beside_their_image_with_their_table(viewer, qtbot, segmented, tmp_path):
    widget = load(qtbot, viewer, tmp_path / "x.tif")
    assert "with saved labels" in widget.form.found.text()
    image, labels = viewer.layers
    assert (type(image), type(labels), labels.name) == (Image, Labels, "x – cells")
    np.testing.assert_array_equal(labels.data, segmented.data)
    np.testing.assert_allclose(labels.features["area_px2"], segmented.features["area_px2"])
    np.testing.assert_allclose(labels.scale, image.scale)


@pytest.mark.parametrize("way", ["load", "napari"])
def test_saved_labels_by_themselves_are_no_grey_image(viewer, qtbot, segmented, tmp_path, way):
    if way == "load":
        load(qtbot, viewer, tmp_path / "x_labels.tif")
    else:
        viewer.open(str(tmp_path / "x_labels.tif"), plugin=PLUGIN)
    (labels,) = viewer.layers
    assert isinstance(labels, Labels)
    np.testing.assert_array_equal(labels.data, segmented.data)
    assert list(labels.features["index"]) == list(segmented.features["index"])
    assert labels.source.path or labels.metadata["file"]


def test_an_image_and_its_labels_chosen_together_are_two_layers(viewer, qtbot, segmented, tmp_path):
    load(qtbot, viewer, tmp_path / "x_labels.tif", tmp_path / "x.tif")
    assert [type(layer) for layer in viewer.layers] == [Image, Labels]


def test_a_table_of_other_labels_is_left_out(viewer, qtbot, segmented, tmp_path):
    values = tifffile.imread(tmp_path / "x_labels.tif")
    tifffile.imwrite(tmp_path / "x_labels.tif", np.where(values == 1, 0, values))
    widget = load(qtbot, viewer, tmp_path / "x.tif")
    assert "The table beside 'x_labels.tif' is not that of its labels" in widget.form.warning.text()
    assert "area_px2" not in viewer.layers[-1].features


def test_the_frames_of_a_folder_are_numbered_on(viewer, qtbot, tmp_path):
    for t in range(3):
        tifffile.imwrite(tmp_path / f"t{t}.tif", np.full((9, 8), 40 * t, np.uint8))
        if t != 1:
            labels = np.zeros((9, 8), np.uint16)
            labels[1:3, 1:3], labels[5:8, 1 : 3 + t] = 1, 2
            tifffile.imwrite(tmp_path / f"t{t}_labels.tif", labels)
            rows = [f"1,4,{t}", f"2,{3 * (2 + t)},{t}.5"]
            (tmp_path / f"t{t}_objects.csv").write_text("\n".join(["label,area_px2,mean_intensity", *rows]))
    load(qtbot, viewer, tmp_path)
    labels = viewer.layers[-1]
    assert [sorted(set(np.unique(frame))) for frame in labels.data] == [[0, 1, 2], [0], [0, 3, 4]]
    assert list(labels.features["index"]) == [1, 2, 3, 4]
    assert list(labels.features["frame"]) == [0, 0, 2, 2]
    assert list(labels.features["area_px2"]) == [4, 6, 4, 12]


def test_a_name_without_an_ending_gets_one(viewer, tmp_path):
    values = np.zeros((20, 30), np.int32)
    values[2:9, 3:8] = 1
    viewer.add_labels(values, name="Cells")
    writer, _ = PluginManager.instance().get_manifest(PLUGIN).contributions.writers
    (written,) = viewer.layers.save(str(tmp_path / "cells 1.5 h"), _writer=writer)
    assert written == str(tmp_path / "cells 1.5 h.tif")
    assert viewer.open(written, plugin="napari")
    with pytest.raises(InputError, match="exists already"):  # napari has asked about another name
        viewer.layers[:1].save(str(tmp_path / "cells 1.5 h"), _writer=writer)
