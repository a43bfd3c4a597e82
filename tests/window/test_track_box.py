"""*Track* in Segment: a time-lapse of labels is linked, looked at and corrected, with real clicks on its cells."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from dialogs import answer_dialog
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication

from blunet.widgets.segment_widget import SegmentWidget
from blunet.widgets.track_box import describe_refusal
from blunet.widgets.track_layers import RELATIVE, SELECTED

pytestmark = pytest.mark.window

FRAMES = 8
PLACE = {"scale": (60, 0.5, 0.5), "units": ("s", "um", "um"), "axis_labels": ("t", "y", "x")}


def squares():
    """A cell that divides after frame 3, one that stays, and one that is missing in frame 4; labels start anew."""
    labels = np.zeros((FRAMES, 64, 96), np.int32)
    for t in range(FRAMES):
        cells = [(10, 10 + t, 10)] if t < 4 else [(8, 10 + t, 6), (16, 10 + t, 6)]
        cells += [(30, 60, 10)] if t % 2 else []
        cells += [(48, 20 + t, 10)] if t != 4 else []
        cells += [(30, 60, 10)] if not t % 2 else []
        for i, (y, x, height) in enumerate(cells):
            labels[t, y : y + height, x : x + 10] = i + 1
    return labels


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1024, 700)
    return viewer


@pytest.fixture
def box(viewer, qtbot):
    dock = SegmentWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Segment cells")
    dock.form.track_section.set_open(True)
    return dock.form.track


@pytest.fixture
def tracked(viewer, box, qtbot):
    """The box after its button was clicked."""
    viewer.add_image(squares() > 0, name="DIC", **PLACE)
    viewer.add_labels(squares(), name="DIC – cells", metadata={"image": "DIC"}, **PLACE)
    track(box, qtbot)
    return box


def track(box, qtbot):
    with qtbot.waitSignal(box.finished, timeout=120_000):
        press(box.start_button, qtbot)


def press(button, qtbot):
    assert button.isEnabled(), button.text()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def click(box, qtbot, t, y, x):
    """Go to a frame and click a place of it in the image, as a user does."""
    viewer, labels = box.viewer, box.layers.labels
    viewer.dims.set_point(0, float(labels.data_to_world((t, 0, 0))[0]))
    canvas = viewer.window._qt_viewer.canvas
    viewer.reset_view()
    QApplication.processEvents()
    node = canvas.layer_to_visual[labels].node
    place = node.get_transform("visual", "canvas").map([x, y, 0, 1])
    point = QPoint(round(place[0] / place[3]), round(place[1] / place[3]))
    assert canvas.native.rect().contains(point)
    qtbot.mouseMove(canvas.native, point)
    qtbot.mouseClick(canvas.native, Qt.MouseButton.LeftButton, pos=point)
    QApplication.processEvents()


def number(box, t, y, x):
    return int(box.layers.labels.data[t, y, x])


def agree(box):
    """Labels, rows, the Tracks layer and the table say the same."""
    labels, tracks = box.layers.labels.data, box.state.tracks
    seen = sorted((int(n), t) for t in range(FRAMES) for n in np.unique(labels[t]) if n)
    assert sorted(zip(tracks.track.tolist(), tracks.frame.tolist(), strict=True)) == seen
    layer = box.layers.tracks
    assert sorted((int(row[0]), int(row[1])) for row in layer.data) == seen
    assert layer.graph == {child: [parent] for child, parent in tracks.parents.items()}
    table = box.layers.labels.features
    assert table["index"].tolist() == tracks.numbers.tolist()
    assert table["parent"].tolist() == [tracks.parents.get(n, 0) for n in tracks.numbers.tolist()]


def test_a_button_gives_labels_that_are_tracks_and_a_tracks_layer_with_its_graph(tracked, viewer, qtbot):
    box = tracked
    assert [layer.name for layer in viewer.layers] == ["DIC", "DIC – cells", "DIC – tracked cells", "DIC – tracks"]
    assert viewer.layers.selection.active is box.layers.labels
    assert not viewer.layers["DIC – cells"].visible
    assert box.status.text() == "5 tracks in 8 frames, 1 division."
    agree(box)
    mother, daughters = number(box, 0, 12, 12), {number(box, 6, 10, 20), number(box, 6, 18, 20)}
    assert len({mother, *daughters}) == 3
    assert box.state.tracks.children == {mother: sorted(daughters)}
    assert number(box, 0, 32, 62) == number(box, 7, 32, 62)
    np.testing.assert_array_equal(box.layers.labels.scale, PLACE["scale"])
    assert "mean_speed_um_per_min" in box.layers.labels.features
    assert "area_um2" in box.layers.tracks.features
    np.testing.assert_array_equal(viewer.layers["DIC – cells"].data, squares())


def test_the_cell_that_was_missing_is_listed_and_shown_by_a_click(tracked, qtbot):
    box = tracked
    gap = number(box, 3, 50, 25)
    assert number(box, 4, 50, 25) == gap
    box.panel.mends_section.set_open(True)
    mends = box.panel.mends
    assert [mends.item(i).text() for i in range(mends.count())] == [f"Frame 4: track {gap} was missing: filled in"]
    place = mends.visualItemRect(mends.item(0)).center()
    qtbot.mouseClick(mends.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert box.state.selected == gap
    assert box.viewer.dims.current_step[0] == 4


def test_a_click_on_a_cell_shows_its_lineage(tracked, qtbot):
    box = tracked
    mother, daughter = number(box, 0, 12, 12), number(box, 6, 10, 20)
    click(box, qtbot, 6, 10, 21)
    assert box.state.selected == daughter
    assert f"Track {daughter}: frames 4 to 7, daughter of {mother}" in box.panel.hint.text()
    assert {branch.track for branch in box.panel.tree.branches} == {mother, *box.state.tracks.children[mother]}
    assert box.panel.tree.isVisible()
    rings = box.viewer.layers["DIC – lineage"]
    assert len(rings.data) == 4 + 2 * 4
    yellow, white = (np.array([int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] + [1]) for c in (SELECTED, RELATIVE))
    own = box.state.tracks.track[np.isin(box.state.tracks.track, box.state.tracks.lineage_of(daughter))] == daughter
    np.testing.assert_allclose(rings.border_color[own], np.tile(yellow, (4, 1)), atol=0.01)
    np.testing.assert_allclose(rings.border_color[~own], np.tile(white, (8, 1)), atol=0.01)
    click(box, qtbot, 6, 60, 90)
    assert box.state.selected is None
    assert not len(rings.data)
    assert not box.panel.tree.isVisible()


def test_clicks_that_paint_select_nothing(tracked, qtbot):
    box = tracked
    box.layers.labels.mode = "paint"
    click(box, qtbot, 0, 32, 65)
    assert box.state.selected is None


def test_a_track_is_cut_and_joined_again_by_clicks(tracked, qtbot):
    box = tracked
    first = box.layers.labels.data.copy()
    stays = number(box, 0, 32, 62)
    click(box, qtbot, 5, 34, 64)
    press(box.panel.cut_button, qtbot)
    new = number(box, 5, 32, 62)
    assert new not in (0, stays)
    assert number(box, 4, 32, 62) == stays
    agree(box)
    click(box, qtbot, 2, 34, 64)
    press(box.panel.task_buttons["join"], qtbot)
    assert "Click the cell that is the same" in box.panel.hint.text()
    click(box, qtbot, 6, 34, 64)
    assert box.status.text() == f"Join {stays} and {new}."
    assert not box.panel.task_buttons["join"].isChecked()
    np.testing.assert_array_equal(box.layers.labels.data, first)
    agree(box)
    press(box.panel.undo_button, qtbot)
    assert number(box, 6, 32, 62) == new
    press(box.panel.undo_button, qtbot)
    np.testing.assert_array_equal(box.layers.labels.data, first)
    assert not box.panel.undo_button.isEnabled()
    press(box.panel.redo_button, qtbot)
    assert number(box, 6, 32, 62) == new
    agree(box)


def test_tracks_are_swapped_and_a_division_is_marked_by_clicks(tracked, qtbot):
    box = tracked
    above, below = number(box, 0, 32, 62), number(box, 0, 50, 22)
    click(box, qtbot, 2, 34, 64)
    press(box.panel.task_buttons["swap"], qtbot)
    click(box, qtbot, 2, 52, 26)
    assert (number(box, 1, 32, 62), number(box, 2, 32, 62)) == (above, below)
    agree(box)
    click(box, qtbot, 1, 34, 64)  # `above`, which is below from frame 2 on
    press(box.panel.task_buttons["divide"], qtbot)
    click(box, qtbot, 3, 34, 64)
    assert "Now click the other daughter" in box.panel.hint.text()
    click(box, qtbot, 3, 52, 26)
    children = box.state.tracks.children[above]
    assert sorted(children) == sorted((number(box, 3, 32, 62), number(box, 3, 50, 24)))
    assert box.state.tracks.spans[above][1] == 2
    agree(box)


def test_what_cannot_be_corrected_is_said_and_changes_nothing(tracked, qtbot):
    box = tracked
    before = box.layers.labels.data.copy()
    click(box, qtbot, 0, 34, 64)
    press(box.panel.task_buttons["join"], qtbot)
    click(box, qtbot, 0, 52, 24)
    assert "are both in frame 0: cut one of them first" in box.warning.text()
    press(box.panel.task_buttons["swap"], qtbot)
    press(box.panel.task_buttons["swap"], qtbot)  # once more: given up
    click(box, qtbot, 0, 52, 24)
    assert box.state.selected == number(box, 0, 50, 22)
    np.testing.assert_array_equal(box.layers.labels.data, before)
    assert not box.panel.undo_button.isEnabled()


def test_painting_is_followed_by_tracks_and_tables_and_corrections_can_still_be_undone(tracked, qtbot):
    box = tracked
    click(box, qtbot, 5, 34, 64)
    press(box.panel.cut_button, qtbot)
    labels = box.layers.labels
    labels.selected_label = 77
    box.viewer.dims.set_point(0, 2 * 60.0)
    labels.paint((2, 4, 80), 77)
    qtbot.waitUntil(lambda: 77 in box.state.tracks.spans, timeout=30_000)
    agree(box)
    press(box.panel.undo_button, qtbot)
    assert number(box, 5, 32, 62) == number(box, 0, 32, 62)
    assert number(box, 2, 4, 80) == 77
    agree(box)


def test_plots_follow_the_selection_and_lead_to_frames(tracked, qtbot):
    box = tracked
    box.panel.plots_section.set_open(True)
    plots = box.panel.plots
    item = plots.plot.getPlotItem()
    for name, unit in (("Number of cells", "cells"), ("Confluence", "%"), ("Area", "µm²"), ("Speed", "µm/min")):
        plots.quantity.setCurrentText(name)
        assert item.getAxis("left").labelText == unit
    alone = len(item.listDataItems())
    click(box, qtbot, 1, 12, 14)
    assert len(item.listDataItems()) == alone + 3  # the mother and her daughters
    plots.picked.emit(6)
    assert box.viewer.dims.current_step[0] == 6
    assert plots._now.value() == box.panel.tree._now.value() == 6
    branch = next(b for b in box.panel.tree.branches if b.parent_row is not None)
    box.panel.tree.picked.emit(branch.track, 5)
    assert box.state.selected == branch.track
    assert box.viewer.dims.current_step[0] == 5


def test_corrected_tracks_are_saved_as_the_challenge_does(tracked, qtbot, tmp_path):
    box = tracked
    click(box, qtbot, 5, 34, 64)
    press(box.panel.cut_button, qtbot)
    new = number(box, 5, 32, 62)
    (tmp_path / "tracks").mkdir()
    with answer_dialog(tmp_path / "tracks"), qtbot.waitSignal(box.finished, timeout=60_000):
        press(box.panel.save_button, qtbot)
    assert box.status.text() == f"Saved masks and tables in '{tmp_path / 'tracks'}'."
    for t in range(FRAMES):
        mask = tifffile.imread(tmp_path / "tracks" / f"mask{t:03d}.tif")
        np.testing.assert_array_equal(mask, box.layers.labels.data[t])
    rows = np.loadtxt(tmp_path / "tracks" / "res_track.txt", int).tolist()
    assert [new, 5, 7, 0] in rows
    table = (tmp_path / "tracks" / "tracks.csv").read_text(encoding="utf-8").splitlines()
    assert len(table) == 1 + box.state.tracks.numbers.size
    (tmp_path / "tracks" / "tracks.csv").write_text("mine")
    with answer_dialog(tmp_path / "tracks"), qtbot.waitSignal(box.finished, timeout=60_000):
        press(box.panel.save_button, qtbot)
    assert "tracks.csv' was edited and would be replaced" in box.warning.text()
    assert (tmp_path / "tracks" / "tracks.csv").read_text() == "mine"


def test_layers_that_cannot_be_tracked_disable_the_button_with_a_reason(viewer, box, qtbot):
    assert not box.start_button.isEnabled()
    assert "open a Labels layer with a time axis" in box.status.text()
    for data, said in (
        (np.zeros((20, 30), int), "'X' has 2 dimensions: tracking needs a time-lapse"),
        (np.zeros((1, 20, 30), int), "'X' has one frame"),
        (np.zeros((2, 3, 20, 30), int), "'X' has 4 dimensions"),
    ):
        layer = viewer.add_labels(data, name="X")
        assert said in box.status.text()
        assert said in box.start_button.toolTip()
        assert not box.start_button.isEnabled()
        viewer.layers.remove(layer)
    stack = viewer.add_labels(np.zeros((3, 20, 30), int), name="Z", axis_labels=("z", "y", "x"))
    assert "is a Z stack" in describe_refusal(stack)


def test_frames_without_cells_are_said_and_the_labels_stay(viewer, box, qtbot):
    empty = viewer.add_labels(np.zeros((3, 20, 30), int), name="Empty")
    track(box, qtbot)
    assert "'Empty' holds no objects" in box.warning.text()
    assert list(viewer.layers) == [empty]
    labels = np.zeros((4, 20, 30), int)
    labels[1:3, 5:10, 5:10] = 4
    viewer.add_labels(labels, name="Some")
    box.labels.choose(viewer.layers["Some"])
    track(box, qtbot)
    assert box.status.text() == "1 track in 4 frames, 0 divisions."


def test_labels_that_are_painted_while_they_are_linked_are_kept_and_it_is_said(viewer, box, qtbot):
    labels = viewer.add_labels(squares(), name="Cells")
    box.start()
    labels.selected_label = 50
    labels.paint((7, 60, 90), 50)
    qtbot.waitUntil(lambda: not box.busy, timeout=60_000)
    assert labels.data[7, 60, 90] == 50
    assert "painted on while it was linked" in box.warning.text() or "have changed" in box.warning.text()


def test_a_run_can_be_cancelled_and_ends_with_its_layer_and_its_dock(viewer, box, qtbot):
    labels = viewer.add_labels(np.repeat(squares(), 40, 0), name="Long")
    with qtbot.waitSignal(box.finished, timeout=60_000):
        box.start()
        press(box.cancel_button, qtbot)
    assert box.status.text() == "Stopped. The labels are as they were."
    assert list(viewer.layers) == [labels]
    with qtbot.waitSignal(box.finished, timeout=60_000):
        box.start()
        viewer.layers.remove(labels)
    assert not list(viewer.layers)
    viewer.add_labels(np.repeat(squares(), 40, 0), name="Other")
    dock = box.parentWidget()
    while not isinstance(dock, SegmentWidget):
        dock = dock.parentWidget()
    with qtbot.waitSignal(box.finished, timeout=60_000):
        box.start()
        viewer.window.remove_dock_widget(dock)
    assert [layer.name for layer in viewer.layers] == ["Other"]


def test_the_viewer_may_be_closed_during_a_run(make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    dock = SegmentWidget(viewer)
    viewer.window.add_dock_widget(dock)
    dock.form.track_section.set_open(True)
    viewer.add_labels(np.repeat(squares(), 40, 0), name="Long")
    notification_manager.records.clear()
    dock.form.track.start()
    job = dock.form.track.job
    viewer.close()
    qtbot.waitUntil(lambda: not job.running, timeout=60_000)
    assert not [notice for notice in notification_manager.records if notice.severity.value == "error"]


def test_each_time_lapse_keeps_its_tracks(tracked, viewer, qtbot):
    box = tracked
    first = box.state.tracks
    click(box, qtbot, 5, 34, 64)
    press(box.panel.cut_button, qtbot)
    other = viewer.add_labels(squares()[:4], name="Short", **PLACE)
    box.labels.choose(other)
    assert not box.panel.isVisible()
    track(box, qtbot)
    assert box.layers.source is other
    box.labels.choose(viewer.layers["DIC – cells"])
    assert box.state.tracks.numbers.size == first.numbers.size + 1
    agree(box)
    viewer.layers.remove(box.layers.labels)
    assert not box.panel.isVisible()
    assert box.start_button.isEnabled()
