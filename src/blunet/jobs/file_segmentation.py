"""Segmenting image files into a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from blunet.files import expand_user, output_folder
from blunet.images.frame_source import ALL_PLANES
from blunet.images.ome_zarr_labels import check_labels_name
from blunet.images.plane_choice import PlaneChoice
from blunet.jobs.cluster import Cluster, run_on_cluster
from blunet.jobs.events import CancelToken, Started
from blunet.jobs.image_segmentation import Event, ImageWork
from blunet.jobs.result_files import LABELS, OBJECTS, PROBABILITY
from blunet.jobs.segmentation_inputs import check_outputs, find_inputs
from blunet.segmentation.predictor import Predictor
from blunet.segmentation.provenance import describe_segmentation
from blunet.segmentation.segmentation_settings import DEFAULTS, SegmentationSettings


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
    cluster: Cluster | None = None,
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
    cluster : Cluster, optional
        Processes or a cluster that share the images. None: this process.
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
    if cluster is not None:
        sources = [Path(os.path.abspath(expand_user(source))) for source in sources]
        out = Path(os.path.abspath(out))
    settings = settings.for_model(model.info)
    if into is not None:
        check_labels_name(into)
    inputs, skipped = find_inputs(sources, time_lapse=time_lapse, planes=planes)
    files = (LABELS, *[PROBABILITY] * save_probability, *[OBJECTS] * save_measurements)
    check_outputs(inputs, Path(out), files)
    folder = output_folder(out) if inputs else Path(out)
    description = describe_segmentation(model.settings, model.info, model.path, settings)
    yield from skipped
    yield Started(tuple(each.path for each in inputs))
    work = ImageWork(folder, files, settings, description, planes, into, resume)
    if cluster is not None and inputs:
        yield from run_on_cluster(inputs, work, model, cluster, cancel)
        return
    for each in inputs:
        yield from work.run(each, model, cancel)
