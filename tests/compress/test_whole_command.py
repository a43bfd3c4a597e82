"""`blunet compress` with its real child process: stopped, refused, on a full disk, and resumed to the same model."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from acted import WITH_INTERRUPT, posix, wait_until
from typer.testing import CliRunner

from blunet.cli import app
from blunet.compression.compression_settings import CompressionSettings, StepSettings
from blunet.compression.run_events import (
    StepStarted,
)
from blunet.compression.run_request import Request
from blunet.compression.settings_file import read_settings, write_settings
from blunet.compression.steps import STEPS
from blunet.images.normalisation_settings import Normalisation
from blunet.jobs import compression_run as job
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings

#: The child where no file may grow past 20,000 bytes.
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from blunet.compression.child_process import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A folder with pairs, and settings of a compression that takes seconds."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "data").mkdir()
    for i in range(4):
        field = simulate_dic(DicSettings(shape=(80, 96), object_diameter=20), seed=i)
        tifffile.imwrite(folder / "data" / f"f{i}.tif", field.image)
        tifffile.imwrite(folder / "data" / f"f{i}_mask.tif", field.labels.astype(np.uint16))
    step = StepSettings(epochs=2, batches=40, learning_rate=1e-3, crop=32)
    hint = step.changed(monitor="val_loss")
    settings = CompressionSettings(
        levels=2, base_filters=4, pretrain=step, transfer=step, hint_encoder=hint, hint_decoder=hint, retrain=step,
        binarise=step, normalisation=Normalisation(method="percentile", low=0.5, high=99.5, shading=20.0),
        pretraining_fields=2,
    )  # fmt: skip
    write_settings(settings, folder / "tiny.toml")
    return folder


def arguments(tiny: Path, run: Path, *more: str) -> list[str]:
    return ["compress", "--data", str(tiny / "data"), "--out", str(run), "--settings", str(tiny / "tiny.toml"), *more]


@pytest.fixture(scope="module")
def whole(tiny) -> Path:
    """The folder of an uninterrupted run."""
    result = CliRunner().invoke(app, arguments(tiny, tiny / "whole"))
    assert result.exit_code == 0, result.output
    return tiny / "whole"


def assert_same_weights(run: Path, whole: Path) -> None:
    states = [np.load(folder / "checkpoints" / "binarise-best.npz") for folder in (run, whole)]
    with states[0] as made, states[1] as wanted:
        names = [name for name in wanted if name != "progress"]
        assert len(names) > 20
        for name in names:
            np.testing.assert_allclose(made[name], wanted[name], atol=1e-4)


@posix
@pytest.mark.timeout(600)
def test_a_real_compression_is_stopped_by_ctrl_c_in_every_step_and_resumed_to_the_same_model(tiny, whole):
    begin = arguments(tiny, tiny / "run")
    again = begin
    for number, step in enumerate(STEPS, 1):
        command = [sys.executable, "-c", WITH_INTERRUPT, *again]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            wait_until(lambda number=number: process.stderr.readline().startswith(f"Step {number} of 6"))
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (130, ""), err
        last = err.splitlines()[-1]
        assert last.startswith(f"Stopped in the step '{step}', epoch ")
        assert shlex.split(last.partition("resume with: ")[2]) == ["blunet", *begin, "--resume"]
        again = [*begin, "--resume"]
        assert not (tiny / "run" / "model.blunet").exists()
        assert not (tiny / "run" / "lock").exists()
    result = CliRunner().invoke(app, again)
    assert result.exit_code == 0, result.output
    assert "Resuming: 3 images to train on, 1 to choose" in result.stderr
    rows = [line.partition("  ")[0] for line in result.stdout.splitlines()]
    assert re.fullmatch(r"BLU-Net: \d+ of \d+ cells found singly.* \(1 validation image\)\.", rows[0])
    assert rows[3:7] == ["U-Net before transfer", "U-Net", "lightweight U-Net", "BLU-Net"]
    assert_same_weights(tiny / "run", whole)
    made = ["--model", str(tiny / "run" / "model.blunet"), "--out", str(tiny / "out")]
    segmented = CliRunner().invoke(app, ["segment", str(tiny / "data" / "f0.tif"), *made])
    assert segmented.exit_code == 0, segmented.output


@contextlib.contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[None]:
    """Mount a disk of its own at a folder, for as long as the test needs it."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextlib.contextmanager
