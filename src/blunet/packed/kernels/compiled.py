"""Compiling kernels, and a cache of compiled kernels on disk."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import platformdirs
from numba import njit
from numba.core import caching, config

from blunet.packed.kernels.compile_notice import announce_compilation
from blunet.packed.kernels.target import TARGET

#: No interpreter lock and no exceptions. A multiply and an add may become one instruction; nothing else is reordered.
OPTIONS: Any = {"nogil": True, "boundscheck": False, "error_model": "numpy", "fastmath": {"contract"}}
#: Environment variable: the folder for compiled kernels, in place of the user's cache folder.
VARIABLE = "BLUNET_KERNEL_CACHE"

log = logging.getLogger(__name__)


def subroutine(function: Callable[..., Any]) -> Any:
    """Compile a function that kernels call, whatever the variable NUMBA_DISABLE_JIT says: it has no Python form."""
    variables: Any = config
    before, variables.DISABLE_JIT = variables.DISABLE_JIT, 0
    try:
        return njit(**OPTIONS)(function)
    finally:
        variables.DISABLE_JIT = before


def kernel(function: Callable[..., None]) -> Any:
    """Make a function that is compiled when it is first called, or loaded if an earlier process has compiled it."""
    dispatcher = subroutine(function)
    try:
        dispatcher._cache = _KernelCache(function)
    except Exception as e:  # numba's cache is not a public interface; without it every process compiles
        log.warning("Compiled kernels cannot be kept: %s", e)
    return dispatcher


@cache
def find_cache_folder() -> Path | None:
    """Return the folder of compiled kernels, None if no place is writable.

    Its name is a hash of the kernels' sources, of the versions of what compiles them and of the kind of processor, so
    that outdated code is never found. Only the user can write to it, since the code in it is run.
    """
    name = f"kernels-{_compute_fingerprint()}"
    for parent in _list_parents():
        place = parent / name
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_own(place):
                continue
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError:
            continue
        _remove_outdated(place)
        return place
    return None


def _list_parents() -> Iterator[Path]:
    if named := os.environ.get(VARIABLE):
        yield Path(named)
    with contextlib.suppress(RuntimeError):  # no home folder
        yield Path(platformdirs.user_cache_dir("napari-blunet", appauthor=False))
    user = os.getuid() if hasattr(os, "getuid") else "user"
    with contextlib.suppress(OSError):  # no folder of temporary files
        yield Path(tempfile.gettempdir()) / f"napari-blunet-{user}"


def _is_own(place: Path) -> bool:
    if not hasattr(os, "getuid"):
        return True
    status = place.stat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


def _remove_outdated(place: Path) -> None:
    """Remove kernels of other versions that have not been used for a month."""
    used = place.stat().st_mtime
    for other in place.parent.glob("kernels-*"):
        with contextlib.suppress(OSError):
            if other != place and other.stat().st_mtime < used - 30 * 24 * 3600:
                shutil.rmtree(other)


@cache
def _compute_fingerprint() -> str:
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    digest.update(f"{version('numba')} {version('llvmlite')} {version('numpy')} {TARGET}".encode())
    return digest.hexdigest()[:16]


class _Locator:
    """Tells numba the file of a kernel's machine code."""

    def __init__(self, name: str, place: Path) -> None:
        self._name, self._place = name, place

    @classmethod
    def from_function(cls, function: Any, file: str) -> _Locator | None:
        place = find_cache_folder()
        return None if place is None else cls(f"{function.__module__}.{function.__qualname__}", place)

    def ensure_cache_path(self) -> None:
        self._place.mkdir(mode=0o700, parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        return str(self._place)

    def get_source_stamp(self) -> str:
        return _compute_fingerprint()

    def get_disambiguator(self) -> str:
        return self._name

    @classmethod
    def get_suitable_cache_subpath(cls, file: str) -> str:
        return ""


_CompileResultCacheImpl: Any = caching.CompileResultCacheImpl
_FunctionCache: Any = caching.FunctionCache


class _Implementation(_CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012


class _KernelCache(_FunctionCache):
    """Numba's cache of a function. Files that are cut short, foreign or not writable do no harm."""

    _impl_class = _Implementation

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            found = super().load_overload(sig, target_context)
        except Exception as e:
            log.debug("Compiled kernels cannot be read and are removed: %s", e)
            self._remove_files()
            found = None
        if found is None:
            announce_compilation()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as e:
            log.debug("Compiled kernels cannot be kept: %s", e)

    def _remove_files(self) -> None:
        for file in Path(self.cache_path).glob(f"{self._impl.filename_base}.*"):
            with contextlib.suppress(OSError):
                file.unlink()
