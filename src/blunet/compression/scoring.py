"""Scores every stage of a run on the same files."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings, count_parameters
from blunet.compression.report import FileFigures, ImageFigures, StageFigures
from blunet.compression.report_pictures import draw_foreground
from blunet.dataset.pairs import Pair
from blunet.dataset.reviewed import keep_reviewed, read_pair_labels
from blunet.evaluation.metrics import average_precisions, iou
from blunet.evaluation.scores import Scores, average_scores, score
from blunet.images.frame_source import read_image
from blunet.segmentation.basins import find_basins, join_basins
from blunet.segmentation.objects import remove_small_objects
from blunet.segmentation.prediction import distance_of, has_distance
from blunet.segmentation.predictor import Predictor
from blunet.segmentation.segmentation_settings import DEFAULT_SPLITTING, DEFAULTS
from blunet.simulation.dic_fields import DicField

T = TypeVar("T")

#: Thresholds that are compared on the validation files.
THRESHOLDS = tuple(round(0.3 + 0.05 * i, 2) for i in range(11))
#: Splittings that are compared on the validation files.
SPLITTINGS = tuple(round(0.1 * i, 1) for i in range(1, 10))
#: Differences in mean IoU and in mean average precision that a few validation images cannot resolve.
INDISTINCT, INDISTINCT_MAP = 0.01, 0.005
#: Bytes of maps that are kept in memory until threshold and splitting are known; more are kept on disk.
HELD_BYTES = 2**28


@dataclass(frozen=True)
class Stage:
    """The scores of a network of the run.

    Attributes
    ----------
    figures : StageFigures
        All scores are for the threshold and the splitting that are among them.
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
    """Choose a network's threshold and splitting, and score it; every file is predicted once.

    Parameters
    ----------
    name : str
        "U-Net before transfer", "U-Net", "lightweight U-Net" or "BLU-Net".
    model : Predictor
    validation, test : sequence of Pair
        At least one file for validation.
    folder : Path, optional
        Folder for maps that are too many for the memory. None: the system's folder for temporary files.
    check : callable
        Called before every file; it may raise an exception.
    simulated : sequence of DicField
        Fields that are used to choose threshold and splitting, and are not scored.
    """
    seconds: list[float] = []

    def predict(pair: Pair) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        check()
        image = read_image(pair.image)
        began = time.perf_counter()
        maps = model.predict_maps(image)
        seconds.append(time.perf_counter() - began)
        return maps, read_pair_labels(pair, maps.shape[1:])

    def predict_all() -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32]]]:
        yield from map(predict, validation)
        for field in simulated:
            check()
            yield model.predict_maps(field.image), field.labels

    with _open_temporary(folder) as file:
        ious = []
        for maps, truth in predict_all():
            ious.append(score_thresholds(maps[0], truth))
            np.save(file, maps)
        thresholds = find_good_thresholds(ious) if has_distance(model.settings) else (choose_threshold(ious),)
        file.seek(0)
        precisions = []
        for truth in _truths(validation, simulated):
            check()
            maps = np.load(file)
            precisions.append([_score_splittings(maps, model.settings, threshold, truth) for threshold in thresholds])
        threshold, splitting = choose_threshold_and_splitting(thresholds, precisions)
        file.seek(0)
        pictures, rows = {}, []
        for pair, truth in zip(validation, _truths(validation), strict=True):
            maps = np.load(file)
            rows.append((pair.name, _score_maps(maps, model.settings, threshold, splitting, truth)))
            pictures[pair.name] = draw_foreground(keep_reviewed(maps[0] > threshold, truth), truth > 0)
    tested = []
    for pair in test:
        maps, truth = predict(pair)
        tested.append((pair.name, _score_maps(maps, model.settings, threshold, splitting, truth)))
    counted = count_parameters(model.settings)
    figures = StageFigures(
        name=name,
        network=model.settings.network,
        **asdict(average_scores([s for _, s in tested or rows])),
        threshold=threshold,
        splitting=splitting,
        parameters=counted.binary_parameters + counted.float_parameters,
        size_mib=counted.size_mib,
        seconds=float(np.median(seconds[1:] or seconds)),
        validation=_file_figures(rows),
        test=_file_figures(tested) if tested else None,
    )
    return Stage(figures, pictures)


