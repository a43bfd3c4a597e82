"""Tables of columns as CSV and Parquet files."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError

PARQUET = ".parquet"


def check_parquet() -> None:
    """Check that the package that writes Parquet is installed.

    Raises
    ------
    InputError
        If it is not.
    """
    try:
        import pyarrow.parquet  # noqa: F401 - is it installed?
    except ImportError as e:
        raise InputError("Parquet needs pyarrow, which is not installed: pip install napari-blunet[parquet].") from e


def write_columns(path: Path, table: Mapping[str, NDArray[Any]]) -> None:
    """Write a table; NaN becomes an empty cell.

    Parameters
    ----------
    path : Path
        A .csv or .parquet file, in a folder of temporary files.
    table : mapping of str to ndarray of shape (N,)
        Numbers, or words in columns of type object. CSV has up to 7 significant digits.
    """
    if path.suffix == PARQUET:
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(
            pa.table({name: pa.array(column, from_pandas=True) for name, column in table.items()}), path
        )
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*map(_texts, table.values()), strict=True))


def _texts(column: NDArray[Any]) -> list[str]:
    if column.dtype.kind == "f":
        return ["" if np.isnan(value) else f"{value:.7g}" for value in column.tolist()]
    return [str(value) for value in column.tolist()]
