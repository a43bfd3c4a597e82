"""An engine in a process of its own: it runs once for every line on stdin, and answers with the time it took."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from blunet.architecture import NetworkSettings
from blunet.packed.binary_weights import BinaryWeights, list_weights

#: Multiply-adds per thread in one run of a loop.
FLOAT_WORK, BIT_WORK = 1e10, 2e11

#: Gives a function that runs an engine, from its name, its network (None: a loop), the image's side and the threads.
Prepare = Callable[[str, NetworkSettings | None, int, int], Callable[[], float]]


def serve(prepare: Prepare) -> None:
    """Serve the engine that the last argument describes, run by the function that `prepare` returns."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print to stdout, which is for answers
    request = json.loads(sys.argv[-1])
    network = request["network"]
    settings = None if network is None else NetworkSettings.from_dict(network)
    run = prepare(request["engine"], settings, request["size"], request["threads"])
    work = run()
    _answer(answers, {"ready": True, "work": work})
    for _ in sys.stdin:
        begin = time.perf_counter()
        run()
        _answer(answers, {"seconds": time.perf_counter() - begin})
    _answer(answers, {"peak_rss_mib": measure_peak_memory()})


def prepare(engine: str, settings: NetworkSettings | None, size: int, threads: int) -> Callable[[], float]:
    """Return a function that runs the engine once and returns its multiply-adds, 0 for a network."""
    if settings is None:
        return _loop(engine, threads)
    image = np.random.default_rng(0).random((size, size), np.float32)
    if engine.startswith("keras"):
        from blunet.networks.build import build_network
        from blunet.networks.keras_file import run_network

        model = build_network(settings, seed=0)
        return lambda: 0.0 * float(run_network(model, image, settings.multiple)[0, 0, 0])
    from blunet.packed.engine import Engine

    packed = Engine(draw_weights(settings), threads)
    return lambda: 0.0 * float(packed.run(image)[0, 0, 0])


def draw_weights(settings: NetworkSettings) -> BinaryWeights:
    """Draw a network. Its speed does not depend on its weights."""
    rng = np.random.default_rng(0)
    planes, floats = {}, {}
    for stored in list_weights(settings):
        if stored.weight.residual_levels:
            planes[stored.key] = rng.integers(0, 2**64, stored.shape, np.uint64)
            if excess := -stored.weight.size % 64:
                planes[stored.key][:, -1] >>= np.uint64(excess)
        else:
            floats[stored.key] = rng.uniform(0.2, 0.5, stored.shape).astype(np.float32)
    return BinaryWeights(settings, planes, floats)


def _loop(engine: str, threads: int) -> Callable[[], float]:
    from blunet.packed.kernels import ceilings

    rng = np.random.default_rng(0)
    operands: tuple[Any, ...]
    if engine == "float32_loop":
        kernel, operands = ceilings.repeat_float_block, ceilings.draw_floats(rng)
        work, products = FLOAT_WORK, ceilings.FLOAT_PRODUCTS
    else:
        kernel, operands = ceilings.repeat_popcount_block, ceilings.draw_bits(rng)
        work, products = BIT_WORK, ceilings.BIT_PRODUCTS
    repetitions = round(work / products)
    pool = ThreadPoolExecutor(threads)

    def run() -> float:
        jobs = [partial(kernel, *operands, ceilings.allocate_sums(), repetitions) for _ in range(threads)]
        for future in [pool.submit(job) for job in jobs]:
            future.result()
        return float(threads * repetitions * products)

    return run


def measure_peak_memory() -> float:
    """Return the peak resident memory of this process in MiB."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset / 2**20)
    status = Path("/proc/self/status")
    if status.exists():  # `getrusage` would include the peak of the parent
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _answer(stream: TextIO, content: dict[str, Any]) -> None:
    stream.write(json.dumps(content) + "\n")
    stream.flush()


if __name__ == "__main__":
    serve(prepare)
