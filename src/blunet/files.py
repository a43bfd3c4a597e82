"""Writing files so that a killed run never leaves half of one under its final name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from blunet.errors import InputError


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its ending, and rename it to `path` on success.

    Parameters
    ----------
    path : str or Path
        The final name. Its folder must exist. An existing file is replaced in one step.

    Yields
    ------
    Path
        Where to write. It is removed if the block raises.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_together(folder: Path, last: str) -> Iterator[Path]:
    """Yield a temporary folder, and move the files that were written into it to `folder` on success.

    Parameters
    ----------
    folder : Path
        It must exist. Existing files are replaced.
    last : str
        Name of the file that is moved when all others have been.

    Raises
    ------
    InputError
        If a file cannot be written, with the system's reason.
    """
    with reporting(folder), tempfile.TemporaryDirectory(prefix=".blunet-", dir=folder) as temporary:
        try:
            yield Path(temporary)
        except InputError as e:  # which names a file in the temporary folder
            raise InputError(str(e).replace(temporary, str(folder))) from e
        for path in sorted(Path(temporary).iterdir(), key=lambda path: path.name == last):
            os.replace(path, folder / path.name)


@contextlib.contextmanager
def reporting(folder: Path) -> Iterator[None]:
    """Turn an error of the system while results are kept or written into an InputError that names their folder."""
    try:
        yield
    except OSError as e:
        raise InputError(
            f"The results cannot be written to '{folder}': {e.strerror or e}; choose another output folder."
        ) from e


def remove_unfinished(folder: str | Path) -> None:
    """Remove the files in a folder that a killed process had begun to write (see `replacing`).

    Parameters
    ----------
    folder : str or Path
        It exists, and nobody else is writing into it.
    """
    for path in Path(folder).iterdir():
        if re.fullmatch(r"\..+\.\d+\.\w+", path.name) and path.is_file():
            path.unlink(missing_ok=True)


def remove_leftovers(target: Path, ending: str = "") -> None:
    """Remove the folders ``.NAME.PID`` beside a folder that killed processes had begun to write in its place.

    Parameters
    ----------
    target : Path
        The folder NAME, which need not exist.
    ending : str
        A regular expression for what follows the number of the process.
    """
    import psutil

    for path in target.parent.iterdir():
        found = re.fullmatch(rf"\.{re.escape(target.name)}\.(\d+){ending}", path.name)
        if found and (int(found[1]) == os.getpid() or not psutil.pid_exists(int(found[1]))):
            shutil.rmtree(path, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_all(paths: Sequence[Path]) -> str:
    """Return one SHA-256 of files in their order; that of the file if there is only one.

    Of a folder, as a Zarr is, it is that of the names, sizes and times of its files, without those in `labels`: reading
    its content would take as long as working on it.
    """
    hashes = [_sha256_of_folder(path) if path.is_dir() else sha256_of(path) for path in paths]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(bytes.fromhex("".join(hashes))).hexdigest()


def _sha256_of_folder(folder: Path) -> str:
    found = hashlib.sha256()
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not (name == "labels" and Path(place) == folder))
        for name in sorted(files):
            path = Path(place, name)
            about = path.stat()
            found.update(f"{path.relative_to(folder).as_posix()}\0{about.st_size}\0{about.st_mtime_ns}\n".encode())
    return found.hexdigest()


def expand_user(path: str | Path) -> Path:
    """Return a path in which `~` and `~name` stand for home folders, or unchanged if there is no such user."""
    return Path(os.path.expanduser(path))


def output_folder(path: str | Path) -> Path:
    """Make the folder `path` (and its parents) and return it.

    Raises
    ------
    InputError
        If it cannot be made or written to, with the system's reason.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as e:
        raise InputError(
            f"The output folder '{folder}' cannot be made: a file stands in its place; choose another name."
        ) from e
    except OSError as e:
        raise InputError(f"The output folder '{folder}' cannot be made: {e.strerror}; choose another.") from e
    if not os.access(folder, os.W_OK):
        raise InputError(f"The output folder '{folder}' cannot be written to; choose another.")
    return folder
