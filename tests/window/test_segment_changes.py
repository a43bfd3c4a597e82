"""Changes by the user during and after a run of Segment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from segmenting import enter, entered, run, wait

import blunet
from blunet.packed.packed_model import BUNDLED
from blunet.widgets.segment_widget import SegmentWidget

PLACE = {"scale": (60, 0.3, 0.3), "units": ("s", "um", "um"), "axis_labels": ("t", "y", "x")}


@pytest.fixture
def widget(viewer):
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Segment")
    return widget


def test_labels_follow_settings_changed_during_a_run(viewer, widget, qtbot, field):
    viewer.add_image(field, name="Field")
    widget.start()
    enter(widget, "threshold", 0.9)
    wait(qtbot, widget)
    assert [layer.name for layer in viewer.layers] == ["Field", "Field – cells"]
    labels = widget.result.labels
    np.testing.assert_array_equal(labels.data, blunet.segment(field, threshold=0.9))
    assert labels.metadata["blunet"]["settings"]["threshold"] == 0.9


def test_what_is_painted_during_a_run_is_kept(viewer, widget, qtbot, field):
    viewer.add_image(np.stack([field] * 8), name="Lapse")
    viewer.dims.set_point(0, 0)
    widget.form.parts.choose("all")
    painted = []

    def paint(_):
        if not painted and widget.result.labels is not None:  # the frame that is shown comes first
            painted.append(widget.result.labels)
            painted[0].paint((0, 20, 20), 77)
            painted.append(painted[0].data.copy())

    widget.start()
    widget.job.event.connect(paint)
    wait(qtbot, widget)
    first, then = painted
    np.testing.assert_array_equal(first.data, then)
    assert not first.data[1:].any()
    assert [layer.name for layer in viewer.layers] == ["Lapse", "Lapse – cells", "Lapse – cells [1]"]
    assert all(frame.any() for frame in widget.result.labels.data)


def test_what_is_painted_during_an_update_is_kept(viewer, widget, qtbot, field):
    viewer.add_image(field, name="Field")
    run(qtbot, widget)
    first = widget.result.labels
    enter(widget, "threshold", 0.9)
    widget._follow_settings()  # captured, before anything is painted
    first.paint((20, 20), 77)
    painted = first.data.copy()
    wait(qtbot, widget)
    np.testing.assert_array_equal(first.data, painted)
    np.testing.assert_array_equal(widget.result.labels.data, blunet.segment(field, threshold=0.9))


def test_many_changes_after_labels_were_edited(viewer, widget, qtbot, field):
    """An update that has not shown its labels yet is cancelled by the next one, which has to show them."""
    viewer.add_image(field, name="Field")
    run(qtbot, widget)
    first = widget.result.labels
    first.paint((20, 20), 77)
    for threshold in (0.6, 0.7, 0.8, 0.9):
        enter(widget, "threshold", threshold)
        widget._follow_settings()
    wait(qtbot, widget)
    assert [layer.name for layer in viewer.layers] == ["Field", "Field – cells", "Field – cells [1]"]
    np.testing.assert_array_equal(widget.result.labels.data, blunet.segment(field, threshold=0.9))


def test_labels_of_another_model_are_kept(viewer, widget, qtbot, field, tmp_path):
    viewer.add_image(field, name="Field")
    run(qtbot, widget)
    before = widget.result.labels.data.copy()
    other = tmp_path / "other.blunet"
    other.write_bytes(BUNDLED.read_bytes())
    widget.use_model(other)
    assert "press Segment" in widget.form.status.text()
    enter(widget, "threshold", 0.95)
    wait(qtbot, widget)
    np.testing.assert_array_equal(widget.result.labels.data, before)
    widget.use_model(None)
    enter(widget, "threshold", 0.9)
    wait(qtbot, widget)
    np.testing.assert_array_equal(widget.result.labels.data, blunet.segment(field, threshold=0.9))


def test_another_model_during_a_run_changes_nothing_about_its_labels(viewer, widget, qtbot, field, tmp_path):
    model = blunet.load_model()
    known, smallest = model.info.card.object_diameter, entered(widget, "min_size")
    large = tmp_path / "large.blunet"
    card = model.info.card.changed(object_diameter=4 * known)
    replace(model, info=model.info.changed(card=card)).save(large)
    viewer.add_image(field, name="Field")
    widget.start()
    widget.use_model(large)
    assert entered(widget, "min_size") == 16 * smallest  # in proportion to the cells
    wait(qtbot, widget)
    assert "the model was trained with cells of" not in widget.form.warning.text()
    assert "those of another model" in widget.form.status.text()
    np.testing.assert_array_equal(widget.result.labels.data, blunet.segment(field))
    widget.use_model(None)
    assert entered(widget, "min_size") == smallest
    assert "another model" not in widget.form.status.text()


def test_cells_keep_their_colours_when_their_numbers_change(viewer, widget, qtbot, field):
    viewer.add_image(field, name="Field")
    run(qtbot, widget)
    labels = widget.result.labels
    before = labels.data.copy()
    colours = [tuple(labels.get_color(n)) for n in range(1, before.max() + 1)]
    for name, value in (("min_size", int(np.bincount(before.ravel())[1]) + 1), ("threshold", 0.6)):
        enter(widget, name, value)
        wait(qtbot, widget)
    after = labels.data
    assert not (after == 1)[before == 1].all()  # the first cell is not the first any more
    for number in range(1, after.max() + 1):
        old = np.bincount(before[after == number], minlength=2)
        if old[1:].max() > 0.5 * old.sum():
            assert tuple(labels.get_color(number)) == colours[int(old[1:].argmax())]
    assert tuple(labels.get_color(after.max() + 1)) not in (None, (0, 0, 0, 0))  # what is painted has a colour


def test_the_metadata_have_the_diameter_that_the_network_ran_with(viewer, widget, qtbot, field):
    viewer.add_image(field, name="Field")
    run(qtbot, widget)
    enter(widget, "diameter", 80)
    enter(widget, "threshold", 0.9)
    wait(qtbot, widget)
    settings = widget.result.labels.metadata["blunet"]["settings"]
    assert (settings["threshold"], settings["diameter"]) == (0.9, None)


def test_the_probability_is_shown_without_another_run(viewer, widget, qtbot, field):
    viewer.add_image(field, name="Field")
    run(qtbot, widget)
    job = widget.job
    widget.form.probability_box.setChecked(True)
    shown = viewer.layers["Field – probability"]
    assert widget.job is job
    np.testing.assert_array_equal(shown.data > 0.6, blunet.load_model().predict(field) > 0.6)


def test_a_stack_of_one_frame(viewer, widget, qtbot, field):
    image = viewer.add_image(field[None], name="One", **PLACE)
    widget.form.measure_box.setChecked(True)
    run(qtbot, widget)
    labels = widget.result.labels
    assert labels.data.shape == image.data.shape
    np.testing.assert_allclose(labels.scale, image.scale)
    np.testing.assert_array_equal(labels.data[0], blunet.segment(field))
    assert widget.form.parts.kinds.itemText(0) == "Whole image"
    assert "area_um2" in labels.features


def test_the_ruler_measures_pixels_of_an_image_that_is_turned_and_stretched(viewer, widget, qtbot, field):
    turned = np.array([[1.1, 0.2, 3], [-0.1, 0.9, 4], [0, 0, 1]])
    image = viewer.add_image(field, scale=(0.3, 0.6), rotate=20, translate=(5, 7), affine=turned, units=("um", "um"))
    notification_manager.records.clear()
    widget.form.diameter.ruler_button.click()
    ruler = viewer.layers[-1]
    assert ruler.units == image.units
    ends = [ruler.world_to_data(image.data_to_world(point)) for point in ((10, 10), (40, 50))]
    ruler.add(np.array(ends), shape_type="line")
    assert entered(widget, "diameter") == 50
    qtbot.waitUntil(lambda: ruler not in viewer.layers)
    assert not notification_manager.records


def test_only_the_cells_of_this_image_are_an_estimate(viewer, widget, qtbot, field):
    viewer.add_image(field, name="Field")
    enter(widget, "objects", "mask")
    run(qtbot, widget)
    assert not widget.form.diameter.estimate_button.isEnabled()
    enter(widget, "objects", "watershed")
    wait(qtbot, widget)
    assert widget.form.diameter.estimate_button.isEnabled()
    viewer.add_image(field, name="Other")
    assert not widget.form.diameter.estimate_button.isEnabled()


def test_closing_the_dock_stops_the_run(viewer, widget, qtbot, field):
    viewer.add_image(np.stack([field] * 200), name="Long")
    widget.form.parts.choose("all")
    widget.start()
    with qtbot.waitSignal(widget.finished, timeout=20_000):
        viewer.window.remove_dock_widget(widget)
    assert widget.job.token.cancelled
