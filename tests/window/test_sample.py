"""The contributions of the manifest in a real window: samples, widgets, readers, writers, commands, preferences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari import Viewer
from napari._app_model import get_app_model
from napari.utils.notifications import notification_manager
from npe2 import PluginManager, PluginManifest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from blunet.packed.packed_model import BUNDLED, TILE

PLUGIN = "napari-blunet"


@pytest.fixture
def viewer(make_napari_viewer: Callable[[], Viewer], plugin: PluginManager) -> Viewer:
    return make_napari_viewer()


@pytest.fixture
def said():
    """The notifications that napari has shown."""
    notification_manager.records.clear()
    return lambda: " | ".join(str(notice.message) for notice in notification_manager.records)


def test_samples_open_from_the_menu_of_a_viewer(viewer: Viewer) -> None:
    viewer.open_sample(PLUGIN, "simulated_field")
    assert [(layer.name, layer.ndim) for layer in viewer.layers] == [("Simulated DIC", 2), ("True cells", 2)]
    viewer.open_sample(PLUGIN, "simulated_time_lapse")
    lapse = viewer.layers["Simulated time-lapse"]
    assert lapse.ndim == 3
    assert lapse.axis_labels == ("t", "y", "x")
    assert f"{lapse.units[1]:~P}" == "µm"


def test_widgets_open_from_the_menu(viewer: Viewer, plugin: PluginManager) -> None:
    contributed = plugin.get_manifest(PLUGIN).contributions.widgets
    assert [widget.command for widget in contributed] == [
        f"{PLUGIN}.{name}" for name in ("load", "segment", "compress")
    ]
    for widget in contributed:
        _, made = viewer.window.add_plugin_dock_widget(PLUGIN, widget.display_name)
        assert made.viewer is viewer


def test_commands_are_in_the_menus_and_the_palette(viewer: Viewer) -> None:
    app = get_app_model()
    titles = {name: command.title for name, command in app.commands if name.startswith(PLUGIN)}
    assert titles[f"{PLUGIN}.load"] == "Load DIC images (BLU-Net)"
    assert titles[f"{PLUGIN}.segment"] == "Segment cells (BLU-Net)"
    assert titles[f"{PLUGIN}.compress"] == "Train your own model (Compress) (BLU-Net)"
    assert titles[f"{PLUGIN}.measure"] == "Measure cells in physical units (BLU-Net)"

    def items(menu: str) -> list[str]:
        return [item.command.id for item in app.menus.get_menu(menu) if getattr(item, "command", None)]

    assert f"{PLUGIN}.segment" in items("napari/layers/segment")
    assert f"{PLUGIN}.compress" in items("napari/layers/segment")
    assert f"{PLUGIN}.measure" in items("napari/layers/measure")


def test_a_folder_opens_as_a_time_lapse(viewer: Viewer, tmp_path: Path, said: Callable[[], str]) -> None:
    for t in range(3):
        tifffile.imwrite(tmp_path / f"t{t}.tif", np.full((9, 8), t, np.uint8))
    tifffile.imwrite(tmp_path / "t9.tif", np.zeros((3, 3), np.uint8))
    (layer,) = viewer.open(str(tmp_path), plugin=PLUGIN)
    assert layer.data.shape == (3, 9, 8)
    assert layer.source.path == str(tmp_path)
    assert "'t9.tif' (3 × 3 uint8)" in said()


def test_a_model_becomes_that_of_segment(viewer: Viewer, tmp_path: Path) -> None:
    from blunet.widgets.docks import SEGMENT, show_segment_dock

    path = tmp_path / "mine.blunet"
    path.write_bytes(BUNDLED.read_bytes())
    assert viewer.open(str(path), plugin=PLUGIN) == []
    widget = show_segment_dock(viewer)
    assert widget.form.picker.path == path
    assert widget.parentWidget().isVisibleTo(viewer.window._qt_window)
    viewer.open(str(path), plugin=PLUGIN)
    assert show_segment_dock(viewer) is widget
    assert list(viewer.window.dock_widgets) == [SEGMENT]  # the same dock that the menu shows and hides
    (tmp_path / "none.blunet").write_bytes(b"nothing of the kind")
    viewer.open(str(tmp_path / "none.blunet"), plugin=PLUGIN)  # a warning in the widget, not an error of napari
    assert "none.blunet' is not a BLU-Net model" in widget.form.warning.text()
    assert widget.form.picker.path == path


def test_labels_are_saved_by_the_writer(viewer: Viewer, tmp_path: Path) -> None:
    values = np.zeros((20, 30), np.int32)
    values[2:9, 3:8] = 1
    labels = viewer.add_labels(values, name="Cells", scale=(0.5, 0.5), units=("um", "um"))
    written = viewer.layers.save(str(tmp_path / "c.tif"), plugin=PLUGIN)
    assert [Path(name).name for name in written] == ["c.tif"]
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "c.tif"), labels.data)


def measure(viewer: Viewer) -> None:
    get_app_model().commands.execute_command(f"{PLUGIN}.measure")


def test_measuring_fills_the_features_of_the_selected_labels(viewer: Viewer, qtbot) -> None:
    values = np.zeros((2, 20, 30), np.int32)
    values[0, 2:9, 3:8], values[1, 2:9, 3:9] = 1, 2
    image = np.random.default_rng(0).integers(0, 900, values.shape).astype(np.uint16)
    place = {"scale": (60, 0.5, 0.25), "units": ("s", "um", "um")}
    viewer.add_image(image, name="DIC", **place)
    labels = viewer.add_labels(values, name="Cells", **place)
    viewer.add_image(image * 0, name="Cells – probability", metadata={"blunet": {}}, **place)
    viewer.layers.selection = {labels}
    measure(viewer)
    qtbot.waitUntil(lambda: "area_um2" in labels.features, timeout=20_000)
    table = labels.features
    assert list(table["index"]) == [1, 2]
    assert list(table["frame"]) == [0, 1]
    np.testing.assert_allclose(table["area_um2"], [35 * 0.125, 42 * 0.125])
    np.testing.assert_allclose(table["mean_intensity"], [image[values == 1].mean(), image[values == 2].mean()])


def test_what_cannot_be_measured_gives_a_warning(viewer: Viewer, qtbot, said: Callable[[], str]) -> None:
    measure(viewer)
    assert "No Labels layer is selected" in said()
    image = viewer.add_image(np.zeros((9, 9), np.uint8), name="Small")
    empty = viewer.add_labels(np.zeros((20, 30), int), name="Empty")
    viewer.layers.selection = {empty, image}
    measure(viewer)
    assert "(20, 30) and 'Small' (9, 9)" in said()
    viewer.layers.selection = {empty}
    measure(viewer)
    qtbot.waitUntil(lambda: "'Empty' holds no objects" in said(), timeout=20_000)
    four = viewer.add_labels(np.zeros((2, 2, 5, 5), int), name="Four")
    viewer.layers.selection = {four}
    measure(viewer)
    assert "4 dimensions" in said()


def test_preferences_are_read_from_napari(plugin_settings: None, npe2pm: PluginManager) -> None:
    from napari.settings import get_plugin_settings

    from blunet.widgets.preferences import read_preference

    npe2pm.register(PluginManifest.from_distribution(PLUGIN))
    assert read_preference("tile", 0) == TILE
    assert read_preference("default_model", None) is None
    assert not read_preference("threads", None)
    get_plugin_settings(PLUGIN).general.tile = 512
    assert read_preference("tile", 0) == 512


def test_segment_begins_with_the_model_of_the_preferences(
    viewer: Viewer, plugin_settings: None, npe2pm: PluginManager, tmp_path: Path
) -> None:
    from napari.settings import get_plugin_settings

    from blunet.widgets.segment_widget import SegmentWidget

    npe2pm.register(PluginManifest.from_distribution(PLUGIN))
    mine, other = tmp_path / "mine.blunet", tmp_path / "other.blunet"
    for path in (mine, other):
        path.write_bytes(BUNDLED.read_bytes())
    assert SegmentWidget(viewer).use_model(other)
    assert SegmentWidget(viewer).form.picker.path == other  # the one used last
    get_plugin_settings(PLUGIN).general.default_model = str(mine)
    assert SegmentWidget(viewer).form.picker.path == mine
    mine.unlink()
    gone = SegmentWidget(viewer)
    assert gone.form.picker.path is None
    assert "mine.blunet" in gone.form.warning.text()


def test_the_page_of_preferences_has_a_file_chooser_and_explains_0_and_empty(
    viewer: Viewer,
    plugin_settings: None,
    qtbot: QtBot,
    npe2pm: PluginManager,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from napari._qt.dialogs.preferences_dialog import PreferencesDialog
    from napari.settings import get_plugin_settings

    from blunet.widgets.model_picker import ModelPicker

    npe2pm.register(PluginManifest.from_distribution(PLUGIN))
    model = tmp_path / "mine.blunet"
    model.write_bytes(BUNDLED.read_bytes())
    picker = ModelPicker()
    qtbot.addWidget(picker)
    picker.restore()
    dialog = PreferencesDialog()
    qtbot.addWidget(dialog)
    dialog.show()
    dialog._list.setCurrentRow(dialog._list.count() - 1)
    words = " ".join(widget.toolTip() for widget in dialog.findChildren(QWidget))
    assert "Empty means the model that was used last" in words
    assert "0 means one for each processor" in words
    assert 'Empty means "BLU-Net runs" in your documents' in words
    asked = []

    def choose(parent: object, title: str, folder: str, kinds: str) -> tuple[str, str]:
        asked.append(kinds)
        return str(model), kinds

    monkeypatch.setattr(QFileDialog, "getOpenFileName", choose)
    browse = [button for button in dialog.findChildren(QPushButton) if button.text() == "Browse"][-1]
    qtbot.mouseClick(browse, Qt.MouseButton.LeftButton)
    assert asked == ["File (*.blunet)"]
    assert get_plugin_settings(PLUGIN).general.default_model == str(model)
    picker.restore()
    assert picker.path == model
