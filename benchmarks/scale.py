"""Speed and memory of long batches: a time-lapse, mosaics, resuming, and local workers.

    python benchmarks/scale.py frames  [--frames 50] [--rounds 5]
    python benchmarks/scale.py mosaics [--sizes 1024 4096 8192]
    python benchmarks/scale.py resume  [--files 1000]
    python benchmarks/scale.py workers [--files 60]

``frames`` segments and measures a time-lapse of 512 x 512 frames, and runs the packed engine alone on the same frames,
in turn: the rate is the median ratio of the rounds. ``mosaics`` segments and measures one image of each size, each in a
process of its own, and tells its largest resident memory and the time a pixel relative to the first size. ``resume``
times a command that finds all files finished. ``workers`` compares one and two processes of one thread, from the first
image that is done to the last. The images are simulated; the model is the bundled one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import tifffile

from blunet import load_model
from blunet.jobs.cluster import Cluster
from blunet.jobs.events import Segmented
from blunet.jobs.file_segmentation import segment_files
from blunet.simulation.dic_fields import simulate_dic


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    frames = parts.add_parser("frames")
    frames.add_argument("--frames", type=int, default=50)
    frames.add_argument("--rounds", type=int, default=5)
    mosaics = parts.add_parser("mosaics")
    mosaics.add_argument("--sizes", type=int, nargs="+", default=[1024, 4096, 8192])
    mosaics.add_argument("--child", type=int, help=argparse.SUPPRESS)
    for name, files in (("resume", 1000), ("workers", 60)):
        parts.add_parser(name).add_argument("--files", type=int, default=files)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        {"frames": time_frames, "mosaics": time_mosaics, "resume": time_resume, "workers": time_workers}[
            arguments.part
        ](arguments)


def make_frames(count: int) -> np.ndarray:
    """Return a time-lapse of 512 x 512 frames: one simulated field, moved and mirrored."""
    field = simulate_dic().image[:512, :512]
    return np.stack([np.roll(field[:: (-1) ** (t % 2)], 7 * t, axis=1) for t in range(count)])


def time_frames(arguments: argparse.Namespace) -> None:
    stack, model = make_frames(arguments.frames), load_model(threads=2)
    tifffile.imwrite("stack.tif", stack, imagej=True, metadata={"axes": "TYX"})
    model.predict_maps(stack[0])
    ratios = []
    for _ in range(arguments.rounds):
        begin = time.perf_counter()
        for frame in stack:
            model.predict_maps(frame)
        engine = time.perf_counter() - begin
        shutil.rmtree("out", ignore_errors=True)
        begin = time.perf_counter()
        list(segment_files(["stack.tif"], "out", model, save_measurements=True))
        whole = time.perf_counter() - begin
        ratios.append(engine / whole)
        print(f"{len(stack) / engine:6.2f} frames/s engine   {len(stack) / whole:6.2f} frames/s segmented and measured")
    print(f"{median(ratios):.0%} of the engine's own rate (median of {len(ratios)} rounds)")


def time_mosaics(arguments: argparse.Namespace) -> None:
    if arguments.child:
        print(json.dumps(measure_mosaic(arguments.child)))
        return
    first = None
    for size in arguments.sizes:
        command = [sys.executable, __file__, "mosaics", "--child", str(size)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        pixel = found["seconds"] / size**2
        first = first or pixel
        print(
            f"{size:6d} x {size}  {found['seconds']:7.1f} s  {pixel / first:5.2f} x the time a pixel"
            f"  {found['mebibytes']:6.0f} MiB resident  {found['objects']:,} objects"
        )


def measure_mosaic(size: int) -> dict[str, float]:
    """Segment and measure a mosaic of one simulated field; returns seconds, largest resident memory and objects."""
    field = simulate_dic().image
    tiles = [-(-size // length) for length in field.shape]
    mosaic = tifffile.memmap("mosaic.tif", shape=(size, size), dtype=field.dtype)
    for top in range(tiles[0]):
        row = np.tile(field, (1, tiles[1]))[: size - top * field.shape[0], :size]
        mosaic[top * field.shape[0] : top * field.shape[0] + len(row)] = row
    mosaic.flush()
    del mosaic
    model = load_model(threads=2)
    model.predict_maps(field)
    begin = time.perf_counter()
    done = [
        each
        for each in segment_files(["mosaic.tif"], "out", model, save_measurements=True)
        if isinstance(each, Segmented)
    ]
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "mebibytes": peak, "objects": done[0].objects}


def write_files(count: int) -> None:
    Path("images").mkdir()
    for t, frame in enumerate(make_frames(count)):
        tifffile.imwrite(f"images/t{t:04d}.tif", frame)


def time_resume(arguments: argparse.Namespace) -> None:
    write_files(arguments.files)
    command = [sys.executable, "-m", "blunet", "segment", "images", "--out", "out", "--measure", "--resume"]
    for title in ("segmenting", "resuming"):
        begin = time.perf_counter()
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        print(f"{title:12s} {time.perf_counter() - begin:7.1f} s   {result.stdout.splitlines()[-1]}")


def time_workers(arguments: argparse.Namespace) -> None:
    write_files(arguments.files)
    rates = {}
    for workers in (1, 2, 1, 2):
        shutil.rmtree("out", ignore_errors=True)
        times = [
            time.perf_counter()
            for event in segment_files(
                ["images"], "out", load_model(), save_measurements=True, cluster=Cluster(workers)
            )
            if isinstance(event, Segmented)
        ]
        rate = (len(times) - 1) / (times[-1] - times[0])
        rates.setdefault(workers, []).append(rate)
        print(f"{workers} workers: {rate:5.2f} images/s")
    print(f"two workers: {median(rates[2]) / median(rates[1]):.2f} x one")


if __name__ == "__main__":
    main()
