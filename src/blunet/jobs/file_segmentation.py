"""Segmenting image files into a folder."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from blunet.errors import InputError
from blunet.files import output_folder
from blunet.images.frame_source import FrameSource
from blunet.images.image_files import images_of, stem_of, without_repeats
from blunet.images.image_writer import read_description
from blunet.jobs.events import CancelToken, FrameDone, Segmented, Skipped, Started, Warned
from blunet.jobs.result_files import LABELS, OBJECTS, PROBABILITY, Results
from blunet.segmentation.frames import label_frames, predict_frames
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
    save_probability: bool = False,
    save_measurements: bool = False,
    cancel: CancelToken | None = None,
) -> Iterator[Event]:
    """Segment images into a folder, one event after the other.

    Parameters
    ----------
    sources : sequence of str or Path
        Files, folders and patterns.
    out : str or Path
        Folder for ``x_labels.tif`` and, if asked for, ``x_probability.tif`` and ``x_objects.csv``; made if
        needed.
    model : Predictor
    settings : SegmentationSettings
    save_probability, save_measurements : bool
        Whether to write these files too.
    cancel : CancelToken, optional
        Looked at before every layer of the network.

    Yields
    ------
    Started, then for each image FrameDone (stacks only), Warned, and Segmented or Skipped; sources
    without any image are Skipped before Started, unless there is only one source.

    Raises
    ------
    InputError
        Before any work: if a setting is out of range, the only source gives no image, two images would write
        one file, or the folder cannot be made.
    Cancelled
        If asked to stop. Files of the images that were Segmented are complete; no other is there.
    """
    cancel = cancel or CancelToken()
    settings = settings.for_model(model.info)
    images, skipped = _images(sources)
    files = (LABELS, *[PROBABILITY] * save_probability, *[OBJECTS] * save_measurements)
    _check_outputs(images, Path(out), files)
    folder = output_folder(out) if images else Path(out)
    description = describe_segmentation(model.settings, model.info, model.path, settings)
    yield from skipped
    yield Started(tuple(images))
    for path in images:
        begin = time.perf_counter()
        try:
            with Results(FrameSource.from_file(path), files) as results:
                yield from _segment_frames(path, results, model, settings, cancel)
                labels = results.write(folder, stem_of(path), description)
        except InputError as e:
            yield Skipped(path, str(e))
        else:
            seconds = time.perf_counter() - begin
            yield Segmented(path, labels, results.objects, results.foreground, seconds)


def _segment_frames(
    path: Path, results: Results, model: Predictor, settings: SegmentationSettings, cancel: CancelToken
) -> Iterator[FrameDone | Warned]:
    """Segment the frames of one image into `results`."""
    source, check = results.source, cancel.check
    predicted = predict_frames(source, model, settings, keep_probability=PROBABILITY in results.files, check=check)
    for found in label_frames(predicted, source, settings, measured=OBJECTS in results.files, check=check):
        if found.warning:
            yield Warned(path, found.warning)
        results.add(found)
        if source.stack:
            yield FrameDone(path, found.t + 1, source.count)
    check()


def _images(sources: Sequence[str | Path]) -> tuple[list[Path], list[Skipped]]:
    images: list[Path] = []
    skipped = []
    for source in sources:
        try:
            images += images_of(source)
        except InputError as e:
            if len(sources) == 1:
                raise
            skipped.append(Skipped(Path(source), str(e)))
    return without_repeats(images), skipped


def _check_outputs(images: Iterable[Path], out: Path, files: Sequence[str]) -> None:
    """Raise InputError if two images would write one file, or an image would be overwritten."""
    writers: dict[str, Path] = {}
    inputs = {path.resolve() for path in images}
    for path in images:
        name = stem_of(path)
        # Many file systems do not tell upper from lower case.
        if (other := writers.setdefault(name.casefold(), path)) != path:
            raise InputError(
                f"'{other}' and '{path}' would both write '{out / name}_{LABELS}'; rename one, or "
                "segment them into different folders."
            )
        for file in files:
            if (output := out / f"{name}_{file}").resolve() in inputs:
                raise InputError(
                    f"The result of '{path}' would overwrite the input '{output}'; choose another output folder."
                )
            if output.is_dir():
                raise InputError(f"The result '{output}' cannot be written: a folder stands in its place.")
        labels = out / f"{name}_{LABELS}"
        if labels.exists() and not _made_here(labels):
            raise InputError(
                f"'{labels}' was not made by BLU-Net and would be overwritten; choose another output folder."
            )


def _made_here(labels: Path) -> bool:
    """Whether a label image says that this program wrote it."""
    try:
        return "model" in read_description(labels)
    except InputError:
        return False
