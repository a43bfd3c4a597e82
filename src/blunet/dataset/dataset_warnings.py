"""What in a folder of images and masks can be used but may not be intended, in plain language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from blunet.dataset.mask_doubts import describe_doubts
from blunet.dataset.pair_facts import PairFacts, format_size
from blunet.dataset.pairs import Pairs
from blunet.dataset.truth_masks import SMALLEST_SPECK
from blunet.images.image_files import name_files

#: Warn below this number of images.
FEW_IMAGES = 8
#: Warn above this fraction of foreground: the background of such a mask is more often wrong than the image is crowded.
MAX_FOREGROUND = 0.95
#: Warn above these ratios of the largest to the smallest image (by area) and object diameter.
MAX_AREA_RATIO = 4.0
MAX_DIAMETER_RATIO = 3.0


def find_warnings(found: Pairs, pairs: Sequence[PairFacts], *, crop: int, validation_count: int) -> Iterator[str]:
    """Yield a sentence about each peculiarity of a folder.

    Parameters
    ----------
    found : Pairs
        With the files that have no partner.
    pairs : sequence of PairFacts
        At least two, at least one of them with objects.
    crop : int
        Side of the training crops in pixels.
    validation_count : int
        Number of pairs that validate.
    """
    yield from _warn_about_partners(found.unpaired_images, found.unpaired_masks)
    if found.unpaired_reviewed:
        files = found.unpaired_reviewed
        yield f"{_count(files, 'file')} of reviewed pixels without image and mask, not used: {name_files(files)}."
    yield from _warn_about_images(pairs, crop)
    yield from _warn_about_masks(pairs)
    if len(pairs) < FEW_IMAGES:
        plural = "" if validation_count == 1 else "s"
        yield (f"There are only {len(pairs)} images: scores on {validation_count} validation image{plural} are rough.")
    yield from _warn_about_differences(pairs)
    yield from _warn_about_diameters(pairs)
    yield from _warn_about_copies(pairs)


def find_test_warnings(test: Pairs, pairs: Sequence[PairFacts], hashes: Sequence[str]) -> Iterator[str]:
    """Yield a sentence about each peculiarity of the test files.

    Parameters
    ----------
    test : Pairs
    pairs : sequence of PairFacts
        The pairs that train and validate.
    hashes : sequence of str
        SHA-256 of the test images, in their order.
    """
    for sentence in _warn_about_partners(test.unpaired_images, test.unpaired_masks):
        yield f"Test: {sentence}"
    known = {pair.image_sha256 for pair in pairs}
    copies = [pair.image for pair, digest in zip(test.pairs, hashes, strict=True) if digest in known]
    if copies:
        yield (
            f"Test: {_count(copies, 'image')} that the run also learns from or chooses by: {name_files(copies)}; "
            "scores on them are too good."
        )


def _warn_about_partners(images: Sequence[Path], masks: Sequence[Path]) -> Iterator[str]:
    if images:
        yield f"{_count(images, 'image')} without a mask of the same stem, not used: {name_files(images)}."
    if masks:
        yield f"{_count(masks, 'mask')} without an image of the same stem, not used: {name_files(masks)}."


def _warn_about_images(pairs: Sequence[PairFacts], crop: int) -> Iterator[str]:
    small = [pair.image for pair in pairs if min(pair.shape) < crop]
    if small:
        yield (
            f"{_count(small, 'image')} smaller than the crop of {crop} x {crop} pixels, to be padded with black: "
            f"{name_files(small)}; a smaller crop wastes nothing."
        )
    uniform = [pair.image for pair in pairs if pair.uniform]
    if uniform:
        yield f"{_count(uniform, 'image')} of one grey value, where nothing can be learnt: {name_files(uniform)}."


def _warn_about_masks(pairs: Sequence[PairFacts]) -> Iterator[str]:
    empty = [pair.mask for pair in pairs if pair.objects == 0]
    if empty:
        yield (
            f"{_count(empty, 'empty mask')} (value 0, or only specks under {SMALLEST_SPECK} px): {name_files(empty)}; "
            "leave these out unless the images hold no objects."
        )
    yield from describe_doubts({pair.mask: pair.doubts for pair in pairs})
    bare = [pair.mask for pair in pairs if pair.reviewed is not None and pair.foreground == 1]
    if bare:
        yield f"{_count(bare, 'image')} with no reviewed background: {name_files(bare)}; mark some in every image."
    crowded = [
        pair.mask
        for pair in pairs
        if MAX_FOREGROUND < pair.foreground < 1 and pair.reviewed is None and "inverted" not in pair.doubts
    ]
    if crowded:
        yield (
            f"{_count(crowded, 'mask')} with more than {MAX_FOREGROUND:.0%} foreground: {name_files(crowded)}; check "
            "that the background is 0 and not the objects."
        )


def _warn_about_differences(pairs: Sequence[PairFacts]) -> Iterator[str]:
    """Yield sentences about images that differ in size or in type."""
    areas = {pair.name: pair.shape[0] * pair.shape[1] for pair in pairs}
    by_area = sorted(pairs, key=lambda pair: areas[pair.name])
    smallest, largest = by_area[0], by_area[-1]
    if areas[largest.name] > MAX_AREA_RATIO * areas[smallest.name]:
        yield (
            f"The images differ much in size, {format_size(smallest)} ('{smallest.image.name}') to "
            f"{format_size(largest)} ('{largest.image.name}'); each counts the same in training."
        )
    by_dtype: dict[str, list[Path]] = defaultdict(list)
    for pair in pairs:
        by_dtype[pair.dtype].append(pair.image)
    if len(by_dtype) > 1:
        listed = "; ".join(f"{dtype}: {name_files(paths)}" for dtype, paths in sorted(by_dtype.items()))
        yield f"The images' values are of different types ({listed}); were all exported in the same way?"


def _warn_about_diameters(pairs: Sequence[PairFacts]) -> Iterator[str]:
    measured = [
        (pair.object_diameter, pair.mask.name)
        for pair in pairs
        if pair.object_diameter is not None and pair.foreground <= MAX_FOREGROUND
    ]
    if not measured:
        return
    smallest, largest = min(measured, key=lambda m: m[0]), max(measured, key=lambda m: m[0])
    if largest[0] > MAX_DIAMETER_RATIO * smallest[0]:
        yield (
            f"The objects differ much in size between images, {smallest[0]:.1f} px ('{smallest[1]}') to "
            f"{largest[0]:.1f} px ('{largest[1]}') in diameter; images of one magnification are learnt better."
        )


def _warn_about_copies(pairs: Sequence[PairFacts]) -> Iterator[str]:
    """Yield a sentence about each group of equal files; masks that are empty or full may be equal."""
    copies: dict[str, list[Path]] = defaultdict(list)
    for pair in pairs:
        copies[pair.image_sha256].append(pair.image)
        if 0 < pair.foreground < 1:
            copies[pair.mask_sha256].append(pair.mask)
    for paths in copies.values():
        if len(paths) > 1:
            yield (
                f"These files are copies of each other: {name_files(paths)}; keep one pair: a validation image that "
                "is also trained on makes scores too good, and a mask fits one image only."
            )


def _count(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
