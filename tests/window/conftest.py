"""Every test has settings of its own, which no other test or user sees."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("BLUNET_SETTINGS_FOLDER", str(tmp_path / "settings"))
