"""What binarising one trained lightweight network loses, by start, straight-through gradient, levels and coding.

    python scripts/binarisation_experiments.py --student RUN/checkpoints/retrain.keras --data FOLDER --test FOLDER

Every row starts from the same student, sees the same crops in the same order and is scored on the same files: the IoU
of the start (nothing trained), the best on the validation files, and that network's mean on the test files, all at
p > 0.5. Rows are printed as Markdown as they come.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from blunet.architecture import ResidualLevels
from blunet.compression.binarisation import binarise
from blunet.compression.compression_settings import Start, StepSettings
from blunet.compression.pipeline import PROBES
from blunet.compression.presets import preset
from blunet.compression.run_events import StepDone
from blunet.compression.training import train
from blunet.compression.training_task import make_segmentation_task, validate
from blunet.dataset.crops import Crops
from blunet.dataset.fields import crop_for_validation, prepare_for_training, read_field
from blunet.dataset.pairs import find_pairs
from blunet.dataset.splits import split_by_share
from blunet.evaluation.metrics import iou
from blunet.networks.keras_file import KerasModel, load_keras, run_network


@dataclass(frozen=True)
class Row:
    """One way to binarise; the window is that of the published gradient, None the gradient of a quantiser."""

    start: Start = "calibrated"
    window: float | None = None
    levels: int = 3
    coded: bool = False
    learning_rate: float = 3e-4


ROWS = [
    Row(),
    Row(window=1.0),
    Row(window=0.5),
    Row(window=2.0),
    Row(learning_rate=1e-4),
    Row(learning_rate=1e-3),
    Row(start="least_squares"),
    Row(start="least_squares", window=1.0),
    Row(start="published"),
    Row(start="published", window=1.0),
    Row(start="published", window=1.0, learning_rate=1e-3),
    Row(levels=2),
    Row(levels=1),
    Row(coded=True),
    Row(coded=True, levels=2),
    Row(coded=True, levels=1),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batches", type=int, default=60)
    arguments = parser.parse_args()

    student = load_keras(arguments.student)
    normalisation, multiple = student.info.normalisation, student.settings.multiple
    pairs = {pair.name: pair for pair in find_pairs(arguments.data).pairs}
    chosen = split_by_share(list(pairs), 0.2, 1)
    real, validation = ([read_field(pairs[name], normalisation) for name in names] for names in chosen)
    validation = [crop_for_validation(field, 512) for field in validation]
    test = [read_field(pair, normalisation) for pair in find_pairs(arguments.test).pairs]
    step = StepSettings(
        epochs=arguments.epochs, batches=arguments.batches, learning_rate=ROWS[0].learning_rate, crop=192, batch=1
    )
    crops = Crops([[prepare_for_training(f) for f in real]], step.crop, step.batch, preset("quick").augmentation, 7)
    probes = [crops.draw_batch(10**6 + i).images[0, ..., 0] for i in range(PROBES)]

    def tested(model: KerasModel) -> float:
        return float(np.mean([iou(f.labels > 0, run_network(model.network, f.image, multiple)[0] > 0.5) for f in test]))

    whole = validate(student.network, validation, multiple).iou
    print(f"Student: validation {whole:.3f}, test {tested(student):.3f}; {len(real)} training, {len(validation)} "
          f"validation and {len(test)} test files, {step.epochs} epochs of {step.batches} crops.\n")  # fmt: skip
    print("| start | gradient | levels | depthwise coded | rate | IoU at the start | best validation IoU | test IoU |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for row in ROWS:
        step = step.changed(learning_rate=row.learning_rate)
        keras.utils.set_random_seed(1)
        levels = ResidualLevels.uniform(row.levels)
        network = binarise(
            student.network,
            student.settings,
            levels,
            probes,
            row.start,
            binarize_depthwise=row.coded,
            gradient_window=row.window,
        )
        before = validate(network, validation, multiple).iou
        task = make_segmentation_task(network, validation, student.settings, step)
        *_, done = train("binarise", task, crops, step)
        assert isinstance(done, StepDone)
        settings = student.settings.changed(network="blunet", residual_levels=levels, binarize_depthwise=row.coded)
        score = tested(KerasModel(network, settings, student.info))
        gradient = "quantiser" if row.window is None else f"published, {row.window:g}"
        print(f"| {row.start} | {gradient} | {row.levels} | {'yes' if row.coded else 'no'} | {row.learning_rate:g} | "
              f"{before:.3f} | {done.val_iou:.3f} | {score:.3f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
