"""Speed and memory of long batches: a time-lapse, mosaics, resuming, and local workers.

    python benchmarks/scale.py frames  [--frames 50] [--rounds 5]
    python benchmarks/scale.py mosaics [--sizes 1024 4096 8192]
    python benchmarks/scale.py seams   [--size 2048] [--block 512]
    python benchmarks/scale.py resume  [--files 1000]
    python benchmarks/scale.py workers [--files 60]

``frames`` segments and measures a time-lapse of 512 x 512 frames, and runs the packed engine alone on the same frames,
in turn: the rate is the median ratio of the rounds. ``mosaics`` segments and measures one image of each size, each in a
process of its own, and tells its largest resident memory, and the seconds and the processors' seconds a pixel relative
to the first size. ``seams`` segments one image whole, piece by piece, and by two patterns that are common with dask;
it counts the objects that these cut or join at the borders of blocks, and their tasks for a large mosaic. ``resume``
times a command that finds all files finished. ``workers`` compares one and two processes of one thread, from the
first image that is done to the last. The images are simulated; the model is the bundled one.
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
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import dask.array as da
import numpy as np
import tifffile
from numpy.lib.stride_tricks import sliding_window_view
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from blunet import load_model, segment
from blunet.dataset.targets import compute_distance_map
from blunet.images.grey_image import GreyImage
from blunet.images.normalisation import Normaliser
from blunet.jobs.cluster import Cluster
from blunet.jobs.events import Segmented
from blunet.jobs.file_segmentation import segment_files
from blunet.packed.packed_model import PackedModel
from blunet.packed.tiles import read_padded, split_into_tiles
from blunet.segmentation.mosaic import segment_mosaic
from blunet.segmentation.scratch import Scratch
from blunet.segmentation.segmentation_settings import SegmentationSettings
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    frames = parts.add_parser("frames")
    frames.add_argument("--frames", type=int, default=50)
    frames.add_argument("--rounds", type=int, default=5)
    mosaics = parts.add_parser("mosaics")
    mosaics.add_argument("--sizes", type=int, nargs="+", default=[1024, 4096, 8192])
    mosaics.add_argument("--without-network", action="store_true", help="take the maps of the network as known")
    mosaics.add_argument("--child", help=argparse.SUPPRESS)
    seams = parts.add_parser("seams")
    seams.add_argument("--size", type=int, default=2048)
    seams.add_argument("--block", type=int, default=512)
    for name, files in (("resume", 1000), ("workers", 60)):
        parts.add_parser(name).add_argument("--files", type=int, default=files)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        {
            "frames": time_frames,
            "mosaics": time_mosaics,
            "seams": compare_seams,
            "resume": time_resume,
            "workers": time_workers,
        }[arguments.part](arguments)


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
        print(json.dumps(measure_mosaic(arguments.child, network=not arguments.without_network)))
        return
    first = None
    for size in arguments.sizes:
        write_mosaic(Path("mosaic.tif"), size)
        command = [sys.executable, __file__, "mosaics", "--child", str(Path("mosaic.tif").absolute())]
        command += ["--without-network"] * arguments.without_network
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        pixel = np.array([found["seconds"], found["processor_seconds"]]) / size**2
        first = pixel if first is None else first
        ratios = pixel / first
        print(
            f"{size:6d} x {size}  {found['seconds']:7.1f} s, {found['processor_seconds']:7.1f} s of processors"
            f"  {ratios[0]:5.2f} and {ratios[1]:5.2f} x those a pixel"
            f"  {found['mebibytes']:6.0f} MiB resident ({found['before']:.0f} before)  {found['objects']:,} objects",
            flush=True,
        )


def write_mosaic(path: Path, size: int) -> None:
    """Write one simulated field, repeated, as a tiled TIFF of `size` x `size` pixels, tile by tile."""
    field, side = simulate_dic().image, 512
    down, across = field.shape

    def tiles() -> Iterator[np.ndarray]:
        for top in range(0, size, side):
            for left in range(0, size, side):
                rows = np.arange(top, min(top + side, size)) % down
                columns = np.arange(left, min(left + side, size)) % across
                yield field[np.ix_(rows, columns)]

    tifffile.imwrite(path, tiles(), shape=(size, size), dtype=field.dtype, tile=(side, side), bigtiff=True)


class KnownMaps(PackedModel):
    """A model that knows the maps of the repeated field, so that no time goes into the network."""

    def predict_map_tiles(self, image: GreyImage, **_: Any) -> Iterator[tuple[Any, np.ndarray]]:
        labels = simulate_dic().labels
        field = np.stack([(labels > 0).astype(np.float32), compute_distance_map(labels)])
        scaled = Normaliser(image, self.info.normalisation)
        for part in split_into_tiles(image.shape, self.tile, self.settings):
            read_padded(scaled, part.extent)
            rows, columns = (np.arange(axis.start, axis.stop) for axis in part.core)
            yield part.core, field[:, rows[:, None] % labels.shape[0], columns % labels.shape[1]]


def measure_mosaic(path: str, *, network: bool) -> dict[str, float]:
    """Segment and measure a mosaic; returns seconds, resident memory before and at most, and objects."""
    model = load_model(threads=2)
    if network:
        model.predict_maps(simulate_dic(DicSettings(shape=(512, 512))).image)
    else:
        model = KnownMaps(model.weights, model.info, model.path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begin, processors = time.perf_counter(), time.process_time()
    done = [each for each in segment_files([path], "out", model, save_measurements=True) if isinstance(each, Segmented)]
    seconds, processors = time.perf_counter() - begin, time.process_time() - processors
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": seconds,
        "processor_seconds": processors,
        "before": before,
        "mebibytes": peak,
        "objects": done[0].objects,
    }


def compare_seams(arguments: argparse.Namespace) -> None:
    """Count the objects that patterns of today cut or join, relative to the image in one piece."""
    size, block = arguments.size, arguments.block
    image = simulate_dic(DicSettings(shape=(size, size), coverage=0.6, clustering=0.8), seed=1).image
    model = load_model(threads=2)
    whole = segment(image, model)
    with Scratch(Path.cwd()) as scratch:
        *_, found = segment_mosaic(image, model, SegmentationSettings(), scratch, tile=block)
        describe_seams("piece by piece", whole, found.labels[:, :], "none: a list of tiles")
    tasks = f"{count_tasks(65536, 1024):,}"
    blocks = segment_blocks(image, model, block).compute(scheduler="sync")
    apart = number_on(blocks, block)
    describe_seams("map_overlap with segment", whole, apart, tasks)
    describe_seams("blocks, joined where labels touch", whole, join_at_faces(apart, block), tasks)


def segment_blocks(image: Any, model: PackedModel | None, block: int) -> da.Array:
    """Segment blocks with a halo, each on its own."""
    lazy = da.from_array(image, chunks=block) if isinstance(image, np.ndarray) else image
    return lazy.map_overlap(
        lambda part: segment(part, model),
        depth=128,
        boundary="reflect",
        dtype=np.int32,
        meta=np.zeros((0, 0), np.int32),
    )


def count_tasks(size: int, block: int) -> int:
    """Return the tasks of the graph of `segment_blocks` for a mosaic."""
    return len(
        dict(segment_blocks(da.zeros((size, size), chunks=block, dtype=np.uint16), None, block).__dask_graph__())
    )


def number_on(labels: np.ndarray, block: int) -> np.ndarray:
    """Number the labels of each block on from those of the block before."""
    result, last = np.zeros_like(labels), 0
    for top in range(0, len(labels), block):
        for left in range(0, labels.shape[1], block):
            part = labels[top : top + block, left : left + block]
            _, dense = np.unique(np.append(part.ravel(), 0), return_inverse=True)
            dense = dense[:-1].reshape(part.shape)
            result[top : top + block, left : left + block] = np.where(dense, dense + last, 0)
            last += int(dense.max())
    return result


def join_at_faces(labels: np.ndarray, block: int) -> np.ndarray:
    """Join the labels that touch across the borders of blocks, as distributed segmentation with cellpose does.

    Along a border, pixels within two of another label do not count.
    """
    pairs = [np.zeros((2, 0), int)]
    for values in (labels, labels.T):
        for border in range(block, len(values), block):
            above, below = shrink_along(values[border - 1]), shrink_along(values[border])
            both = (above > 0) & (below > 0)
            pairs.append(np.stack([above[both], below[both]]))
    a, b = np.concatenate(pairs, axis=1)
    count = int(labels.max()) + 1
    _, same = connected_components(coo_array((np.ones(a.size), (a, b)), shape=(count, count)), directed=False)
    return np.where(labels > 0, same[labels] + 1, 0)


def shrink_along(line: np.ndarray) -> np.ndarray:
    """Return the labels of a line of pixels, 0 where one of the two pixels to either side has another label."""
    around = sliding_window_view(np.pad(line, 2, mode="edge"), 5)
    return np.where((around == line[:, np.newaxis]).all(axis=1), line, 0)


def describe_seams(title: str, whole: np.ndarray, found: np.ndarray, tasks: str) -> None:
    """Print how many objects of the whole image are cut into labels, and how many labels join several objects."""
    pairs, shared = np.unique(np.stack([whole.ravel(), found.ravel()]), axis=1, return_counts=True)
    shared = shared[(pairs > 0).all(axis=0)]
    own, other = pairs[:, (pairs > 0).all(axis=0)]
    share = shared / np.bincount(whole.ravel())[own]
    cut = np.count_nonzero(np.bincount(own[share > 0.1]) > 1)
    joined = np.count_nonzero(np.bincount(other[share > 0.5]) > 1)
    total, equal = np.unique(found[found > 0]).size, np.mean((whole > 0) == (found > 0))
    print(
        f"{title:34s} {total:6,d} objects of {int(whole.max()):,}  {cut:4d} cut  {joined:4d} joined"
        f"  {equal:8.3%} of pixels alike  tasks for 65536 x 65536: {tasks}",
        flush=True,
    )


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
