"""Settings of a compression in a TOML file, with a comment above each. No Keras here."""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomli_w

from blunet.compression.compression_settings import CompressionSettings
from blunet.errors import InputError
from blunet.files import replacing
from blunet.settings_model import SettingsModel, facts_of, nested_model

#: Columns of a comment.
WIDTH = 110


def write_settings(settings: CompressionSettings, path: str | Path) -> None:
    """Write settings to a TOML file, replacing it in one step; `read_settings` reads equal ones back."""
    with replacing(path) as temporary:
        temporary.write_text(to_toml(settings), encoding="utf-8")


def to_toml(settings: SettingsModel) -> str:
    """Return settings as TOML, each with its description, unit and range in a comment above it.

    Settings that are None are left out, as TOML has no such value.
    """
    return "\n".join(_lines(settings, ())) + "\n"


def read_settings(path: str | Path, base: CompressionSettings | None = None) -> CompressionSettings:
    """Read a TOML file.

    Parameters
    ----------
    path : str or Path
    base : CompressionSettings, optional
        Gives what the file leaves out; the table `normalisation` counts as a whole.

    Raises
    ------
    InputError
        If there is no such file, it is not TOML, or a setting is wrong.
    """
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise InputError(f"There is no settings file '{path}'; check the name.") from e
    except OSError as e:
        raise InputError(f"The settings file '{path}' cannot be read: {e.strerror}.") from e
    except ValueError as e:  # not TOML, not UTF-8, or a number of thousands of digits
        raise InputError(f"The settings file '{path}' is not TOML: {e}; correct it.") from e
    return CompressionSettings.from_dict(data if base is None else _merged(base.to_dict(), data))


def _lines(settings: SettingsModel, tables: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a table, then those of the tables in it."""
    model, plain = type(settings), settings.to_dict()
    inner = [name for name, field in model.model_fields.items() if nested_model(field.annotation)]
    for name in (name for name in model.model_fields if name not in inner and plain.get(name) is not None):
        yield from _comment(facts_of(model, name).help)
        yield tomli_w.dumps({name: plain[name]}).rstrip("\n")
    for name in inner:
        yield ""
        yield from _comment(facts_of(model, name).description)
        yield f"[{'.'.join((*tables, name))}]"
        yield from _lines(getattr(settings, name), (*tables, name))


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False):
        yield f"# {line}"


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in change.items():
        known = result.get(key)
        if key != "normalisation" and isinstance(known, dict) and isinstance(value, dict):
            value = _merged(known, value)
        result[key] = value
    return result
