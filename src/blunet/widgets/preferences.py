"""What is kept from session to session: the latest values, recent models, and the preferences in napari."""

from __future__ import annotations

import json
import os
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSettings, QStandardPaths

PLUGIN = "napari-blunet"
#: Lengths of the lists of recent models and of recent runs.
RECENT, RECENT_RUNS = 6, 12


def remember(key: str, value: Any) -> None:
    """Keep a value for the next session; JSON must be able to hold it."""
    _store().setValue(key, json.dumps(value))


def recall(key: str, default: Any = None) -> Any:
    """Return the value that was kept under `key`, or `default` if there is none or it has another type."""
    try:
        value = json.loads(str(_store().value(key, "")))
    except ValueError:
        return default
    known = default is None or isinstance(value, type(default)) or (isinstance(default, float) and type(value) is int)
    return value if known else default


def read_recent_models() -> list[Path]:
    """Return the model files that were used last and still exist, the latest first."""
    return [path for path in _recent("models") if path.is_file()]


def add_recent_model(path: Path) -> None:
    """Add a model file to the recent ones, as the first."""
    _add(path, "models", read_recent_models(), RECENT)


def read_recent_runs() -> list[Path]:
    """Return the run folders that were used last and still exist, the latest first."""
    return [path for path in _recent("runs") if path.is_dir()]


def add_recent_run(path: Path) -> None:
    """Add a run folder to the recent ones, as the first."""
    _add(path, "runs", read_recent_runs(), RECENT_RUNS)


def read_preference(name: str, default: Any) -> Any:
    """Return a preference of this plugin from napari's settings, or `default` if it is not set."""
    from napari.settings import get_plugin_settings

    general = get_plugin_settings(PLUGIN).general
    _offer_file_chooser(type(general))
    value = getattr(general, name, None)
    return default if value in (None, "") else value


def _offer_file_chooser(general: Any) -> None:
    """Let napari's page of preferences show a button that chooses the model's file, from its next opening on.

    npe2's manifests cannot ask for it: they have no `format`. napari's page itself knows it, from the JSON schema that
    pydantic makes of the settings.
    """
    field = general.model_fields["default_model"]
    if field.json_schema_extra is None:
        field.json_schema_extra = {"format": "filepath", "file_extension": "blunet"}
        general.model_rebuild(force=True)


def read_memory() -> int:
    """Return how many bytes labels and maps may take: what the preferences say, or half of what is free."""
    import psutil

    mebibytes = read_preference("memory", 0)
    return int(mebibytes) * 2**20 if mebibytes else int(psutil.virtual_memory().available) // 2


def name_run_folder() -> str:
    """Return the path of a run folder that does not exist yet, in the folder that the preferences name."""
    parent = read_preference("run_folder", None)
    if not parent:
        documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
        parent = str(Path(documents) / "BLU-Net runs")
    name = f"run {datetime.now():%Y-%m-%d %H%M}"
    names = (name if n == 1 else f"{name} ({n})" for n in count(1))
    return str(next(path for name in names if not (path := Path(parent) / name).exists()))


def _recent(key: str) -> list[Path]:
    return [Path(name) for name in recall(key, [])]


def _add(path: Path, key: str, others: list[Path], most: int) -> None:
    names = [str(path), *(str(other) for other in others if other != path)]
    remember(key, names[:most])


def _store() -> QSettings:
    if folder := os.environ.get("BLUNET_SETTINGS_FOLDER"):  # for tests
        return QSettings(str(Path(folder) / "blunet.ini"), QSettings.Format.IniFormat)
    return QSettings(PLUGIN, "widgets")
