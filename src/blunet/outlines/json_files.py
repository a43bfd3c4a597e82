"""Large JSON files of coordinates, read without keeping every number as an object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from blunet.errors import InputError, describe_error

#: Larger files are refused: they would fill the memory.
LARGEST_FILE = 2**31
#: Names of the entries that hold coordinates or run lengths.
COORDINATES = ("coordinates", "counts", "points", "segmentation")


def read_json(path: Path) -> Any:
    """Read a JSON file; lists of numbers in entries of coordinates become arrays as soon as they are read.

    Raises
    ------
    InputError
        If the file cannot be read, is no JSON, is nested too deeply, or is too large.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise InputError(f"'{path}' has {size / 2**30:.1f} GiB, too many to be read at once; split it.")
        return json.loads(path.read_text(encoding="utf-8-sig"), object_hook=_compact)
    except RecursionError as e:
        raise InputError(f"'{path}' is nested too deeply to be a file of annotations.") from e
    except UnicodeDecodeError as e:
        raise InputError(f"'{path}' is no text in UTF-8; export it again.") from e
    except ValueError as e:
        if isinstance(e, InputError):
            raise
        raise InputError(f"'{path}' is no JSON, or is cut off: {describe_error(e)}; export it again.") from e
    except OSError as e:
        raise InputError(f"'{path}' cannot be read: {e.strerror or describe_error(e)}.") from e


def _compact(content: dict[str, Any]) -> dict[str, Any]:
    for name in COORDINATES:
        if name in content:
            content[name] = to_arrays(content[name])
    return content


def to_arrays(values: Any) -> Any:
    """Return nested lists with those of numbers, or of points, as arrays; anything else unchanged."""
    if not isinstance(values, list) or not values:
        return values
    first = values[0]
    if isinstance(first, (int, float)) or (isinstance(first, list) and first and isinstance(first[0], (int, float))):
        try:
            return np.array(values, np.float64)
        except (ValueError, TypeError, OverflowError):  # points of different lengths, or words among numbers
            return values
    return [to_arrays(each) for each in values]
