"""How the commands print and end: results on stdout, everything else on stderr."""

from __future__ import annotations

import functools
import io
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec

import typer

from blunet.environment import ignore_debugging
from blunet.errors import InputError
from blunet.packed.kernels.compile_notice import on_compile

P = ParamSpec("P")

#: Control characters, and the surrogates in which Python keeps bytes of names that are not UTF-8.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

#: Exit codes: success; some inputs were skipped; bad input and nothing written; stopped by Ctrl-C.
DONE, SOME_SKIPPED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
#: The number of threads that the numerical libraries use; they read these variables when they are imported.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "BLUNET_THREADS",
)


def say(text: str = "") -> None:
    """Print a line of the result on stdout."""
    typer.echo(_printable(text))


def note(text: str) -> None:
    """Print a line about the work on stderr."""
    _note("", text)


def warn(text: str) -> None:
    """Print a warning on stderr."""
    _note(typer.style("Warning: ", fg=typer.colors.YELLOW), text)


def fail(text: str) -> None:
    """Print an error on stderr."""
    _note(typer.style("Error: ", fg=typer.colors.RED, bold=True), text)


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=True))


def _note(heading: str, text: str) -> None:
    typer.echo(heading + _printable(text), err=True)


def _printable(text: str) -> str:
    """Replace what no terminal can print, such as line breaks and bytes that are not UTF-8 in the names of files."""
    return UNPRINTABLE.sub("\ufffd", text)


def report_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Make a command end with one sentence and exit code 2 after bad input, and with exit code 130 after Ctrl-C."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        # tifffile would log errors that our own sentence reports.
        logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        ignore_debugging()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a name in letters that the terminal lacks is printed with "?"
        unsubscribe = on_compile(note)
        try:
            with _warnings_as_notes():
                command(*args, **kwargs)
        except InputError as e:
            fail(str(e))
            raise typer.Exit(BAD_INPUT) from e
        except KeyboardInterrupt as e:
            note("Stopped.")
            raise typer.Exit(INTERRUPTED) from e
        finally:
            unsubscribe()

    return run


@contextmanager
def _warnings_as_notes() -> Iterator[None]:
    """Show each warning of this package in one line, and hide those of libraries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module="blunet")
        warnings.showwarning = lambda message, *_, **__: warn(str(message))
        yield


def given_path(text: str | Path) -> Path:
    """Return a path of the command line; refuse an empty one, which would mean the current folder."""
    if not str(text).strip():
        raise typer.BadParameter("the name is empty; give one.")
    return Path(text)


def use_threads(count: int | None) -> None:
    """Make the numerical libraries use `count` threads. Call this before they are imported.

    Raises
    ------
    InputError
        If `count` is not positive.
    """
    if count is None:
        return
    if count < 1:
        raise InputError(f"The number of threads is {count}; give 1 or more.")
    for name in THREAD_VARIABLES:
        os.environ[name] = str(count)
