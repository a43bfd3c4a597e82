"""What the manifest `napari.yaml` names, apart from the widgets: plain functions that answer with layers."""

from __future__ import annotations

from typing import Any

LayerData = tuple[Any, dict[str, Any], str]
"""Values, keyword arguments and type of a napari layer, as a plugin hands it over."""


def simulated_field() -> list[LayerData]:
    """Simulate a DIC field for trying the plugin out, offline.

    Returns
    -------
    list of LayerData
        An image (Y, X) of uint16 and above it labels of the same shape: the cells that are truly there.
    """
    from blunet.images.simulate import simulate_dic

    field = simulate_dic()
    return [
        (field.image, {"name": "Simulated DIC"}, "image"),
        (field.labels, {"name": "True cells", "opacity": 0.3}, "labels"),
    ]
