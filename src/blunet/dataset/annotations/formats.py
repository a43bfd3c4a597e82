"""Reading annotations of any format: recognised by their content, or named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from blunet.dataset.annotations import coco, labelme, mask_files, tracking_challenge
from blunet.dataset.annotations.annotated_image import AnnotatedImage, Annotations
from blunet.dataset.annotations.image_finder import ImageFinder
from blunet.errors import InputError, describe_error
from blunet.files import expand_user
from blunet.images.image_files import ENDINGS, find_subfolder, sort_naturally, stem_of
from blunet.outlines import geojson, imagej_rois
from blunet.outlines.json_files import read_json

ROI, GEOJSON = "roi", "geojson"
#: Names of the formats, with what they are.
FORMATS = {
    tracking_challenge.NAME: "a folder of the Cell Tracking Challenge",
    coco.NAME: "COCO's JSON, as of LIVECell and EVICAN",
    ROI: "regions of ImageJ and Fiji: .roi, RoiSet.zip",
    GEOJSON: "GeoJSON of QuPath",
    labelme.NAME: "Labelme's JSON",
    mask_files.CELLPOSE: "masks of Cellpose: x_cp_masks.png or .tif",
    mask_files.MASKS: "other images of labels: x_mask, x_masks, x_labels, or in a folder 'masks' or 'labels'",
}
#: Endings of files that may hold annotations and are no images, in lower case.
ANNOTATION_ENDINGS = (".json", ".geojson", ".zip", ".roi")


def recognise_file(path: Path) -> tuple[str, Any] | None:
    """Return the format of a file of annotations and, if it is JSON, its content; None if it is none.

    Raises
    ------
    InputError
        If it cannot be read, is broken JSON, or a pickle.
    """
    try:
        with path.open("rb") as file:
            begins = file.read(64)
    except OSError as e:
        raise InputError(f"'{path}' cannot be read: {e.strerror or describe_error(e)}.") from e
    if begins.startswith(mask_files.NPY) or path.suffix.lower() in (".npy", ".pkl", ".pickle"):
        raise InputError(mask_files.PICKLE.format(path))
    if begins.startswith(imagej_rois.ROI):
        return ROI, None
    if begins.startswith(imagej_rois.ZIP):
        return (ROI, None) if imagej_rois.is_roi_set(path) else None
    if path.suffix.lower() in ENDINGS:
        return mask_files.MASKS, None
    if begins.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") or path.suffix.lower() in (".json", ".geojson"):
        content = read_json(path)
        for name, fits in (
            (coco.NAME, coco.is_coco),
            (labelme.NAME, labelme.is_labelme),
            (GEOJSON, geojson.is_geojson),
        ):
            if fits(content):
                return name, content
    return None


def read_annotations(
    source: str | Path, *, format: str | None = None, images: str | Path | None = None, without: Path | None = None
) -> Annotations:
    """Read annotations and find their images.

    Parameters
    ----------
    source : str or Path
        A file, or a folder of files of one format.
    format : str, optional
        One of `FORMATS`. None: recognised by the content.
    images : str or Path, optional
        Folder of the images. None: that of the annotations, with its subfolders, or the folder `images` beside it.
    without : Path, optional
        A folder in which no images are looked for.

    Raises
    ------
    InputError
        If there are no annotations, they cannot be read, are of several formats, or are a pickle; or no annotation has
        an image.
    """
    path = expand_user(source)
    if not str(source).strip() or not path.exists():
        raise InputError(f"There is no file or folder '{source}'; give the annotations.")
    if format is not None and format not in FORMATS:
        raise InputError(f"There is no format '{format}'; known are {', '.join(FORMATS)}.")
    if images is not None and not expand_user(images).is_dir():
        raise InputError(f"There is no folder '{images}'; give the one with the images.")
    folder = path if path.is_dir() else path.parent
    searched = [expand_user(images)] if images is not None else [folder, folder.parent / "images"]
    finder = ImageFinder([each for each in searched if each.is_dir()], without)
    try:
        found = _read_folder(path, format, finder) if path.is_dir() else _read_files([path], format, finder, folder)
    except OSError as e:
        raise InputError(f"'{e.filename or path}' cannot be read: {e.strerror or describe_error(e)}.") from e
    if not found.images:
        raise InputError(
            found.skipped[0][1] if found.skipped else f"'{source}' holds no outlines; annotate some cells."
        )
    return found


def _read_folder(folder: Path, format: str | None, finder: ImageFinder) -> Annotations:
    if format in (None, tracking_challenge.NAME) and (format or tracking_challenge.find_dataset(folder)):
        return tracking_challenge.read_tracking_challenge(folder)
    files = _annotation_files(folder)
    masks = mask_files.find_masks_in(folder)
    if masks and (format in (mask_files.CELLPOSE, mask_files.MASKS) or (format is None and not files)):
        if format == mask_files.CELLPOSE:
            masks = [mask for mask in masks if stem_of(mask).casefold().endswith(mask_files.CELLPOSE_SUFFIX)]
        return mask_files.read_masks(masks, finder)
    pickles = sorted(folder.glob("*_seg.npy"))
    if pickles and not files:
        raise InputError(mask_files.PICKLE.format(pickles[0]))
    if not files:
        raise InputError(f"The folder '{folder}' holds no annotations; known are " + "; ".join(FORMATS.values()) + ".")
    return _read_files(files, format, finder, folder)


def _annotation_files(folder: Path) -> list[Path]:
    """Return the files in a folder, or in a subfolder of annotations, that may hold some."""
    inner = [find_subfolder(folder, name) for name in ("annotations", "rois", "labels")]
    places = [folder, *(place for place in inner if place is not None)]
    files = [each for place in places for each in place.iterdir() if each.is_file() and not each.name.startswith(".")]
    return sort_naturally([file for file in files if file.suffix.lower() in ANNOTATION_ENDINGS])


def _read_files(files: Sequence[Path], format: str | None, finder: ImageFinder, folder: Path) -> Annotations:
    """Read files of one format; in a folder, files that are no annotations are passed over."""
    found: list[Annotations] = []
    passed: list[tuple[Path, str]] = []
    for file in files:
        try:
            recognised = recognise_file(file)
            if recognised is None:
                known = "; ".join(FORMATS.values())
                raise InputError(f"'{file}' holds no annotations that are known; known are {known}.")
            name, content = recognised
            if format is not None and name != format and not {name, format} <= {mask_files.MASKS, mask_files.CELLPOSE}:
                raise InputError(f"'{file}' is of the format '{name}' and not '{format}'; leave --format out.")
            found.append(_read_file(file, name, content, finder))
        except InputError as e:
            if len(files) == 1:
                raise
            passed.append((file, str(e)))
    formats = Counter(each.format for each in found)
    if len(formats) > 1:
        named = ", ".join(f"{name} ({count})" for name, count in formats.items())
        raise InputError(f"'{folder}' holds annotations of several formats: {named}; name one with --format.")
    if not found:
        raise InputError(passed[0][1])
    images = _join_regions([image for each in found for image in each.images])
    skipped = [*passed, *(skip for each in found for skip in each.skipped)]
    return Annotations(
        next(iter(formats)), tuple(images), tuple(skipped), tuple(remark for each in found for remark in each.remarks)
    )


def _read_file(path: Path, name: str, content: Any, finder: ImageFinder) -> Annotations:
    if name == coco.NAME:
        return coco.read_coco(path, content, finder)
    if name == labelme.NAME:
        return Annotations(name, (labelme.read_labelme(path, content, finder),))
    if name == mask_files.MASKS:
        return mask_files.read_masks([path], finder)
    remarks: list[str] = []
    if name == ROI:
        outlines, others = imagej_rois.read_rois(path)
    else:
        outlines, others, remarks = geojson.read_geojson(path, content)
    if not outlines:
        raise InputError(f"'{path}' holds no outlines of areas; draw polygons around the cells.")
    image = finder.of_annotation(path)
    annotated = AnnotatedImage(stem_of(image), image, path, tuple(outlines), left_out=others)
    return Annotations(name, (annotated,), remarks=tuple(remarks))


def _join_regions(images: Sequence[AnnotatedImage]) -> Iterator[AnnotatedImage]:
    """Join the outlines of several files of one image, as single regions of ImageJ are."""
    by_image: dict[Path, list[AnnotatedImage]] = {}
    for image in images:
        by_image.setdefault(image.image, []).append(image)
    for first, *others in by_image.values():
        if not others or first.mask is not None:
            yield first
            continue
        outlines = tuple(outline for each in (first, *others) for outline in each.outlines)
        left_out = sum(each.left_out for each in (first, *others))
        yield AnnotatedImage(first.name, first.image, first.annotation, outlines, size=first.size, left_out=left_out)
