"""Folders of the Cell Tracking Challenge."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from blunet.dataset.annotations.annotated_image import AnnotatedImage, Annotations
from blunet.errors import InputError
from blunet.images.image_files import images_in
from blunet.images.image_reader import read_values

NAME = "ctc"
#: Folders of masks beside a sequence: gold truth, silver truth, the results of a program.
GOLD, SILVER, RESULT, MARKERS = "{}_GT/SEG", "{}_ST/SEG", "{}_RES", "{}_GT/TRA"


def find_dataset(path: Path) -> tuple[Path, list[str]] | None:
    """Return the folder of a dataset and its annotated sequences; None if a folder is none.

    Parameters
    ----------
    path : Path
        The folder that holds `01` and `01_GT`, one of these two, or one within them: then only that sequence counts.
    """
    for root in (path, path.parent, path.parent.parent):
        names = [each.name for each in root.iterdir() if each.is_dir()] if root.is_dir() else []
        sequences = sorted(name for name in names if re.fullmatch(r"\d{2,3}", name) and _masks_of(root, name))
        if root != path:
            inside = path.relative_to(root).parts[0].partition("_")[0]
            sequences = [name for name in sequences if name == inside]
        if sequences:
            return root, sequences
    return None


def read_tracking_challenge(path: Path) -> Annotations:
    """Find the frames that have masks.

    The gold truth of a frame counts where it outlines as many cells as the silver truth, or as the markers of the
    tracking truth; otherwise the silver truth, as a gold truth may hold some cells only. Results of a program count
    where there is no truth.

    Raises
    ------
    InputError
        If a mask cannot be read.
    """
    dataset = find_dataset(path)
    if dataset is None:
        raise InputError(
            f"'{path}' is no folder of the Cell Tracking Challenge: it holds no sequence '01' beside '01_GT/SEG', "
            "'01_ST/SEG' or '01_RES'."
        )
    root, sequences = dataset
    found, skipped, remarks = [], [], []
    for sequence in sequences:
        images = _by_frame(root / sequence)
        chosen, told = _choose_masks(root, sequence)
        remarks += told
        for frame, mask in sorted(chosen.items()):
            if frame in images:
                name = f"{sequence}_{images[frame].stem}"
                found.append(AnnotatedImage(name, images[frame], mask, mask=mask))
            else:
                skipped.append((mask, f"'{mask}' has no image: there is no frame {frame} in '{root / sequence}'."))
    return Annotations(NAME, tuple(found), tuple(skipped), tuple(remarks))


def _masks_of(root: Path, sequence: str) -> bool:
    return any((root / place.format(sequence)).is_dir() for place in (GOLD, SILVER, RESULT))


def _by_frame(folder: Path) -> dict[int, Path]:
    """Return the files of a folder by the number of the frame at the end of their names."""
    if not folder.is_dir():
        return {}
    named = (
        (re.fullmatch(r"(?:t|man_seg_?|man_track|mask)(\d+)", path.stem), path) for path in images_in(folder, made=True)
    )
    return {int(match[1]): path for match, path in named if match}


def _choose_masks(root: Path, sequence: str) -> tuple[dict[int, Path], list[str]]:
    gold, silver, result, markers = (
        _by_frame(root / place.format(sequence)) for place in (GOLD, SILVER, RESULT, MARKERS)
    )
    chosen = dict(silver if gold or silver else result)
    partly, few = 0, []
    for frame, mask in sorted(gold.items()):
        cells = _count(mask)
        others = [_count(each[frame]) for each in (silver, markers) if frame in each]
        if not others or cells >= min(others):
            chosen[frame] = mask
        elif frame in silver:
            partly += 1
        else:
            chosen[frame] = mask
            few.append((mask, cells, others[0]))
    return chosen, list(_describe(sequence, chosen, (gold, silver, result), partly, few))


def _describe(
    sequence: str,
    chosen: dict[int, Path],
    sources: tuple[dict[int, Path], ...],
    partly: int,
    few: list[tuple[Path, int, int]],
) -> Iterator[str]:
    titles = ("gold truth", "silver truth", "results of a program")
    counts = [sum(chosen[frame] == mask for frame, mask in source.items() if frame in chosen) for source in sources]
    told = ", ".join(f"{count} {title}" for count, title in zip(counts, titles, strict=True) if count)
    yield f"Sequence {sequence}: {len(chosen)} frames have masks ({told})."
    if partly:
        yield f"Sequence {sequence}: frames with a gold truth of some cells only, with silver truth instead: {partly}."
    if few:
        mask, cells, all_cells = few[0]
        more = f", and {len(few) - 1} more likewise" if len(few) > 1 else ""
        yield (
            f"'{mask}' outlines {cells} of {all_cells} cells{more}: the others count as background; train on frames "
            "that are outlined completely."
        )


def _count(mask: Path) -> int:
    return int(np.count_nonzero(np.unique(read_values(mask).values)))
