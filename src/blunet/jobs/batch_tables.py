"""Tables of a whole batch: one row an image, and one row an object."""

from __future__ import annotations

import contextlib
import csv
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from blunet.errors import InputError
from blunet.files import replacing
from blunet.jobs.events import Segmented, Skipped, Warned
from blunet.jobs.result_files import table_beside

#: Columns of the table of images.
SUMMARY_COLUMNS = ("image", "status", "objects", "foreground", "seconds", "labels", "warnings", "reason")
PARQUET = ".parquet"
#: Rows that are turned into a piece of a Parquet file at once.
_ROWS_AT_ONCE = 50_000
#: Columns of words and of whole numbers; the others hold numbers with decimals.
_TEXTS = ("image", "status", "labels", "warnings", "reason")
_INTEGERS = ("label", "frame", "objects")


def check_table(path: Path) -> None:
    """Check that a table can be written: its ending, what Parquet needs, and its folder.

    Raises
    ------
    InputError
        If not.
    """
    if path.suffix.lower() not in (".csv", PARQUET):
        raise InputError(f"'{path}' is neither a .csv nor a .parquet file; give one of these names.")
    if path.suffix.lower() == PARQUET:
        try:
            import pyarrow.parquet  # noqa: F401 - is it installed?
        except ImportError as e:
            raise InputError(
                f"'{path}' needs pyarrow, which is not installed: pip install napari-blunet[parquet], or give a .csv."
            ) from e
    if not path.parent.is_dir():
        raise InputError(f"There is no folder '{path.parent}' for '{path.name}'; make it, or choose another one.")


class BatchRecord:
    """Collects what a batch says about its images, and writes it as tables."""

    def __init__(self) -> None:
        self._rows: dict[Path, dict[str, Any]] = {}

    def add(self, event: object) -> None:
        """Keep an event of `segment_files`."""
        match event:
            case Warned(image, message):
                row = self._row(image)
                row["warnings"] = f"{row['warnings']} {message}".strip()
            case Skipped(image, reason):
                self._row(image).update(status="skipped", reason=reason)
            case Segmented():
                self._row(event.image).update(
                    status="finished" if event.earlier else "segmented",
                    objects=event.objects,
                    foreground=event.foreground,
                    seconds=event.seconds,
                    labels=event.labels,
                )

    def write(self, summary: Path | None, objects: Path | None) -> None:
        """Write one row an image, and one row an object, where a path is given.

        Raises
        ------
        InputError
            As `write_summary` and `join_tables`.
        """
        if objects is not None:
            done = [(image, row["labels"]) for image, row in self._rows.items() if "labels" in row]
            join_tables(objects, [(image, table_beside(labels)) for image, labels in done])
        if summary is not None:
            write_summary(summary, [{**row, "labels": str(row.get("labels", ""))} for row in self._rows.values()])

    def _row(self, image: Path) -> dict[str, Any]:
        return self._rows.setdefault(image, {"image": str(image), "warnings": "", "reason": ""})


def write_summary(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one row an image.

    Parameters
    ----------
    path : Path
        A .csv or .parquet file, which gets its name when it is complete.
    rows : sequence of mapping
        With the keys `SUMMARY_COLUMNS`; what an image lacks is None.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    _write(path, SUMMARY_COLUMNS, iter(rows))


def join_tables(path: Path, tables: Sequence[tuple[Path, Path]]) -> None:
    """Write the objects of all images into one table, the name of the image in the first column.

    Parameters
    ----------
    path : Path
        A .csv or .parquet file, which gets its name when it is complete. One table is in memory at a time.
    tables : sequence of (Path, Path)
        Image and its table of objects. A column that some tables lack, such as a size in micrometres, is empty there.

    Raises
    ------
    InputError
        If a table cannot be read, or the file cannot be written.
    """
    columns = dict.fromkeys(["image"])
    for _, table in tables:
        with _reading(table), table.open(newline="", encoding="utf-8") as file:
            columns |= dict.fromkeys(next(csv.reader(file)))

    def rows() -> Iterator[dict[str, Any]]:
        for image, table in tables:
            with _reading(table), table.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    yield {"image": str(image), **{name: _number(text) for name, text in row.items()}}

    _write(path, tuple(columns), rows())


def _number(text: str) -> float | int:
    """Return the number of a cell of a table: whole numbers stay whole."""
    try:
        return int(text)
    except ValueError:
        return float(text)


@contextlib.contextmanager
def _reading(table: Path) -> Iterator[None]:
    """Name the table in errors about reading it."""
    try:
        yield
    except (OSError, ValueError, StopIteration) as e:
        raise InputError(f"The table '{table}' cannot be read: {e or 'it is empty'}.") from e


def _write(path: Path, columns: Sequence[str], rows: Iterator[Mapping[str, Any]]) -> None:
    try:
        with replacing(path) as temporary:
            if path.suffix.lower() == PARQUET:
                _write_parquet(temporary, columns, rows)
            else:
                _write_csv(temporary, columns, rows)
    except OSError as e:
        raise InputError(f"'{path}' cannot be written: {e.strerror or e}; choose another place.") from e


def _write_csv(path: Path, columns: Sequence[str], rows: Iterator[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)


def _write_parquet(path: Path, columns: Sequence[str], rows: Iterator[Mapping[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(name, _type_name(name)) for name in columns])
    with parquet.ParquetWriter(path, schema) as writer:
        while piece := list(itertools.islice(rows, _ROWS_AT_ONCE)):
            values = {name: [row.get(name) for row in piece] for name in columns}
            writer.write_table(pa.table(values, schema))


def _type_name(column: str) -> str:
    """Return the type of a column of a Parquet file."""
    if column in _TEXTS:
        return "string"
    return "int64" if column in _INTEGERS or column.startswith("bbox_") else "float64"
