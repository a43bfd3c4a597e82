"""Which tests a process runs, and what is set before any library reads its environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import pytest

Report = TypeVar("Report", pytest.CollectReport, pytest.TestReport)

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors and warnings, not what the processor could do
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # the same rounding on every processor
os.environ.setdefault("NAPARI_ASYNC", "0")

ROOT = Path(__file__).resolve().parent
STATUS = pytest.StashKey[int]()
#: TensorFlow has no wheels for the latest Python: there, what needs it is skipped and everything else is tested.
BACKEND = os.environ["KERAS_BACKEND"]
NO_BACKEND = f"No module named '{BACKEND}'" if find_spec(BACKEND) is None else None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import either the modules that know windows or the rest, never both: see `markers` in pyproject.toml."""
    path = collection_path.relative_to(ROOT)
    if NO_BACKEND and path == Path("tests/compress"):
        return True  # its conftest.py makes networks in Keras
    if path.suffix != ".py":
        # A folder that is entered has its conftest.py imported, and that of tests/compress imports Keras.
        leads_to_windows = path in Path("tests/window").parents or path.is_relative_to("tests/window")
        return True if config.option.markexpr == "window" and not leads_to_windows else None
    tests_windows = path.is_relative_to("tests/window")
    if path.parts[0] == "tests" and not path.name.startswith("test_"):
        return True
    if config.option.markexpr == "window":
        return None if tests_windows else True
    knows_windows = tests_windows or path.is_relative_to("src/blunet/widgets") or path.name == "_npe2.py"
    return True if knows_windows else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests in the folder `window`."""
    for item in items:
        if item.path.parent.name == "window":
            item.add_marker("window")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip a module that cannot be imported without Keras' backend."""
    report = yield
    return skipped_without_backend(report, collector.path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test that fails because Keras' backend is missing, here or in a child process."""
    report = yield
    return skipped_without_backend(report, item.path)


def skipped_without_backend(report: Report, path: Path) -> Report:
    """Turn a failure that names the missing backend into a skip."""
    if NO_BACKEND is not None and report.failed and NO_BACKEND in f"{report.longrepr} {report.sections}":
        report.outcome = "skipped"
        report.longrepr = (str(path), 0, f"Skipped: {NO_BACKEND}")
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remember how the tests went."""
    session.config.stash[STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End a process that has opened windows at once, with the tests' status.

    Taking down the interpreter, Qt and Mesa's software OpenGL now and then free what is freed already, after the last
    test and its summary: the process then ends with an abort, whatever the tests found.
    """
    if config.option.markexpr == "window" and STATUS in config.stash:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[STATUS])
