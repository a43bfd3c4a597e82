"""Scores of a model on images with truth masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.pairs import Pair
from blunet.dataset.truth_masks import read_mask
from blunet.errors import InputError
from blunet.evaluation.metrics import average_precision, f1, iou
from blunet.images.normalise import check_image
from blunet.images.read import open_image, read_image
from blunet.segmentation.objects import label_objects
from blunet.segmentation.predict import probability
from blunet.segmentation.predictor import Predictor


@dataclass(frozen=True)
class Scores:
    """Agreement with the truth, each 0 to 1.

    Attributes
    ----------
    iou, f1 : float
        Of the foreground, p > threshold, nothing removed.
    ap50 : float
        Average precision at IoU 0.5 of the objects that `segment` finds by default.
    """

    iou: float
    f1: float
    ap50: float


def score(
    probability: NDArray[np.float32],
    truth: NDArray[np.integer[Any]],
    threshold: float,
) -> Scores:
    """Compare the probability (Y, X) of one image with its truth labels (Y, X)."""
    foreground = probability > threshold
    return Scores(
        iou=iou(truth > 0, foreground),
        f1=f1(truth > 0, foreground),
        ap50=average_precision(truth, label_objects(probability, threshold)),
    )


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Average the scores of several images, each counting the same.

    Raises
    ------
    InputError
        If there are none.
    """
    if not scores:
        raise InputError("There are no scores to average; give at least one image.")
    return Scores(*(float(np.mean([getattr(s, name) for s in scores])) for name in ("iou", "f1", "ap50")))


def check_pairs(pairs: Iterable[Pair]) -> None:
    """Raise InputError for the first pair whose image or mask cannot be used.

    An average over what is left would be another figure, so that no pair is ever skipped.
    """
    for pair in pairs:
        file = open_image(pair.image)
        if file.axes != "YX":
            raise InputError(f"'{pair.image}' is a stack of {file.frames} frames; give single images with masks.")
        image = file.frame()
        try:
            check_image(image)
        except InputError as e:
            raise InputError(f"'{pair.image}': {e}") from e
        read_mask(pair.mask, (image.shape[0], image.shape[1]))


def evaluate(
    pairs: Iterable[Pair],
    model: Predictor,
    *,
    threshold: float | None = None,
    diameter: float | None = None,
) -> Iterator[tuple[Pair, Scores]]:
    """Score a model on one image after the other.

    Parameters
    ----------
    pairs : iterable of Pair
    model : Predictor
    threshold : float, optional
        None: the model's own.
    diameter : float, optional
        Typical diameter of the objects in these images, in pixels; None: no resampling.

    Yields
    ------
    Pair, Scores

    Raises
    ------
    InputError
        If an image or mask cannot be read, or their sizes differ.
    """
    if threshold is None:
        threshold = model.info.threshold
    for pair in pairs:
        image = read_image(pair.image)
        truth = read_mask(pair.mask, (image.shape[0], image.shape[1]))
        try:
            found = probability(image, model, diameter=diameter)
        except InputError as e:
            raise InputError(f"'{pair.image}': {e}") from e
        yield pair, score(found, truth, threshold)
