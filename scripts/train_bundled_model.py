"""Make the bundled model: a lightweight U-Net from scratch on phase contrast and simulated DIC, then BLU-Net.

    python scripts/train_bundled_model.py --data FOLDER --out RUN

FOLDER holds ``images/`` and ``masks/`` (the training folder of the Usiigaci phase-contrast data, MIT). Both stages'
models are chosen on validation files taken from that folder and on simulated fields. A stage whose result lies in RUN
already is not repeated.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import keras

from blunet.architecture import NetworkSettings, ResidualLevels
from blunet.compression.binarise import binarise
from blunet.compression.events import EpochDone
from blunet.compression.report import best_threshold
from blunet.compression.samples import Crops, Field, centre, parted, read_field, simulated_fields
from blunet.compression.settings import StepSettings
from blunet.compression.training import segmentation_task, train, validate
from blunet.evaluation.evaluate import evaluate, mean_scores
from blunet.images.augment import AugmentSettings
from blunet.images.normalise import Normalisation
from blunet.images.pairs import Pair, find_pairs
from blunet.networks.build import build_network
from blunet.networks.files import KerasModel
from blunet.packed.card import ModelCard, ModelInfo
from blunet.packed.model import PackedModel

NORMALISATION = Normalisation("percentile", 0.5, 99.5, shading=50.0)
OBJECT_DIAMETER = 50.0
NETWORK = NetworkSettings("lightweight", levels=5, base_filters=16)
SEED = 1
#: Chosen for validation: consecutive, so that no neighbour of one experiment is trained on.
VALIDATION = ("set31", "set32", "set33", "set34", "set35")
#: Resembles a file of the test set.
LEFT_OUT = ("set23",)
SIMULATED, SIMULATED_VALIDATION = 240, 6
FLOAT = StepSettings(50, 150, 1e-3)
BINARY = StepSettings(26, 150, 5e-4)
CROP, BATCH = 256, 3

log = logging.getLogger("bundled")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    pairs = [p for p in find_pairs(arguments.data).pairs if p.name not in LEFT_OUT]
    real = [read_field(p, NORMALISATION) for p in pairs if p.name not in VALIDATION]
    made = simulated_fields(SIMULATED, NORMALISATION, object_diameter=OBJECT_DIAMETER, seed=SEED)
    held_out = [p for p in pairs if p.name in VALIDATION]
    validation = [centre(read_field(p, NORMALISATION), 512) for p in held_out]
    validation += simulated_fields(SIMULATED_VALIDATION, NORMALISATION, object_diameter=OBJECT_DIAMETER, seed=SEED + 1)
    groups = [[parted(f) for f in real], [parted(f) for f in made]]
    log.info("%d real, %d simulated, %d for validation", len(real), len(made), len(validation))

    crops = Crops(groups, CROP, BATCH, AugmentSettings.default(), SEED)
    student = build_network(NETWORK, seed=SEED)
    train_or_load("lightweight", student, crops, validation, FLOAT, arguments.out)
    probes = [replace(crops, seed=SEED + 2, batch=1).draw(i).images[0, ..., 0] for i in range(16)]
    binary = binarise(student, NETWORK, ResidualLevels(), probes)
    log.info("binarised, before training: %s", validate(binary, validation, NETWORK.multiple)[:2])
    train_or_load("blunet", binary, replace(crops, seed=SEED + 3), validation, BINARY, arguments.out)

    keep(KerasModel(student, NETWORK, info("lightweight")), held_out, arguments.out / "float.keras")
    blunet = KerasModel(binary, replace(NETWORK, network="blunet"), info("blunet"))
    keep(blunet.packed(), held_out, arguments.out / "bundled.blunet")


def train_or_load(
    name: str, network: keras.Model, crops: Crops, validation: list[Field], step: StepSettings, out: Path
) -> None:
    """Train a stage, log its epochs and save its best weights; or load them if they are there already."""
    path = out / f"{name}.keras"
    if path.exists():
        network.load_weights(path)
        return
    task = segmentation_task(network, validation, NETWORK.multiple, step)
    for event in train(name, task, crops, step):
        if isinstance(event, EpochDone):
            log.info("%s", event.to_json())
    network.save(path)


def info(stage: str) -> ModelInfo:
    """Describe a stage's model."""
    card = ModelCard(
        name=f"bundled ({stage}, {NETWORK.base_filters} filters)",
        data="Phase contrast of migrating adherent cells (Usiigaci, training files) and simulated DIC fields",
        object_diameter=OBJECT_DIAMETER,
        date=date.today().isoformat(),
        settings={"script": "scripts/train_bundled_model.py", "seed": SEED},
        versions={"keras": keras.__version__},
        licence="BSD-3-Clause; data: MIT, Okinawa Institute of Science and Technology, 2018",
    )
    return ModelInfo(NORMALISATION, 0.5, card)


def keep(model: KerasModel | PackedModel, validation: list[Pair], path: Path) -> None:
    """Choose the threshold on the validation files, note the scores on the card and save the model."""
    model = replace(model, info=replace(model.info, threshold=best_threshold(model, validation)))
    scores = mean_scores([s for _, s in evaluate(validation, model)])
    figures = {f"validation_{key}": round(value, 4) for key, value in asdict(scores).items()}
    model = replace(model, info=replace(model.info, card=replace(model.info.card, figures=figures)))
    log.info("%s: threshold %.2f, %s", path.name, model.info.threshold, figures)
    model.save(path)


if __name__ == "__main__":
    main()
