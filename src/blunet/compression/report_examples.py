"""Validation files as every stage sees them, for the report's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blunet.compression.report_pictures import picture_of, picture_of_image
from blunet.compression.scoring import Stage
from blunet.dataset.crops import read_field
from blunet.dataset.pairs import Pair
from blunet.images.normalisation_settings import Normalisation


@dataclass(frozen=True)
class Example:
    """A row of pictures: each with what it shows, a figure, and itself as PNG."""

    name: str
    pictures: Sequence[tuple[str, str, bytes]]


def examples(stages: Sequence[Stage], validation: Sequence[Pair], normalisation: Normalisation) -> list[Example]:
    """Show the validation files that the last stage segments best, in between and worst.

    Parameters
    ----------
    stages : sequence of Stage
        Scored on `validation`; at least one.
    validation : sequence of Pair
    normalisation : Normalisation
        By which the networks see the images.

    Returns
    -------
    list of Example
        One to three: the image, its truth, and what each stage finds.
    """
    ious = [{row.image: row.iou for row in stage.figures.validation.images} for stage in stages]
    pairs = sorted(validation, key=lambda pair: -ious[-1][pair.name])
    last = len(pairs) - 1
    found = []
    for pair in (pairs[i] for i in dict.fromkeys((0, last // 2, last))):
        field = read_field(pair, normalisation)
        truth = field.labels > 0
        pictures = [("Image", "", picture_of_image(field.image)), ("Truth", "", picture_of(truth, truth))]
        for stage, iou in zip(stages, ious, strict=True):
            pictures.append((stage.figures.name, f"IoU {iou[pair.name]:.3f}", stage.pictures[pair.name]))
        found.append(Example(pair.name, pictures))
    return found
