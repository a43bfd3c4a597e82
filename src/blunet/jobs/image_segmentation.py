"""Segmenting one image file: from the file to its results."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blunet.errors import InputError, naming_errors
from blunet.files import sha256_of_all
from blunet.images.frame_source import FrameSource
from blunet.images.ome_zarr_labels import outdated_index
from blunet.images.plane_choice import PlaneChoice
from blunet.jobs.events import Cancelled, CancelToken, FrameDone, PieceDone, Segmented, Skipped, Started, Warned
from blunet.jobs.finished_images import find_finished
from blunet.jobs.own_files import check_labels, check_results
from blunet.jobs.result_files import PROBABILITY, Results
from blunet.jobs.segmentation_inputs import Input
from blunet.packed.packed_model import PackedModel
from blunet.segmentation.frames import label_frames, predict_frames
from blunet.segmentation.image_mismatch import describe_size_mismatch
from blunet.segmentation.mosaic import MosaicLabelled, MosaicProgress, segment_mosaic
from blunet.segmentation.predictor import Predictor
from blunet.segmentation.prefetch import prefetch
from blunet.segmentation.segmentation_settings import SegmentationSettings

Event = Started | FrameDone | PieceDone | Warned | Skipped | Segmented


#: Single images of at least this many pixels (4096 x 4096) are segmented piece by piece.
LARGE = 2**24


@dataclass(frozen=True)
class ImageWork:
    """What is done with every image of a batch.

    Attributes
    ----------
    folder : Path
        Of the results.
    files : tuple of str
        Ends of the names of the files to write.
    settings : SegmentationSettings
        With the model's threshold and splitting.
    description : mapping
        Of model and settings, for the results.
    planes : PlaneChoice
    into : str or None
        Name of labels to write into each OME-Zarr.
    resume : bool
        Whether to leave out what is finished.
    """

    folder: Path
    files: tuple[str, ...]
    settings: SegmentationSettings
    description: Mapping[str, Any]
    planes: PlaneChoice
    into: str | None
    resume: bool

    def run(self, each: Input, model: Predictor, cancel: CancelToken) -> Iterator[Event]:
        """Segment one image.

        Yields
        ------
        FrameDone (stacks only), PieceDone (large images), Warned, and Segmented or Skipped, which any error of the
        image leads to.

        Raises
        ------
        Cancelled
            If the token was cancelled. Nothing of the image is written then.
        """
        folder, files, settings, into = self.folder, self.files, self.settings, self.into
        begin = time.perf_counter()
        try:
            with naming_errors(each.path, passing=(Cancelled,)):
                cancel.check()
                source = each.open(self.planes)
                about = {**self.description, "image": _describe_image(each, self.planes)}
                if self.resume and (events := find_finished(each, folder, files, about, into)):
                    yield from events
                    return
                before = _times_of(each)
                outdated, remarks = check_results(folder, each.stem, files)
                remarks += filter(None, [each.remark, each.zarr.describe_missing_chunks() if each.zarr else ""])
                if into is not None and each.zarr is None:
                    several = each.frames is not None and len(each.files) > 1
                    what, them = ("a time-lapse of several files", "these") if several else ("no OME-Zarr", "it")
                    remarks.append(f"'{each.path}' is {what}: its labels are not written into {them}.")
                if into is not None and each.zarr is not None:
                    check_labels(each.zarr, into)
                with Results(source, files, folder, keep_tables=into is not None) as results:
                    yield from _segment_frames(each.path, results, model, settings, cancel)
                    if _times_of(each) != before:
                        raise InputError(
                            f"'{each.path}' has changed while it was read, as a file does that is still being written; "
                            "segment it when it is complete."
                        )
                    objects, foreground = results.objects, results.foreground
                    trained = model.info.card.object_diameter
                    if mismatch := describe_size_mismatch(results.diameter, trained, settings):
                        results.warnings.append(f"'{each.path}': {mismatch}")
                        remarks.append(results.warnings[-1])
                    labels = results.write(
                        each.stem, about, outdated, last=lambda: self._write_into(each, results, about)
                    )
                    if into is not None and each.zarr is not None and (index := outdated_index(each.zarr, into)):
                        remarks.append(
                            f"'{index}' lists what the Zarr held before, not the labels '{into}'; programs that "
                            "read this list find them when it is made again with zarr.consolidate_metadata."
                        )
        except InputError as e:
            yield Skipped(each.path, str(e))
        else:
            for remark in remarks:
                yield Warned(each.path, remark)
            yield Segmented(each.path, labels, objects, foreground, time.perf_counter() - begin)

    def _write_into(self, each: Input, results: Results, about: Mapping[str, Any]) -> None:
        """Write the labels into the OME-Zarr of the image, if that is wanted and it is one."""
        if self.into is not None and each.zarr is not None:
            z = self.planes.z if isinstance(self.planes.z, int) else None
            results.write_into(each.zarr, self.into, z, about)


def _times_of(each: Input) -> list[tuple[int, int]]:
    """Return sizes and times of the files of an input; of a Zarr none, whose chunks are checked one by one."""
    found = [path.stat() for path in each.files if path.is_file()]
    return [(about.st_size, about.st_mtime_ns) for about in found]


def _describe_image(each: Input, planes: PlaneChoice) -> dict[str, Any]:
    """Return the name and hash of an image, and which of its planes were chosen."""
    chosen = {"channel": planes.channel, "z": planes.z}
    about = {"file": each.path.name, "sha256": sha256_of_all(each.files)}
    return about | {name: value for name, value in chosen.items() if value is not None}


def _segment_frames(
    path: Path, results: Results, model: Predictor, settings: SegmentationSettings, cancel: CancelToken
) -> Iterator[FrameDone | PieceDone | Warned]:
    """Segment the frames of one image into `results`."""
    source, check = results.source, cancel.check
    if is_large(source, model):
        yield from _segment_mosaic(path, results, model, settings, cancel)
        return
    predicted = predict_frames(source, model, settings, keep_probability=PROBABILITY in results.files, check=check)
    ahead = prefetch(predicted) if source.stack else predicted  # the network runs while objects are found
    for found in label_frames(ahead, source, settings, measured=results.measured, check=check):
        if found.warning:
            results.warnings.append(found.warning)
            yield Warned(path, found.warning)
        results.add(found)
        if source.stack:
            yield FrameDone(path, found.t + 1, source.count)
    check()


def is_large(source: FrameSource, model: Predictor) -> bool:
    """Return whether an image is segmented piece by piece, in memory that does not depend on its size."""
    large = not source.stack and source.shape[0] * source.shape[1] >= LARGE
    return large and isinstance(model, PackedModel)


def _segment_mosaic(
    path: Path, results: Results, model: Predictor, settings: SegmentationSettings, cancel: CancelToken
) -> Iterator[PieceDone | Warned]:
    """Segment a large image into `results`."""
    assert isinstance(model, PackedModel)
    with results.source.windows() as image:
        for step in segment_mosaic(
            image,
            model,
            settings,
            results.make_scratch(),
            keep_probability=PROBABILITY in results.files,
            measured=results.measured,
            pixel_size=results.source.pixel_size,
            check=cancel.check,
        ):
            match step:
                case MosaicProgress(done):
                    yield PieceDone(path, done)
                case MosaicLabelled(warning=warning):
                    if warning:
                        results.warnings.append(results.source.prefix() + warning)
                        yield Warned(path, results.warnings[-1])
                    results.add(step)
    cancel.check()
