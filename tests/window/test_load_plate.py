"""Browsing a plate in *Load*, and choosing channels and slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.writer import write_image, write_plate_metadata, write_well_metadata
from qtpy.QtCore import Qt

from blunet.widgets.load_widget import LoadWidget

WELLS = {"A/1": 2, "A/3": 1, "B/2": 0}


def field_image(well: int, field: int) -> np.ndarray:
    return np.stack([np.full((40, 50), 7, np.uint8), np.full((40, 50), 10 * well + field + 20, np.uint8)])


def write_plate(path: Path, fmt, names: tuple[str, ...] = ("GFP", "DIC")) -> Path:
    """Write three of six wells: with two fields, with one, and without images; each with two channels."""
    root = zarr.open_group(path, mode="w", zarr_format=fmt.zarr_format)
    write_plate_metadata(root, ["A", "B"], ["1", "2", "3"], list(WELLS), fmt=fmt)
    window = {"start": 0, "end": 255, "min": 0, "max": 255}
    omero = {"channels": [{"label": name, "color": "FFFFFF", "window": window} for name in names]}
    for number, (name, fields) in enumerate(WELLS.items()):
        if fields:
            write_well_metadata(root.require_group(name), [str(i) for i in range(fields)], fmt=fmt)
        for field in range(fields):
            group = root.require_group(f"{name}/{field}")
            write_image(field_image(number, field), group, fmt=fmt, axes=["c", "y", "x"])
            about = group.attrs.asdict()
            group.attrs.update({"ome": about["ome"] | {"omero": omero}} if "ome" in about else {"omero": omero})
    return path


@pytest.fixture
def widget(viewer):
    widget = LoadWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Load")
    return widget


def choose(qtbot, widget, path):
    with qtbot.waitSignal(widget.looked, timeout=30_000):
        widget.set_sources([path])


def click(qtbot, widget, row, column):
    """Click the middle of a well; return whether something was opened."""
    grid = widget.form.plate.grid
    place = grid.visualItemRect(grid.item(row, column)).center()
    qtbot.mouseClick(grid.viewport(), Qt.MouseButton.LeftButton, pos=place)
    opened = widget.busy
    qtbot.waitUntil(lambda: not widget.busy, timeout=30_000)
    return opened


@pytest.mark.parametrize("fmt", [FormatV04(), FormatV05()])
def test_a_click_opens_a_well(widget, viewer, qtbot, tmp_path, fmt):
    """Only its image is read; wells without images, and those that the plate does not list, open nothing."""
    path = write_plate(tmp_path / "plate.zarr", fmt)
    (path / "A" / "3" / "0").rename(path / "A" / "3" / "gone")  # no other well is opened with this one
    choose(qtbot, widget, path)
    plate = widget.form.plate
    assert plate.isVisibleTo(widget)
    assert plate.summary.text() == "plate.zarr: a plate, 2 of 3 wells with images. Click a well to open it."
    texts = [[plate.grid.item(row, column).text() for column in range(3)] for row in range(2)]
    assert texts == [["●", "", "●"], ["", "○", ""]]
    assert plate.grid.item(1, 1).toolTip().startswith("B2: ")
    assert not widget.form.open_button.isEnabled()
    assert click(qtbot, widget, 0, 0)
    (layer,) = viewer.layers
    assert layer.name == "plate_A1_0"
    np.testing.assert_array_equal(layer.data, field_image(0, 0)[1])
    assert [plate.fields.itemText(i) for i in range(plate.fields.count())] == ["0", "1"]
    for row, column in ((0, 1), (1, 1)):
        assert not click(qtbot, widget, row, column)
    assert list(viewer.layers) == [layer]
    assert click(qtbot, widget, 0, 2)
    assert "A/3/0" in widget.form.warning.text()
    assert list(viewer.layers) == [layer]


def test_the_well_before_is_closed_unless_it_was_used(widget, viewer, qtbot, tmp_path):
    choose(qtbot, widget, write_plate(tmp_path / "plate.zarr", FormatV05()))
    click(qtbot, widget, 0, 0)
    click(qtbot, widget, 0, 2)
    (layer,) = viewer.layers
    assert layer.name == "plate_A3_0"
    np.testing.assert_array_equal(layer.data, field_image(1, 0)[1])
    viewer.add_labels(np.zeros((40, 50), int), name="cells", metadata={"image": layer.name})
    click(qtbot, widget, 0, 0)
    assert [each.name for each in viewer.layers] == ["plate_A3_0", "cells", "plate_A1_0"]
    widget.form.plate.fields.setCurrentIndex(1)
    widget.form.plate.fields.activated.emit(1)
    qtbot.waitUntil(lambda: not widget.busy, timeout=30_000)
    assert [each.name for each in viewer.layers] == ["plate_A3_0", "cells", "plate_A1_1"]
    widget.form.plate.replace_box.setChecked(False)
    click(qtbot, widget, 0, 2)
    assert len(viewer.layers) == 4


def test_the_channel_is_asked_for_where_it_is_not_clear(widget, viewer, qtbot, tmp_path):
    choose(qtbot, widget, write_plate(tmp_path / "plate.zarr", FormatV05(), ("red", "green")))
    channels = widget.form.planes.channel
    assert channels.isVisibleTo(widget)
    assert [channels.itemText(i) for i in range(channels.count())] == ["Choose one", "red", "green"]
    click(qtbot, widget, 0, 0)
    assert "it is not clear which is DIC: 0 red, 1 green; choose the channel" in widget.form.warning.text()
    with qtbot.waitSignal(widget.looked, timeout=30_000):
        channels.setCurrentIndex(1)
        channels.activated.emit(1)
    click(qtbot, widget, 0, 0)
    assert viewer.layers[0].data.max() == 7


def test_channel_and_slice_of_a_tiff(widget, viewer, qtbot, tmp_path):
    """Frames of slices open with a slice, or the sharpest; DIC is known by its name. A plain image asks for nothing."""
    stack = np.zeros((2, 3, 2, 30, 40), np.uint8)
    stack[:, 1, 1, ::2] = 200
    names = {"Channel": {"Name": ["EGFP", "DIC"]}}
    tifffile.imwrite(tmp_path / "x.ome.tif", stack, metadata={"axes": "TZCYX", **names})
    choose(qtbot, widget, tmp_path / "x.ome.tif")
    planes = widget.form.planes
    assert planes.channel.currentText() == "DIC, by its name"
    assert planes.slice.currentText() == "Choose one"
    assert "choose the slice" in widget.form.warning.text()
    with qtbot.waitSignal(widget.looked, timeout=30_000):
        planes.slice.setCurrentIndex(1)
        planes.slice.activated.emit(1)
    assert widget.form.warning.text() == ""
    with qtbot.waitSignal(widget.finished, timeout=30_000):
        qtbot.mouseClick(widget.form.open_button, Qt.MouseButton.LeftButton)
    np.testing.assert_array_equal(np.asarray(viewer.layers[0].data), stack[:, 1, 1])
    tifffile.imwrite(tmp_path / "y.tif", stack[0, 0, 0])
    choose(qtbot, widget, tmp_path / "y.tif")
    assert not planes.isVisibleTo(widget)
    assert widget.form.open_button.isEnabled()
