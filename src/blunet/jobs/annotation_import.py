"""Importing annotations of other programs as training data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from blunet.dataset.annotations.annotated_image import AnnotatedImage, Annotations
from blunet.dataset.annotations.formats import read_annotations
from blunet.dataset.data_origin import read_origins, write_origins
from blunet.dataset.pair_writer import write_pair
from blunet.errors import InputError, naming_errors
from blunet.files import expand_user, output_folder
from blunet.images.frame_source import FrameSource
from blunet.jobs.events import CancelToken, Skipped, Started, Warned
from blunet.outlines.filling import FillCounts


@dataclass(frozen=True)
class Imported:
    """The frames of an image that have annotations were written as pairs.

    Attributes
    ----------
    image, annotation : Path
    names : tuple of str
        Of the pairs.
    counts : FillCounts
        What became of the outlines, in all frames together.
    left_out : int
        Number of annotations that are no outlines of single objects.
    crowds : int
        Number of regions of many cells, which count as not reviewed.
    """

    image: Path
    annotation: Path
    names: tuple[str, ...]
    counts: FillCounts
    left_out: int
    crowds: int


@dataclass(frozen=True)
class Recognised:
    """The annotations were read: their format, and sentences about what was chosen."""

    format: str
    remarks: tuple[str, ...]


Event = Recognised | Started | Warned | Skipped | Imported


def import_annotations(
    source: str | Path,
    out: str | Path,
    *,
    format: str | None = None,
    images: str | Path | None = None,
    kinds: Sequence[str] = (),
    offset: tuple[float, float] = (0.0, 0.0),
    origin: str = "",
    licence: str = "",
    token: CancelToken | None = None,
) -> Iterator[Event]:
    """Write annotated images as ``images/NAME.tif`` and ``masks/NAME.tif``.

    Parameters
    ----------
    source : str or Path
        A file or folder of annotations (see `read_annotations`).
    out : str or Path
        Folder of the pairs; it may hold others, but none of the same names.
    format, images
        As in `read_annotations`.
    kinds : sequence of str
        Classes that are taken. Empty: all, or the cells alone where nuclei are outlined too.
    offset : (x, y)
        Of the image's first pixel in the coordinates of the outlines, where the image was cut from a larger one.
    origin, licence : str
        Who made the labels, and what their terms allow: kept with the pairs, and in the card of a model that is trained
        on them.
    token : CancelToken, optional
        Checked between frames.

    Raises
    ------
    InputError
        If nothing can be imported, or a pair would be overwritten.
    Cancelled
        If asked to stop.
    """
    token = token or CancelToken()
    folder = expand_user(out)
    found = read_annotations(source, format=format, images=images, without=folder)
    found = found.chosen(kinds).moved(-offset[0], -offset[1])
    yield Recognised(found.format, found.remarks)
    for path, reason in found.skipped:
        yield Skipped(path, reason)
    names = _name_pairs(found.images)
    output_folder(folder)
    yield Started(tuple(image.image for image in found.images))
    written = 0
    for image, name in zip(found.images, names, strict=True):
        token.check()
        try:
            event = _import(image, name, folder, token)
        except InputError as e:
            yield Skipped(image.image, str(e))
            continue
        yield event
        told = [*event.counts.describe()]
        if image.left_out:
            told.append(f"{image.left_out:,} left out, as they outline no object (points, lines, boxes)")
        if image.crowds:
            told.append(f"{len(image.crowds):,} regions of many cells, which training passes over")
        if told:
            yield Warned(
                image.image, f"'{image.annotation}' of '{image.image.name}': of its outlines {'; '.join(told)}."
            )
        written += len(event.names)
    if written:
        _record(folder, found, source, origin, licence, written)


def _name_pairs(images: Sequence[AnnotatedImage]) -> list[str]:
    """Return a name for the pairs of each image; images of one name in several folders get their folder's before it."""
    names = [image.name for image in images]
    lower = [name.casefold() for name in names]
    longer = [
        f"{image.image.parent.name}_{name}" if lower.count(name.casefold()) > 1 else name
        for image, name in zip(images, names, strict=True)
    ]
    seen: dict[str, Path] = {}
    for name, image in zip(longer, images, strict=True):
        if (other := seen.setdefault(name.casefold(), image.image)) != image.image:
            raise InputError(f"'{other}' and '{image.image}' would both become '{name}'; import them one by one.")
    return longer


def _import(image: AnnotatedImage, name: str, folder: Path, token: CancelToken) -> Imported:
    counts = FillCounts()
    names: list[str] = []
    with naming_errors(image.image):
        source = FrameSource.from_file(image.image)
        for index, labels, each in image.each_frame(source):
            token.check()
            counts += each
            if not each.objects:
                break  # of a single image: reported by the caller
            pair = f"{name}_t{index + 1:04d}" if source.stack else name
            for place in (folder / "images" / f"{pair}.tif", folder / "masks" / f"{pair}.tif"):
                if place.exists():
                    raise InputError(
                        f"'{place}' exists already and would be overwritten; choose another output folder."
                    )
            write_pair(source.frame(index), labels, pair, folder, image.find_reviewed(source.shape))
            names.append(pair)
    if not names:
        told = "; ".join(counts.describe()) or "there are none"
        raise InputError(f"'{image.annotation}' gives no cell in '{image.image.name}': {told}.")
    return Imported(image.image, image.annotation, tuple(names), counts, image.left_out, len(image.crowds))


def _record(folder: Path, found: Annotations, source: str | Path, origin: str, licence: str, written: int) -> None:
    """Keep in the folder where its pairs come from."""
    entry: dict[str, Any] = {
        "source": str(source),
        "format": found.format,
        "images": written,
        "date": date.today().isoformat(),
    }
    entry |= {key: value for key, value in (("origin", origin), ("licence", licence)) if value.strip()}
    write_origins(folder, [*read_origins(folder), entry])
