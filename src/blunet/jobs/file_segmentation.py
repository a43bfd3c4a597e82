"""Segmenting image files into a folder."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.files import output_folder
from blunet.images.image_files import images_of, stem_of, without_repeats
from blunet.images.normalise import Limits, check_image
from blunet.images.read import ImageFile, open_image
from blunet.images.write import read_description
from blunet.jobs.events import CancelToken, FrameDone, Segmented, Skipped, Started, Warned
from blunet.jobs.result_files import LABELS, OBJECTS, PROBABILITY, Results
from blunet.segmentation.objects import MIN_SIZE, Objects, check_settings, label_foreground
from blunet.segmentation.predict import foreground, probability, shared_limits
from blunet.segmentation.predictor import Predictor
from blunet.segmentation.scale import scale_factor

Event = Started | FrameDone | Warned | Skipped | Segmented


@dataclass(frozen=True)
class SegmentSettings:
    """How objects are found.

    Parameters
    ----------
    threshold : float, optional
        Foreground is where the probability is greater, 0 to 1. None: the model's own.
    min_size : int
        Objects of at least this many pixels stay.
    objects : {"watershed", "components", "mask"}
    diameter : float, optional
        Typical diameter of the objects, in pixels. None: no resampling.
    """

    threshold: float | None = None
    min_size: int = MIN_SIZE
    objects: Objects = "watershed"
    diameter: float | None = None


def segment_files(
    sources: Sequence[str | Path],
    out: str | Path,
    model: Predictor,
    settings: SegmentSettings = SegmentSettings(),
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
    settings : SegmentSettings
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
    settings = checked_settings(settings, model)
    images, skipped = _images(sources)
    files = (LABELS, *[PROBABILITY] * save_probability, *[OBJECTS] * save_measurements)
    _check_outputs(images, Path(out), files)
    folder = output_folder(out) if images else Path(out)
    yield from skipped
    yield Started(tuple(images))
    for path in images:
        begin = time.perf_counter()
        try:
            with Results(open_image(path), files) as results:
                yield from _segment_frames(results, model, settings, cancel)
                labels = results.write(folder, stem_of(path), describe(model, settings))
        except InputError as e:
            yield Skipped(path, _naming(path, str(e)))
        else:
            seconds = time.perf_counter() - begin
            yield Segmented(path, labels, results.objects, results.foreground, seconds)


def checked_settings(settings: SegmentSettings, model: Predictor) -> SegmentSettings:
    """Return the settings with the model's threshold where they have none.

    Raises
    ------
    InputError
        If one is out of range.
    """
    if settings.threshold is None:
        settings = replace(settings, threshold=model.info.threshold)
    assert settings.threshold is not None
    check_settings(settings.threshold, settings.objects, settings.min_size)
    scale_factor(model.info, settings.diameter)
    return settings


def describe(model: Predictor, settings: SegmentSettings) -> dict[str, Any]:
    """Return what a file of labels says about how it was made, as JSON can hold it."""
    card = model.info.card
    return {
        "software": f"napari-blunet {version('napari-blunet')}",
        "model": {"name": card.name, "date": card.date, "network": model.settings.to_dict()},
        "settings": asdict(settings),
    }


def _segment_frames(
    results: Results, model: Predictor, settings: SegmentSettings, cancel: CancelToken
) -> Iterator[FrameDone | Warned]:
    """Segment the frames of one file into `results`."""
    image, threshold = results.image, settings.threshold
    assert threshold is not None
    stack = image.axes == "TYX"
    limits = _limits(image, model, settings.diameter) if stack else None
    for number, frame in enumerate(image.each(), start=1):
        cancel.check()
        with warnings.catch_warnings(record=True) as caught, _naming_frame(image, number):
            warnings.simplefilter("always", UserWarning)
            found = None
            if PROBABILITY in results.files:
                found = probability(frame, model, diameter=settings.diameter, limits=limits, check=cancel.check)
                inside = found > threshold
            else:
                inside = foreground(
                    frame, model, threshold, diameter=settings.diameter, limits=limits, check=cancel.check
                )
        for warning in caught:
            yield Warned(image.path, f"{_place(image, number)}{warning.message}")
        labels = label_foreground(inside, settings.objects, settings.min_size)
        results.add(frame, labels, float(inside.mean()), found)
        if stack:
            yield FrameDone(image.path, number, image.frames)
    cancel.check()


def _limits(image: ImageFile, model: Predictor, diameter: float | None) -> Limits:
    """Estimate the one normalisation that the frames of a stack share."""

    def checked() -> Iterator[NDArray[Any]]:
        chosen = image.sample()
        for t, frame in zip(chosen, image.each(chosen), strict=True):
            with _naming_frame(image, t + 1):
                check_image(frame)
            yield frame

    return shared_limits(checked(), model, diameter)


@contextmanager
def _naming_frame(image: ImageFile, number: int) -> Iterator[None]:
    """Put the frame (counted from 1) of a stack before what is wrong with it."""
    try:
        yield
    except InputError as e:
        raise InputError(f"{_place(image, number)}{e}") from e


def _place(image: ImageFile, number: int) -> str:
    return f"frame {number} of {image.frames}: " if image.axes == "TYX" else ""


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


def _naming(path: Path, reason: str) -> str:
    """Put the file's name before a reason that does not say it."""
    return reason if str(path) in reason else f"'{path}': {reason}"
