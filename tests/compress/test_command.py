"""Output and exit codes of `blunet compress`, with a child process that acts."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from acted import ACTING, COMMAND, lives, posix, wait_until
from typer.testing import CliRunner

from blunet.cli import app
from blunet.cli.compress import describe_place
from blunet.compression.presets import preset
from blunet.compression.run_events import (
    Event,
    RunStopped,
)
from blunet.compression.run_request import Request
from blunet.compression.settings_file import write_settings
from blunet.jobs import compression_run as job
from blunet.jobs.events import CancelToken


@pytest.fixture
def command(tmp_path, monkeypatch) -> Callable[..., object]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "COMMAND", ACTING)

    def run(*arguments: object):
        return CliRunner().invoke(app, ["compress", "--data", "data", "--out", "run", *map(str, arguments)])

    return run


def test_the_command_shows_epochs_the_table_and_the_model(command):
    result = command("--teacher", "finishes")
    assert result.exit_code == 0, result.output
    assert "2 images to train on, 1 to choose" in result.stderr
    assert "Estimate: 13 minutes and 134 MB" in result.stderr
    assert "Step 1 of 2: Transfer learning (phase 1, 1000 epochs of 10 batches)" in result.stderr
    assert "Warning: The mask 'b_mask.tif' is empty." in result.stderr
    epochs = [line for line in result.stderr.splitlines() if "  epoch " in line]
    assert len(epochs) == 2
    assert "val IoU 0.8125" in epochs[1]
    assert epochs[1].endswith("best")
    caption, _, *lines = result.stdout.splitlines()
    assert caption == "BLU-Net: Mean of 2 test images."
    assert lines[0].split() == ["cells", "found", "IoU", "F1", "AP50", "mAP", "parameters", "MiB", "s", "per", "image"]
    assert lines[1].split() == [
        "teacher",
        "before",
        "–",
        "0.5000",
        "0.6000",
        "0.2500",
        "0.1250",
        "31,030,593",
        "118.372",
        "1.500",
    ]
    assert lines[2].split() == ["BLU-Net", "–", "0.8750", "0.9000", "0.7500", "0.3750", "11,787,396", "1.431", "0.250"]
    assert f"blunet segment IMAGE --model {Path('run', 'model.blunet')} --out DIR" in lines[-1]


@pytest.mark.parametrize("act", ["refuses", "gives_up", "breaks"])
def test_the_command_fails_in_one_sentence(command, act):
    result = command("--teacher", act)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in result.stderr


def test_the_command_quotes_a_child_process_that_died(command):
    result = command("--teacher", "leaves")
    assert (result.exit_code, result.stdout) == (2, "")
    error, quoted = result.stderr.splitlines()[-2:]
    assert error.startswith("Error: ")
    assert "exit code 3" in error
    assert quoted == "  | the backend gave up"


def test_settings_are_checked_before_anything_starts(command, tmp_path):
    (tmp_path / "mine.toml").write_text("[binarise]\nepochs = -1\n")
    for name, word in (("mine.toml", "epochs"), ("nowhere.toml", "nowhere.toml")):
        result = command("--teacher", "finishes", "--settings", name)
        assert (result.exit_code, result.stdout) == (2, "")
        assert word in result.stderr
    assert not (tmp_path / "run").exists()


def test_resuming_uses_the_settings_and_the_teacher_of_the_run(command, tmp_path, monkeypatch):
    run = tmp_path / "run"
    run.mkdir()
    begun = preset("study").changed(seed=7)
    write_settings(begun, run / "settings.toml")
    text = (run / "settings.toml").read_text()
    older = text.replace('validation_order = "random"\n', "")  # begun before there was this setting
    assert older != text
    (run / "settings.toml").write_text(older)
    (run / "run.json").write_text(json.dumps({"teacher": "finishes"}))
    (tmp_path / "more.toml").write_text("[binarise]\nepochs = 500\n")
    asked, really = [], job.compress

    def watched(request: Request, token: CancelToken) -> Iterator[Event]:
        asked.append(request)
        return really(request, token)

    monkeypatch.setattr(job, "compress", watched)
    assert command("--resume").exit_code == 0
    assert command("--resume", "--settings", "more.toml").exit_code == 0
    assert [request.teacher for request in asked] == ["finishes"] * 2
    assert asked[0].settings == begun
    assert asked[1].settings == begun.changed(binarise=begun.binarise.changed(epochs=500))


@posix
@pytest.mark.parametrize(
    ("act", "number"), [("trains", signal.SIGINT), ("hangs", signal.SIGINT), ("trains", signal.SIGTERM)]
)
def test_ctrl_c_and_a_termination_signal_save_and_print_how_to_resume(tmp_path, act, number):
    arguments = ["compress", "--data", "my data", "--out", "run", "--teacher", act]
    command = [sys.executable, "-c", COMMAND, *arguments]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        wait_until(lambda: process.stderr.readline().startswith("Step 1 of 2"))
        process.send_signal(number)
        if act == "hangs":  # a second one does not wait for the batch
            wait_until(lambda: process.stderr.readline().startswith("Stopping"))
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("Stopped")
    assert shlex.split(last.partition("resume with: ")[2]) == ["blunet", *arguments, "--resume"]
    assert (tmp_path / "run" / "saved").exists() == (act == "trains")
    assert (tmp_path / "run" / "tidied").exists() == (act == "trains")
    assert not lives(int((tmp_path / "run" / "pid").read_text()))


@posix
def test_a_terminal_shows_bars_that_vanish(tmp_path):
    import pty

    terminal, end = pty.openpty()
    arguments = ["compress", "--data", "data", "--out", "run", "--teacher", "prepares"]
    command = [sys.executable, "-c", COMMAND, *arguments]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=end, env=environment) as process:
        os.close(end)
        shown = b""
        while b"about 13 minutes left" not in shown:
            shown += os.read(terminal, 4096)
        process.send_signal(signal.SIGINT)
        while b"resume with" not in shown:
            shown += os.read(terminal, 4096)
    os.close(terminal)
    assert process.returncode == 130
    text = shown.decode()
    for word in ("Preparing", "Step", "1 of 2", "Epoch", "of 1000", "Batch", "loss 0.5"):
        assert word in text
    assert "  epoch " not in text
    assert "\x1b[2K" in text  # the bars' lines are erased


def test_the_place_where_a_run_was_stopped_is_described():
    assert describe_place(RunStopped("retrain", 2, 7)) == " in the step 'retrain', epoch 2, batch 7"
    assert describe_place(RunStopped("retrain", 0, 0)) == " before the step 'retrain'"
    assert describe_place(RunStopped("report", 0, 0)) == " while the stages were scored; all steps are done"
