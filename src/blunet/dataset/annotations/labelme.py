"""Labelme's JSON: one file an image."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from blunet.dataset.annotations.annotated_image import AnnotatedImage
from blunet.dataset.annotations.image_finder import ImageFinder
from blunet.errors import InputError, describe_error
from blunet.images.image_files import stem_of
from blunet.outlines.outline import Outline, Patch, Ring

NAME = "labelme"
#: Corners that stand for a circle.
CIRCLE_CORNERS = 256
#: Most characters of the mask of one object.
LARGEST_MASK = 2**27


def is_labelme(content: Any) -> bool:
    """Return whether the content of a JSON file is Labelme's."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content


def read_labelme(path: Path, content: Mapping[str, Any], finder: ImageFinder) -> AnnotatedImage:
    """Read the polygons, rectangles, circles and masks of an image.

    Shapes of one group and label are one object. The image is looked for by the name in the file, or else by that of
    the file; its path is ignored.

    Raises
    ------
    InputError
        If a shape is broken, or the image is missing.
    """
    groups: dict[tuple[str, Any], list[Outline]] = {}
    left_out = 0
    for place, shape in enumerate(content["shapes"]):
        outline = _read_shape(shape if isinstance(shape, dict) else {}, f"'{path}': shape {place + 1}")
        if outline is None:
            left_out += 1
            continue
        group = shape.get("group_id")
        key = (outline.kind, ("alone", place) if group is None or outline.patch is not None else group)
        groups.setdefault(key, []).append(outline)
    outlines = tuple(
        Outline(sum((each.parts for each in group), ()), group[0].patch, kind=group[0].kind)
        for group in groups.values()
    )
    try:
        image = finder.by_name(str(content["imagePath"]))
    except InputError:
        image = finder.of_annotation(path)
    height, width = content.get("imageHeight"), content.get("imageWidth")
    size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    return AnnotatedImage(stem_of(image), image, path, outlines, size=size, left_out=left_out)


def _read_shape(shape: Mapping[str, Any], name: str) -> Outline | None:
    kind, form = str(shape.get("label") or ""), shape.get("shape_type") or "polygon"
    if form not in ("polygon", "rectangle", "circle", "mask"):
        return None
    points = shape.get("points")
    if not isinstance(points, np.ndarray) or points.ndim != 2 or points.shape[1] != 2:
        return Outline(((np.zeros((0, 2)),),), kind=kind)
    if form == "mask":
        return Outline(patch=_read_mask(shape.get("mask"), points, name), kind=kind)
    return Outline(((_draw(form, points),),), kind=kind)


def _draw(form: str, points: Ring) -> Ring:
    if form == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    if form == "circle" and len(points) == 2:
        centre, edge = points
        angle = np.linspace(0, 2 * np.pi, CIRCLE_CORNERS, endpoint=False)
        radius = float(np.hypot(*(edge - centre)))
        points = centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points


def _read_mask(text: Any, points: Ring, name: str) -> Patch:
    from PIL import Image

    try:
        if not isinstance(text, str) or len(text) > LARGEST_MASK:
            raise InputError(f"{name} has no mask that can be read.")
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as picture:
            mask = np.asarray(picture.convert("L")) > 0
        left, top = (int(number) for number in np.rint(points[0]))
    except (ValueError, OverflowError, OSError, binascii.Error, SyntaxError, Image.DecompressionBombError) as e:
        if isinstance(e, InputError):
            raise
        raise InputError(f"{name} has a mask that cannot be read ({describe_error(e)}); save it again.") from e
    return Patch(mask, top, left)
