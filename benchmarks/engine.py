"""Times and memory of the packed engine by image size, threads and layer.

    python benchmarks/engine.py [--sizes 128 256 512 1024 2048] [--threads 1 2] [--filters 64] [--layers]
    python benchmarks/engine.py --forms [--rounds 15]

Every line is measured in a process of its own, in three rounds in which sizes and threads take turns. The network has
random weights; its speed does not depend on them. ``blunet benchmark`` compares it with the same network in Keras and
with what the processor can do at most.

With ``--forms`` networks of the normalised form, with two maps, are timed beside those of the published form: both run
in turn in one process, on a 512 x 512 image, and the ratio is the median of those of the rounds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from statistics import median

import numpy as np

from blunet.architecture import NetworkSettings, ResidualLevels
from blunet.architecture.network_settings import Form
from blunet.jobs.engine_benchmark_child import draw_weights, measure_peak_memory
from blunet.packed.engine import time_operations
from blunet.packed.model_card import ModelInfo
from blunet.packed.packed_model import PackedModel

KINDS = {"as published": (3, False), "coded, 3 levels": (3, True), "coded, 2": (2, True), "coded, 1": (1, True)}
RUNS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512, 1024, 2048])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--layers", action="store_true", help="print the time of every layer at 512 x 512 instead")
    parser.add_argument("--form", default="published", choices=["published", "normalised"], help="of all networks")
    parser.add_argument("--forms", action="store_true", help="compare both forms instead")
    parser.add_argument("--rounds", type=int, default=15, help="of the comparison of forms")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(**json.loads(arguments.child))))
    elif arguments.forms:
        print_forms(arguments)
    elif arguments.layers:
        for kind in arguments.kinds:
            print_layers(kind, arguments.filters, max(arguments.threads), arguments.form)
    else:
        print_sizes(arguments)


def make_model(kind: str, filters: int, threads: int, form: Form) -> PackedModel:
    """Return a network with random weights, in the normalised form with two maps."""
    levels, coded = KINDS[kind]
    settings = NetworkSettings(
        network="blunet",
        levels=5,
        base_filters=filters,
        residual_levels=ResidualLevels.uniform(levels),
        binarize_depthwise=coded,
        form=form,
        maps=("foreground", "distance") if form == "normalised" else ("foreground",),
    )
    return PackedModel(draw_weights(settings), ModelInfo(), threads=threads)


def measure(kind: str, filters: int, size: int, threads: int, form: Form) -> dict[str, float]:
    """Segment one image, after a smaller one that is not counted."""
    model = make_model(kind, filters, threads, form)
    rng = np.random.default_rng(0)
    model.predict(rng.integers(0, 4000, (64, 64)).astype(np.uint16))
    image = rng.integers(0, 4000, (size, size)).astype(np.uint16)
    if size <= 1024:
        model.predict(image)
    begin = time.perf_counter()
    model.predict(image)
    return {"seconds": time.perf_counter() - begin, "memory": measure_peak_memory()}


def print_sizes(arguments: argparse.Namespace) -> None:
    """Print the time per megapixel and the memory for each size."""
    print(f"{'network':<18}{'size':>6}{'threads':>9}{'seconds':>10}{'s per Mpx':>11}{'to 512':>9}{'memory':>11}")
    for kind in arguments.kinds:
        found: dict[tuple[int, int], list[dict[str, float]]] = {}
        for _ in range(RUNS):
            for size in arguments.sizes:
                for threads in arguments.threads:
                    request = {"kind": kind, "filters": arguments.filters, "size": size, "threads": threads,
                               "form": arguments.form}  # fmt: skip
                    command = [sys.executable, __file__, "--child", json.dumps(request)]
                    ended = subprocess.run(command, capture_output=True, text=True, check=True)
                    found.setdefault((size, threads), []).append(json.loads(ended.stdout))
        for (size, threads), runs in sorted(found.items(), key=lambda item: (item[0][1], item[0][0])):
            seconds = median(run["seconds"] for run in runs)
            rate = seconds / size**2 * 1e6
            base = found.get((512, threads))
            ratio = rate / (median(run["seconds"] for run in base) / 512**2 * 1e6) if base else float("nan")
            memory = max(run["memory"] for run in runs)
            print(f"{kind:<18}{size:>6}{threads:>9}{seconds:>10.3f}{rate:>11.3f}{ratio:>8.2f}x{memory:>7.0f} MiB")


def print_forms(arguments: argparse.Namespace) -> None:
    """Print the times of networks of both forms at 512 x 512, and their ratio."""
    image = np.random.default_rng(0).random((512, 512), np.float32)
    forms: tuple[Form, Form] = ("published", "normalised")
    print(f"{'network':<18}{'threads':>9}{'published':>12}{'normalised':>12}{'ratio':>8}{'of fastest':>12}")
    for kind in arguments.kinds:
        for threads in arguments.threads:
            engines = [make_model(kind, arguments.filters, threads, form).engine for form in forms]
            seconds = np.empty((arguments.rounds + 1, 2))
            for number in range(arguments.rounds + 1):  # the first is not counted
                for i in (0, 1) if number % 2 else (1, 0):
                    begin = time.perf_counter()
                    engines[i].run(image)
                    seconds[number, i] = time.perf_counter() - begin
            both, fastest = 1000 * np.median(seconds[1:], axis=0), seconds[1:].min(axis=0)
            ratio = np.median(seconds[1:, 1] / seconds[1:, 0])
            print(f"{kind:<18}{threads:>9}{both[0]:>9.1f} ms{both[1]:>9.1f} ms{ratio:>8.3f}"
                  f"{fastest[1] / fastest[0]:>12.3f}", flush=True)  # fmt: skip


def print_layers(kind: str, filters: int, threads: int, form: Form) -> None:
    """Print the fastest of five runs of every layer at 512 x 512, and its rate."""
    engine = make_model(kind, filters, threads, form).engine
    image = np.random.default_rng(0).random((512, 512), np.float32)
    fastest = time_operations(engine, image, runs=5)
    print(
        f"\n{kind}, {form}, {filters} filters, {threads} threads\n"
        f"{'layer':<22}{'kernel':<15}{'ms':>8}{'GMAC/s':>9}{'binary':>9}"
    )
    for operation, seconds in zip(engine.program, fastest, strict=True):
        floats, bits = operation.multiplications(512, 512)
        rates = "".join(f"{n / seconds / 1e9:>9.0f}" if n else f"{'':>9}" for n in (floats, bits))
        print(f"{operation.layer.name:<22}{operation.kind:<15}{1000 * seconds:>8.2f}{rates}")
    print(f"{'all':<37}{1000 * np.sum(fastest):>8.2f}")


if __name__ == "__main__":
    main()
