"""Images of labels beside their images, as Cellpose and many programs write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from blunet.dataset.annotations.annotated_image import AnnotatedImage, Annotations
from blunet.dataset.annotations.image_finder import ImageFinder
from blunet.dataset.pairs import MASK_SUFFIXES
from blunet.errors import InputError
from blunet.images.image_files import find_subfolder, images_in, stem_of, strip_suffix

CELLPOSE, MASKS = "cellpose", "masks"
CELLPOSE_SUFFIX = "_cp_masks"
#: What the stems of images of labels end in.
SUFFIXES = (*MASK_SUFFIXES, "_labels", "_label", "_seg")
#: How a file of NumPy begins.
NPY = b"\x93NUMPY"
PICKLE = (
    "'{}' is a pickle, which can run any program when it is opened, and is not read; in Cellpose save the masks with "
    "File > Save masks as PNG/tif (or --save_png, --save_tif), and give the '_cp_masks' file."
)


def find_masks_in(folder: Path) -> list[Path]:
    """Return the images of labels in a folder, or in its subfolder `masks` or `labels`."""
    for name in ("masks", "labels"):
        inner = find_subfolder(folder, name)
        if inner is not None and images_in(inner, made=True):
            return images_in(inner, made=True)
    return [path for path in images_in(folder, made=True) if strip_suffix(stem_of(path), *SUFFIXES) is not None]


def read_masks(masks: Sequence[Path], finder: ImageFinder) -> Annotations:
    """Find the images of masks by their names; those whose image is missing are skipped."""
    finder.hide(masks)
    found, skipped = [], []
    for mask in masks:
        stem = strip_suffix(stem_of(mask), *SUFFIXES) or stem_of(mask)
        try:
            image = finder.by_name(f"{stem}{mask.suffix}")
        except InputError as e:
            skipped.append((mask, f"'{mask}' has no image: {e}"))
            continue
        cellpose = stem_of(mask).casefold().endswith(CELLPOSE_SUFFIX)
        found.append(AnnotatedImage(stem_of(image), image, mask, mask=mask, instances=cellpose))
    kinds = {stem_of(mask).casefold().endswith(CELLPOSE_SUFFIX) for mask in masks}
    return Annotations(CELLPOSE if kinds == {True} else MASKS, tuple(found), tuple(skipped))
