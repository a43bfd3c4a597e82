"""What the user's environment holds neither breaks nor changes a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bright_model import put_model_and_image

from blunet.environment import ignore_debugging


def python(code: str, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path) -> Path:
    return put_model_and_image(tmp_path)


def test_variables_for_debugging_numba_do_not_stop_the_command(folder):
    arguments = ["segment", "a.tif", "--model", "model.blunet", "--out", "out", "--json"]
    variables = {"NUMBA_DISABLE_JIT": "1", "NUMBA_DUMP_IR": "1", "NUMBA_OPT": "no number", "PYTHONWARNINGS": "error"}
    done = python("from blunet.cli import main; main()", *arguments, cwd=folder, **variables)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"][0]["objects"] == 2


def test_kernels_are_compiled_though_jit_is_disabled(folder):
    code = "import numba, blunet, tifffile; print(blunet.segment(tifffile.imread('a.tif'), 'model.blunet').max())"
    done = python(code + "; print(numba.config.DISABLE_JIT)", cwd=folder, NUMBA_DISABLE_JIT="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2", "1"]


def test_variables_of_speed_are_kept(monkeypatch):
    monkeypatch.setenv("NUMBA_CPU_NAME", "haswell")
    monkeypatch.setenv("NUMBA_DEBUG", "1")
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "1")
    ignore_debugging()
    assert os.environ["NUMBA_CPU_NAME"] == "haswell"
    assert not {"NUMBA_DEBUG", "KERAS_MAX_EPOCHS"} & set(os.environ)


@pytest.mark.parametrize("threads", ["0", "-1", "abc", "", "1.5"])
def test_a_number_of_threads_that_is_none_is_ignored(monkeypatch, threads):
    monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
    ignore_debugging()
    assert "NUMBA_NUM_THREADS" not in os.environ
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    ignore_debugging()
    assert os.environ["NUMBA_NUM_THREADS"] == "2"


def test_the_settings_file_of_keras_is_ignored(folder):
    settings = {"floatx": "float128", "image_data_format": "channels_first", "backend": "jax", "epsilon": 1e-2}
    (folder / "keras.json").write_text(json.dumps(settings))
    code = """
import blunet.networks.build as build, keras, os
from blunet.architecture import NetworkSettings
network = build.build_network(NetworkSettings(network="unet", levels=2, base_filters=2), seed=0)
print(keras.config.floatx(), keras.config.image_data_format(), keras.config.backend(), keras.config.epsilon())
print(network.output.dtype, network.output.shape[-1], os.environ["KERAS_HOME"])
"""
    environment = {"KERAS_HOME": str(folder), "KERAS_BACKEND": ""}
    done = python(code, cwd=folder, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:4] == ["float32", "channels_last", "tensorflow", "1e-07"]
    assert done.stdout.split()[4:] == ["float32", "1", str(folder)]
    assert json.loads((folder / "keras.json").read_text()) == settings
