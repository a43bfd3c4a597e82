"""The process that compresses and the command that shows it: events, cancel, and every way in which it can end."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
from typer.testing import CliRunner

from blunet.cli import app
from blunet.cli.compress import place
from blunet.compression.events import (
    BatchDone,
    EpochDone,
    Event,
    Note,
    RunDone,
    RunFailed,
    RunStarted,
    RunStopped,
    StepStarted,
)
from blunet.compression.request import Request
from blunet.compression.settings import STEPS, CompressionSettings, StepSettings, preset, read_settings
from blunet.images.normalise import Normalisation
from blunet.images.simulate import DicSettings, simulate_dic
from blunet.jobs import compress as job
from blunet.jobs.events import Cancelled, CancelToken

ACTING = (sys.executable, str(Path(__file__).with_name("acting_child.py")))
#: Runs the command as a shell would, also where this process was told to ignore Ctrl-C.
WITH_INTERRUPT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from blunet.cli import main
main()
"""
#: The same on acts.
COMMAND = f"from blunet.jobs import compress as job\njob.COMMAND = {ACTING!r}\n{WITH_INTERRUPT}"
#: Compresses with the command line's job and prints what comes.
PARENT = f"""
import sys
from blunet.compression.request import request_from_json
from blunet.jobs.compress import compress
for event in compress(request_from_json(sys.argv[1]), command={ACTING!r}):
    print(type(event).__name__, flush=True)
"""
#: The child where no file may grow past 12,000 bytes.
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))
from blunet.compression.child import main
sys.exit(main())
"""
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@pytest.fixture
def request_to(tmp_path) -> Callable[[str], Request]:
    return lambda act: Request("data", str(tmp_path / "run"), preset("quick"), act)


def compress(request: Request, token: CancelToken | None = None, grace: float = 30.0) -> Iterator[Event]:
    return job.compress(request, token, grace=grace, command=ACTING)


def child_of(request: Request) -> int:
    return int((Path(request.run) / "pid").read_text())


def lives(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for something that must happen; the test's own time limit ends a vain wait."""
    while not true():
        time.sleep(0.02)


def test_events_come_whole_and_in_order(request_to):
    events = list(compress(request_to("finishes")))
    kinds = [type(event).__name__ for event in events]
    assert kinds == [
        "RunStarted", "StepStarted", "Note", "BatchDone", "EpochDone", "BatchDone", "EpochDone", "StepDone", "RunDone",
    ]  # fmt: skip
    assert events[0] == RunStarted(
        request_to("").run, ["transfer", "binarise"], ["a", "c"], ["b"], [], False, 754.0, 2**27
    )
    assert events[3] == BatchDone("transfer", 1, 2, 10, 10, 0.5, 754.0)


def test_the_request_arrives_as_it_was_sent(request_to):
    request = replace(request_to("finishes"), resume=True)
    started = next(event for event in compress(request) if isinstance(event, RunStarted))
    assert started.resumed


def test_what_libraries_print_is_no_event(request_to):
    assert list(compress(request_to("chatters"))) == list(compress(request_to("finishes")))


def test_cancelling_stops_at_the_next_batch_and_saves(request_to):
    request, token = request_to("trains"), CancelToken()
    events = []
    for event in compress(request, token):
        events.append(event)
        if isinstance(event, EpochDone):
            token.cancel()
    stopped = events[-1]
    assert isinstance(stopped, RunStopped)
    assert (Path(request.run) / "saved").read_text() == f"{stopped.epoch} {stopped.batch}"
    assert sum(isinstance(event, Note) for event in events) == 1
    assert not lives(child_of(request))


def test_closing_the_events_stops_saves_and_waits(request_to):
    request = request_to("trains")
    events = compress(request)
    assert any(isinstance(event, BatchDone) for event in events)
    events.close()
    assert (Path(request.run) / "saved").exists()
    assert not lives(child_of(request))


def test_a_child_that_does_not_stop_is_killed_after_the_grace_period(request_to):
    request, token = request_to("hangs"), CancelToken()
    events = compress(request, token, grace=0.5)
    assert isinstance(next(events), RunStarted)
    token.cancel()
    with pytest.raises(Cancelled):
        list(events)
    assert not lives(child_of(request))


def test_a_child_that_has_ended_its_run_is_not_waited_for_for_ever(request_to):
    request = request_to("lives_on")
    assert isinstance(list(compress(request, grace=0.5))[-1], RunDone)
    assert not lives(child_of(request))


