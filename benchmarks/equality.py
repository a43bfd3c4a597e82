"""A long test that the packed engine gives the same answer as the reference engine and as Keras.

    python benchmarks/equality.py [--share 0.05] [--seed 0] [--targets native haswell x86-64]

It draws a share of the networks of 1 to 5 levels and 8 to 64 filters with every combination of 1 to 3 residual levels,
depthwise results coded or not, in the published form or in the normalised form with two maps, and their weights,
gammas, scales and biases. For each network:

- the codes of every layer, on the same inputs, equal those of the reference engine, and in every fourth network those
  of Keras (of the normalised form: of a network whose normalisations are folded);
- 1 to 4 threads give equal bits;
- an image of odd sides has the same probabilities in tiles as whole (equal bits if there is one level everywhere).

Each target is a processor that numba compiles for, in a process of its own.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from blunet.architecture import Layer, NetworkSettings, ResidualLevels
from blunet.architecture.network_settings import Form
from blunet.packed.binary_weights import BinaryWeights, binarise_weights
from blunet.packed.engine import Engine
from blunet.packed.packed_model import PackedModel
from blunet.packed.threads import ThreadTeam

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from random_networks import latent_weights, names
from reference_engine import ReferenceEngine
from same_answer import Sums, compare_layers

TARGETS = {
    "native": {},
    "haswell": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+popcnt"},
    "x86-64": {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""},
}
#: Base filters of the networks.
FILTERS = (8, 16, 24, 40, 64)
FORMS: tuple[Form, Form] = ("published", "normalised")
#: Largest share of probabilities that tiles may change: a sign flips where a sum is within rounding of 0.
FLIPPED = 0.001
#: One network in this number is also built in Keras.
KERAS_TURN = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        try_networks(arguments.share, arguments.seed)
        return
    for target in arguments.targets:
        print(f"{target}:", flush=True)
        command = [sys.executable, __file__, "--here", f"--share={arguments.share}", f"--seed={arguments.seed}"]
        if subprocess.run(
            command, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **TARGETS[target]}, check=False
        ).returncode:
            sys.exit(f"The answers differ on {target}.")


def try_networks(share: float, seed: int) -> None:
    """Try a share of all networks. The first one whose answers differ ends the test with a message."""
    every = [
        NetworkSettings(
            network="blunet",
            levels=levels,
            base_filters=filters,
            residual_levels=ResidualLevels(**dict(zip(ResidualLevels.model_fields, residual, strict=True))),
            binarize_depthwise=coded,
            form=form,
            maps=("foreground", "distance") if form == "normalised" else ("foreground",),
        )
        for form, levels, filters, coded in itertools.product(FORMS, range(1, 6), FILTERS, (False, True))
        for residual in itertools.product((1, 2, 3), repeat=4)
    ]
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(every))[: max(1, round(share * len(every)))]
    began, near = time.monotonic(), []
    for number, index in enumerate(chosen):
        settings = every[index]
        try:
            near.append(try_network(settings, rng, with_keras=number % KERAS_TURN == 0))
        except AssertionError as e:
            sys.exit(f"{label(settings)}: {e}")
        if sys.stderr.isatty():
            print(f"\r{number + 1} of {len(chosen)}", end="", file=sys.stderr)
    print(f"  {len(chosen)} of {len(every)} networks, {-(-len(chosen) // KERAS_TURN)} of them in Keras too: the same "
          f"answer; {100 * np.mean(near):.3f} % of the codes too near to 0 to compare; "
          f"{time.monotonic() - began:.0f} s", flush=True)  # fmt: skip


def try_network(settings: NetworkSettings, rng: np.random.Generator, *, with_keras: bool) -> float:
    """Compare the answers of one network. Return the share of its codes that were too near to 0 to compare."""
    seed = int(rng.integers(2**31))
    latent = latent_weights(settings, seed)
    weights = binarise_weights(settings, latent)
    engine, reference = Engine(weights, 2), ReferenceEngine(weights)
    sides = settings.multiple * rng.integers(1, 1 + 64 // settings.multiple, 2)
    image = rng.random(tuple(sides), np.float32)
    in_keras = with_keras and settings.form == "published"
    near = compare_layers(engine, reference, image, keras_sums(settings, latent, reference) if in_keras else None)
    if with_keras and settings.form == "normalised":
        compare_with_folded(settings, seed, image)
    first = engine.run(image)
    for threads in (1, 3, 4):
        assert np.array_equal(with_threads(weights, threads).run(image), first), f"{threads} threads give other bits"
    model, tile = PackedModel(weights), 4 * settings.multiple
    odd = rng.random(tuple(2 * int(n) + 1 for n in rng.integers(tile, 2 * tile, 2)), np.float32)
    differ = np.abs(model.predict_maps(odd, tile=tile) - model.predict_maps(odd))
    r = settings.residual_levels
    exact = settings.binarize_depthwise and (r.activation, r.convolution, r.depthwise, r.pointwise) == (1, 1, 1, 1)
    assert (differ > 1e-5).mean() <= (0 if exact else FLIPPED), f"tiles change {100 * (differ > 1e-5).mean():.2f} %"
    return near


def with_threads(weights: BinaryWeights, threads: int) -> Engine:
    """Return an engine with a number of threads, even where there are fewer processors."""
    engine = Engine(weights, 1)
    engine.team = ThreadTeam(threads)
    return engine


def keras_sums(settings: NetworkSettings, latent: dict, reference: ReferenceEngine) -> Sums:
    """Return a function that computes the sums of a layer in a Keras network with the latent weights."""
    import keras

    from blunet.networks.build import build_network
    from blunet.networks.weight_transfer import set_weights

    network = build_network(settings)
    set_weights(network, settings, latent)

    def sums(layer: Layer, inputs: np.ndarray) -> np.ndarray:
        found = keras.ops.convert_to_numpy(network.get_layer(layer.name)(inputs[None]))[0]
        own = reference.layer_sums(layer, inputs)
        if not settings.binarize_depthwise or layer.kind == "convolution":  # coded depthwise results may flip near 0
            assert np.abs(found - own).max() <= 1e-5 * np.abs(own).max(), f"{layer.name}: Keras' sums differ"
        return found

    return sums


def compare_with_folded(settings: NetworkSettings, seed: int, image: np.ndarray) -> None:
    """Compare a network that Keras has normalised, folded and packed, with itself in Keras."""
    from normalised_network import normalised_sums, trained_network

    from blunet.networks.keras_file import KerasModel
    from blunet.packed.model_card import ModelInfo

    network = trained_network(settings, seed % 1000)
    weights = KerasModel(network, settings, ModelInfo()).packed().weights
    reference = ReferenceEngine(weights)
    compare_layers(Engine(weights, 2), reference, image, lambda layer, seen: normalised_sums(network, layer, seen))


def label(settings: NetworkSettings) -> str:
    coded = settings.form == "published" and settings.binarize_depthwise
    return names(settings) + "-coded" * coded


if __name__ == "__main__":
    main()
