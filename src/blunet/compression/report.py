"""What each phase gained and lost: every stage scored on the same files, in figures and in one page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from blunet.architecture import Network, NetworkSettings, census
from blunet.evaluation.evaluate import Scores, mean_scores, score
from blunet.evaluation.scores import iou
from blunet.images.masks import read_mask
from blunet.images.pairs import Pair
from blunet.images.read import read_image
from blunet.segmentation.predictor import Predictor

#: Thresholds tried on the validation files.
THRESHOLDS = tuple(round(0.3 + 0.05 * i, 2) for i in range(9))


@dataclass(frozen=True)
class Stage:
    """A network of the run to be scored.

    Attributes
    ----------
    name : str
        In the users' words: "U-Net before transfer", "U-Net", "lightweight U-Net", "BLU-Net".
    model : Predictor
    """

    name: str
    model: Predictor


def score_stage(stage: Stage, validation: Sequence[Pair], test: Sequence[Pair]) -> dict[str, Any]:
    """Score one stage.

    Returns
    -------
    dict
        ``name``, ``network``, ``iou``, ``f1``, ``ap50`` (of the test files where there are any, else of the
        validation files), ``parameters``, ``size_mib``, ``seconds`` (median per image on this computer, the first
        image not counted where there are more), and ``validation`` and ``test`` with the figures image by image.
    """
    parts, seconds = {}, []
    for part, pairs in (("validation", validation), ("test", test)):
        rows = []
        for pair in pairs:
            image = read_image(pair.image)
            began = time.perf_counter()
            probability = stage.model.predict(image)
            seconds.append(time.perf_counter() - began)
            truth = read_mask(pair.mask, (image.shape[0], image.shape[1]))
            rows.append((pair.name, score(probability, truth, stage.model.info.threshold)))
        parts[part] = rows
    settings: NetworkSettings = stage.model.settings
    counted = census(settings)
    network: Network = settings.network
    chosen = mean_scores([s for _, s in parts["test"] or parts["validation"]])
    return {
        "name": stage.name,
        "network": network,
        **asdict(chosen),
        "parameters": counted.binary_parameters + counted.float_parameters,
        "size_mib": counted.size_mib,
        "seconds": float(np.median(seconds[1:] or seconds)),
        **{part: _table(rows) for part, rows in parts.items() if rows},
    }


def losses_between(stages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Points (hundredths) of each figure gained (+) or lost (-) from one stage to the next."""
    return [
        {
            "from": a["name"],
            "to": b["name"],
            **{key: round(100 * (b[key] - a[key]), 2) for key in ("iou", "f1", "ap50")},
        }
        for a, b in pairwise(stages)
    ]


def best_threshold(model: Predictor, validation: Sequence[Pair]) -> float:
    """The threshold of `THRESHOLDS` with the highest mean IoU on the validation files; 0.5 where it ties."""
    ious: dict[float, list[float]] = {t: [] for t in THRESHOLDS}
    for pair in validation:
        image = read_image(pair.image)
        truth = read_mask(pair.mask, (image.shape[0], image.shape[1])) > 0
        probability = model.predict(image)
        for threshold, found in ious.items():
            found.append(iou(truth, probability > threshold))
    return max(THRESHOLDS, key=lambda t: (round(float(np.mean(ious[t])), 4), -abs(t - 0.5)))


def _table(rows: Sequence[tuple[str, Scores]]) -> dict[str, Any]:
    return {
        **asdict(mean_scores([s for _, s in rows])),
        "images": [{"image": name, **asdict(s)} for name, s in rows],
    }
