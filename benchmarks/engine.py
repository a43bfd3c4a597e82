"""Times and memory of the packed engine by image size, threads and layer.

    python benchmarks/engine.py [--sizes 128 256 512 1024 2048] [--threads 1 2] [--filters 64] [--layers]

Every line is measured in a process of its own, in three rounds in which sizes and threads take turns. The network has
random weights; its speed does not depend on them. ``blunet benchmark`` compares it with the same network in Keras and
with what the processor can do at most.
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
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(**json.loads(arguments.child))))
    elif arguments.layers:
        for kind in arguments.kinds:
            print_layers(kind, arguments.filters, max(arguments.threads))
    else:
        print_sizes(arguments)


def make_model(kind: str, filters: int, threads: int) -> PackedModel:
    """Return a network with random weights."""
    levels, coded = KINDS[kind]
    settings = NetworkSettings(
        network="blunet", levels=5, base_filters=filters, residual_levels=ResidualLevels.uniform(levels)
    )
    return PackedModel(draw_weights(settings.changed(binarize_depthwise=coded)), ModelInfo(), threads=threads)


def measure(kind: str, filters: int, size: int, threads: int) -> dict[str, float]:
    """Segment one image, after a smaller one that is not counted."""
    model = make_model(kind, filters, threads)
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
                    request = {"kind": kind, "filters": arguments.filters, "size": size, "threads": threads}
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


def print_layers(kind: str, filters: int, threads: int) -> None:
    """Print the fastest of five runs of every layer at 512 x 512, and its rate."""
    engine = make_model(kind, filters, threads).engine
    image = np.random.default_rng(0).random((512, 512), np.float32)
    fastest = time_operations(engine, image, runs=5)
    print(
        f"\n{kind}, {filters} filters, {threads} threads\n"
        f"{'layer':<22}{'kernel':<15}{'ms':>8}{'GMAC/s':>9}{'binary':>9}"
    )
    for operation, seconds in zip(engine.program, fastest, strict=True):
        floats, bits = operation.multiplications(512, 512)
        rates = "".join(f"{n / seconds / 1e9:>9.0f}" if n else f"{'':>9}" for n in (floats, bits))
        print(f"{operation.layer.name:<22}{operation.kind:<15}{1000 * seconds:>8.2f}{rates}")
    print(f"{'all':<37}{1000 * np.sum(fastest):>8.2f}")


if __name__ == "__main__":
    main()