def find_good_thresholds(ious: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Return those of `THRESHOLDS` whose mean IoU is within `INDISTINCT` of the highest.

    Parameters
    ----------
    ious : sequence of sequence of float
        For each image, at least one, its IoU at each threshold.
    """
    return tuple(_find_good(THRESHOLDS, ious, INDISTINCT))


def choose_threshold(ious: Sequence[Sequence[float]]) -> float:
    """Return the one of the good thresholds that is closest to 0.5.

    The maximum of a flat curve depends on a few images by chance, and an extreme threshold is more likely wrong on
    others. The parameters are those of `find_good_thresholds`.
    """
    return min(find_good_thresholds(ious), key=lambda t: round(abs(t - 0.5), 6))


def choose_threshold_and_splitting(
    thresholds: Sequence[float], precisions: Sequence[Sequence[Sequence[float]]]
) -> tuple[float, float]:
    """Choose a threshold and one of `SPLITTINGS` by the objects that are found.

    Parameters
    ----------
    thresholds : sequence of float
        At least one; all of them are good enough for the foreground.
    precisions : sequence of shape (images, thresholds, splittings)
        For each image, at least one, its mean average precision at each threshold and splitting.

    Returns
    -------
    tuple of float
        Of the pairs whose mean is within `INDISTINCT_MAP` of the highest, the one closest to a threshold of 0.5 and the
        default splitting, for the reasons of `choose_threshold`.

    Notes
    -----
    A threshold above the one with the highest IoU parts cells whose borders the network is unsure of.
    """
    pairs = [(threshold, splitting) for threshold in thresholds for splitting in SPLITTINGS]
    good = _find_good(pairs, [np.ravel(of_one).tolist() for of_one in precisions], INDISTINCT_MAP)
    return min(good, key=lambda pair: round(abs(pair[0] - 0.5) + abs(pair[1] - DEFAULT_SPLITTING), 6))


def _find_good(values: Sequence[T], scores: Sequence[Sequence[float]], indistinct: float) -> list[T]:
    """Return the values with a mean score (image by image, value by value) close to the highest."""
    means = [round(float(np.mean(of_one)), 6) for of_one in zip(*scores, strict=True)]
    return [value for value, mean in zip(values, means, strict=True) if mean >= max(means) - indistinct]


def _truths(pairs: Sequence[Pair], simulated: Sequence[DicField] = ()) -> Iterator[NDArray[np.int32]]:
    """Yield the truth of each pair and field, one in memory at a time."""
    for pair in pairs:
        yield read_pair_labels(pair)
    for field in simulated:
        yield field.labels


def _open_temporary(folder: Path | None) -> IO[bytes]:
    """Return a temporary file that is kept in memory until it is large."""
    return tempfile.SpooledTemporaryFile(HELD_BYTES, dir=None if folder is None else str(folder))


def score_thresholds(probability: NDArray[np.float32], truth: NDArray[np.int32]) -> list[float]:
    """Return the IoU of the foreground at each of `THRESHOLDS`."""
    return [iou(truth > 0, keep_reviewed(probability > threshold, truth)) for threshold in THRESHOLDS]


def _score_splittings(
    maps: NDArray[np.float32], settings: NetworkSettings, threshold: float, truth: NDArray[np.int32]
) -> list[float]:
    """Return the mean average precision of the objects at each of `SPLITTINGS`; the basins are found once."""
    basins = find_basins(maps[0] > threshold, _distance(maps, settings))
    found = (remove_small_objects(join_basins(basins, splitting), DEFAULTS.min_size) for splitting in SPLITTINGS)
    cells = np.maximum(truth, 0)
    return [float(np.mean(average_precisions(cells, keep_reviewed(labels, truth)))) for labels in found]


def _score_maps(
    maps: NDArray[np.float32],
    settings: NetworkSettings,
    threshold: float,
    splitting: float,
    truth: NDArray[np.int32],
) -> Scores:
    return score(maps[0], truth, threshold, splitting, _distance(maps, settings))


def _distance(maps: NDArray[np.float32], settings: NetworkSettings) -> NDArray[np.float16] | None:
    return distance_of(maps, settings) if has_distance(settings) else None


def _file_figures(rows: Sequence[tuple[str, Scores]]) -> FileFigures:
    means = average_scores([scores for _, scores in rows])
    return FileFigures(**asdict(means), images=[ImageFigures(image=name, **asdict(scores)) for name, scores in rows])
