"""Scoring a model on a folder of images with truth masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blunet.dataset.mask_doubts import describe_doubts
from blunet.dataset.pairs import find_pairs
from blunet.evaluation.scores import Scores, average_scores, check_pairs, evaluate
from blunet.jobs.events import CancelToken, Skipped, Started, Warned
from blunet.segmentation.predictor import Predictor
from blunet.segmentation.segmentation_settings import DEFAULTS, SegmentationSettings


@dataclass(frozen=True)
class Scored:
    """An image was compared with its truth mask."""

    image: Path
    scores: Scores


@dataclass(frozen=True)
class Evaluated:
    """All images were scored: the mean scores, and the threshold and the splitting that were used."""

    scores: Scores
    threshold: float
    splitting: float


def evaluate_folder(
    folder: str | Path,
    model: Predictor,
    settings: SegmentationSettings = DEFAULTS,
    *,
    cancel: CancelToken | None = None,
) -> Iterator[Started | Skipped | Warned | Scored | Evaluated]:
    """Score a model on the pairs of a folder, one event after the other.

    Parameters
    ----------
    folder : str or Path
        With images and masks in the arrangement of `blunet.dataset.pairs.find_pairs`.
    model : Predictor
    settings : SegmentationSettings
    cancel : CancelToken, optional
        Checked between images.

    Yields
    ------
    Skipped for every file without a partner, Warned about masks, Started, Warned and Scored for each pair, and
    Evaluated with the averages.

    Raises
    ------
    InputError
        Before any work: if a setting is out of range, there are no pairs, or a pair cannot be used.
    Cancelled
        If the job was asked to stop.
    """
    cancel = cancel or CancelToken()
    settings = settings.for_model(model.info)
    assert settings.threshold is not None
    assert settings.splitting is not None
    found = find_pairs(folder)
    pairs = check_pairs(found.pairs)
    for path in found.unpaired_images:
        yield Skipped(path, f"'{path}' has no mask with the same stem.")
    for path in found.unpaired_masks:
        yield Skipped(path, f"'{path}' has no image with the same stem.")
    for warning in describe_doubts({pair.pair.mask: pair.doubts for pair in pairs}):
        yield Warned(Path(folder), warning)
    yield Started(tuple(pair.image for pair in found.pairs))
    scores = []
    for scored in evaluate(pairs, model, settings):
        if scored.warning:
            yield Warned(scored.pair.image, scored.warning)
        scores.append(scored.scores)
        yield Scored(scored.pair.image, scored.scores)
        cancel.check()
    yield Evaluated(average_scores(scores), settings.threshold, settings.splitting)
