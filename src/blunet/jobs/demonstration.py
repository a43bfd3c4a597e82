"""A first try for newcomers: the bundled model on the bundled image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from blunet.dataset.truth_masks import read_mask
from blunet.errors import InputError
from blunet.evaluation.scores import Scores, score_labels
from blunet.files import output_folder
from blunet.images.frame_source import FrameSource
from blunet.images.image_writer import write_labels, write_probability
from blunet.jobs.own_files import describe_fault
from blunet.jobs.result_files import LABELS, PROBABILITY
from blunet.segmentation.frames import label_frames, predict_frames
from blunet.segmentation.overlay import draw_overlay, write_overlay
from blunet.segmentation.predictor import Predictor
from blunet.segmentation.provenance import LABELS_HASH, describe_segmentation, hash_labels
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
        If the folder cannot be made or written to, or a file in it would be overwritten that is not of an earlier demo.
    """
    folder = output_folder(out)
    files = (folder / LABELS, folder / PROBABILITY, folder / "overlay.png")
    for path in files:
        if path.exists() and (fault := describe_fault(path, files[0])):
            raise InputError(f"'{path}' {fault} and would be overwritten; choose another output folder.")
    settings = DEFAULTS.for_model(model.info)
    source = FrameSource.from_file(SAMPLE)
    (found,) = label_frames(predict_frames(source, model, settings, keep_probability=True), source, settings)
    assert found.probability is not None
    description = describe_segmentation(model.settings, model.info, model.path, settings)
    description[LABELS_HASH] = hash_labels([found.labels])
    write_labels(files[0], found.labels, pixel_size=source.pixel_size, description=description)
    write_probability(files[1], found.probability, pixel_size=source.pixel_size, description=description)
    write_overlay(files[2], draw_overlay(source.frame(), found.labels, scale=2))
    truth = read_mask(SAMPLE_MASK, source.shape)
    return Demonstrated(score_labels(found.foreground, found.labels, truth), found.objects, files)
