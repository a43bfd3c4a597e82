"""Scores of a model on images with truth masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.mask_doubts import Doubt
from blunet.dataset.pairs import Pair
from blunet.dataset.reviewed import NOT_REVIEWED, keep_reviewed, read_pair_labels, read_pair_truth
from blunet.errors import InputError, naming_errors
from blunet.evaluation.metrics import CellCounts, ObjectOverlaps, f1, iou
from blunet.images.frame_source import FrameSource
from blunet.segmentation.frames import label_frames, predict_frames
from blunet.segmentation.objects import label_objects
from blunet.segmentation.predictor import Predictor
from blunet.segmentation.segmentation_settings import DEFAULT_SPLITTING, DEFAULTS, SegmentationSettings


@dataclass(frozen=True)
class Scores:
    """Agreement of a segmentation with the truth, each from 0 to 1.

    Attributes
    ----------
    iou, f1 : float
        Of the foreground, p > threshold, from which no small objects are removed.
    ap50 : float
        Average precision at IoU 0.5 of the objects, found with the default settings.
    map : float
        Mean of the average precisions at IoU 0.5, 0.55, ... 0.95.
    cells : CellCounts
        How many cells were found singly, merged, split or missed; of several images, their sum.
    """

    iou: float
    f1: float
    ap50: float
    map: float
    cells: CellCounts = field(default_factory=CellCounts)


def score(
    probability: NDArray[np.float32],
    truth: NDArray[np.integer[Any]],
    threshold: float,
    splitting: float = DEFAULT_SPLITTING,
    distance: NDArray[np.floating[Any]] | None = None,
) -> Scores:
    """Compare one image with its truth labels (Y, X), as `score_labels` does.

    The other parameters are those of `label_objects`.
    """
    labels = label_objects(probability, threshold, splitting=splitting, distance=distance)
    return score_labels(probability > threshold, labels, truth)


def score_labels(
    foreground: NDArray[np.bool_], labels: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]]
) -> Scores:
    """Compare the foreground and the objects of one image, all (Y, X), with its truth labels.

    Pixels that are `NOT_REVIEWED` in the truth do not count, and objects end where these begin.
    """
    if (truth == NOT_REVIEWED).any():
        foreground, labels = keep_reviewed(foreground, truth), keep_reviewed(labels, truth)
        truth = np.maximum(truth, 0)
    overlaps = ObjectOverlaps(truth, labels)
    precisions = overlaps.average_precisions()
    return Scores(
        iou=iou(truth > 0, foreground),
        f1=f1(truth > 0, foreground),
        ap50=precisions[0],
        map=float(np.mean(precisions)),
        cells=overlaps.count_cells(),
    )


def average_scores(scores: Sequence[Scores]) -> Scores:
    """Return the mean of the scores of several images, and the sum of their cells.

    Raises
    ------
    InputError
        If there are none.
    """
    if not scores:
        raise InputError("There are no scores to average; give at least one image.")
    count = len(scores)
    return Scores(
        iou=sum(each.iou for each in scores) / count,
        f1=sum(each.f1 for each in scores) / count,
        ap50=sum(each.ap50 for each in scores) / count,
        map=sum(each.map for each in scores) / count,
        cells=sum((each.cells for each in scores), CellCounts()),
    )


@dataclass(frozen=True)
class CheckedPair:
    """A pair whose image and mask can be used, and what may be wrong with the mask."""

    pair: Pair
    source: FrameSource
    doubts: tuple[Doubt, ...] = ()


def check_pairs(pairs: Iterable[Pair]) -> list[CheckedPair]:
    """Open pairs, and check all images and masks.

    No pair is ever skipped: the mean of the others would be a different figure.

    Raises
    ------
    InputError
        For the first pair whose image or mask cannot be used.
    """
    checked = []
    for pair in pairs:
        with naming_errors(pair.image):
            source = FrameSource.from_file(pair.image)
            if source.stack:
                raise InputError(f"'{pair.image}' is a stack of {source.count} frames; give single images with masks.")
            for _ in source.each_checked():
                truth = read_pair_truth(pair, source.shape)
            checked.append(CheckedPair(pair, source, truth.doubts))
    return checked


@dataclass(frozen=True)
class PairScored:
    """Scores of a model on one pair; `warning` is about the image, empty: none."""

    pair: Pair
    scores: Scores
    warning: str = ""


def evaluate(
    pairs: Iterable[CheckedPair], model: Predictor, settings: SegmentationSettings = DEFAULTS
) -> Iterator[PairScored]:
    """Score a model on one image after the other.

    Parameters
    ----------
    pairs : iterable of CheckedPair
        From `check_pairs`.
    model : Predictor
    settings : SegmentationSettings

    Yields
    ------
    PairScored

    Raises
    ------
    InputError
        If the diameter cannot be used, or for any error of a pair, which the message names.
    """
    settings = settings.for_model(model.info)
    for pair in pairs:
        with naming_errors(pair.pair.image):
            predicted = predict_frames(pair.source, model, settings)
            (found,) = label_frames(predicted, pair.source, settings)
            truth = read_pair_labels(pair.pair, pair.source.shape)
            scores = score_labels(found.foreground, found.labels, truth)
        yield PairScored(pair.pair, scores, found.warning)
