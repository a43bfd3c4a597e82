"""A batch shared among local processes and the workers of a scheduler."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from bright_model import bright_model, squares
from distributed import Client, LocalCluster
from typer.testing import CliRunner

from blunet.cli import app
from blunet.errors import InputError
from blunet.jobs.cluster import Cluster
from blunet.jobs.events import Cancelled, CancelToken, Segmented, Skipped, Started
from blunet.jobs.file_segmentation import segment_files
from blunet.packed.packed_model import load_model

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning"
)  # of the processes that a cluster leaves to the system


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, with a model and twelve images, one of which is damaged."""
    monkeypatch.chdir(tmp_path)
    bright_model().save("model.blunet")
    Path("images").mkdir()
    for i in range(12):
        tifffile.imwrite(f"images/t{i:02d}.tif", np.roll(squares((400, 400)), i, 0))
    Path("images/t05.tif").write_bytes(b"II*\0broken")
    return tmp_path


@pytest.fixture
def scheduler():
    """A local cluster of two processes, as a scheduler with an address."""
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        yield cluster


def run(*arguments: str):
    return CliRunner().invoke(app, ["segment", "images", "--model", "model.blunet", *arguments])


def test_workers_give_what_one_process_gives():
    """Labels, tables and events are equal; a damaged file is skipped, and the command can go on with a batch."""
    assert run("--out", "one", "--measure").exit_code == 1
    result = run("--out", "two", "--measure", "--workers", "2", "--json")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert sorted(Path(image["image"]).name for image in content["images"]) == [
        f"t{i:02d}.tif" for i in range(12) if i != 5
    ]
    assert [Path(skipped["image"]).name for skipped in content["skipped"]] == ["t05.tif"]
    for path in sorted(Path("one").iterdir()):
        other = Path("two", path.name)
        assert (path.read_bytes() == other.read_bytes()) if path.suffix == ".csv" else (
            np.array_equal(tifffile.imread(path), tifffile.imread(other))
        )  # fmt: skip
    Path("two/t03_labels.tif").unlink()
    assert "(10 finished before)" in run("--out", "two", "--measure", "--workers", "1", "--resume").stdout


def test_a_worker_that_dies_costs_no_image(scheduler):
    address = scheduler.scheduler_address
    killed = []
    done = []
    for event in segment_files(["images"], "out", load_model("model.blunet"), cluster=Cluster(scheduler=address)):
        if isinstance(event, Segmented):
            done.append(event.image.name)
        if not killed and isinstance(event, Started):
            with Client(address) as client:
                pid = next(iter(client.run(os.getpid).values()))
            threading.Timer(0.1, os.kill, (pid, signal.SIGKILL)).start()
            killed.append(pid)
        if isinstance(event, Skipped):
            assert event.image.name == "t05.tif"
    assert sorted(done) == [f"t{i:02d}.tif" for i in range(12) if i != 5]
    assert not list(Path("out").glob("*.tif.*"))


def test_a_cancelled_batch_stops_and_goes_on(scheduler):
    token, cluster = CancelToken(), Cluster(scheduler=scheduler.scheduler_address)
    events = segment_files(["images"], "out", load_model("model.blunet"), cluster=cluster, cancel=token)
    next(event for event in events if isinstance(event, Segmented))
    token.cancel()
    begin = time.monotonic()
    with pytest.raises(Cancelled):
        list(events)
    assert time.monotonic() - begin < 30
    again = list(segment_files(["images"], "out", load_model("model.blunet"), cluster=cluster, resume=True))
    done = [event for event in again if isinstance(event, Segmented)]
    assert len(done) == 11
    assert any(event.earlier for event in done)


def test_what_cannot_be_reached_is_said():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    result = run("--out", "out", "--scheduler", address)
    assert result.exit_code == 2
    assert f"The scheduler '{address}' cannot be reached" in result.stderr
    assert "The number of workers is 0" in run("--out", "out", "--workers", "0").stderr
    assert "either a number of workers or the address" in run(
        "--out", "out", "--workers", "1", "--scheduler", address
    ).stderr  # fmt: skip


def test_a_scheduler_that_dies_ends_in_one_sentence(monkeypatch):
    monkeypatch.setattr("blunet.jobs.cluster.PATIENCE", 2.0)
    cluster = LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None)
    events = segment_files(
        ["images"], "out", load_model("model.blunet"), cluster=Cluster(scheduler=cluster.scheduler_address)
    )
    try:
        next(event for event in events if isinstance(event, Segmented))
        cluster.close()
        with pytest.raises(InputError, match="The scheduler has stopped answering"):
            list(events)
    finally:
        cluster.close()
    assert list(Path("out").glob("*_labels.tif"))
