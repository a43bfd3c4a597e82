"""Scoring a model on a folder of images with truth masks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from blunet.dataset.pairs import find_pairs
from blunet.evaluation.scores import check_pairs, evaluate, mean_scores
from blunet.jobs.events import CancelToken, Evaluated, Scored, Skipped, Started
from blunet.jobs.file_segmentation import SegmentSettings, checked_settings
from blunet.segmentation.predictor import Predictor


def evaluate_folder(
    folder: str | Path,
    model: Predictor,
    *,
    threshold: float | None = None,
    diameter: float | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[Started | Skipped | Scored | Evaluated]:
    """Score a model on the pairs of a folder, one event after the other.

    Parameters
    ----------
    folder : str or Path
        It holds images and masks as `blunet.dataset.pairs.find_pairs` says.
    model : Predictor
    threshold : float, optional
        None: the model's own.
    diameter : float, optional
        Typical diameter of the objects in these images, in pixels; None: no resampling.
    cancel : CancelToken, optional
        Looked at between images.

    Yields
    ------
    Skipped for every file without a partner, Started, Scored for each pair, and Evaluated with the averages.

    Raises
    ------
    InputError
        Before any work: if a setting is out of range, nothing pairs, or a pair cannot be used.
    Cancelled
        If asked to stop.
    """
    cancel = cancel or CancelToken()
    settings = checked_settings(SegmentSettings(threshold=threshold, diameter=diameter), model)
    assert settings.threshold is not None
    found = find_pairs(folder)
    check_pairs(found.pairs)
    for path in found.unpaired_images:
        yield Skipped(path, f"'{path}' has no mask of its stem.")
    for path in found.unpaired_masks:
        yield Skipped(path, f"'{path}' has no image of its stem.")
    yield Started(tuple(pair.image for pair in found.pairs))
    scores = []
    for pair, score in evaluate(found.pairs, model, threshold=settings.threshold, diameter=diameter):
        scores.append(score)
        yield Scored(pair.image, score)
        cancel.check()
    yield Evaluated(mean_scores(scores), settings.threshold)
