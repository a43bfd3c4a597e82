"""The sample data in a real napari window."""

from __future__ import annotations

from collections.abc import Callable

from napari import Viewer


def test_sample_opens_from_the_menu_of_a_viewer(make_napari_viewer: Callable[[], Viewer]) -> None:
    viewer = make_napari_viewer()
    viewer.open_sample("napari-blunet", "simulated_field")
    assert [(layer.name, layer.ndim) for layer in viewer.layers] == [("Simulated DIC", 2), ("True cells", 2)]
