"""The manifest: npe2 finds it, every name in it can be imported, and its commands give real layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from npe2 import PluginManager, PluginManifest

import blunet


@pytest.fixture
def plugin() -> PluginManager:
    """A fresh plugin manager that knows this plugin alone."""
    manager = PluginManager()
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
