"""What is missing or still being written is said: numbers in a series, chunks of a Zarr, files that change."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from bright_model import put_model_and_image, squares
from ome_zarr.writer import write_image
from typer.testing import CliRunner

from blunet import load_model
from blunet.cli import app
from blunet.images.frame_numbers import describe_missing_frames
from blunet.jobs.events import CancelToken, FrameDone, Segmented, Skipped
from blunet.jobs.file_segmentation import segment_files
from blunet.jobs.layer_plan import plan_layers


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return put_model_and_image(tmp_path)


def run(*arguments: str):
    return CliRunner().invoke(app, ["segment", *arguments, "--model", "model.blunet", "--out", "out"])


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["t1", "t2", "t4", "t5"], "lacks the number 3;"),
        (["t000_c1", "t010_c1", "t040_c1", "t050_c1", "t060_c1"], "lacks the numbers 20, 30;"),
        ([f"t{n}" for n in (*range(5), *range(20, 40))], "lacks the numbers 5, 6, 7, 8, 9 and 10 more;"),
        (["t1", "t2", "t3"], ""),
        (["t1", "t5"], ""),
        (["t1", "t3", "t5"], ""),
        (["a1_t1", "a2_t2", "a4_t3"], ""),
        (["x", "y", "z7"], ""),
        (["2021", "2070", "2099", "2100"], ""),
    ],
)
def test_numbers_that_a_series_lacks(names, missing):
    said = describe_missing_frames([Path(f"{name}.tif") for name in names])
    assert missing in said
    assert bool(said) == bool(missing)


def test_a_missing_frame_is_said_in_terminal_and_window(folder):
    lapse = folder / "lapse"
    lapse.mkdir()
    for t in (0, 1, 3, 4):
        tifffile.imwrite(lapse / f"t{t}.tif", np.roll(squares(), t, 0))
    result = run("lapse", "--time-lapse")
    assert result.exit_code == 0
    assert "Warning: The series 't0.tif' to 't4.tif' lacks the number 2" in result.stderr
    assert tifffile.imread("out/lapse_labels.tif").shape == (4, 60, 90)
    assert "lacks the number 2" in plan_layers(["lapse"], token=CancelToken()).left_out[0]


def test_missing_chunks_are_counted(folder):
    group = zarr.open_group("x.zarr", mode="w", zarr_format=3)
    write_image(squares(), group, axes=["y", "x"], scale_factors=[], storage_options={"chunks": (30, 30)})
    assert run("x.zarr").stderr == ""
    shutil.rmtree("x.zarr/s0/c/0", ignore_errors=True)
    shutil.rmtree("x.zarr/0/c/0", ignore_errors=True)
    result = run("x.zarr")
    assert result.exit_code == 0
    assert "'x.zarr' lacks 3 of its 6 chunks, which count as 0" in result.stderr


def test_a_file_that_grows_is_not_taken_for_complete(folder):
    """Its image is left out, the next one goes on, and nothing is written of it."""
    frames = np.stack([np.roll(squares(), t, 0) for t in range(6)])
    tifffile.imwrite("0.tif", frames, imagej=True, metadata={"axes": "TYX"})
    events = []
    for event in segment_files(["0.tif", "a.tif"], "out", load_model("model.blunet")):
        if isinstance(event, FrameDone) and event.frame == 2:
            with open("0.tif", "ab") as file:
                file.write(b"the next frame")
        events.append(event)
    (skipped,) = (event for event in events if isinstance(event, Skipped))
    assert "'0.tif' has changed while it was read" in skipped.reason
    assert [event.image.name for event in events if isinstance(event, Segmented)] == ["a.tif"]
    assert [path.name for path in Path("out").iterdir()] == ["a_labels.tif"]
