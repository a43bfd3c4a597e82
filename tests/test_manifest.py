"""The manifest: npe2 finds it, every name in it can be imported, and its commands give real layers."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from npe2 import PluginManager, PluginManifest

import blunet


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> PluginManager:
    """A fresh plugin manager that knows this plugin alone, in the place of everybody's."""
    manager = PluginManager()
    monkeypatch.setattr(PluginManager, "_PluginManager__instance", manager)
    manager.register(PluginManifest.from_distribution("napari-blunet"))
    manager.activate("napari-blunet")
    return manager


def test_installed_manifest_is_the_packaged_file() -> None:
    packaged = Path(blunet.__file__).with_name("napari.yaml")
    installed = PluginManifest.from_distribution("napari-blunet")
    assert installed.contributions == PluginManifest.from_file(packaged).contributions
    assert installed.package_version == blunet.__version__


def test_link_at_the_top_is_the_packaged_file(root: Path) -> None:
    link = root / "napari.yaml"
    assert link.is_symlink()
    assert link.resolve() == root / "src" / "blunet" / "napari.yaml"


def test_every_name_in_the_manifest_can_be_imported(plugin: PluginManager) -> None:
    plugin.get_manifest("napari-blunet").validate_imports()


def test_every_sample_opens_as_layers(plugin: PluginManager) -> None:
    from napari.layers import Layer

    samples = plugin.get_manifest("napari-blunet").contributions.sample_data
    assert samples
    for sample in samples:
        for data in sample.open(_registry=plugin.commands):
            layer = Layer.create(*data)
            assert layer.data.size > 0
            assert layer.name == data[1]["name"]


def test_simulated_field_has_its_true_cells(plugin: PluginManager) -> None:
    layers = plugin.commands.execute("napari-blunet.simulated_field")
    (image, _, image_type), (labels, _, labels_type) = layers
    assert (image_type, labels_type) == ("image", "labels")
    assert image.shape == labels.shape
    assert labels.max() >= 3
    cells, background = image[labels > 0].astype(float), image[labels == 0].astype(float)
    assert np.std(cells) > 1.5 * np.std(background)


def test_simulated_time_lapse_has_its_true_tracks(plugin: PluginManager) -> None:
    layers = plugin.commands.execute("napari-blunet.simulated_time_lapse")
    (image, place, _), (labels, _, _), (tracks, keywords, kind) = layers
    assert image.shape == labels.shape == (16, 256, 256)
    assert place["axis_labels"] == ("t", "y", "x")
    assert place["units"] == ("s", "µm", "µm")
    assert kind == "tracks"
    seen = {(int(n), t) for t, frame in enumerate(labels) for n in np.unique(frame) if n}
    assert {(int(n), int(t)) for n, t, _, _ in tracks} == seen
    parents = [parent for (parent,) in keywords["graph"].values()]
    assert sum(parents.count(parent) == 2 for parent in set(parents)) == 3  # divisions


def test_napari_is_not_made_to_ask_about_images(plugin: PluginManager, tmp_path: Path) -> None:
    def readers(path: Path) -> list[str]:
        return [reader.command for reader in plugin.iter_compatible_readers([str(path)])]

    for name in ("x.tif", "x.ome.tif", "x.png", "x.csv"):
        (tmp_path / name).touch()
        assert not readers(tmp_path / name)
    assert readers(tmp_path) == ["napari-blunet.read_folder"]
    assert readers(Path("some.model.BLUNET")) == ["napari-blunet.read_model"]


def read(plugin: PluginManager, path: Path) -> list[tuple]:
    from npe2 import io_utils

    return io_utils._read([str(path)], stack=False, plugin_name="napari-blunet", _pm=plugin)


def test_a_folder_is_read_as_layers(plugin: PluginManager, tmp_path: Path) -> None:
    from napari.layers import Layer

    with pytest.raises(ValueError, match="refused"):  # left to other readers
        read(plugin, tmp_path)
    for t in range(3):
        tifffile.imwrite(tmp_path / f"t{t}.tif", np.full((9, 8), t, np.uint8), imagej=True, resolution=(2, 2), metadata={"unit": "um"})  # fmt: skip  # noqa: E501
    tifffile.imwrite(tmp_path / "t1_mask.tif", np.eye(9, 8, dtype=np.uint8) * np.arange(8, dtype=np.uint8))
    image, labels = (Layer.create(*data) for data in read(plugin, tmp_path))
    assert (image.name, labels.name) == (tmp_path.name, f"{tmp_path.name} – mask")
    assert image.data[2].compute().tolist() == np.full((9, 8), 2).tolist()
    np.testing.assert_allclose(labels.scale, (1, 0.5, 0.5))


