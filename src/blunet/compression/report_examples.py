"""Validation images as each stage segments them, for the page of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blunet.compression.report_pictures import draw_foreground, draw_image
from blunet.compression.scoring import Stage
from blunet.dataset.fields import read_field
from blunet.dataset.pairs import Pair
from blunet.images.normalisation_settings import Normalisation


@dataclass(frozen=True)
class Picture:
    """A PNG with what it shows, and a figure of merit or an empty text."""

    title: str
    figure: str
    png: bytes


@dataclass(frozen=True)
class Example:
    """A row of pictures of one image."""

    name: str
    pictures: Sequence[Picture]


def choose_examples(stages: Sequence[Stage], validation: Sequence[Pair], normalisation: Normalisation) -> list[Example]:
    """Choose the validation images that the last stage segments best, in the middle, and worst.

    Parameters
    ----------
    stages : sequence of Stage
        At least one, scored on `validation`.
    validation : sequence of Pair
    normalisation : Normalisation
        Of the networks' input.

    Returns
    -------
    list of Example
        One to three, each with pictures of the image, its truth, and what each stage finds.
    """
    ious = [{row.image: row.iou for row in stage.figures.validation.images} for stage in stages]
    pairs = sorted(validation, key=lambda pair: -ious[-1][pair.name])
    last = len(pairs) - 1
    chosen = []
    for pair in (pairs[i] for i in dict.fromkeys((0, last // 2, last))):
        field = read_field(pair, normalisation)
        truth = field.labels > 0
        pictures = [
            Picture("Image", "", draw_image(field.image)),
            Picture("Truth", "", draw_foreground(truth, truth)),
            *(
                Picture(stage.figures.name, f"IoU {iou[pair.name]:.3f}", stage.pictures[pair.name])
                for stage, iou in zip(stages, ious, strict=True)
            ),
        ]
        chosen.append(Example(pair.name, pictures))
    return chosen
