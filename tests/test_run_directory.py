"""Who may use the folder of a run."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from made_pairs import grey, put

from blunet.compression.presets import preset
from blunet.compression.run_directory import RunDirectory
from blunet.compression.run_request import Request
from blunet.dataset.dataset_check import check_dataset
from blunet.errors import InputError
from blunet.jobs.earlier_run import read_run

#: A process that enters the folder of a run and stays there.
STAYING = """
import sys, time
from blunet.compression.run_directory import RunDirectory
from blunet.compression.run_request import Request
from blunet.dataset.dataset_check import check_dataset

request = Request.from_json(sys.argv[1])
data = check_dataset(request.data, crop=32, split=request.settings.split)
with RunDirectory(request.run).enter(request, data):
    print("entered", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def request_and_data(tmp_path):
    for i in range(5):
        put(tmp_path / "data", f"f{i}", grey(i), np.tri(32, k=i, dtype=np.uint8))
    request = Request(
        data=str(tmp_path / "data"), run=str(tmp_path / "run"), settings=preset("quick"), teacher="scratch"
    )
    return request, check_dataset(request.data, crop=32, split=request.settings.split)


def test_a_folder_is_refused_while_another_process_is_in_it_and_free_when_that_was_killed(request_and_data):
    request, data = request_and_data
    run = RunDirectory(request.run)
    with subprocess.Popen(
        [sys.executable, "-c", STAYING, request.to_json()], stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout.readline() == "entered\n"
            for resume in (False, True):
                with (
                    pytest.raises(InputError, match=r"run' is in use by another run; wait until it ends\.$"),
                    run.enter(request.changed(resume=resume), data),
                ):
                    pass
        finally:
            other.kill()
    with run.enter(request.changed(resume=True), data) as resumed:
        assert resumed
        assert (run.path / "lock").exists()
    assert not (run.path / "lock").exists()


def test_a_lock_that_an_older_version_left_behind_does_not_block(request_and_data):
    request, data = request_and_data
    run = RunDirectory(request.run)
    run.path.mkdir()
    (run.path / "lock").write_text("1 0.000")
    with run.enter(request, data) as resumed:
        assert not resumed


def test_a_folder_with_other_files_is_left_as_it_is(request_and_data):
    request, data = request_and_data
    run = RunDirectory(request.run)
    run.path.mkdir()
    (run.path / "thesis.docx").write_bytes(b"")
    with pytest.raises(InputError, match="is not empty; add --resume"), run.enter(request, data):
        pass
    assert [path.name for path in run.path.iterdir()] == ["thesis.docx"]


def test_a_run_with_a_rate_of_many_digits_is_resumed_with_its_own_settings(request_and_data):
    request, data = request_and_data
    retrain = request.settings.retrain.changed(learning_rate=3.1234567e-4, l2=1 / 3)
    request = request.changed(settings=request.settings.changed(retrain=retrain))
    run = RunDirectory(request.run)
    with run.enter(request, data):
        pass
    run.result("retrain").touch()  # from now on the rate may not change
    earlier = read_run(run.path)
    assert earlier.settings == request.settings
    resumed = Request.from_json(request.changed(settings=earlier.settings, resume=True).to_json())
    with run.enter(resumed, data) as going_on:
        assert going_on
    rounded = earlier.settings.changed(retrain=retrain.changed(learning_rate=float("3.12346e-4")))
    with (
        pytest.raises(InputError, match=r"'retrain\.learning_rate' was 0\.00031234567; give the same"),
        run.enter(resumed.changed(settings=rounded), data),
    ):
        pass
