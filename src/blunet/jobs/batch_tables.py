"""Tables of a whole batch: one row an image, and one row an object."""

from __future__ import annotations

import contextlib
import csv
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from blunet.errors import InputError, describe_error
from blunet.files import replacing
from blunet.jobs.events import Cancelled, Segmented, Skipped, Warned
from blunet.jobs.result_files import table_beside

#: Columns of the table of images.
SUMMARY_COLUMNS = ("image", "status", "objects", "foreground", "seconds", "labels", "warnings", "reason")
#: First columns of the table of objects.
OBJECT_COLUMNS = ("image", "label")
PARQUET = ".parquet"
#: Rows that are turned into a piece of a Parquet file at once.
_ROWS_AT_ONCE = 50_000
#: Columns of words and of whole numbers; the others hold numbers with decimals.
_TEXTS = ("image", "status", "labels", "warnings", "reason")
_INTEGERS = ("label", "frame", "objects")


def check_tables(summary: Path | None, objects: Path | None) -> None:
    """Check that the tables of a batch can be written: their names, what Parquet needs, and their folders.

    Raises
    ------
    InputError
        If not, or if a table would replace a file that is no such table.
    """
    for path, columns in ((summary, SUMMARY_COLUMNS), (objects, OBJECT_COLUMNS)):
        if path is not None:
            _check_place(path)
            check_own(path, columns)
    if summary is not None and objects is not None and summary.resolve() == objects.resolve():
        raise InputError(f"Both tables would be '{summary}'; give two names.")


def check_own(path: Path, columns: Sequence[str]) -> None:
    """Check that there is no file of this name yet, or a table of a batch, known by its first columns.

    Raises
    ------
    InputError
        If the file is another one, or cannot be read.
    """
    if path.is_dir():
        raise InputError(f"'{path}' is a folder; choose another name for the table.")
    if not path.exists():
        return
    try:
        found = _read_columns(path)
    except (OSError, ValueError, csv.Error) as e:
        reason = describe_error(e)
        raise InputError(f"'{path}' cannot be read ({reason}) and would be overwritten; choose another name.") from e
    first = tuple(columns)
    if found[: len(first)] != first and found != first[:1]:  # a table of no objects has one column
        raise InputError(f"'{path}' is no table of a batch and would be overwritten; choose another name or folder.")


def _read_columns(path: Path) -> tuple[str, ...]:
    if path.suffix.lower() == PARQUET:
        from pyarrow import parquet

        return tuple(parquet.read_schema(path).names)
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(next(csv.reader(file), ()))


def _check_place(path: Path) -> None:
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
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"'{path}' cannot be written: its folder is read-only; choose another place.")


class TableError(InputError):
    """A table of a batch cannot be written; the results of its images are there all the same."""


class BatchRecord:
    """Collects what a batch says about its images, and writes it as tables."""

    def __init__(self) -> None:
        self._rows: dict[Path, dict[str, Any]] = {}

    @property
    def finished(self) -> bool:
        """Whether the results of an image are there."""
        return any("labels" in row for row in self._rows.values())

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
        TableError
            As `write_summary` and `join_tables`, and if a table would replace that of one image.
        """
        try:
            self._write(summary, objects)
        except InputError as e:
            raise TableError(str(e)) from e

    def _write(self, summary: Path | None, objects: Path | None) -> None:
        done = [(image, table_beside(row["labels"])) for image, row in self._rows.items() if "labels" in row]
        results = {table.resolve(): image for image, table in done}
        for path in (summary, objects):
            if path is not None and (image := results.get(path.resolve())):
                raise InputError(f"'{path}' is the name of the table of '{image}'; choose another, and --resume.")
        if objects is not None:
            join_tables(objects, done)
        if summary is not None:
            write_summary(summary, [{**row, "labels": str(row.get("labels", ""))} for row in self._rows.values()])

    def _row(self, image: Path) -> dict[str, Any]:
        return self._rows.setdefault(image, {"image": str(image), "warnings": "", "reason": ""})


@contextlib.contextmanager
def recording(summary: Path | None, objects: Path | None) -> Iterator[BatchRecord]:
    """Yield a record of a batch, and write its tables at the end; also of a batch that was stopped, if it got so far.

    Parameters
    ----------
    summary, objects : Path or None
        As in `BatchRecord.write`.

    Raises
    ------
    TableError
        As `BatchRecord.write`.
    """
    record = BatchRecord()
    try:
        yield record
    except (Cancelled, KeyboardInterrupt):
        if record.finished:
            record.write(summary, objects)
        raise
    record.write(summary, objects)


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
    except (OSError, ValueError, csv.Error, StopIteration) as e:
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
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)


def _write_parquet(path: Path, columns: Sequence[str], rows: Iterator[Mapping[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(name, _type_name(name)) for name in columns])
    with parquet.ParquetWriter(path, schema) as writer:
        while piece := list(itertools.islice(rows, _ROWS_AT_ONCE)):
            values = {name: [_convert(row.get(name), _type_name(name)) for row in piece] for name in columns}
            writer.write_table(pa.table(values, schema))


def _convert(value: Any, kind: str) -> Any:
    """Return a value as a Parquet column of a type takes it; names of files that are no UTF-8 have the codes."""
    if value is None or kind == "int64":
        return value
    return value.encode(errors="backslashreplace").decode() if kind == "string" else float(value)


def _type_name(column: str) -> str:
    """Return the type of a column of a Parquet file."""
    if column in _TEXTS:
        return "string"
    return "int64" if column in _INTEGERS or column.startswith("bbox_") else "float64"
