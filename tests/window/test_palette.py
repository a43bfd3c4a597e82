"""The commands of the palette, which get no arguments: they ask."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from dialogs import answer_dialog
from napari._app_model import get_app_model
from napari.utils.notifications import notification_manager

from blunet.packed.packed_model import BUNDLED
from blunet.widgets.docks import show_segment_dock

PLUGIN = "napari-blunet"


@pytest.fixture
def viewer(viewer_with_plugin):
    return viewer_with_plugin


def call(name):
    get_app_model().commands.execute_command(f"{PLUGIN}.{name}").result()


def last_words():
    return str(notification_manager.records[-1].message)


def test_open_a_folder(viewer, tmp_path):
    for t in range(3):
        tifffile.imwrite(tmp_path / f"t{t}.tif", np.full((9, 8), t, np.uint8))
    with answer_dialog(None):
        call("read_folder")
    assert not viewer.layers
    with answer_dialog(tmp_path):
        call("read_folder")
    assert [layer.data.shape for layer in viewer.layers] == [(3, 9, 8)]
    (tmp_path / "empty").mkdir()
    with answer_dialog(tmp_path / "empty"):
        call("read_folder")
    assert last_words() == f"The folder '{tmp_path / 'empty'}' holds no images."


def test_use_a_model(viewer, tmp_path):
    model = tmp_path / "mine.blunet"
    model.write_bytes(BUNDLED.read_bytes())
    with answer_dialog(model):
        call("read_model")
    assert show_segment_dock(viewer).form.picker.path == model


def test_save_labels(viewer, tmp_path):
    call("write_labels")
    assert last_words() == "No Labels layer is selected; select the layer that is to be saved."
    values = np.zeros((9, 8), np.int32)
    values[2:5, 2:5] = 1
    viewer.add_labels(values, name="cells: 1/2", features={"index": [1], "area_px2": [9]})
    with answer_dialog(tmp_path / "mine") as proposed:  # without an ending
        call("write_labels")
    assert proposed[0].endswith("cells_ 1_2.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "mine.tif"), values)
    assert (tmp_path / "mine_objects.csv").read_text().splitlines() == ["index,area_px2", "1,9"]
    assert last_words() == f"Saved 'mine.tif' and 'mine_objects.csv' in '{tmp_path}'."
