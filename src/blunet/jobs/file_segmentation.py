"""Segmenting image files into a folder."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from blunet.errors import InputError, naming_errors
from blunet.files import output_folder, sha256_of_all
from blunet.images.frame_source import ALL_PLANES
from blunet.images.ome_zarr_labels import check_labels_name
from blunet.images.plane_choice import PlaneChoice
from blunet.jobs.events import Cancelled, CancelToken, FrameDone, Segmented, Skipped, Started, Warned
from blunet.jobs.finished_images import find_finished
from blunet.jobs.own_files import check_labels, check_results
from blunet.jobs.result_files import LABELS, OBJECTS, PROBABILITY, Results
from blunet.jobs.segmentation_inputs import Input, check_outputs, find_inputs
from blunet.segmentation.frames import label_frames, predict_frames
from blunet.segmentation.image_mismatch import describe_size_mismatch
from blunet.segmentation.predictor import Predictor
from blunet.segmentation.provenance import describe_segmentation
from blunet.segmentation.segmentation_settings import DEFAULTS, SegmentationSettings

Event = Started | FrameDone | Warned | Skipped | Segmented


def segment_files(
    sources: Sequence[str | Path],
    out: str | Path,
    model: Predictor,
    settings: SegmentationSettings = DEFAULTS,
    *,
    time_lapse: bool = False,
    save_probability: bool = False,
    save_measurements: bool = False,
    planes: PlaneChoice = ALL_PLANES,
    into: str | None = None,
    resume: bool = False,
    cancel: CancelToken | None = None,
) -> Iterator[Event]:
    """Segment images into a folder, one event after the other.

    Parameters
    ----------
    sources : sequence of str or Path
        Files, folders and patterns.
    out : str or Path
        Folder for ``x_labels.tif`` and, if asked for, ``x_probability.tif`` and ``x_objects.csv``. It is made if there
        is none.
    model : Predictor
    settings : SegmentationSettings
    time_lapse : bool
        Whether the images are the frames of one time-lapse: these share one normalisation, their objects are numbered
        on from frame to frame, and the results are stacks.
    save_probability, save_measurements : bool
        Whether to write these files too.
    planes : PlaneChoice
        Channel and slice to segment.
    into : str, optional
        Name under which labels are also written into each OME-Zarr, beside the image. Other images have a warning.
    resume : bool
        Whether to leave out what an earlier run finished: images whose results were made from the same file, by the
        same model file, settings and version of this program, and are all there. They are Segmented at once.
    cancel : CancelToken, optional
        Checked many times within a frame.

    Yields
    ------
    Started, then for each image FrameDone (stacks only), Warned, and Segmented or Skipped; sources without any image
    are Skipped before Started, unless there is only one source.

    Raises
    ------
    InputError
        Before any work: if a setting is out of range, the only source gives no image, two images would write one file,
        a result would overwrite an input, or the folder cannot be made. Any error of one image only skips that image.
    Cancelled
        If the job was asked to stop. The files of all images that were Segmented are complete; there are no others.
    """
    cancel = cancel or CancelToken()
    settings = settings.for_model(model.info)
    if into is not None:
        check_labels_name(into)
    inputs, skipped = find_inputs(sources, time_lapse=time_lapse)
    files = (LABELS, *[PROBABILITY] * save_probability, *[OBJECTS] * save_measurements)
    check_outputs(inputs, Path(out), files)
    folder = output_folder(out) if inputs else Path(out)
    description = describe_segmentation(model.settings, model.info, model.path, settings)
    yield from skipped
    yield Started(tuple(each.path for each in inputs))
    for each in inputs:
        begin = time.perf_counter()
        try:
            with naming_errors(each.path, passing=(Cancelled,)):
                cancel.check()
                source = each.open(planes)
                about = {**description, "image": _describe_image(each, planes)}
                if resume and (events := find_finished(each, folder, files, about, into)):
                    yield from events
                    continue
                outdated, remarks = check_results(folder, each.stem, files)
                if into is not None and each.zarr is None:
                    remarks.append(f"'{each.path}' is no OME-Zarr: its labels are not written into it.")
                if into is not None and each.zarr is not None:
                    check_labels(each.zarr, into)
                with Results(source, files, folder, keep_tables=into is not None) as results:
                    yield from _segment_frames(each.path, results, model, settings, cancel)
                    objects, foreground = results.objects, results.foreground
                    trained = model.info.card.object_diameter
                    if mismatch := describe_size_mismatch(results.diameter, trained, settings):
                        results.warnings.append(f"'{each.path}': {mismatch}")
                        remarks.append(results.warnings[-1])
                    if into is not None and each.zarr is not None:
                        results.write_into(each.zarr, into, planes.z if isinstance(planes.z, int) else None, about)
                    labels = results.write(each.stem, about, outdated)
        except InputError as e:
            yield Skipped(each.path, str(e))
        else:
            for remark in remarks:
                yield Warned(each.path, remark)
            yield Segmented(each.path, labels, objects, foreground, time.perf_counter() - begin)


def _describe_image(each: Input, planes: PlaneChoice) -> dict[str, Any]:
    """Return the name and hash of an image, and which of its planes were chosen."""
    chosen = {"channel": planes.channel, "z": planes.z}
    about = {"file": each.path.name, "sha256": sha256_of_all(each.files)}
    return about | {name: value for name, value in chosen.items() if value is not None}


def _segment_frames(
    path: Path, results: Results, model: Predictor, settings: SegmentationSettings, cancel: CancelToken
) -> Iterator[FrameDone | Warned]:
    """Segment the frames of one image into `results`."""
    source, check = results.source, cancel.check
    predicted = predict_frames(source, model, settings, keep_probability=PROBABILITY in results.files, check=check)
    for found in label_frames(predicted, source, settings, measured=results.measured, check=check):
        if found.warning:
            results.warnings.append(found.warning)
            yield Warned(path, found.warning)
        results.add(found)
        if source.stack:
            yield FrameDone(path, found.t + 1, source.count)
    check()