@pytest.mark.parametrize(
    ("act", "words"),
    [
        ("refuses", ["There is no folder 'data'; give one with images and masks."]),
        ("gives_up", ["The loss is not a number; lower the learning rate."]),
        ("breaks", ["unexpected ZeroDivisionError", "division", "log.txt"]),
        ("fills_the_disk", ["disk of", "is full", "resume"]),
    ],
)
def test_failures_are_told_in_one_sentence(request_to, act, words):
    last = list(compress(request_to(act)))[-1]
    assert isinstance(last, RunFailed)
    assert "\n" not in last.sentence
    assert last.sentence.endswith(".")
    for word in words:
        assert word in last.sentence


def test_the_traceback_of_an_unexpected_error_is_kept(request_to):
    request = request_to("breaks")
    list(compress(request))
    assert "in breaks" in (Path(request.run) / "log.txt").read_text()


def test_an_early_exit_is_an_error_with_the_last_lines(request_to):
    request = request_to("leaves")
    with pytest.raises(job.ChildError, match="exit code 3") as error:
        list(compress(request))
    assert error.value.last_lines[-1] == "the backend gave up"
    assert "the backend gave up" in (Path(request.run) / "log.txt").read_text()


@posix
def test_a_crash_is_an_error_that_names_the_signal_and_the_place(request_to):
    request = request_to("crashes")
    with pytest.raises(job.ChildError, match=r"signal 11 \(SIGSEGV\)") as error:
        list(compress(request))
    assert "in crashes" in " ".join(error.value.last_lines)
    assert "Segmentation fault" in (Path(request.run) / "log.txt").read_text()


@posix
def test_a_killed_child_is_an_error_that_speaks_of_memory(request_to):
    request = request_to("trains")
    events = compress(request)
    next(event for event in events if isinstance(event, BatchDone))
    os.kill(child_of(request), signal.SIGKILL)
    with pytest.raises(job.ChildError, match=r"SIGKILL.*memory"):
        list(events)


@posix
def test_the_child_leaves_ctrl_c_to_its_parent_and_takes_a_termination_for_a_cancel(request_to):
    request, token = request_to("trains"), CancelToken()
    events = compress(request, token)
    next(event for event in events if isinstance(event, BatchDone))
    os.kill(child_of(request), signal.SIGINT)
    assert next(event for event in events if isinstance(event, EpochDone))
    os.kill(child_of(request), signal.SIGTERM)
    assert isinstance(list(events)[-1], RunStopped)


