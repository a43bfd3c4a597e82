"""How the commands print and end: results on stdout, everything else on stderr."""

from __future__ import annotations

import functools
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec

import typer

from blunet.errors import InputError
from blunet.packed.kernels.compile_notice import on_compile

P = ParamSpec("P")

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
    typer.echo(text)


def note(text: str) -> None:
    """Print a line about the work on stderr."""
    typer.echo(text, err=True)


def warn(text: str) -> None:
    """Print a warning on stderr."""
    note(typer.style("Warning: ", fg=typer.colors.YELLOW) + text)


def fail(text: str) -> None:
    """Print an error on stderr."""
    note(typer.style("Error: ", fg=typer.colors.RED, bold=True) + text)


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout."""
    say(json.dumps(content, indent=2, ensure_ascii=True))


def report_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Make a command end with one sentence and exit code 2 after bad input, and with exit code 130 after Ctrl-C."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        # tifffile would log errors that our own sentence reports.
        logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
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
