"""Tracking: scores on a simulated time-lapse with truth, time beside segmenting, memory, and a contact sheet.

    python benchmarks/tracks.py scores   [--frames 100] [--seed 1] [--own-masks]
    python benchmarks/tracks.py memory   [--frames 25 100 400]
    python benchmarks/tracks.py crowd    [--cells 10000]
    python benchmarks/tracks.py sheet    IMAGES OUT.png [--every 6] [--diameter 120]

``scores`` simulates cells that move, divide, enter and leave, tracks the true masks, and with ``--own-masks`` those of
the bundled model too, and prints SEG, DET, TRA and the F1 of divisions of the Cell Tracking Challenge (py-ctcmetrics),
and the time of tracking as a share of segmenting. ``memory`` tells the largest resident memory of ``blunet track`` for
stacks of several lengths. ``crowd`` times frames with many cells. ``sheet`` segments and tracks the images of a folder
and draws frames with the outlines and numbers of the tracks, to look for exchanged cells. Times are of the processor
(user and system), so that other work on the computer counts little.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

import blunet
from blunet.evaluation.track_scores import score_tracks
from blunet.images.frame_source import FrameSource
from blunet.images.image_writer import write_labels
from blunet.jobs.track_files import TracksWritten, track_files
from blunet.simulation.challenge_truth import save_with_truth
from blunet.simulation.dic_settings import DicSettings
from blunet.simulation.time_lapse import simulate_time_lapse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    scores = parts.add_parser("scores")
    scores.add_argument("--frames", type=int, default=100)
    scores.add_argument("--seed", type=int, default=1)
    scores.add_argument("--own-masks", action="store_true")
    parts.add_parser("memory").add_argument("--frames", type=int, nargs="+", default=[25, 100, 400])
    parts.add_parser("crowd").add_argument("--cells", type=int, default=10_000)
    sheet = parts.add_parser("sheet")
    sheet.add_argument("images", type=Path)
    sheet.add_argument("out", type=Path)
    sheet.add_argument("--every", type=int, default=6)
    sheet.add_argument("--diameter", type=float)
    arguments = parser.parse_args()
    {"scores": measure_scores, "memory": measure_memory, "crowd": time_crowd, "sheet": draw_sheet}[arguments.part](
        arguments
    )


def track(labels: Path, out: Path) -> TracksWritten:
    """Track files as the command does; return what it wrote."""
    return next(event for event in list(track_files(labels, out)) if isinstance(event, TracksWritten))


def measure_scores(arguments: argparse.Namespace) -> None:
    lapse = simulate_time_lapse(DicSettings(shape=(512, 512), object_diameter=40), arguments.frames, arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.own_masks:
            for _ in save_with_truth(lapse, folder):
                pass
        else:
            write_truth(lapse, folder / "01_GT")
        print(f"{len(lapse)} frames, {len(lapse.tracks)} tracks, {lapse.divisions} divisions")
        report("true masks", folder / "01_GT" / "TRA", folder)
        if arguments.own_masks:
            begun = time.process_time()
            labels = blunet.segment(FrameSource.from_folder(folder / "01").to_dask())
            segmenting = time.process_time() - begun
            write_labels(folder / "own.tif", labels, description={})
            tracking = report("own masks", folder / "own.tif", folder)
            print(f"segmenting {segmenting:.1f} s, tracking {tracking:.1f} s: {tracking / segmenting:.1%}")


def write_truth(lapse: object, truth: Path) -> None:
    """Write the true masks alone, which are made much faster than the images."""
    for part, name in (("TRA", "man_track"), ("SEG", "man_seg")):
        (truth / part).mkdir(parents=True)
        for t in range(len(lapse)):
            tifffile.imwrite(truth / part / f"{name}{t:03d}.tif", lapse.labels(t).astype(np.uint16))
    lines = [f"{each.number} {each.start} {each.end} {each.parent}\n" for each in lapse.tracks]
    (truth / "TRA" / "man_track.txt").write_text("".join(lines))


def report(name: str, labels: Path, folder: Path) -> float:
    """Track labels, print their scores, and return the time that tracking took."""
    out = folder / name.replace(" ", "_")
    begun = time.process_time()
    written = track(labels, out)
    taken = time.process_time() - begun
    scores = score_tracks(out, folder / "01_GT")
    print(
        f"{name}: SEG {scores.seg:.4f}  DET {scores.det:.4f}  TRA {scores.tra:.4f}  divisions {scores.correct} of "
        f"{scores.divisions}, {scores.found - scores.correct} wrongly, F1 {scores.division_f1:.3f}; "
        f"{len(written.tracks.mended)} mended; {taken:.1f} s"
    )
    return taken


def measure_memory(arguments: argparse.Namespace) -> None:
    for frames in arguments.frames:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name, "labels.tif")
            write_labels(path, moving_cells(frames, 100, 512), description={})
            child = "import resource,sys; from blunet.jobs.track_files import track_files\n" + (
                f"list(track_files({str(path)!r}, {str(Path(name, 'out'))!r}))\n"
                "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
            )
            peak = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True).stdout
            print(f"{frames} frames of 512 x 512: peak {peak.strip()} MiB")


def time_crowd(arguments: argparse.Namespace) -> None:
    side = int(np.ceil(np.sqrt(arguments.cells))) * 16
    labels = np.stack(list(moving_cells(5, arguments.cells, side)))
    begun = time.process_time()
    _, tracks = blunet.track(labels)
    taken = (time.process_time() - begun) / len(labels)
    print(f"{arguments.cells:,} cells in {side} x {side}: {taken:.2f} s a frame, {len(tracks.spans):,} tracks")
    print(json.dumps({"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


def moving_cells(frames: int, cells: int, side: int) -> Iterator[NDArray[np.int32]]:
    """Yield frames of cells on a grid that wander by up to two pixels a frame."""
    rng = np.random.default_rng(0)
    columns = int(np.ceil(np.sqrt(cells)))
    step = side / columns
    place = (np.stack(np.divmod(np.arange(cells), columns), axis=1) + 0.5) * step
    y, x = np.indices((int(step * 0.6),) * 2)
    disc = (y - y.mean()) ** 2 + (x - x.mean()) ** 2 <= (step * 0.3) ** 2
    for _ in range(frames):
        place = place + np.clip(rng.normal(0, 1, place.shape), -2, 2) * min(1, step / 30)
        labels = np.zeros((side, side), np.int32)
        for number, (row, column) in enumerate(np.rint(place).astype(int) - disc.shape[0] // 2, 1):
            top, left = np.clip((row, column), 0, side - disc.shape[0])
            labels[top : top + disc.shape[0], left : left + disc.shape[1]][disc] = number
        yield labels


def draw_sheet(arguments: argparse.Namespace) -> None:
    from PIL import Image, ImageDraw
    from skimage.segmentation import find_boundaries

    source = FrameSource.from_folder(arguments.images)
    images = np.stack(list(source.each()))
    begun = time.process_time()
    labels = blunet.segment(images, diameter=arguments.diameter)
    segmented = time.process_time()
    tracked, tracks = blunet.track(labels)
    taken = time.process_time() - segmented
    print(f"segmenting {segmented - begun:.1f} s, tracking {taken:.1f} s: {taken / (segmented - begun):.1%}")
    print(f"{len(tracks.spans)} tracks, {tracks.divisions} divisions, {len(tracks.mended)} mended")
    tiles = []
    for t in range(0, len(images), arguments.every):
        grey = np.interp(images[t], np.quantile(images[t], [0.01, 0.99]), [0, 255]).astype(np.uint8)
        tile = np.stack([grey] * 3, axis=-1)
        tile[find_boundaries(tracked[t], mode="inner")] = (255, 200, 0)
        picture = Image.fromarray(tile)
        draw = ImageDraw.Draw(picture)
        draw.text((4, 4), f"t{t}", fill=(255, 255, 255))
        rows = np.flatnonzero(tracks.frame == t)
        for number, (y, x) in zip(tracks.track[rows].tolist(), tracks.centre[rows].tolist(), strict=True):
            draw.text((x - 8, y - 6), str(number), fill=(0, 255, 255), font_size=16)
        tiles.append(np.asarray(picture))
    wide = min(4, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % wide)
    rows_of_tiles = [np.concatenate(tiles[i : i + wide], axis=1) for i in range(0, len(tiles), wide)]
    Image.fromarray(np.concatenate(rows_of_tiles)).save(arguments.out)


if __name__ == "__main__":
    main()
