"""Where training data come from: kept in their folder, and taken up by the card of a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from blunet.errors import InputError
from blunet.files import replacing

#: The file in a folder of training data.
ORIGIN_FILE = "origin.json"


def read_origins(folder: Path) -> list[dict[str, Any]]:
    """Return what was imported into a folder of training data; empty if nothing was.

    Raises
    ------
    InputError
        If the file is broken.
    """
    path = folder / ORIGIN_FILE
    if not path.is_file():
        return []
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["imports"]
        return [dict(entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise InputError(f"'{path}' cannot be read as a record of imports; remove it, or repair it.") from e


def write_origins(folder: Path, entries: Sequence[dict[str, Any]]) -> None:
    """Write what was imported into a folder of training data.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    path = folder / ORIGIN_FILE
    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps({"imports": list(entries)}, indent=2) + "\n", encoding="utf-8")
    except OSError as e:
        raise InputError(f"'{path}' cannot be written: {e.strerror or e}.") from e


def describe_origins(folder: Path) -> tuple[str, str]:
    """Return who made the labels of a folder, and their licences, each once and separated by semicolons."""
    entries = read_origins(folder)
    told = [
        list(dict.fromkeys(str(entry[key]) for entry in entries if entry.get(key))) for key in ("origin", "licence")
    ]
    return "; ".join(told[0]), "; ".join(told[1])
