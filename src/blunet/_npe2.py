"""The functions that the manifest `napari.yaml` names, apart from the widgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.viewer import Viewer

LayerData = tuple[Any, dict[str, Any], str]
"""Values, keyword arguments and type of a layer, as napari expects them of a plugin."""

#: Side of a simulated pixel (µm) and time between simulated frames (s).
PIXEL, INTERVAL = 0.32, 300.0
#: Of the simulated time-lapse: three cells divide in it, and others enter and leave.
SAMPLE_SEED = 10


def simulate_field() -> list[LayerData]:
    """Simulate a DIC field, to try the plugin without images.

    Returns
    -------
    list of LayerData
        An image (Y, X) of uint16 and, above it and hidden, the true cells as labels of the same shape.
    """
    from blunet.simulation.dic_fields import simulate_dic

    field = simulate_dic()
    place = {"scale": (PIXEL, PIXEL), "units": ("µm", "µm"), "axis_labels": ("y", "x")}
    return [
        (field.image, {"name": "Simulated DIC", **place}, "image"),
        (field.labels, {"name": "True cells", "opacity": 0.3, "visible": False, **place}, "labels"),
    ]


def simulate_time_lapse() -> list[LayerData]:
    """Simulate a time-lapse of 16 frames in which cells crawl, round up and divide, enter and leave.

    Returns
    -------
    list of LayerData
        An image (T, Y, X) of uint16 and, above it and hidden, the true cells as labels of the same shape, which are
        the numbers of their tracks; and the tracks with the graph of their divisions.
    """
    from blunet.simulation import time_lapse
    from blunet.simulation.dic_settings import DicSettings
    from blunet.simulation.life_settings import LifeSettings

    settings = DicSettings(shape=(256, 256), object_diameter=36, coverage=0.3, rounded=0.02)
    lapse = time_lapse.simulate_time_lapse(settings, 16, seed=SAMPLE_SEED, life=LifeSettings(cycle=100))
    image, labels = lapse.stack()
    points = [(n, t, y, x) for t in range(len(lapse)) for n, (y, x) in lapse.places(t).items()]
    graph = {track.number: [track.parent] for track in lapse.tracks if track.parent}
    place = {"scale": (INTERVAL, PIXEL, PIXEL), "units": ("s", "µm", "µm"), "axis_labels": ("t", "y", "x")}
    hidden = {"visible": False, **place}
    return [
        (image, {"name": "Simulated time-lapse", **place}, "image"),
        (labels, {"name": "True cells over time", "opacity": 0.3, **hidden}, "labels"),
        (sorted(points), {"name": "True tracks", "graph": graph, **hidden}, "tracks"),
    ]


def read_folder(path: str | Sequence[str] | None = None) -> Callable[[str], list[LayerData]] | None:
    """Offer to open a folder's images as one time-lapse, with the masks beside them; None if it holds no images.

    Without a path, as the command palette calls it, ask for the folder and open it.
    """
    from blunet.images.image_files import find_subfolder, images_in

    if path is None:
        from blunet.widgets.palette import open_chosen_folder

        _in_viewer(open_chosen_folder)
        return None
    if not isinstance(path, str) or not Path(path).is_dir():
        return None
    inner = find_subfolder(Path(path), "images")
    return _planned_layers if images_in(Path(path)) or (inner and images_in(inner)) else None


def read_labels(path: str | Sequence[str] | None = None) -> Callable[[str], list[LayerData]] | None:
    """Offer to open saved labels, `x_labels.tif`, as labels with their table; without a path, ask for the file."""
    from blunet.jobs.saved_labels import is_labels_file

    if path is None:
        from blunet.widgets.palette import open_chosen_labels

        _in_viewer(open_chosen_labels)
        return None
    return _planned_layers if isinstance(path, str) and is_labels_file(Path(path)) else None


def read_annotations(path: str | Sequence[str] | None = None) -> Callable[[str], list[LayerData]] | None:
    """Offer to open annotations with their image; without a path, ask for the file."""
    from blunet.dataset.annotations.formats import ANNOTATION_ENDINGS

    if path is None:
        from blunet.widgets.palette import open_chosen_annotations

        _in_viewer(open_chosen_annotations)
        return None
    return _planned_layers if isinstance(path, str) and path.lower().endswith(ANNOTATION_ENDINGS) else None


def _planned_layers(path: str) -> list[LayerData]:
    from napari.utils.notifications import show_warning

    from blunet.jobs.events import CancelToken
    from blunet.jobs.layer_opening import LayerOpened, OpenSettings, open_layers
    from blunet.jobs.layer_plan import plan_layers

    layers = []
    for event in open_layers(plan_layers([path]), OpenSettings(), CancelToken()):
        if isinstance(event, LayerOpened):
            layers.append(event.to_layer())
        else:
            show_warning(event.sentence)
    return layers


def read_model(path: str | Sequence[str] | None = None) -> Callable[[str], list[Any]] | None:
    """Offer to make a `.blunet` file the model of the Segment widget; without a path, ask for the file."""
    if path is None:
        from blunet.widgets.palette import use_chosen_model

        _in_viewer(use_chosen_model)
        return None
    return _choose_model if isinstance(path, str) and path.lower().endswith(".blunet") else None


def _choose_model(path: str) -> list[Any]:
    """Choose a model in the Segment widget, which shows its card or what is wrong; without a window, only check it."""
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is None:
        from blunet.jobs.model_files import inspect_model

        inspect_model(path)
    else:
        from blunet.widgets.docks import show_segment_dock

        show_segment_dock(viewer).use_model(path)
    return [(None,)]  # tells napari that the file holds no layer


def write_labels(path: str | None = None, data: Any = None, attributes: dict[str, Any] | None = None) -> list[str]:
    """Write a Labels layer as a TIFF file and its features as a CSV file beside it; return the names of both.

    Without a path, ask for one and write the selected layer.
    """
    if path is None:
        from blunet.widgets.palette import save_selected_labels

        _in_viewer(save_selected_labels)
        return []
    from napari import current_viewer
    from napari.utils.notifications import show_warning

    from blunet.jobs.label_saving import save_labels
    from blunet.widgets.layer_facts import frames_of, image_of, unwrap_viewer

    attributes, viewer, frames = attributes or {}, current_viewer(), None
    if viewer is not None:
        image = image_of(unwrap_viewer(viewer), attributes.get("metadata") or {}, getattr(data, "shape", ()))
        frames = None if image is None else frames_of(image)
    written = save_labels(Path(path), data, attributes, image=frames, remark=show_warning)
    return [str(file) for file in written]


def export_labels(path: str | None = None, data: Any = None, attributes: dict[str, Any] | None = None) -> list[str]:
    """Write a Labels layer for another program, as the ending says: .zip, .geojson, .csv or .parquet.

    Without a path, ask for one and write the selected layer.
    """
    if path is None:
        from blunet.widgets.palette import export_selected_labels

        _in_viewer(export_selected_labels)
        return []
    from napari import current_viewer

    from blunet.jobs.layer_export import export_layer
    from blunet.widgets.layer_facts import frames_of, image_of, unwrap_viewer

    attributes, viewer, frames = attributes or {}, current_viewer(), None
    if viewer is not None:
        image = image_of(unwrap_viewer(viewer), attributes.get("metadata") or {}, getattr(data, "shape", ()))
        frames = None if image is None else frames_of(image)
    return [str(export_layer(Path(path), data, attributes, image=frames))]


def _in_viewer(ask: Callable[[Viewer], object]) -> None:
    """Call a function that asks the user, with the viewer that is open; without one there is nobody to ask."""
    from napari import current_viewer

    from blunet.widgets.layer_facts import unwrap_viewer

    viewer = current_viewer()
    if viewer is not None:
        ask(unwrap_viewer(viewer))


def measure_cells(viewer: Viewer) -> None:
    """Measure the objects of the selected Labels layer, in the units of its pixels."""
    from napari.utils.notifications import show_warning

    from blunet.errors import InputError
    from blunet.widgets.measure import measure_selected

    try:
        measure_selected(viewer)
    except InputError as e:
        show_warning(str(e))