@posix
def test_a_child_whose_parent_was_killed_saves_and_ends(request_to):
    request = request_to("trains")
    command = [sys.executable, "-c", PARENT, request.to_json()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        wait_until(lambda: parent.stdout.readline() == "BatchDone\n")
        parent.kill()
    wait_until(lambda: (Path(request.run) / "saved").exists())
    child = child_of(request)
    wait_until(lambda: not lives(child))


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
    assert "Estimate: 13 min and 128 MiB" in result.stderr
    assert "Step 1 of 2: phase 1, transfer learning (1000 epochs of 10 batches)" in result.stderr
    assert "Warning: The mask 'b_mask.tif' is empty." in result.stderr
    epochs = [line for line in result.stderr.splitlines() if "  epoch " in line]
    assert len(epochs) == 2
    assert "val IoU 0.8125" in epochs[1]
    assert epochs[1].endswith("best")
    caption, *lines = result.stdout.splitlines()
    assert caption == "Mean of 2 test images:"
    assert lines[0].split() == ["IoU", "F1", "AP50", "parameters", "MiB", "s", "per", "image"]
    assert lines[1].split() == ["teacher", "before", "0.5000", "0.6000", "0.2500", "31,030,593", "118.372", "1.500"]
    assert lines[2].split() == ["BLU-Net", "0.8750", "0.9000", "0.7500", "11,787,396", "1.431", "0.250"]
    assert f"blunet segment IMAGE --model {Path('run', 'model.blunet')} --out DIR" in lines[-1]


@pytest.mark.parametrize("act", ["refuses", "gives_up", "breaks"])
def test_the_command_fails_in_one_sentence(command, act):
    result = command("--teacher", act)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in result.stderr


def test_the_command_quotes_a_dead_child(command):
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


def test_resuming_takes_the_settings_and_the_teacher_of_the_run(command, tmp_path, monkeypatch):
    run = tmp_path / "run"
    run.mkdir()
    begun = replace(preset("study"), seed=7)
    begun.write(run / "settings.toml")
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
    assert asked[1].settings == replace(begun, binarise=replace(begun.binarise, epochs=500))


@posix
@pytest.mark.parametrize(
    ("act", "number"), [("trains", signal.SIGINT), ("hangs", signal.SIGINT), ("trains", signal.SIGTERM)]
)
def test_ctrl_c_and_a_termination_save_and_say_how_to_go_on(tmp_path, act, number):
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
    assert shlex.split(last.partition("go on with: ")[2]) == ["blunet", *arguments, "--resume"]
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
        while b"about 13 min left" not in shown:
            shown += os.read(terminal, 4096)
        process.send_signal(signal.SIGINT)
        while b"go on with" not in shown:
            shown += os.read(terminal, 4096)
    os.close(terminal)
    assert process.returncode == 130
    text = shown.decode()
    for word in ("Preparing", "Step", "1 of 2", "Epoch", "of 1000", "Batch", "loss 0.5"):
        assert word in text
    assert "  epoch " not in text
    assert "\x1b[2K" in text  # the bars' lines are erased


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A folder with pairs, and settings of a compression that takes seconds."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "data").mkdir()
    for i in range(4):
        field = simulate_dic(DicSettings(shape=(80, 96), object_diameter=20), seed=i)
        tifffile.imwrite(folder / "data" / f"f{i}.tif", field.image)
        tifffile.imwrite(folder / "data" / f"f{i}_mask.tif", field.labels.astype(np.uint16))
    step = StepSettings(2, 40, 1e-3, crop=32)
    hint = replace(step, monitor="val_loss")
    CompressionSettings(
        levels=2, base_filters=4, pretrain=step, transfer=step, hint_encoder=hint, hint_decoder=hint, retrain=step,
        binarise=step, normalisation=Normalisation("percentile", 0.5, 99.5, 20.0), pretraining_fields=2,
    ).write(folder / "tiny.toml")  # fmt: skip
    return folder


def arguments(tiny: Path, run: Path, *more: str) -> list[str]:
    return ["compress", "--data", str(tiny / "data"), "--out", str(run), "--settings", str(tiny / "tiny.toml"), *more]


@pytest.fixture(scope="module")
def whole(tiny) -> Path:
    """The folder of a run that nobody disturbed."""
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
        assert shlex.split(last.partition("go on with: ")[2]) == ["blunet", *begin, "--resume"]
        again = [*begin, "--resume"]
        assert not (tiny / "run" / "model.blunet").exists()
        assert not (tiny / "run" / "lock").exists()
    result = CliRunner().invoke(app, again)
    assert result.exit_code == 0, result.output
    assert "Going on: 3 images to train on, 1 to choose" in result.stderr
    rows = [line.partition("  ")[0] for line in result.stdout.splitlines()]
    assert rows[0] == "Mean of 1 validation image:"
    assert rows[2:6] == ["U-Net before transfer", "U-Net", "lightweight U-Net", "BLU-Net"]
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
    """Let no file grow past 12,000 bytes, or leave no more than 24 KiB of the disk free."""
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
def test_a_run_for_whose_beginning_the_disk_has_no_room_can_be_begun_once_it_has(tiny, tmp_path):
    with small_disk(tmp_path, 4):
        room = os.statvfs(tmp_path)
        (tmp_path / "ballast").write_bytes(bytes(room.f_bavail * room.f_frsize - 8 * 1024))
        result = CliRunner().invoke(app, arguments(tiny, tmp_path / "run"))
        assert (result.exit_code, result.stdout) == (2, "")
        assert "make room, then resume the run." in result.stderr.splitlines()[-1]
        (tmp_path / "ballast").unlink()
        request = Request(str(tiny / "data"), str(tmp_path / "run"), read_settings(tiny / "tiny.toml"), resume=True)
        assert any(isinstance(event, StepStarted) for event in job.compress(request))


def test_it_is_said_where_a_run_was_stopped():
    assert place(RunStopped("retrain", 2, 7)) == " in the step 'retrain', epoch 2, batch 7"
    assert place(RunStopped("retrain", 0, 0)) == " before the step 'retrain'"
    assert place(RunStopped("report", 0, 0)) == " while the stages were scored; all steps are done"


@posix
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["limit", "disk"])
def test_a_disk_that_fills_up_ends_the_run_in_one_sentence_and_with_room_it_goes_on(
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
            "make room and go on with --resume."
        )
        assert "Traceback" not in result.stderr
        assert {path: path.read_bytes() for path in kept} == kept
        assert not [path for path in run.rglob(".*") if path.is_file()]
        result = CliRunner().invoke(app, arguments(tiny, run, "--resume"))
        assert result.exit_code == 0, result.output
        assert_same_weights(run, whole)


def test_a_folder_without_pairs_is_refused_by_the_real_child(tiny):
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


def test_watching_needs_no_keras():
    code = "import blunet.jobs.compress, blunet.cli.steps, sys; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"keras", "tensorflow", "qtpy", "h5py"}.isdisjoint(process.stdout.split())
