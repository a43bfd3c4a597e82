"""What is remembered from session to session: last values, recent models, and napari's preferences."""

from __future__ import annotations

import json
import os
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSettings, QStandardPaths

PLUGIN = "napari-blunet"
#: Models that the list of recent ones keeps.
RECENT = 6


def remember(key: str, value: Any) -> None:
    """Keep a value, which JSON can hold, for the next session."""
    _store().setValue(key, json.dumps(value))


def recall(key: str, default: Any = None) -> Any:
    """Return what was kept under `key`, or `default` if there is nothing or it has another type."""
    try:
        value = json.loads(str(_store().value(key, "")))
    except ValueError:
        return default
    known = default is None or isinstance(value, type(default)) or (isinstance(default, float) and type(value) is int)
    return value if known else default


def recent_models() -> list[Path]:
    """Return the model files used last, the latest first, without those that are gone."""
    return [path for name in recall("models", []) if (path := Path(name)).is_file()]


def add_recent_model(path: Path) -> None:
    """Put a model file at the head of the recent ones."""
    names = [str(path), *(str(p) for p in recent_models() if p != path)]
    remember("models", names[:RECENT])


def preference(name: str, default: Any) -> Any:
    """Return a preference of this plugin from napari's settings, or `default` where there is none."""
    from napari.settings import get_plugin_settings

    value = getattr(get_plugin_settings(PLUGIN).general, name, None)
    return default if value in (None, "") else value


def new_run_folder() -> str:
    """Return the path of a folder for a run that is not there yet, where the preferences want them."""
    parent = preference("run_folder", None)
    if not parent:
        documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
        parent = str(Path(documents) / "BLU-Net runs")
    name = f"run {datetime.now():%Y-%m-%d %H%M}"
    names = (name if n == 1 else f"{name} ({n})" for n in count(1))
    return str(next(path for name in names if not (path := Path(parent) / name).exists()))


def _store() -> QSettings:
    if folder := os.environ.get("BLUNET_SETTINGS_FOLDER"):  # for tests
        return QSettings(str(Path(folder) / "blunet.ini"), QSettings.Format.IniFormat)
    return QSettings(PLUGIN, "widgets")