def fills(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Limit files to 20,000 bytes, or the free space of the disk to 24 KiB."""
    if kind == "limit":
        with monkeypatch.context() as patch:
            patch.setattr(job, "COMMAND", (sys.executable, "-P", "-c", LIMITED))
            yield
    else:
        room = os.statvfs(folder)
        (folder / "ballast").write_bytes(bytes(room.f_bavail * room.f_frsize - 24 * 1024))
        yield
        (folder / "ballast").unlink()


@posix
@pytest.mark.timeout(600)
def test_a_run_that_the_full_disk_prevented_can_be_started_when_there_is_space(tiny, tmp_path):
    with small_disk(tmp_path, 4):
        room = os.statvfs(tmp_path)
        (tmp_path / "ballast").write_bytes(bytes(room.f_bavail * room.f_frsize - 8 * 1024))
        result = CliRunner().invoke(app, arguments(tiny, tmp_path / "run"))
        assert (result.exit_code, result.stdout) == (2, "")
        assert "free some space, then resume the run." in result.stderr.splitlines()[-1]
        (tmp_path / "ballast").unlink()
        request = Request(
            data=str(tiny / "data"), run=str(tmp_path / "run"), settings=read_settings(tiny / "tiny.toml"), resume=True
        )
        assert any(isinstance(event, StepStarted) for event in job.compress(request))


@posix
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["limit", "disk"])
def test_a_full_disk_ends_the_run_in_one_sentence_and_it_can_be_resumed_when_there_is_space(
    tiny, whole, kind, tmp_path, monkeypatch
):
    with small_disk(tmp_path, 4) if kind == "disk" else contextlib.nullcontext():
        run = tmp_path / "run"
        shutil.copytree(whole, run)
        later = [p for p in run.rglob("*") if p.name.startswith(("retrain", "binarise", "report", "model"))]
        for path in later:  # as it stood behind the hints
            path.unlink()
        kept = {path: path.read_bytes() for path in (run / "checkpoints").iterdir()}
        assert len(kept) == 4
        with fills(kind, tmp_path, monkeypatch):
            result = CliRunner().invoke(app, arguments(tiny, run, "--resume"))
        assert (result.exit_code, result.stdout) == (2, "")
        reason = "File too large" if kind == "limit" else "No space left on device"
        assert result.stderr.splitlines()[-1] == (
            f"Error: The checkpoint '{run / 'checkpoints' / 'retrain-last.npz'}' cannot be written ({reason}); "
            "free some space, then continue with --resume."
        )
        assert "Traceback" not in result.stderr
        assert {path: path.read_bytes() for path in kept} == kept
        assert not [path for path in run.rglob(".*") if path.is_file()]
        result = CliRunner().invoke(app, arguments(tiny, run, "--resume"))
        assert result.exit_code == 0, result.output
        assert_same_weights(run, whole)


def test_a_folder_without_pairs_is_refused_by_the_real_child_process(tiny):
    out = tiny / "never"
    result = CliRunner().invoke(app, ["compress", "--data", str(tiny / "nowhere"), "--out", str(out)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert "nowhere" in result.stderr
    assert not out.exists()


def test_a_backend_that_is_missing_is_named(tiny, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "nonesuch")
    result = CliRunner().invoke(app, ["compress", "--data", str(tiny / "data"), "--out", str(tiny / "never")])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot be imported" in result.stderr
    assert "nonesuch" in result.stderr
    assert len(result.stderr.splitlines()) == 1
