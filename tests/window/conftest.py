"""Fixtures of the tests in a window. Each test has settings of its own, which no other test or user sees."""

from __future__ import annotations

import pytest
from napari.utils.notifications import notification_manager
from npe2 import PluginManager, PluginManifest

from blunet.simulation.dic_fields import simulate_dic

PLUGIN = "napari-blunet"


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("BLUNET_SETTINGS_FOLDER", str(tmp_path / "settings"))


@pytest.fixture(scope="module")
def field():
    return simulate_dic().image[:192, :256]


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def plugin() -> PluginManager:
    """npe2's manager, which knows this plugin."""
    manager = PluginManager.instance()
    if PLUGIN not in manager:
        manager.register(PluginManifest.from_distribution(PLUGIN))
    return manager


@pytest.fixture
def viewer_with_plugin(plugin, make_napari_viewer):
    """A viewer of which no notification has been shown yet."""
    notification_manager.records.clear()
    return make_napari_viewer()
