"""Which package may import which, and what an import must not load."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import blunet

TRAINING = {"jax", "keras", "tensorflow", "torch"}
WINDOWS = {"magicgui", "napari", "PyQt5", "PyQt6", "pyqtgraph", "PySide6", "qtpy", "superqt", "vispy"}

LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"
EVERY_MODULE_OF = """
import importlib, pkgutil
for name in {packages}:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), name + "."):
        importlib.import_module(module.name)
"""


def loaded_by(code: str) -> set[str]:
    """Names of the top-level packages that a fresh Python has loaded after running `code`."""
    code += "\nimport json, sys\nprint(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return set(json.loads(process.stdout.splitlines()[-1]))


def test_contracts_hold(root: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", LINT_IMPORTS, "--no-cache", "--no-logo"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    with (root / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    assert f"{len(contracts)} kept, 0 broken" in process.stdout


def test_import_of_the_package_loads_no_library() -> None:
    loaded = loaded_by("import blunet")
    assert "blunet" in loaded
    assert loaded.isdisjoint(TRAINING | WINDOWS | {"numba", "numpy", "pydantic", "scipy", "skimage", "typer"})


def test_import_of_the_command_loads_neither_training_nor_windows() -> None:
    loaded = loaded_by("import blunet.cli")
    assert "blunet" in loaded
    assert loaded.isdisjoint(TRAINING | WINDOWS | {"numba", "scipy", "skimage"})


@pytest.mark.parametrize("package", ["architecture", "images", "packed", "segmentation", "evaluation"])
def test_packages_that_segment_load_neither_training_nor_windows(package: str) -> None:
    loaded = loaded_by(EVERY_MODULE_OF.format(packages=[f"blunet.{package}"]))
    assert "blunet" in loaded
    assert loaded.isdisjoint(TRAINING | WINDOWS)


def test_packages_that_train_load_no_windows() -> None:
    loaded = loaded_by(EVERY_MODULE_OF.format(packages=["blunet.networks", "blunet.compression", "blunet.jobs"]))
    assert "keras" in loaded
    assert loaded.isdisjoint(WINDOWS)


def test_import_of_the_widgets_loads_no_training() -> None:
    loaded = loaded_by(EVERY_MODULE_OF.format(packages=["blunet.widgets", "blunet._npe2"]))
    assert "blunet" in loaded
    assert loaded.isdisjoint(TRAINING)


def test_public_names_come_when_asked_for() -> None:
    from blunet.packed.packed_model import PackedModel, load_model
    from blunet.segmentation.array_segmentation import segment

    assert blunet.PackedModel is PackedModel
    assert blunet.load_model is load_model
    assert blunet.segment is segment
    assert blunet.__version__ == version("napari-blunet")
    assert set(blunet.__all__) <= set(dir(blunet))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'blunet' has no attribute 'segmnet'"):
        _ = blunet.segmnet  # type: ignore[attr-defined]
