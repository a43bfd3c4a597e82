"""A first try for newcomers: the bundled model on the bundled image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from blunet.dataset.truth_masks import read_mask
from blunet.evaluation.scores import Scores, score_labels
from blunet.files import output_folder
from blunet.images.frame_source import FrameSource
from blunet.images.image_writer import write_labels, write_probability
from blunet.segmentation.frames import label_frames, predict_frames
from blunet.segmentation.overlay import draw_overlay, write_overlay
from blunet.segmentation.predictor import Predictor
from blunet.segmentation.provenance import describe_segmentation
from blunet.segmentation.segmentation_settings import DEFAULTS

SAMPLE = Path(__file__).resolve().parent.parent / "data" / "sample.tif"
SAMPLE_MASK = SAMPLE.with_name("sample_mask.tif")


@dataclass(frozen=True)
class Demonstrated:
    """The sample was segmented.

    Attributes
    ----------
    scores : Scores
        Compared with the truth of the sample.
    objects : int
        Number of objects found.
    files : tuple of Path
        The labels, the probability and the overlay.
    """

    scores: Scores
    objects: int
    files: tuple[Path, Path, Path]


def demonstrate(out: str | Path, model: Predictor) -> Demonstrated:
    """Segment the sample image and write ``labels.tif``, ``probability.tif`` and ``overlay.png``.

    Parameters
    ----------
    out : str or Path
        A folder. It is made if there is none.
    model : Predictor

    Raises
    ------
    InputError
        If the folder cannot be made or written to.
    """
    folder = output_folder(out)
    settings = DEFAULTS.for_model(model.info)
    source = FrameSource.from_file(SAMPLE)
    (found,) = label_frames(predict_frames(source, model, settings, keep_probability=True), source, settings)
    assert found.probability is not None
    files = (folder / "labels.tif", folder / "probability.tif", folder / "overlay.png")
    description = describe_segmentation(model.settings, model.info, model.path, settings)
    write_labels(files[0], found.labels, pixel_size=source.pixel_size, description=description)
    write_probability(files[1], found.probability, pixel_size=source.pixel_size, description=description)
    write_overlay(files[2], draw_overlay(source.frame(), found.labels, scale=2))
    truth = read_mask(SAMPLE_MASK, source.shape)
    return Demonstrated(score_labels(found.foreground, found.labels, truth), found.objects, files)
