"""The packed engine's kernels against the reference engine: the same codes in every layer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from numba import njit
from random_networks import NETWORKS, NORMALISED, exact_image, latent_weights, names
from reference_engine import ReferenceEngine, sigmoid
from same_answer import compare_layers

from blunet.architecture import NetworkSettings, ResidualLevels
from blunet.architecture.network_settings import MAX_RESIDUAL_LEVELS
from blunet.errors import InputError
from blunet.packed.binary_weights import binarise_weights
from blunet.packed.engine import Engine
from blunet.packed.kernels.layout import CHUNK, MOST_LEVELS
from blunet.packed.kernels.vector_sums import take_sigmoids
from blunet.packed.packed_model import BUNDLED, PackedModel, load_model

MORE = [
    NetworkSettings(network="blunet", levels=3, base_filters=32),
    NetworkSettings(network="blunet", levels=2, base_filters=64, residual_levels=ResidualLevels.uniform(2)),
    NetworkSettings(network="blunet", levels=3, base_filters=64, residual_levels=ResidualLevels.uniform(1)),
    NetworkSettings(network="blunet", levels=2, base_filters=40, residual_levels=ResidualLevels.uniform(1)),
    NetworkSettings(
        network="blunet",
        levels=2,
        base_filters=24,
        residual_levels=ResidualLevels(activation=4, convolution=2, depthwise=3, pointwise=4),
    ),
    NetworkSettings(
        network="blunet",
        levels=5,
        base_filters=8,
        residual_levels=ResidualLevels(activation=1, convolution=3, depthwise=1, pointwise=1),
    ),
]
CODED = [settings.changed(binarize_depthwise=True) for settings in NETWORKS + MORE]
ALL = [*NETWORKS, *MORE, *CODED, *NORMALISED]
#: One of the normalised form for each kind of operation.
KINDS = [NORMALISED[5], NORMALISED[11], NORMALISED[15]]


def label(settings: NetworkSettings) -> str:
    coded = settings.form == "published" and settings.binarize_depthwise
    return names(settings) + "-coded" * coded


@pytest.mark.parametrize("settings", ALL, ids=label)
@pytest.mark.parametrize("shape", [(16, 32), (48, 16), (80, 112)])
def test_every_code_is_the_references_where_sums_are_exact(settings, shape):
    weights = binarise_weights(settings, latent_weights(settings, 1, exact=True))
    image = exact_image(shape, 2)
    reference = ReferenceEngine(weights).run(image)
    assert np.ptp(reference) > 0
    for threads in (1, 2):
        np.testing.assert_allclose(Engine(weights, threads).run(image), reference, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("settings", ALL, ids=label)
def test_every_layer_on_the_same_inputs(settings):
    weights = binarise_weights(settings, latent_weights(settings, 5))
    image = np.random.default_rng(3).random((64, 80), np.float32)
    assert compare_layers(Engine(weights), ReferenceEngine(weights), image) < 0.01


@pytest.mark.parametrize("settings", [MORE[0], MORE[2], CODED[-6], CODED[-4], *KINDS], ids=label)
def test_threads_and_repetition_change_no_bit(settings):
    weights = binarise_weights(settings, latent_weights(settings, 7))
    image = np.random.default_rng(4).random((96, 80), np.float32)
    first = Engine(weights, 1).run(image)
    engine = Engine(weights, 2)
    for _ in range(3):
        assert np.array_equal(engine.run(image), first)
        engine.run(image[:32, :48].copy())  # another size in between


@pytest.mark.parametrize("settings", [MORE[0], CODED[-4], *KINDS], ids=label)
def test_tiles_change_nothing(settings):
    model = PackedModel(binarise_weights(settings, latent_weights(settings, 8)))
    image = np.random.default_rng(5).random((203, 181), np.float32)
    whole = model.predict_maps(image)
    assert np.mean(np.abs(model.predict_maps(image, tile=64) - whole) > 1e-5) <= 0.001


@pytest.mark.parametrize(
    "settings", [NETWORKS[4], MORE[0], MORE[5], CODED[-4], CODED[-5], CODED[-6], *KINDS], ids=label
)
@pytest.mark.parametrize("part", [(0, 96, 0, 80), (32, 64, 16, 48), (0, 16, 64, 80), (91, 96, 33, 34), (5, 6, 0, 80)])
def test_a_part_needs_no_more_than_it_depends_on(settings, part):
    weights = binarise_weights(settings, latent_weights(settings, 7))
    image = np.random.default_rng(4).random((96, 80), np.float32)
    whole, engine = Engine(weights).run(image), Engine(weights)
    engine.run(np.random.default_rng(5).random((96, 80), np.float32))  # leaves other values in the maps
    inside = slice(*part[:2]), slice(*part[2:])
    assert np.array_equal(engine.run(image, inside=inside)[:, *inside], whole[:, *inside])


@pytest.mark.parametrize("settings", [MORE[2].changed(binarize_depthwise=True), NORMALISED[10]], ids=label)
def test_one_level_everywhere_is_the_same_in_any_tiling(settings):
    model = PackedModel(binarise_weights(settings, latent_weights(settings, 8)))
    output = "output" if settings.form == "published" else "maps"
    assert {o.kind for o in model.engine.program} == {"image", "bits to signs", "signs", output}
    image = np.random.default_rng(5).random((203, 181), np.float32)
    assert np.array_equal(model.predict(image, tile=64), model.predict(image))


@pytest.mark.parametrize("form", ["published", "normalised"])
@pytest.mark.parametrize("coded", [False, True])
def test_gammas_that_are_zero_or_negative(coded, form):
    settings = NetworkSettings(
        network="blunet",
        levels=2,
        base_filters=8,
        residual_levels=ResidualLevels.uniform(1),
        binarize_depthwise=coded,
        form=form,
    )
    for sign in (0, -1):
        latent = latent_weights(settings, 9, exact=True)
        for key in latent:
            if key[1].endswith("gamma"):
                latent[key] = sign * np.abs(latent[key])
        weights = binarise_weights(settings, latent)
        image = exact_image((16, 24), 1)
        np.testing.assert_allclose(Engine(weights).run(image), ReferenceEngine(weights).run(image), rtol=1e-6)


def test_check_ends_a_run_and_the_engine_goes_on():
    settings = MORE[0]
    engine = Engine(binarise_weights(settings, latent_weights(settings, 1)))
    image = np.random.default_rng(1).random((32, 32), np.float32)
    whole = engine.run(image)
    calls = []

    def stop():
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.run(image, stop)
    assert len(calls) == 4
    assert np.array_equal(engine.run(image), whole)


def test_kernels_have_a_branch_for_every_number_of_residual_levels():
    assert MAX_RESIDUAL_LEVELS == MOST_LEVELS
    settings = NetworkSettings(
        network="blunet", levels=2, base_filters=8, residual_levels=ResidualLevels.uniform(MOST_LEVELS)
    )
    weights = binarise_weights(settings, latent_weights(settings, 3, exact=True))
    image = exact_image((32, 16), 4)
    np.testing.assert_allclose(Engine(weights).run(image), ReferenceEngine(weights).run(image), rtol=1e-5)


def test_sigmoids_are_exact_to_rounding():
    special = [0, -0.0, 1e-30, -1e30, 1e30, -87, 87, 17, -17, 0.5, -0.5, 1, -1]
    x = np.concatenate([special, np.linspace(-100, 100, 100_000)])
    x = x.astype(np.float32)[: x.size // CHUNK * CHUNK]

    @njit
    def run(values):
        for i in range(0, len(values), CHUNK):
            take_sigmoids(values, i)

    found = x.copy()
    run(found)
    wanted = sigmoid(x.astype(np.float64))
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-35)
    near = np.abs(x) < 10
    np.testing.assert_allclose(found[near], wanted[near], rtol=1e-6)


def test_sides_that_are_no_multiples():
    settings = MORE[0]
    with pytest.raises(ValueError, match="multiples of 4"):
        Engine(binarise_weights(settings, latent_weights(settings, 0))).run(np.zeros((8, 10), np.float32))


def test_threads_have_to_be_positive(monkeypatch):
    weights = binarise_weights(NETWORKS[0], latent_weights(NETWORKS[0], 0))
    with pytest.raises(InputError, match="threads is 0"):
        Engine(weights, 0)
    assert Engine(weights, 10_000).team.threads <= os.cpu_count()
    monkeypatch.setenv("BLUNET_THREADS", "1")
    assert Engine(weights).team.threads == 1
    monkeypatch.setenv("BLUNET_THREADS", "many")
    with pytest.raises(InputError, match="BLUNET_THREADS is 'many'"):
        Engine(weights)


RUN = """
import sys
import numpy as np
from blunet.packed.packed_model import load_model
maps = load_model(*sys.argv[3:]).predict_maps(np.load(sys.argv[1]))
np.save(sys.argv[2], maps)
"""


def run_apart(image, out, *model, **environment):
    """Segment in a process of its own; return the maps."""
    ended = subprocess.run(
        [sys.executable, "-c", RUN, image, out, *model],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return np.load(out)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.npy"
    np.save(path, np.random.default_rng(0).integers(0, 4000, (96, 96)).astype(np.uint16))
    return path


@pytest.mark.parametrize(
    ("processor", "settings"),
    [("x86-64", None), ("haswell", None), ("x86-64", NORMALISED[15]), ("haswell", NORMALISED[11])],
    ids=["x86-64", "haswell", "x86-64-normalised", "haswell-normalised"],
)
def test_older_processors_give_the_same(processor, settings, image, tmp_path):
    import platform

    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("these names are of x86 processors")
    model = tmp_path / "model.blunet"
    if settings is None:
        shutil.copy(BUNDLED, model)
    else:
        PackedModel(binarise_weights(settings, latent_weights(settings, 0))).save(model)
    here = load_model(model).predict_maps(np.load(image))
    features = {"NUMBA_CPU_FEATURES": ""} if processor == "x86-64" else {"NUMBA_CPU_FEATURES": "+avx2,+fma,+popcnt"}
    old = run_apart(image, tmp_path / "old.npy", model, NUMBA_CPU_NAME=processor, **features)
    assert np.mean(np.abs(old - here) > 1e-3) <= 0.01


def test_compiled_kernels_are_found_again_and_damaged_ones_replaced(tmp_path):
    settings, cache = NETWORKS[2], tmp_path / "cache"
    model, image = tmp_path / "model.blunet", tmp_path / "image.npy"
    # With other roundings of this network's sums, signs flip.
    PackedModel(binarise_weights(settings, latent_weights(settings, 0))).save(model)
    np.save(image, np.random.default_rng(0).random((80, 112), np.float32))
    first = run_apart(image, tmp_path / "1.npy", model, BLUNET_KERNEL_CACHE=str(cache))
    (folder,) = cache.iterdir()
    files = {f.name: f.stat().st_mtime_ns for f in folder.iterdir()}
    assert len(files) >= 4
    second = run_apart(image, tmp_path / "2.npy", model, BLUNET_KERNEL_CACHE=str(cache))
    assert {f.name: f.stat().st_mtime_ns for f in folder.iterdir()} == files
    assert np.array_equal(first, second)
    for file in folder.iterdir():  # cut short, or foreign
        file.write_bytes(file.read_bytes()[:100] if file.suffix == ".nbc" else b"something else")
    third = run_apart(image, tmp_path / "3.npy", model, BLUNET_KERNEL_CACHE=str(cache))
    assert np.array_equal(first, third)
    assert all(f.stat().st_size > 500 for f in folder.iterdir())


def test_a_place_that_cannot_be_written_is_passed_over(image, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    home = tmp_path / "home"
    run_apart(
        image, tmp_path / "1.npy", BLUNET_KERNEL_CACHE=str(blocked / "x"), XDG_CACHE_HOME=str(home), HOME=str(home)
    )
    assert list(home.rglob("*.nbc"))
