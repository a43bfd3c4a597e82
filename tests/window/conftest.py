"""Fixtures of the tests in a window. Each test has settings of its own, which no other test or user sees."""

from __future__ import annotations

import pytest

from blunet.simulation.dic_fields import simulate_dic


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("BLUNET_SETTINGS_FOLDER", str(tmp_path / "settings"))


@pytest.fixture(scope="module")
def field():
    return simulate_dic().image[:192, :256]


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()
