"""The packed engine beside other engines that run the same networks: Keras, ONNX Runtime, OpenVINO.

    pip install onnx onnxruntime openvino
    python benchmarks/peers.py [--size 512] [--threads 2] [--rounds 5]

The engines take turns in one run, each in a process of its own. ONNX Runtime and OpenVINO run graphs that are written
from the same table of layers with the same weights. Before they are timed, a small BLU-Net of each has to agree with
the packed engine. Engines that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Generator

import numpy as np
from onnx_network import Weights, onnx_network

from blunet.architecture import NetworkSettings, list_layers
from blunet.jobs.engine_benchmark import (
    EngineProcess,
    Timed,
    Timing,
    list_engines,
    read_processor_name,
    run_in_turn,
)
from blunet.jobs.engine_benchmark_child import draw_weights, serve
from blunet.jobs.events import CancelToken
from blunet.packed.engine import Engine

PEERS = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO float32", "openvino_bf16": "OpenVINO bfloat16"}
NETWORKS = ("unet", "lightweight", "blunet")
#: Share of probabilities that may differ by more than 0.001: a sign flips where a sum is within rounding of 0.
FLIPPED = 0.01


def main() -> None:
    if "--serve" in sys.argv:
        serve(prepare)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    own = list_engines(5, arguments.filters)
    wanted = {name: (network, None) for name, network in own.items()}
    for peer in PEERS:
        if importlib.util.find_spec(peer.removesuffix("_bf16")):
            wanted |= {
                f"{peer}_{name}": (NetworkSettings(network=name, levels=5, base_filters=arguments.filters), peer)
                for name in NETWORKS
            }
        else:
            print(f"{PEERS[peer]} is not installed.", file=sys.stderr)
    children: dict[str, EngineProcess] = {}
    try:
        for name, (network, peer) in wanted.items():
            print(f"Starting {name}", file=sys.stderr)
            command = {"command": [sys.executable, __file__, "--serve"]} if peer else {}
            children[name] = EngineProcess(name, network, arguments.size, arguments.threads, **command)
        timings = follow(run_in_turn(children, arguments.rounds, CancelToken()))
    finally:
        for child in children.values():
            child.kill()
    print(f"{arguments.size} x {arguments.size} pixels, {arguments.threads} threads, {read_processor_name()}\n")
    print(f"{'engine':<28}{'median':>10}{'fastest':>10}{'memory':>11}{'packed =':>10}")
    packed = timings["packed_blunet"].to_dict()["median_s"]
    for name, timing in timings.items():
        f = timing.to_dict()
        print(f"{name:<28}{1000 * f['median_s']:>7.0f} ms{1000 * f['min_s']:>7.0f} ms{f['peak_rss_mib']:>7.0f} MiB"
              f"{f['median_s'] / packed:>8.2f} x")  # fmt: skip


def follow(turns: Generator[Timed, None, dict[str, Timing]]) -> dict[str, Timing]:
    """Print every run and return the measurements."""
    while True:
        try:
            timed = next(turns)
        except StopIteration as end:
            return end.value
        print(f"round {timed.round}: {timed.engine} {1000 * timed.seconds:.0f} ms", file=sys.stderr)


def prepare(engine: str, settings: NetworkSettings | None, size: int, threads: int) -> Callable[[], float]:
    """Return a function that runs a peer once. A BLU-Net is first compared with the packed engine."""
    assert settings is not None
    peer = engine.removesuffix(f"_{settings.network}")
    if settings.binary:
        few = settings.changed(levels=2, base_filters=8)  # the same operators; a flipped sign does not spread far
        small = np.random.default_rng(1).random((64, 64), np.float32)
        other = compile_peer(peer, few, draw_float_weights(few), 64, threads)(small)
        ours = Engine(draw_weights(few)).run(small)[0]
        flipped = np.mean(np.abs(other - ours) > 1e-3)
        exact = peer != "openvino_bf16"  # 8 bits of mantissa give other signs: only its time is measured
        if exact and flipped > FLIPPED:
            raise SystemExit(f"{100 * flipped:.1f} % of the probabilities differ from the packed engine's")
    image = np.random.default_rng(0).random((size, size), np.float32)
    run = compile_peer(peer, settings, draw_float_weights(settings), size, threads)
    return lambda: 0.0 * float(run(image)[0, 0])


def draw_float_weights(settings: NetworkSettings) -> Weights:
    """Draw the weights of a network; those of a BLU-Net are the packed engine's, decoded."""
    if settings.binary:
        packed = draw_weights(settings)
        return {**packed.floats, **{key: packed.decode(*key) for key in packed.planes}}
    rng = np.random.default_rng(0)
    shapes = {(layer.name, w.name): w.shape for layer in list_layers(settings) for w in layer.weights}
    return {key: rng.normal(0, 1 / np.sqrt(np.prod(shape[:3])), shape).astype("f4") for key, shape in shapes.items()}


def compile_peer(
    peer: str, settings: NetworkSettings, weights: Weights, size: int, threads: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from an image (size, size) to its probability (size, size)."""
    model = onnx_network(settings, weights, size)
    if peer == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        return lambda image: session.run(None, {"image": image[None, None]})[0][0, 0]
    import openvino

    read = openvino.Core().read_model(model.SerializeToString())
    precision = "bf16" if peer == "openvino_bf16" else "f32"
    settings_of_run = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}
    loaded = openvino.Core().compile_model(read, "CPU", settings_of_run)
    return lambda image: np.asarray(loaded(image[None, None])[0])[0, 0]


if __name__ == "__main__":
    main()
