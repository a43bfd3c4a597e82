"""Scores every stage of a run on the same files."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from blunet.architecture import count_parameters
from blunet.compression.report import FileFigures, ImageFigures, StageFigures
from blunet.compression.report_pictures import draw_foreground
from blunet.dataset.pairs import Pair
from blunet.dataset.truth_masks import read_mask
from blunet.evaluation.metrics import iou
from blunet.evaluation.scores import Scores, average_scores, score
from blunet.images.frame_source import read_image
from blunet.segmentation.predictor import Predictor
from blunet.simulation.dic_fields import DicField

#: Thresholds that are compared on the validation files.
THRESHOLDS = tuple(round(0.3 + 0.05 * i, 2) for i in range(9))
#: Difference in mean IoU that a few validation images cannot resolve.
INDISTINCT = 0.01
#: Bytes of probabilities that are kept in memory until the threshold is known; more are kept on disk.
HELD_BYTES = 2**28


@dataclass(frozen=True)
class Stage:
    """The scores of a network of the run.

    Attributes
    ----------
    figures : StageFigures
        All scores are for the threshold that is among them.
    pictures : dict
        A PNG of what was found, missed and invented, by name of the validation file.
    """

    figures: StageFigures
    pictures: dict[str, bytes]


def score_stage(
    name: str,
    model: Predictor,
    validation: Sequence[Pair],
    test: Sequence[Pair],
    folder: Path | None = None,
    check: Callable[[], None] = lambda: None,
    simulated: Sequence[DicField] = (),
) -> Stage:
    """Choose a network's threshold and score it; every file is predicted once.

    Parameters
    ----------
    name : str
        "U-Net before transfer", "U-Net", "lightweight U-Net" or "BLU-Net".
    model : Predictor
    validation, test : sequence of Pair
        At least one file for validation.
    folder : Path, optional
        Folder for probabilities that are too many for the memory. None: the system's folder for temporary files.
    check : callable
        Called before every file; it may raise an exception.
    simulated : sequence of DicField
        Fields that are used to choose the threshold, and are not scored.
    """
    seconds: list[float] = []

    def predict(pair: Pair) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        check()
        image = read_image(pair.image)
        began = time.perf_counter()
        probability = model.predict(image)
        seconds.append(time.perf_counter() - began)
        return probability, read_mask(pair.mask, probability.shape)

    with _open_temporary(folder) as file:
        ious = []
        for pair in validation:
            probability, truth = predict(pair)
            ious.append(_score_thresholds(probability, truth))
            np.save(file, probability)
        for field in simulated:
            check()
            ious.append(_score_thresholds(model.predict(field.image), field.labels))
        threshold = choose_threshold(ious)
        file.seek(0)
        pictures, rows = {}, []
        for pair in validation:
            probability = np.load(file)
            truth = read_mask(pair.mask, probability.shape)
            rows.append((pair.name, score(probability, truth, threshold)))
            pictures[pair.name] = draw_foreground(probability > threshold, truth > 0)
    tested = [(pair.name, score(*predict(pair), threshold)) for pair in test]
    counted = count_parameters(model.settings)
    figures = StageFigures(
        name=name,
        network=model.settings.network,
        **asdict(average_scores([s for _, s in tested or rows])),
        threshold=threshold,
        parameters=counted.binary_parameters + counted.float_parameters,
        size_mib=counted.size_mib,
        seconds=float(np.median(seconds[1:] or seconds)),
        validation=_file_figures(rows),
        test=_file_figures(tested) if tested else None,
    )
    return Stage(figures, pictures)


def choose_threshold(ious: Sequence[Sequence[float]]) -> float:
    """Choose one of `THRESHOLDS`.

    Parameters
    ----------
    ious : sequence of sequence of float
        For each image, at least one, its IoU at each threshold.

    Returns
    -------
    float
        Of the thresholds whose mean IoU is within `INDISTINCT` of the highest, the one closest to 0.5. The maximum of a
        flat curve depends on a few images by chance, and an extreme threshold is more likely wrong on others.
    """
    means = [round(float(np.mean(of_one)), 6) for of_one in zip(*ious, strict=True)]
    good = [t for t, mean in zip(THRESHOLDS, means, strict=True) if mean >= max(means) - INDISTINCT]
    return min(good, key=lambda t: round(abs(t - 0.5), 6))


def _open_temporary(folder: Path | None) -> IO[bytes]:
    """Return a temporary file that is kept in memory until it is large."""
    return tempfile.SpooledTemporaryFile(HELD_BYTES, dir=None if folder is None else str(folder))


def _score_thresholds(probability: NDArray[np.float32], truth: NDArray[np.int32]) -> list[float]:
    """Return the IoU of the foreground at each of `THRESHOLDS`."""
    return [iou(truth > 0, probability > threshold) for threshold in THRESHOLDS]


def _file_figures(rows: Sequence[tuple[str, Scores]]) -> FileFigures:
    means = average_scores([scores for _, scores in rows])
    return FileFigures(**asdict(means), images=[ImageFigures(image=name, **asdict(scores)) for name, scores in rows])
