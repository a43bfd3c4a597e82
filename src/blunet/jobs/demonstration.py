"""The bundled model on the bundled image: what a newcomer runs first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from blunet.dataset.truth_masks import read_mask
from blunet.evaluation.scores import Scores, score
from blunet.files import output_folder
from blunet.images.read import open_image
from blunet.images.write import write_labels, write_probability
from blunet.jobs.file_segmentation import SegmentSettings, checked_settings, describe
from blunet.segmentation.objects import label_objects
from blunet.segmentation.overlay import draw_overlay, write_overlay
from blunet.segmentation.predict import probability
from blunet.segmentation.predictor import Predictor

SAMPLE = Path(__file__).resolve().parent.parent / "data" / "sample.tif"
SAMPLE_MASK = SAMPLE.with_name("sample_mask.tif")


@dataclass(frozen=True)
class Demonstrated:
    """The sample was segmented.

    Attributes
    ----------
    scores : Scores
        Against the sample's truth.
    objects : int
        Number of objects found.
    files : tuple of Path
        What was written: labels, probability, overlay.
    """

    scores: Scores
    objects: int
    files: tuple[Path, Path, Path]


def demo(out: str | Path, model: Predictor) -> Demonstrated:
    """Segment the sample image and write ``labels.tif``, ``probability.tif`` and ``overlay.png``.

    Parameters
    ----------
    out : str or Path
        A folder; made if needed.
    model : Predictor

    Raises
    ------
    InputError
        If the folder cannot be made or written to.
    """
    folder = output_folder(out)
    settings = checked_settings(SegmentSettings(), model)
    assert settings.threshold is not None
    sample = open_image(SAMPLE)
    image = sample.frame()
    found = probability(image, model)
    labels = label_objects(found, settings.threshold, settings.objects, settings.min_size)
    files = (folder / "labels.tif", folder / "probability.tif", folder / "overlay.png")
    description = describe(model, settings)
    write_labels(files[0], labels, pixel_size=sample.pixel_size, unit=sample.unit, description=description)
    write_probability(files[1], found, pixel_size=sample.pixel_size, unit=sample.unit, description=description)
    write_overlay(files[2], draw_overlay(image, labels, scale=2))
    truth = read_mask(SAMPLE_MASK, (image.shape[0], image.shape[1]))
    return Demonstrated(score(found, truth, settings.threshold), int(labels.max()), files)
