"""Annotations of other programs as layers: their images, and labels that are filled when these are opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.annotations.annotated_image import AnnotatedImage
from blunet.dataset.annotations.formats import ANNOTATION_ENDINGS, read_annotations
from blunet.dataset.annotations.tracking_challenge import find_dataset
from blunet.errors import InputError, naming_errors
from blunet.files import expand_user
from blunet.images.allocation import allocate
from blunet.images.frame_source import FrameSource
from blunet.images.image_files import images_in
from blunet.jobs.events import CancelToken


@dataclass
class AnnotatedSources:
    """What was chosen, with annotations replaced by their images.

    Attributes
    ----------
    sources : list of str or Path
    annotations : dict of Path to AnnotatedImage
        By the paths of the images.
    remarks : list of str
        Sentences about annotations that are left out.
    """

    sources: list[str | Path] = field(default_factory=list)
    annotations: dict[Path, AnnotatedImage] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def read_annotated_sources(given: Sequence[str | Path]) -> AnnotatedSources:
    """Replace files and folders of annotations by the images that they belong to; other sources stay.

    Raises
    ------
    InputError
        If annotations cannot be read.
    """
    found = AnnotatedSources()
    for source in given:
        if not _holds_annotations(source):
            found.sources.append(source)
            continue
        annotations = read_annotations(source).chosen(())
        for image in annotations.images:
            found.sources.append(image.image)
            found.annotations[image.image] = image
        found.remarks += [*annotations.remarks, *(reason for _, reason in annotations.skipped)]
    return found


def _holds_annotations(source: str | Path) -> bool:
    """Return whether a source is a file of annotations, or a dataset of the Cell Tracking Challenge."""
    path = expand_user(source)
    try:
        if path.is_file():
            return path.suffix.lower() in (*ANNOTATION_ENDINGS, ".npy")
        if not path.is_dir() or images_in(path):
            return False
        dataset = find_dataset(path)
    except OSError:  # which the reading of the source reports
        return False
    return dataset is not None and dataset[0] == path


def fill_annotations(
    frames: FrameSource,
    annotations: Mapping[Path, AnnotatedImage],
    spans: Sequence[tuple[Path, slice]],
    token: CancelToken,
) -> Iterator[str | NDArray[Any]]:
    """Yield sentences about outlines that were lost or overlap, and at last the labels of all frames, if any.

    Parameters
    ----------
    frames : FrameSource
        The image or time-lapse.
    annotations : mapping of Path to AnnotatedImage
        By the paths of the images.
    spans : sequence of (Path, slice)
        The frames that each file holds.
    token : CancelToken
        Checked between files.
    """
    labels = allocate(frames.array_shape, np.int32)
    filled = False
    for path, span in spans:
        token.check()
        annotated = annotations.get(path)
        if annotated is None:
            continue
        try:
            with naming_errors(annotated.annotation):
                source = FrameSource.from_file(path) if len(frames.paths) > 1 else frames
                for index, values, counts in annotated.each_frame(source):
                    (labels[span.start + index] if frames.stack else labels)[...] = values
                    filled |= bool(counts.objects)
                    if told := counts.describe():
                        yield f"'{annotated.annotation.name}' of '{path.name}': of its outlines {'; '.join(told)}."
        except InputError as e:
            yield str(e)
    if filled:
        yield labels
