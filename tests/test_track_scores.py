"""`blunet evaluate --tracks`: SEG, DET, TRA and divisions, by the reference implementation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from moving_discs import draw_discs, straight
from typer.testing import CliRunner, Result

from blunet.cli import app

pytest.importorskip("ctc_metrics")


def run(*args: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, args), "--tracks"])


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    labels = draw_discs(
        {
            1: straight(range(4), (48, 40), (0, 1), radius=12),
            2: straight(range(4, 8), (40, 44), (-2, 0)),
            3: straight(range(4, 8), (56, 44), (2, 0)),
            4: straight(range(8), (20, 80), (1, 0), radius=10),
        },
        8,
    )
    for folder, name in (("TRA", "man_track"), ("SEG", "man_seg")):
        (tmp_path / "01_GT" / folder).mkdir(parents=True)
        for t, frame in enumerate(labels):
            tifffile.imwrite(tmp_path / "01_GT" / folder / f"{name}{t:03d}.tif", frame.astype(np.uint16))
    (tmp_path / "01_GT" / "TRA" / "man_track.txt").write_text("1 0 3 0\n2 4 7 1\n3 4 7 1\n4 0 7 0\n")
    return tmp_path / "01_GT"


def test_tracks_are_scored_by_their_truth(truth: Path, tmp_path: Path) -> None:
    CliRunner().invoke(app, ["track", str(truth), "--out", str(tmp_path / "res")])
    result = run(tmp_path / "res", "--data", truth)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "SEG 1.000   DET 1.000   TRA 1.000",
        "Divisions: 1 of 1 found, 0 wrongly, F1 1.000 (at most 1 frame early or late)",
    ]
    CliRunner().invoke(app, ["track", str(truth), "--out", str(tmp_path / "none"), "--no-divisions"])
    found = json.loads(run(tmp_path / "none", "--data", truth, "--json").stdout)
    assert (found["divisions"], found["found"], found["correct"], found["division_f1"]) == (1, 0, 0, 0)
    assert found["det"] == 1
    assert 0.9 < found["tra"] < 1


def test_what_cannot_be_scored_is_named(truth: Path, tmp_path: Path) -> None:
    nothing = run(tmp_path, "--data", truth)
    assert nothing.exit_code == 2
    assert "has no 'res_track.txt' with 'mask000.tif' and so on" in nothing.stderr
    CliRunner().invoke(app, ["track", str(truth), "--out", str(tmp_path / "res")])
    (tmp_path / "res" / "mask007.tif").unlink()
    short = run(tmp_path / "res", "--data", truth)
    assert short.exit_code == 2
    assert "has 7 frames and" in short.stderr
    (tmp_path / "res" / "res_track.txt").write_text("2 0 7 1\n1 0 7 0\n")
    assert (
        "line 1 says that track 2 begins in frame 0, but its parent 1 ends"
        in run(tmp_path / "res", "--data", truth).stderr
    )
