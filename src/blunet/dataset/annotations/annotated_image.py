"""What every reader of annotations gives: images with the outlines or masks of their cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.truth_masks import interpret_mask
from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.image_reader import read_values
from blunet.outlines.filling import FillCounts, check_place, fill_outlines
from blunet.outlines.outline import Outline

#: Classes of which the first is meant where a file has both.
CELLS, PARTS = ("cell", "cells"), ("nucleus", "nuclei")


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """An image and the annotations of its cells.

    Attributes
    ----------
    name : str
        For the names of files that are made of it.
    image : Path
    annotation : Path
        The file that holds the outlines, or the mask.
    outlines : tuple of Outline
        Empty if there is a mask.
    mask : Path, optional
        An image of labels.
    instances : bool
        Whether each value of the mask is one object, even if there is only one; otherwise `interpret_mask` decides.
    size : (Y, X), optional
        Of the image, as the annotations tell.
    left_out : int
        Number of annotations that are no outlines of single objects: points, lines, boxes.
    crowds : tuple of Outline
        Regions of many cells that are not outlined one by one: neither cells nor background.
    """

    name: str
    image: Path
    annotation: Path
    outlines: tuple[Outline, ...] = ()
    mask: Path | None = None
    instances: bool = True
    size: tuple[int, int] | None = None
    left_out: int = 0
    crowds: tuple[Outline, ...] = ()

    def find_reviewed(self, shape: tuple[int, int]) -> NDArray[np.uint8] | None:
        """Return 1 where the annotations tell cells from background and 0 in crowds; None where they do everywhere."""
        if not self.crowds:
            return None
        labels, _ = fill_outlines(self.crowds, shape)
        reviewed: NDArray[np.uint8] = (labels == 0).astype(np.uint8)
        return reviewed

    def each_frame(self, source: FrameSource) -> Iterator[tuple[int, NDArray[np.int32], FillCounts]]:
        """Yield the index, the labels (Y, X) and the counts of each frame that has annotations.

        Parameters
        ----------
        source : FrameSource
            The image.

        Raises
        ------
        InputError
            If the annotations do not fit to the image.
        """
        if self.size is not None and self.size != source.shape:
            raise InputError(
                f"'{self.image}' is {_in_words(source.shape)} pixels but '{self.annotation.name}' says "
                f"{_in_words(self.size)}: the image was resized or exchanged; give the one that was annotated."
            )
        if self.mask is not None:
            yield from self._frames_of_mask(self.mask, source)
            return
        by_frame = self._sort_by_frame(source)
        total = FillCounts()
        found = []
        for index, outlines in sorted(by_frame.items()):
            labels, counts = fill_outlines(outlines, source.shape)
            total += counts
            found.append((index, counts))
            if source.stack and counts.objects:
                yield index, labels, counts
        check_place(total, str(self.annotation), source.shape)
        if not source.stack:
            yield 0, labels, total

    def _sort_by_frame(self, source: FrameSource) -> dict[int, list[Outline]]:
        """Return the outlines by the index of their frame."""
        frames = {outline.frame for outline in self.outlines}
        if not source.stack:
            if len(frames - {None}) > 1:
                raise InputError(
                    f"'{self.annotation}' holds outlines of {len(frames - {None})} frames but '{self.image}' is a "
                    "single image; give the stack that was annotated."
                )
            return {0: list(self.outlines)}
        if None in frames:
            raise InputError(
                f"'{self.annotation}' does not say to which of the {source.count} frames of '{self.image.name}' its "
                "outlines belong; in the ROI Manager choose Properties > Position, or give a single image."
            )
        last = max((frame for frame in frames if frame is not None), default=0)
        if last >= source.count:
            raise InputError(
                f"'{self.annotation}' holds outlines of frame {last + 1} but '{self.image}' has {source.count}; give "
                "the stack that was annotated."
            )
        by_frame: dict[int, list[Outline]] = {}
        for outline in self.outlines:
            by_frame.setdefault(outline.frame or 0, []).append(outline)
        return by_frame

    def _frames_of_mask(self, path: Path, source: FrameSource) -> Iterator[tuple[int, NDArray[np.int32], FillCounts]]:
        mask = FrameSource.from_file(path)
        if mask.array_shape != source.array_shape:
            raise InputError(
                f"The mask '{path}' has the shape {mask.array_shape} but its image {source.array_shape}; give the mask "
                "of this image."
            )
        for index in range(source.count):
            values, coloured, lossy = (mask.frame(index), False, False) if source.stack else read_values(path)
            if self.instances and not coloured and values.dtype.kind in "bui":
                labels = _number_safely(values)
            else:
                labels = interpret_mask(values, coloured=coloured, lossy=lossy).labels
            objects = int(np.count_nonzero(np.unique(labels)))
            if objects or not source.stack:
                yield index, labels, FillCounts(objects)


def _number_safely(values: NDArray[Any]) -> NDArray[np.int32]:
    if values.size and int(values.max()) <= np.iinfo(np.int32).max and int(values.min()) >= 0:
        return values.astype(np.int32)
    return interpret_mask(values).labels


def _in_words(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"


@dataclass(frozen=True, eq=False)
class Annotations:
    """The images of a source of annotations.

    Attributes
    ----------
    format : str
        Name of the format.
    images : tuple of AnnotatedImage
    skipped : tuple of (Path, str)
        Annotations without an image, and the like, and why.
    remarks : tuple of str
        Sentences about what was chosen or left out.
    """

    format: str
    images: tuple[AnnotatedImage, ...]
    skipped: tuple[tuple[Path, str], ...] = ()
    remarks: tuple[str, ...] = field(default=())

    def chosen(self, kinds: Sequence[str]) -> Annotations:
        """Return the outlines of some classes; with none given, of all, or of cells alone where nuclei are outlined.

        Raises
        ------
        InputError
            If there is no outline of a class.
        """
        present = Counter(outline.kind for image in self.images for outline in image.outlines if outline.kind)
        wanted = {kind.casefold() for kind in kinds}
        remarks = list(self.remarks)
        missing = [kind for kind in kinds if kind.casefold() not in {each.casefold() for each in present}]
        if missing:
            raise InputError(
                f"There is no class '{missing[0]}' in the annotations; "
                + (f"there are {_count_kinds(present)}." if present else "their outlines have no classes.")
            )
        if not wanted and len(present) > 1:
            lower = {kind.casefold() for kind in present}
            if lower.intersection(CELLS) and lower.intersection(PARTS):
                wanted = lower.intersection(CELLS)
                remarks.append(f"Of the classes {_count_kinds(present)} only the cells are taken; choose with --class.")
            else:
                remarks.append(f"All classes count as cells: {_count_kinds(present)}; choose with --class.")
        if not wanted:
            return replace(self, remarks=tuple(remarks))
        images = tuple(
            replace(image, outlines=tuple(each for each in image.outlines if each.kind.casefold() in wanted))
            for image in self.images
        )
        return replace(self, images=images, remarks=tuple(remarks))

    def moved(self, x: float, y: float) -> Annotations:
        """Return the annotations with their outlines moved by so many pixels."""
        if not (x or y):
            return self
        images = [
            replace(
                image,
                outlines=tuple(outline.moved(x, y) for outline in image.outlines),
                crowds=tuple(outline.moved(x, y) for outline in image.crowds),
            )
            for image in self.images
        ]
        return replace(self, images=tuple(images))


def _count_kinds(present: Counter[str]) -> str:
    named = [f"'{kind}' ({count:,})" for kind, count in present.most_common(5)]
    return ", ".join(named) + (f" and {len(present) - 5} more" if len(present) > 5 else "")
