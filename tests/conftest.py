"""Where the tests' data lie, and how networks run in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from eagerly import run_eagerly

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def legacy() -> Path:
    """Checkpoints in the published format (two levels, random weights) and `expected.npz`, their outputs."""
    return ROOT / "tests" / "data" / "legacy"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images with masks made by hand, which lie beside the project and are not part of it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real images are not at hand: there is no folder {folder}")
    return folder


@pytest.fixture(scope="module")
def eager() -> Iterator[None]:
    """Run networks operation by operation: to trace a graph takes longer than a few batches."""
    with run_eagerly():
        yield
