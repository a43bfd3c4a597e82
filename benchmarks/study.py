"""The study on open images: every stage and ablation of a compression, on several sets and seeds.

    python benchmarks/study.py DATA OUT [--sets dic-hela dic-cho ...] [--arms pipeline no-hints ...] [--seeds 1 2 3]
                               [--images 1 3 10] [--preset full] [--settings FILE.toml]

DATA is a folder with the open sets, as `shared/data/PROVENANCE.md` describes them. Every combination of a set, an arm
and a seed is a run of `blunet compress` in a folder of its own within OUT: a run that is finished is not repeated, and
one that was interrupted is continued. The table, mean and spread over the seeds, is printed at the end and written to
OUT/study.md and OUT/study.json; `--table` prints it for the runs that are finished, without running any.

Sets
    phase-usiigaci, dic-hela, dic-cho: trained, chosen and reported on the files that PROVENANCE.md names.
    dic-adherent: rows 0 to 639 of the field in three strips, of which the last chooses; reported on rows 704 on. Its
    teacher is the U-Net of the arm `pipeline` on phase-usiigaci with the same seed.

Arms
    pipeline: all steps.           scratch: without the pretrained teacher.
    no-hints: the lightweight network is not drawn to the U-Net's maps.
    lightweight: the lightweight network from random weights, then BLU-Net.
    blunet: BLU-Net from random weights.
    published: the published networks and start, in the same number of batches.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.presets import PRESETS, preset
from blunet.compression.settings_file import read_settings, write_settings
from blunet.compression.steps import STEPS
from blunet.dataset.pairs import Pair, find_pairs
from blunet.dataset.truth_masks import read_mask
from blunet.images.frame_source import read_image

#: Numbers of the files that train, that choose, and that are reported, first and last.
SPLITS = {
    "phase-usiigaci": ((1, 32), (33, 35), (36, 45)),
    "dic-hela": ((0, 31), (34, 37), (40, 49)),
    "dic-cho": ((1, 26), (27, 30), (31, 40)),
}
#: Rows of the one field of dic-adherent: three strips to learn from, and what is reported.
STRIPS, REPORTED_ROWS = ((0, 213), (213, 426), (426, 640)), (704, None)
SETS = (*SPLITS, "dic-adherent")
ARMS = ("pipeline", "scratch", "no-hints", "lightweight", "blunet", "published")
#: Steps that an arm leaves out.
LEFT_OUT = {
    "no-hints": ("hint_encoder", "hint_decoder"),
    "lightweight": ("transfer", "hint_encoder", "hint_decoder"),
    "blunet": ("transfer", "hint_encoder", "hint_decoder", "retrain"),
}
SCORES = ("iou", "f1", "ap50", "map")


@dataclass(frozen=True)
class Run:
    """One compression of the study."""

    name: str
    arm: str
    images: int | None
    seed: int

    def folder(self, out: Path) -> Path:
        """Return the run's folder."""
        few = [f"{self.images}images"] if self.images else []
        return out / "runs" / "-".join([self.name, self.arm, *few, f"seed{self.seed}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--images", nargs="*", type=int, default=[], help="also with so few training images")
    parser.add_argument("--preset", default="full", choices=PRESETS)
    parser.add_argument("--settings", type=Path, help="TOML file on top of the preset")
    parser.add_argument("--table", action="store_true", help="print the table of the finished runs, and run nothing")
    arguments = parser.parse_args()
    base = preset(arguments.preset)
    if arguments.settings:
        base = read_settings(arguments.settings, base)
    runs = list(plan(arguments.sets, arguments.arms, arguments.seeds, arguments.images))
    if not arguments.table:
        for i, run in enumerate(runs, start=1):
            print(f"Run {i} of {len(runs)}: {run.folder(arguments.out).name}", file=sys.stderr, flush=True)
            compress(run, base, arguments.data, arguments.out)
    write_table(runs, arguments.out)


def plan(names: Iterable[str], arms: Iterable[str], seeds: Iterable[int], few: Iterable[int]) -> Iterator[Run]:
    """Yield the runs; those on phase-usiigaci first, whose U-Nets are the teachers on dic-adherent."""
    for name in sorted(names, key=SETS.index):
        for arm in arms:
            for seed in seeds:
                yield Run(name, arm, None, seed)
        if name != "dic-adherent":
            yield from (Run(name, "pipeline", images, seed) for images in few for seed in seeds)


def compress(run: Run, base: CompressionSettings, data: Path, out: Path) -> None:
    """Do a run, or what is left of it."""
    folder = run.folder(out)
    if (folder / "report.json").exists():
        return
    training, test = prepare(run, data, out)
    teacher = find_teacher(run, out)
    settings = choose_settings(run, base, training)
    file = out / "settings" / f"{folder.name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_settings(settings, file)
    command = [sys.executable, "-m", "blunet", "compress", "--data", training, "--out", folder, "--test", test]
    command += ["--settings", file, "--teacher", teacher, *(["--resume"] if (folder / "run.json").exists() else [])]
    subprocess.run([str(part) for part in command], check=True)


def choose_settings(run: Run, base: CompressionSettings, training: Path) -> CompressionSettings:
    """Return the settings of a run: the last files of the folder choose."""
    files = len(find_pairs(training).pairs)
    choosing = 1 if run.name == "dic-adherent" else SPLITS[run.name][1][1] - SPLITS[run.name][1][0] + 1
    changes: dict[str, Any] = {
        "seed": run.seed,
        "validation_order": "consecutive",
        "validation_share": choosing / files,
        "folds": 1,
        "fold": 0,
    }
    for step in LEFT_OUT.get(run.arm, ()):
        changes[step] = base.step(step).changed(run=False)
    if run.arm == "published":
        changes |= {"form": "published", "maps": "foreground", "gap": True, "start": "published"}
        for step in STEPS:
            chosen = base.step(step)
            monitor = "val_iou" if chosen.monitor == "val_map" else chosen.monitor
            changes[step] = chosen.changed(monitor=monitor, soft=0.0, clip=None, schedule="falling")
    return base.changed(**changes)


def find_teacher(run: Run, out: Path) -> str:
    """Return the teacher of a run: a file, "simulated" or "scratch"."""
    if run.arm in ("scratch", "lightweight", "blunet"):
        return "scratch"
    if run.name == "dic-adherent":
        return str(Run("phase-usiigaci", "pipeline", None, run.seed).folder(out) / "checkpoints" / "transfer.keras")
    return "simulated"


def prepare(run: Run, data: Path, out: Path) -> tuple[Path, Path]:
    """Make the folders of the files that a run learns from and is reported on; return both."""
    training, test = (out / "data" / f"{run.folder(out).name}-{use}" for use in ("training", "test"))
    if run.name == "dic-adherent":
        (pair,) = find_pairs(data / run.name).pairs
        for i, rows in enumerate(STRIPS):
            write_rows(pair, rows, training, f"strip{i}")
        write_rows(pair, REPORTED_ROWS, test, "rows704")
        return training, test
    train, choose, report = SPLITS[run.name]
    parts = [data / run.name / "train", data / run.name / "test"]
    folders = parts if parts[0].is_dir() else [data / run.name]
    pairs = {int(re.findall(r"\d+", pair.name)[-1]): pair for folder in folders for pair in find_pairs(folder).pairs}
    learnt = [pairs[i] for i in range(train[0], train[1] + 1) if i in pairs]
    if run.images:
        learnt = [learnt[i] for i in np.linspace(0, len(learnt) - 1, run.images).round().astype(int)]
    link(learnt + [pairs[i] for i in range(choose[0], choose[1] + 1) if i in pairs], training)
    link([pairs[i] for i in range(report[0], report[1] + 1) if i in pairs], test)
    return training, test


def link(pairs: Iterable[Pair], folder: Path) -> None:
    """Link the files of pairs into the folders images and masks."""
    for pair in pairs:
        for source, kind in ((pair.image, "images"), (pair.mask, "masks")):
            place = folder / kind / source.name
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                place.symlink_to(source.resolve())


def write_rows(pair: Pair, rows: tuple[int, int | None], folder: Path, name: str) -> None:
    """Write rows of an image and its mask."""
    image = read_image(pair.image)
    for values, kind in ((image, "images"), (read_mask(pair.mask, image.shape).astype(np.uint16), "masks")):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / kind / f"{name}.tif", np.ascontiguousarray(values[slice(*rows)]))


