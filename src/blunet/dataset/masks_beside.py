"""Masks of single images, found beside them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from blunet.dataset.pairs import MASK_SUFFIXES
from blunet.images.image_files import find_subfolder, images_in, stem_of, stem_without, strip_suffix


def find_masks(images: Iterable[Path]) -> dict[Path, Path]:
    """Find the masks of those images that have one.

    Parameters
    ----------
    images : iterable of Path
        The mask of `x.tif` is `x_mask.tif` in the same folder; that of `images/x.tif` can also be `masks/x.tif` or
        `masks/x_mask.tif`. It may also end in `_masks` or, as Cellpose writes it, `_cp_masks`. Image and mask may have
        different extensions.

    Returns
    -------
    dict of Path to Path
        The mask of each image. Of two masks with the same stem, the first by name is used.
    """

    @cache
    def masks_for(folder: Path) -> dict[str, Path]:
        beside = [
            path for path in images_in(folder, made=True) if strip_suffix(stem_of(path), *MASK_SUFFIXES) is not None
        ]
        apart = find_subfolder(folder.parent, "masks") if folder.name.casefold() == "images" else None
        if apart is not None:
            beside = [*images_in(apart, made=True), *beside]
        masks: dict[str, Path] = {}
        for path in beside:
            stem = stem_without(path, *MASK_SUFFIXES)
            masks.setdefault(stem, path)
            masks.setdefault(stem.casefold(), path)
        return masks

    def mask_of(image: Path) -> Path | None:
        masks, stem = masks_for(image.parent), stem_of(image)
        return masks.get(stem, masks.get(stem.casefold()))

    found = {image: mask_of(image) for image in images}
    return {image: mask for image, mask in found.items() if mask is not None and mask != image}
