"""The errors a user can cause: one sentence each, no traceback."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)


class InputError(ValueError):
    """Bad input: a sentence that says what was wrong, with the offending value, and what to do."""


class Stopped(Exception):
    """The work was asked to stop; what writes files lets this pass, and removes what is not complete."""


@contextlib.contextmanager
def naming_errors(path: Path, *, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn any error in the work on one file into an InputError of one sentence that names the file.

    Parameters
    ----------
    path : Path
    passing : tuple of exception types
        These are raised unchanged.

    Raises
    ------
    InputError
        An InputError that names the file already is raised unchanged.
    """
    try:
        yield
    except passing:
        raise
    except InputError as e:
        if path.name in str(e):
            raise
        raise InputError(f"'{path}': {e}") from e
    except MemoryError as e:
        raise InputError(f"'{path}' does not fit into memory; close other programs, or give a smaller image.") from e
    except OSError as e:
        place = f" ('{e.filename}')" if e.filename else ""
        raise InputError(f"'{path}' was stopped by the system: {e.strerror or describe_error(e)}{place}.") from e
    except Exception as e:
        log.debug("'%s' ended in an error", path, exc_info=True)
        raise InputError(f"'{path}' ended in an unexpected {type(e).__name__}: {describe_error(e)}.") from e


def describe_error(error: BaseException) -> str:
    """Return the first line of an error's message, without a full stop; the name of its type if it has no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def temporary_folder_error(error: OSError) -> InputError:
    """Return an error about the folder of temporary files that names the folder and how to choose another."""
    reason = error.strerror or describe_error(error)
    return InputError(
        f"The temporary folder '{tempfile.gettempdir()}' cannot be used: {reason}; free some space there, or name "
        "another folder in the environment variable TMPDIR (on Windows TEMP)."
    )
