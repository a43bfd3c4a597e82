"""Make a compression's BLU-Net the model that comes with the package, and print what its stages reach.

    blunet compress --data FOLDER --out RUN --settings scripts/bundled_model.toml --teacher scratch
    python scripts/bundle_model.py RUN --data "phase contrast" TEST --data "true DIC" DIC --diameter 83

FOLDER is the training folder of the Usiigaci phase-contrast data (MIT). The card gets a name, what the data were and
their licence, and the model the threshold, if one is given; nothing else is changed. Rows are printed as Markdown.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from blunet.architecture import count_parameters
from blunet.compression.report import read_report
from blunet.dataset.pairs import find_pairs
from blunet.evaluation.scores import average_scores, check_pairs, evaluate
from blunet.networks.keras_file import load_keras
from blunet.packed.packed_model import BUNDLED, load_model
from blunet.segmentation.predictor import Predictor
from blunet.segmentation.segmentation_settings import SegmentationSettings

STAGES = {"U-Net": "transfer", "lightweight U-Net": "retrain"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--threshold", type=float, help="of all networks, instead of what the run chose for each")
    parser.add_argument("--data", nargs=2, action="append", default=[], metavar=("NAME", "FOLDER"))
    parser.add_argument("--diameter", type=float, help="of the objects in the last folder: scored with it as well")
    arguments = parser.parse_args()

    model = load_model(arguments.run / "model.blunet")
    card = model.info.card.changed(
        name=f"bundled ({model.settings.base_filters} filters)",
        data="Phase contrast of migrating adherent cells (Usiigaci, training files) and simulated DIC fields",
        licence="BSD-3-Clause; data: MIT, Okinawa Institute of Science and Technology, 2018",
    )
    if arguments.threshold is not None:  # the card's figures are of the run's own
        card = card.changed(figures={})
    threshold = model.info.threshold if arguments.threshold is None else arguments.threshold
    model = replace(model, info=model.info.changed(card=card, threshold=threshold))
    model.save(BUNDLED)
    size = count_parameters(model.settings).size_mib
    print(f"{BUNDLED.name}: {BUNDLED.stat().st_size:,} bytes, {size:.3f} MiB of weights\n")

    figures = {stage.name: stage for stage in read_report(arguments.run / "report.json").models}
    print("| images | network | threshold | IoU | F1 | AP50 | mAP |\n|---|---|---|---|---|---|---|")
    for place, (name, folder) in enumerate(arguments.data, start=1):
        last = place == len(arguments.data) and arguments.diameter
        for diameter in (None, arguments.diameter) if last else (None,):
            title = name if diameter is None else f"{name}, `--diameter {diameter:g}`"
            for stage, step in STAGES.items():
                if stage not in figures:
                    continue
                network: Predictor = load_keras(arguments.run / "checkpoints" / f"{step}.keras")
                chosen = figures[stage].threshold if arguments.threshold is None else arguments.threshold
                row(title, stage, network, folder, chosen, figures[stage].splitting, diameter)
            row(title, "BLU-Net", model, folder, model.info.threshold, model.info.splitting, diameter)


def row(
    title: str,
    stage: str,
    network: Predictor,
    folder: str,
    threshold: float,
    splitting: float | None,
    diameter: float | None,
) -> None:
    """Score a network and print a row."""
    pairs = check_pairs(find_pairs(folder).pairs)
    settings = SegmentationSettings(threshold=threshold, splitting=splitting, diameter=diameter)
    found = average_scores([scored.scores for scored in evaluate(pairs, network, settings)])
    figures = " | ".join(f"{figure:.3f}" for figure in (found.iou, found.f1, found.ap50, found.map))
    print(f"| {title} | {stage} | {threshold:g} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