def write_table(runs: Iterable[Run], out: Path) -> None:
    """Print and write the table of the finished runs."""
    found: dict[tuple[str, str, int | None, str], list[dict[str, float]]] = {}
    for run in runs:
        report = run.folder(out) / "report.json"
        if report.exists():
            for stage in json.loads(report.read_text(encoding="utf-8"))["models"]:
                found.setdefault((run.name, run.arm, run.images, stage["name"]), []).append(stage)
    lines = ["| set | arm | images | network | seeds | IoU | F1 | AP50 | mAP |", "|" + "---|" * 9]
    rows = []
    for (name, arm, images, stage), stages in found.items():
        values = {score: [s[score] for s in stages if score in s] for score in SCORES}
        cells = [format_spread(values[score]) for score in SCORES]
        lines.append(f"| {name} | {arm} | {images or 'all'} | {stage} | {len(stages)} | {' | '.join(cells)} |")
        rows.append({"set": name, "arm": arm, "images": images, "network": stage, **values})
    out.mkdir(parents=True, exist_ok=True)
    (out / "study.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (out / "study.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print("\n".join(lines))


def format_spread(values: list[float]) -> str:
    """Return the mean, and the standard deviation of two or more values."""
    if not values:
        return "-"
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


if __name__ == "__main__":
    main()