def test_a_model_without_a_window_is_checked_and_gives_no_layer(plugin: PluginManager, tmp_path: Path) -> None:
    from blunet.errors import InputError
    from blunet.packed.packed_model import BUNDLED

    assert read(plugin, BUNDLED) == [(None,)]
    (tmp_path / "x.blunet").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"x\.blunet"):
        read(plugin, tmp_path / "x.blunet")


def write(plugin: PluginManager, path: Path, layer: object) -> list[str]:
    from npe2 import io_utils

    return io_utils._write(str(path), [layer], plugin_name="napari-blunet", _pm=plugin)


@pytest.mark.parametrize("shape", [(20, 30), (3, 20, 30)])
def test_labels_are_written_with_pixel_size_model_and_table(
    plugin: PluginManager, tmp_path: Path, shape: tuple[int, ...]
) -> None:
    from napari.layers import Labels

    from blunet.images.frame_source import FrameSource
    from blunet.images.image_writer import read_description
    from blunet.images.pixel_size import PixelSize

    values = np.zeros(shape, np.int32)
    values[..., 2:9, 3:8] = 1
    values[..., 12:15, 3:8] = 2
    from blunet.segmentation.provenance import LABELS_HASH, TABLE_HASH, hash_labels

    frames = values if len(shape) == 3 else values[None]
    made = {"model": "m", "settings": {"threshold": 0.5}, LABELS_HASH: hash_labels(frames)}
    count = len(frames)
    table = {"index": [1, 2] * count, "label": [1, 2] * count, "area_um2": [4.375, 1.875] * count}
    rows = [["label", "area_um2"], ["1", "4.375"], ["2", "1.875"]]
    if len(shape) == 3:
        table["frame"] = [1, 1, 2, 2, 3, 3]
        rows = [["label", "area_um2", "frame"], *([*row, str(t)] for t in (1, 2, 3) for row in rows[1:])]
    scale, units = (60, 0.5, 0.25)[-len(shape) :], ("s", "um", "um")[-len(shape) :]
    layer = Labels(values, name="Cells", scale=scale, units=units, features=table, metadata={"blunet": made})
    labels, objects = (Path(name) for name in write(plugin, tmp_path / "cells_labels.tif", layer))
    np.testing.assert_array_equal(tifffile.imread(labels), values)
    file = FrameSource.from_file(labels)
    assert (file.axes, file.pixel_size) == ("TYX"[-len(shape) :], PixelSize(0.5, 0.25, "µm"))
    described = read_description(labels)
    assert {key: value for key, value in described.items() if key != TABLE_HASH} == made
    assert described[TABLE_HASH] == hashlib.sha256(objects.read_bytes()).hexdigest()
    assert objects.name == "cells_objects.csv"
    with objects.open(newline="") as lines:
        assert list(csv.reader(lines)) == rows


def test_labels_of_a_mirrored_moved_and_multiscale_layer_are_written_whole(
    plugin: PluginManager, tmp_path: Path
) -> None:
    from napari.layers import Labels

    from blunet.images.frame_source import FrameSource

    values = np.zeros((64, 64), np.int32)
    values[20:40, 8:30] = 1
    layer = Labels(
        [values, values[::2, ::2], values[::4, ::4]], multiscale=True, scale=(-1, 1), rotate=30, units=("um", "um")
    )
    layer.affine = np.diag([0.5, 0.5, 1])
    (labels,) = write(plugin, tmp_path / "levels.tif", layer)
    np.testing.assert_array_equal(tifffile.imread(labels), values)
    size = FrameSource.from_file(labels).pixel_size
    assert size is not None
    assert (size.y, size.x, size.unit) == (pytest.approx(0.5), pytest.approx(0.5), "µm")


def test_labels_without_table_or_pixel_size(plugin: PluginManager, tmp_path: Path) -> None:
    from napari.layers import Labels

    from blunet.errors import InputError
    from blunet.images.frame_source import FrameSource

    painted = np.zeros((9, 9), np.uint8)
    painted[2, 2] = 3
    (labels,) = write(plugin, tmp_path / "painted.tif", Labels(painted))
    assert FrameSource.from_file(labels).pixel_size is None
    np.testing.assert_array_equal(tifffile.imread(labels), painted)
    with pytest.raises(InputError, match=r"\(2, 3, 9, 9\)"):
        write(plugin, tmp_path / "four.tif", Labels(np.zeros((2, 3, 9, 9), int)))
    assert not (tmp_path / "four.tif").exists()


def test_preferences_have_defaults_that_mean_automatic(plugin: PluginManager) -> None:
    from blunet.packed.packed_model import TILE

    general = plugin.get_manifest("napari-blunet").contributions.configurations["general"].properties
    assert {name: value.default for name, value in general.items()} == {
        "default_model": "", "threads": 0, "tile": TILE, "memory": 0, "run_folder": "",
    }  # fmt: skip
    assert all(value.description for value in general.values())
