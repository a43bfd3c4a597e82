"""What in a folder of images and masks can be used but may not be meant, in plain language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from blunet.dataset.pair_facts import PairFacts, named, size
from blunet.dataset.pairs import Pairs
from blunet.dataset.splits import validation_count
from blunet.dataset.truth_masks import SMALLEST_SPECK

#: Fewer images than this are worth a word.
FEW_IMAGES = 8
#: A larger share of foreground than this is more often a mistaken background than a crowded image.
MUCH_FOREGROUND = 0.95
#: Largest over smallest image area, and object diameter, that one data set is expected to have.
AREA_RATIO = 4.0
DIAMETER_RATIO = 3.0


def warnings_about(found: Pairs, pairs: Sequence[PairFacts], crop: int) -> Iterator[str]:
    """Yield a sentence for each oddity.

    Parameters
    ----------
    found : Pairs
        With the files that found no partner.
    pairs : sequence of PairFacts
        At least two, and an object in one of them.
    crop : int
        Side of the training crops in pixels.
    """
    yield from _about_partners(found.unpaired_images, found.unpaired_masks)
    yield from _about_files(pairs, crop)
    yield from _about_all(pairs)
    yield from _about_copies(pairs)


def warnings_about_test(test: Pairs, pairs: Sequence[PairFacts], hashes: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for what is odd about the test files.

    Parameters
    ----------
    test : Pairs
    pairs : sequence of PairFacts
        That the run learns from and chooses by.
    hashes : sequence of str
        SHA-256 of the test images, in their order.
    """
    for sentence in _about_partners(test.unpaired_images, test.unpaired_masks):
        yield f"Test: {sentence}"
    known = {pair.image_sha256 for pair in pairs}
    copies = [pair.image for pair, digest in zip(test.pairs, hashes, strict=True) if digest in known]
    if copies:
        yield (
            f"Test: {_count(copies, 'image')} that the run also learns from or chooses by: {named(copies)}; scores on "
            "them are too good."
        )


def _about_partners(images: Sequence[Path], masks: Sequence[Path]) -> Iterator[str]:
    if images:
        yield f"{_count(images, 'image')} without a mask of the same stem, not used: {named(images)}."
    if masks:
        yield f"{_count(masks, 'mask')} without an image of the same stem, not used: {named(masks)}."


def _about_files(pairs: Sequence[PairFacts], crop: int) -> Iterator[str]:
    """Say what is odd about a file by itself."""
    small = [pair.image for pair in pairs if min(pair.shape) < crop]
    if small:
        yield (
            f"{_count(small, 'image')} smaller than the crop of {crop} x {crop} pixels, to be padded with black: "
            f"{named(small)}; a smaller crop wastes nothing."
        )
    uniform = [pair.image for pair in pairs if pair.uniform]
    if uniform:
        yield f"{_count(uniform, 'image')} of one grey value, where nothing can be learnt: {named(uniform)}."
    empty = [pair.mask for pair in pairs if pair.objects == 0]
    if empty:
        yield (
            f"{_count(empty, 'empty mask')} (value 0, or only specks under {SMALLEST_SPECK} px): {named(empty)}; "
            "leave these out unless the images hold no objects."
        )
    full = [pair.mask for pair in pairs if pair.foreground == 1]
    if full:
        yield f"{_count(full, 'full mask')}, without any background: {named(full)}; the background must be 0."
    crowded = [pair for pair in pairs if MUCH_FOREGROUND < pair.foreground < 1]
    if crowded:
        yield (
            f"{_count(crowded, 'mask')} with more than {MUCH_FOREGROUND:.0%} foreground: "
            f"{named(pair.mask for pair in crowded)}; check that the background is 0 and not the objects."
        )


def _about_all(pairs: Sequence[PairFacts]) -> Iterator[str]:
    """Say where the files differ from each other, and whether they are few."""
    if len(pairs) < FEW_IMAGES:
        validating = validation_count(len(pairs))
        yield (
            f"There are only {len(pairs)} images: scores on {validating} validation image"
            f"{'' if validating == 1 else 's'} are rough."
        )
    by_area = sorted(pairs, key=lambda pair: pair.shape[0] * pair.shape[1])
    if np.prod(by_area[-1].shape) > AREA_RATIO * np.prod(by_area[0].shape):
        yield (
            f"The images differ much in size, {size(by_area[0])} ('{by_area[0].image.name}') to "
            f"{size(by_area[-1])} ('{by_area[-1].image.name}'); each counts the same in training."
        )
    kinds: dict[str, list[Path]] = defaultdict(list)
    for pair in pairs:
        kinds[pair.dtype].append(pair.image)
    if len(kinds) > 1:
        parts = "; ".join(f"{dtype}: {named(paths)}" for dtype, paths in sorted(kinds.items()))
        yield f"The images' values are of different types ({parts}); were all exported in the same way?"
    measured = [
        (pair.object_diameter, pair)
        for pair in pairs
        if pair.object_diameter is not None and pair.foreground <= MUCH_FOREGROUND
    ]
    if not measured:
        return
    least, most = min(measured, key=lambda m: m[0]), max(measured, key=lambda m: m[0])
    if most[0] > DIAMETER_RATIO * least[0]:
        yield (
            f"The objects differ much in size between images, {least[0]:.1f} px ('{least[1].mask.name}') to "
            f"{most[0]:.1f} px ('{most[1].mask.name}') in diameter; images of one magnification are learnt better."
        )


def _about_copies(pairs: Sequence[PairFacts]) -> Iterator[str]:
    """Name files of the same bytes, but for masks that are empty or full."""
    copies: dict[str, list[Path]] = defaultdict(list)
    for pair in pairs:
        copies[pair.image_sha256].append(pair.image)
        if 0 < pair.foreground < 1:
            copies[pair.mask_sha256].append(pair.mask)
    for paths in copies.values():
        if len(paths) > 1:
            yield (
                f"These files are copies of each other: {named(paths)}; keep one pair: a validation image that is also "
                "trained on makes scores too good, and a mask fits one image only."
            )


def _count(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
