"""What is read from layers."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from blunet.images.pixel_size import PixelSize
from blunet.widgets.layer_facts import frames_of, pixel_size
from blunet.widgets.segment_widget import SegmentWidget

UM = ("um", "um")


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"scale": (-0.5, 0.25), "units": UM}, (0.5, 0.25)),
        ({"affine": np.diag([0.5, 0.25, 1]), "units": UM}, (0.5, 0.25)),
        ({"scale": (0.5, 0.25), "rotate": 40, "affine": 2 * np.eye(3), "units": UM}, (1.0, 0.5)),
        ({"scale": (0.5, 0.25), "shear": [0.5], "units": UM}, None),
        ({"scale": (0.5, 0.25)}, None),
        ({"affine": np.diag([0.5, 0.25, 1])}, None),
    ],
)
def test_the_pixel_size_of_a_layer_is_what_the_viewer_shows(options, size):
    layer = Image(np.zeros((9, 9)), **options)
    found = pixel_size(layer)
    assert frames_of(layer).pixel_size == found
    assert (found is None) if size is None else (found.y, found.x) == pytest.approx(size)


def test_a_layer_that_was_moved_with_the_mouse(viewer):
    layer = viewer.add_image(np.zeros((9, 9)), scale=(0.5, 0.5), units=UM)
    layer.mode = "transform"
    layer.affine = layer.affine.affine_matrix @ np.diag([3.0, 3.0, 1.0])
    assert pixel_size(layer) == PixelSize(1.5, 1.5, "µm")


def test_a_z_stack_is_called_one(make_napari_viewer):
    viewer = make_napari_viewer()
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget)
    data = np.random.default_rng(0).random((4, 64, 64))
    names = {"axis_labels": ("z", "y", "x")}, {"units": ("um", "um", "um"), "scale": (2, 0.5, 0.5)}
    for how in names:
        viewer.add_image(data, name="Stack", **how)
        assert widget.form.parts.kinds.itemText(1) == "All 4 slices"
        assert not widget.form.slices_remark.isHidden()
        viewer.layers.clear()
    for how in ({}, {"axis_labels": ("t", "y", "x")}, {"units": ("s", "um", "um")}):
        viewer.add_image(data, name="Lapse", **how)
        assert (widget.form.parts.kinds.itemText(0), widget.form.parts.kinds.itemText(1)) == (
            "This frame",
            "All 4 frames",
        )
        assert widget.form.slices_remark.isHidden()
        viewer.layers.clear()
