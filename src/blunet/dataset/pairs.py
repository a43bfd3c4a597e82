"""Pairs of an image and its truth mask in a folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from blunet.errors import InputError
from blunet.images.image_files import find_subfolder, images_in, stem_of, stem_without, strip_suffix

#: What a mask's stem may end in, longest first; Cellpose writes `_cp_masks`.
MASK_SUFFIXES = ("_cp_masks", "_masks", "_mask")
#: What the stem of a file of reviewed pixels may end in.
REVIEWED_SUFFIX = "_reviewed"
#: Advice that ends an error about the layout of a folder.
LAYOUT = "put pairs of one stem into 'images' and 'masks', or 'x.tif' beside 'x_mask.tif'"


@dataclass(frozen=True)
class Pair:
    """An image, the mask of its objects, and the file of what was reviewed; None: all of it."""

    image: Path
    mask: Path
    reviewed: Path | None = None

    @property
    def name(self) -> str:
        """Stem that both files share."""
        return stem_of(self.image)


@dataclass(frozen=True)
class Pairs:
    """The pairs of a folder, naturally sorted, and the files without a partner."""

    pairs: tuple[Pair, ...]
    unpaired_images: tuple[Path, ...]
    unpaired_masks: tuple[Path, ...]
    unpaired_reviewed: tuple[Path, ...] = ()


def find_pairs(folder: str | Path) -> Pairs:
    """Find the images of a folder and their masks.

    Parameters
    ----------
    folder : str or Path
        Contains the folders `images` and `masks`, whose files are paired by their stems (that of a mask may end in
        `_mask`, `_masks` or `_cp_masks`), or files such as `x.tif` and `x_mask.tif`. Image and mask may have
        different extensions. A folder `reviewed`, or a file such as `x_reviewed.tif`, tells which pixels of a partly
        annotated image were reviewed: those that are not 0.

    Raises
    ------
    InputError
        If the folder does not exist, there are no pairs, or two files of one kind have the same stem.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}'; give one with images and masks.")
    inner = [find_subfolder(folder, name) for name in ("images", "masks", "reviewed")]
    if any(inner[:2]):
        images, masks, reviewed = (images_in(place, made=True) if place else [] for place in inner)
    else:
        found = images_in(folder, made=True)
        masks = [path for path in found if strip_suffix(stem_of(path), *MASK_SUFFIXES) is not None]
        reviewed = [path for path in found if strip_suffix(stem_of(path), REVIEWED_SUFFIX) is not None]
        images = [path for path in images_in(folder) if path not in masks and path not in reviewed]
    return _pair(folder, *map(_index_by_stem, (images, masks, reviewed)))


def _index_by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    stems: dict[str, Path] = {}
    for path in paths:
        stem = stem_without(path, *MASK_SUFFIXES, REVIEWED_SUFFIX)
        if stem in stems:
            raise InputError(f"'{stems[stem]}' and '{path.name}' share the stem '{stem}'; keep only one of them.")
        stems[stem] = path
    return stems


def _pair(folder: Path, images: dict[str, Path], masks: dict[str, Path], reviewed: dict[str, Path]) -> Pairs:
    masks, reviewed = _with_case_of(images, masks), _with_case_of(images, reviewed)
    pairs = tuple(Pair(path, masks[stem], reviewed.get(stem)) for stem, path in images.items() if stem in masks)
    if not pairs:
        raise InputError(_explain_no_pairs(folder, list(images), list(masks)))
    return Pairs(
        pairs,
        tuple(path for stem, path in images.items() if stem not in masks),
        tuple(path for stem, path in masks.items() if stem not in images),
        tuple(path for stem, path in reviewed.items() if stem not in images or stem not in masks),
    )


def _with_case_of(images: dict[str, Path], masks: dict[str, Path]) -> dict[str, Path]:
    """Return masks by the stems of their images, where these differ in upper and lower case only."""
    alone = {stem.casefold(): stem for stem in images if stem not in masks}
    named = {stem: alone.get(stem.casefold(), stem) for stem in masks if stem not in images}
    once = {stem: name for stem, name in named.items() if list(named.values()).count(name) == 1}
    return {once.get(stem, stem): path for stem, path in masks.items()}


def _explain_no_pairs(folder: Path, images: list[str], masks: list[str]) -> str:
    if not images and not masks:
        return f"The folder '{folder}' holds no images and masks; {LAYOUT}."
    if not images:
        return f"The folder '{folder}' holds masks without images ({_name_stems(masks)}); {LAYOUT}."
    if not masks:
        return f"The folder '{folder}' holds images without masks ({_name_stems(images)}); {LAYOUT}."
    found = f"images: {_name_stems(images)}; masks: {_name_stems(masks)}"
    return f"No image in '{folder}' has a mask of its stem ({found}); {LAYOUT}."


def _name_stems(stems: list[str], most: int = 5) -> str:
    return ", ".join(stems[:most]) + (f" and {len(stems) - most} more" if len(stems) > most else "")
