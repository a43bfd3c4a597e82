"""COCO's JSON, as LIVECell, EVICAN and many tools write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from blunet.dataset.annotations.annotated_image import AnnotatedImage, Annotations
from blunet.dataset.annotations.image_finder import ImageFinder
from blunet.errors import InputError
from blunet.images.image_files import stem_of
from blunet.outlines.outline import Outline, Ring
from blunet.outlines.run_lengths import decode_run_lengths

NAME = "coco"


def is_coco(content: Any) -> bool:
    """Return whether the content of a JSON file is COCO's."""
    return isinstance(content, dict) and "annotations" in content and "images" in content


def read_coco(path: Path, content: Mapping[str, Any], finder: ImageFinder) -> Annotations:
    """Read polygons and run lengths.

    Regions of many cells (`iscrowd`) are kept apart, as they are neither cells nor background. Annotations with a box
    alone are left out, and so are images without any outline: a file does not say whether they are empty or were not
    annotated.

    Raises
    ------
    InputError
        If an entry is missing or is not what COCO says.
    """
    images = {_entry(each, "id", path): each for each in _list(content, "images", path)}
    kinds = {each.get("id"): str(each.get("name", "")) for each in _list(content, "categories", path)}
    outlines: dict[Any, list[Outline]] = {}
    problems: dict[Any, str] = {}
    crowds: dict[Any, list[Outline]] = {}
    boxes: dict[Any, int] = {}
    unknown = 0
    for each in _list(content, "annotations", path):
        owner = _entry(each, "image_id", path)
        if owner not in images:
            unknown += 1
        elif each.get("segmentation") is None:
            boxes[owner] = boxes.get(owner, 0) + 1
        else:
            try:
                outline = _read_outline(each, _size(images[owner]), kinds.get(each.get("category_id"), ""))
            except InputError as e:
                problems.setdefault(owner, f"'{path}': {images[owner].get('file_name')}: {e}")
            else:
                (crowds if each.get("iscrowd") else outlines).setdefault(owner, []).append(outline)
    found, skipped, remarks = [], [], []
    for owner, about in images.items():
        name = str(_entry(about, "file_name", path))
        if owner in problems:
            skipped.append((Path(name), problems[owner]))
        elif owner in outlines:
            try:
                image = finder.by_name(name)
            except InputError as e:
                skipped.append((Path(name), str(e)))
                continue
            found.append(
                AnnotatedImage(
                    stem_of(image),
                    image,
                    path,
                    tuple(outlines[owner]),
                    size=_size(about),
                    left_out=boxes.get(owner, 0),
                    crowds=tuple(crowds.get(owner, ())),
                )
            )
    empty = len(images) - len(found) - len(skipped)
    if empty:
        remarks.append(f"'{path}': images without outlines, left out: {empty:,}.")
    if unknown:
        remarks.append(f"'{path}': annotations of images that it does not list, left out: {unknown:,}.")
    return Annotations(NAME, tuple(found), tuple(skipped), tuple(remarks))


def _list(content: Mapping[str, Any], name: str, path: Path) -> list[dict[str, Any]]:
    """Return a list of entries; some files have them in a dictionary by their ids."""
    found = content.get(name, [])
    found = list(found.values()) if isinstance(found, dict) else found
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InputError(f"'{path}': '{name}' is no list of entries as COCO has it; export it again.")
    return found


def _entry(each: Mapping[str, Any], name: str, path: Path) -> Any:
    value = each.get(name)
    if not isinstance(value, (str, int)):
        raise InputError(f"'{path}' has an entry without '{name}', which COCO asks for; export it again.")
    return value


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    height, width = image.get("height"), image.get("width")
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _read_outline(each: Mapping[str, Any], size: tuple[int, int] | None, kind: str) -> Outline:
    found = each["segmentation"]
    if isinstance(found, dict):
        own = found.get("size")
        if not isinstance(own, list) or len(own) != 2 or (size is not None and tuple(own) != size):
            told = "an unknown size" if size is None else f"{size[1]} x {size[0]} pixels"
            raise InputError(f"a mask has the size {own} (Y, X) and its image {told}; export them again.")
        height, width = own
        if not all(isinstance(length, int) and 0 < length < 2**16 for length in (height, width)):
            raise InputError(f"a mask has the size {own}; sizes are whole numbers below 65,536.")
        return Outline(patch=decode_run_lengths(found.get("counts"), (height, width)), kind=kind)
    flat = [found] if isinstance(found, np.ndarray) and found.ndim == 1 else list(found) if _is_many(found) else []
    return Outline(tuple((_read_ring(each),) for each in flat), kind=kind)


def _is_many(found: Any) -> bool:
    return isinstance(found, (list, np.ndarray))


def _read_ring(numbers: Any) -> Ring:
    """Return the corners x1, y1, x2, y2, ...; of anything else an empty ring, which is unusable."""
    try:
        flat = np.asarray(numbers, np.float64)
    except (TypeError, ValueError):
        return np.zeros((0, 2))
    return flat.reshape(-1, 2) if flat.ndim == 1 and flat.size % 2 == 0 else np.zeros((0, 2))
