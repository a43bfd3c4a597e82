"""The command as its own process: what it may import, Ctrl-C, and the demo."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from bright_model import put_model_and_image, squares
from PIL import Image

#: Runs the command with its arguments where what trains cannot be imported.
WITHOUT_TRAINING = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("keras", "tensorflow", "jax", "torch", "napari", "qtpy"):
            raise ImportError(f"{name} is not installed")
sys.meta_path.insert(0, Wall())
from blunet.cli import main
main()
"""
#: Runs the command as a shell would, also where this process was told to ignore Ctrl-C.
WITH_INTERRUPT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from blunet.cli import main
main()
"""


def python(code: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path) -> Path:
    return put_model_and_image(tmp_path)


def test_segmenting_needs_neither_keras_nor_napari(folder):
    arguments = ["segment", "a.tif", "--model", "model.blunet", "--out", "out", "--measure", "--json"]
    process = python(WITHOUT_TRAINING, *arguments, cwd=folder)
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["images"][0]["objects"] == 2


def test_describing_importing_and_scoring_need_neither(folder, legacy):
    (folder / "a_mask.tif").write_bytes((folder / "a.tif").read_bytes())
    for arguments in (
        ["info", "model.blunet"],
        ["import-weights", legacy / "blu_net.h5", "--network", "blunet", "--out", "old.blunet"],
        ["evaluate", "model.blunet", "--data", "."],
        ["--help"],
        ["--version"],
    ):
        process = python(WITHOUT_TRAINING, *arguments, cwd=folder)
        assert process.returncode == 0, process.stderr
        assert process.stdout


def test_commands_that_need_keras_say_so_if_it_is_missing(folder, legacy):
    arguments = ["import-weights", legacy / "unet.h5", "--network", "unet", "--out", "old.keras"]
    process = python(WITHOUT_TRAINING, *arguments, cwd=folder)
    assert process.returncode == 2
    assert process.stderr.startswith("Error: ")
    assert "Keras" in process.stderr
    assert len(process.stderr.splitlines()) == 1


def test_the_demo_needs_neither_and_shows_the_cells(folder):
    process = python(WITHOUT_TRAINING, "demo", "--out", "shown", cwd=folder)
    assert process.returncode == 0, process.stderr
    shown = folder / "shown"
    assert sorted(path.name for path in shown.iterdir()) == ["labels.tif", "overlay.png", "probability.tif"]
    last = process.stdout.splitlines()[-1]
    told = re.fullmatch(r"IoU (0\.\d+); (\d+) of 56 cells found singly.*", last)
    assert told is not None, last
    assert float(told[1]) >= 0.85
    assert int(told[2]) >= 40
    labels, found = (tifffile.imread(shown / name) for name in ("labels.tif", "probability.tif"))
    assert labels.shape == found.shape
    assert labels.max() > 10
    picture = np.asarray(Image.open(shown / "overlay.png"))
    assert picture.shape[-1] == 3
    assert np.ptp(picture.astype(int), axis=2).max() > 100


def test_help_loads_no_library():
    code = "from blunet.cli import app; import json, sys; print(json.dumps(sorted(sys.modules)))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(process.stdout)}
    assert "typer" in loaded
    assert loaded.isdisjoint({"numpy", "scipy", "skimage", "tifffile", "PIL", "numba", "pydantic"})


def test_bad_input_in_a_process_of_its_own(folder):
    command = [sys.executable, "-m", "blunet", "segment", "nowhere.tif", "--model", "model.blunet"]
    process = subprocess.run([*command, "--out", "out"], cwd=folder, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr == "Error: There is no file or folder 'nowhere.tif'; check the name.\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_interrupting_leaves_only_complete_files(folder):
    # The second file is long enough to be interrupted in: 400 frames.
    frames = np.broadcast_to(np.kron(squares(), np.ones((8, 8), np.uint8)), (400, 480, 720))
    tifffile.imwrite(folder / "z.tif", frames, imagej=True, metadata={"axes": "TYX"})
    arguments = ["segment", "a.tif", "z.tif", "--model", "model.blunet", "--out", "out", "--probability"]
    arguments += ["--summary", "images.csv", "--objects-table", "objects.csv"]
    command = [sys.executable, "-c", WITH_INTERRUPT, *arguments]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()  # the file alone may be there before it is counted
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err == "Stopped: 1 of 2 inputs done. Repeat it with --resume to go on.\n"
    assert "a.tif" in first
    files = ["a_labels.tif", "a_objects.csv", "a_probability.tif"]
    assert sorted(path.name for path in (folder / "out").iterdir()) == files
    assert [line.split(",")[:2] for line in (folder / "images.csv").read_text().splitlines()[1:]] == [
        ["a.tif", "segmented"]
    ]
    assert len((folder / "objects.csv").read_text().splitlines()) == 3  # the heading and two objects
    assert tifffile.imread(folder / "out" / "a_labels.tif").max() == 2
