"""Make the bundled model: a lightweight U-Net from scratch on phase contrast and simulated DIC, then BLU-Net.

    python scripts/train_bundled_model.py --data FOLDER --out RUN

FOLDER holds ``images/`` and ``masks/`` (the training folder of the Usiigaci phase-contrast data, MIT). Both stages'
models are chosen on validation files taken from that folder and on simulated fields. A stage whose result lies in RUN
already is not repeated.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from blunet.architecture import NetworkSettings, ResidualLevels
from blunet.compression.binarise import binarise
from blunet.compression.samples import Crops, Field, parted, read_field, simulated_fields
from blunet.compression.training import StepSettings, train, validate
from blunet.images.augment import AugmentSettings
from blunet.images.normalise import Normalisation
from blunet.images.pairs import find_pairs
from blunet.networks.build import build_network

NORMALISATION = Normalisation("percentile", 0.5, 99.5, shading=50.0)
OBJECT_DIAMETER = 50.0
NETWORK = NetworkSettings("lightweight", levels=5, base_filters=16)
SEED = 1
#: Chosen for validation: consecutive, so that no neighbour of one experiment is trained on.
VALIDATION = ("set31", "set32", "set33", "set34", "set35")
#: Resembles a file of the test set.
LEFT_OUT = ("set23",)
SIMULATED, SIMULATED_VALIDATION = 240, 6
FLOAT = StepSettings("lightweight", 50, 150, 1e-3, "val_iou")
BINARY = StepSettings("blunet", 26, 150, 5e-4, "val_iou")
CROP, BATCH = 256, 3

log = logging.getLogger("bundled")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    pairs = [p for p in find_pairs(arguments.data).pairs if p.name not in LEFT_OUT]
    real = [read_field(p, NORMALISATION) for p in pairs if p.name not in VALIDATION]
    made = simulated_fields(SIMULATED, NORMALISATION, object_diameter=OBJECT_DIAMETER, seed=SEED)
    validation = [centre(read_field(p, NORMALISATION)) for p in pairs if p.name in VALIDATION]
    validation += simulated_fields(
        SIMULATED_VALIDATION, NORMALISATION, object_diameter=OBJECT_DIAMETER, seed=SEED + 1
    )
    groups = [[parted(f) for f in real], [parted(f) for f in made]]
    log.info("%d real, %d simulated, %d for validation", len(real), len(made), len(validation))

    crops = Crops(groups, CROP, BATCH, AugmentSettings.default(), SEED)
    path = arguments.out / "lightweight.keras"
    if path.exists():
        student = keras.models.load_model(path)
    else:
        student = build_network(NETWORK, seed=SEED)
        run(student, crops, validation, FLOAT, path)

    probes = [replace(crops, seed=SEED + 2, batch=1).draw(i)[0][0, ..., 0] for i in range(16)]
    model = binarise(student, NETWORK, ResidualLevels(), probes)
    log.info("binarised, before training: %s", validate(model, validation, NETWORK.multiple))
    run(model, replace(crops, seed=SEED + 3), validation, BINARY, arguments.out / "blunet.keras")


def centre(field: Field, size: int = 512) -> Field:
    """Crop the middle of a field."""
    y, x = ((n - size) // 2 for n in field.image.shape)
    window = np.s_[y : y + size, x : x + size]
    return Field(field.name, field.image[window], field.labels[window])


def run(model: keras.Model, crops: Crops, validation: list[Field], step: StepSettings, path: Path) -> None:
    """Train one stage, log its epochs and save its best weights."""
    for event in train(model, crops, validation, step, NETWORK.multiple):
        log.info(
            "%s %d/%d loss %.4f val_loss %.4f val_iou %.4f lr %.1e %.0f s%s",
            event.step, event.epoch, event.epochs, event.loss, event.val_loss, event.val_iou,
            event.learning_rate, event.seconds, " *" if event.best else "",
        )  # fmt: skip
        if event.best:
            model.save(path.with_stem(path.stem + "-best"))
    model.save(path)


if __name__ == "__main__":
    main()
