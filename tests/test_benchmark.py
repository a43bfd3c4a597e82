"""Timing engines in child processes, and the costs of a program."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from random_networks import latent_weights

from blunet.architecture import NetworkSettings, ResidualLevels
from blunet.errors import InputError
from blunet.jobs.benchmark_settings import BenchmarkSettings
from blunet.jobs.engine_benchmark import Benchmarked, Preparing, Timed, benchmark
from blunet.jobs.events import Cancelled, CancelToken
from blunet.jobs.model_files import measure_program
from blunet.packed.binary_weights import binarise_weights
from blunet.packed.packed_model import PackedModel


def blunet(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "blunet", *arguments], capture_output=True, text=True, check=False)


def test_engines_are_timed_in_turn():
    chosen = ("keras_blunet", "packed_blunet", "popcount_loop")
    settings = BenchmarkSettings(size=32, threads=1, levels=2, base_filters=8, rounds=2, engines=chosen)
    events = list(benchmark(settings))
    assert [e.engine for e in events if isinstance(e, Preparing)] == list(chosen)
    assert [(e.round, e.engine) for e in events if isinstance(e, Timed)] == [(n, c) for n in (1, 2) for c in chosen]
    found = events[-1]
    assert isinstance(found, Benchmarked)
    plain = found.to_dict()
    assert {"size", "threads", "cpu", "engines", "speedup"} == set(plain)
    for name in chosen:
        figures = plain["engines"][name]
        assert 0 < figures["min_s"] <= figures["median_s"]
        assert figures["peak_rss_mib"] > 20
    ratio = plain["engines"]["keras_blunet"]["median_s"] / plain["engines"]["packed_blunet"]["median_s"]
    assert plain["speedup"] == {"vs_keras_blunet": ratio}
    assert plain["engines"]["popcount_loop"]["gmac_per_s"] > 1
    assert plain["engines"]["packed_blunet"]["peak_rss_mib"] < plain["engines"]["keras_blunet"]["peak_rss_mib"]


def test_the_command_prints_one_json_object():
    arguments = ("--size", "32", "--levels", "2", "--filters", "8", "--rounds", "1", "--engine", "packed_blunet")
    ended = blunet("benchmark", *arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    assert list(json.loads(ended.stdout)["engines"]) == ["packed_blunet"]
    ended = blunet("benchmark", *arguments)
    assert "BLU-Net, packed" in ended.stdout


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size": 100}, "multiple of 16"),
        ({"size": 0}, "'size' is 0"),
        ({"threads": 0}, "'threads' is 0"),
        ({"rounds": 0}, "'rounds' is 0"),
        ({"engines": ("warp",)}, "no engine 'warp'"),
        ({"base_filters": 0}, "base_filters"),
    ],
)
def test_bad_settings(change, reason):
    with pytest.raises(InputError, match=reason):
        next(benchmark(BenchmarkSettings(**change)))


def test_cancelling_ends_the_children():
    token = CancelToken()
    job = benchmark(BenchmarkSettings(size=32, levels=2, base_filters=8, engines=("packed_blunet",)), token)
    assert isinstance(next(job), Preparing)
    assert isinstance(next(job), Timed)
    token.cancel()
    with pytest.raises(Cancelled):
        next(job)


@pytest.mark.parametrize("coded", [False, True])
def test_the_costs_of_a_program_are_those_of_the_method(coded, tmp_path):
    m = 1 if coded else 3
    settings = NetworkSettings(
        network="blunet", levels=2, base_filters=8, residual_levels=ResidualLevels.uniform(m), binarize_depthwise=coded
    )
    path = tmp_path / "model.blunet"
    PackedModel(binarise_weights(settings, latent_weights(settings, 0))).save(path)
    steps = {step.layer: step for step in measure_program(path, 64)}
    assert steps["level0_contracting_1"].float_products == 64 * 64 * 9 * 8
    assert steps["level0_contracting_2"].bit_products == 64 * 64 * 9 * 8 * 8 * m * m
    deep = steps["level1_contracting_2"]
    window, matrix = 32 * 32 * 9 * 16, 32 * 32 * 16 * 16
    assert (deep.float_products, deep.bit_products) == ((0, window + matrix) if coded else (window + matrix, 0))
    assert all(step.seconds > 0 for step in steps.values())
    ended = blunet("info", str(path), "--program")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("\n") == len(steps) + 2
    listed = json.loads(blunet("info", str(path), "--program", "--json").stdout)
    assert [step["layer"] for step in listed["program"]] == list(steps)
    assert listed["levels"] == 2


def test_random_weights_of_the_benchmark_are_sound():
    from reference_engine import ReferenceEngine

    from blunet.jobs.engine_benchmark_child import draw_weights
    from blunet.packed.engine import Engine

    weights = draw_weights(NetworkSettings(network="blunet", levels=2, base_filters=8))
    image = np.random.default_rng(0).random((32, 32), np.float32)
    np.testing.assert_allclose(Engine(weights).run(image), ReferenceEngine(weights).run(image), atol=1e-3)
