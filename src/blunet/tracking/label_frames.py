"""The label images of a time-lapse: one stack, or a folder with a file a frame."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from blunet.errors import InputError
from blunet.files import expand_user
from blunet.images.frame_source import FrameSource
from blunet.images.image_files import find_subfolder, images_in, is_zarr, name_files, stem_of

#: Names of the masks of the Cell Tracking Challenge, in results and in truths: the frame's number is their last part.
CHALLENGE_NAME = re.compile(r"(?:mask|man_track)(\d+)", re.IGNORECASE)
#: Endings of the stem of files of labels that lie among other images.
_LABELS = ("_labels", "_mask", "_masks")


@dataclass(frozen=True, eq=False)
class LabelFrames:
    """Label images of a time-lapse.

    Attributes
    ----------
    source : FrameSource
        Frames without a file are empty.
    missing : tuple of int
        Frames without a file, counted from 0.
    first : int
        Number of the first frame in the names of the Cell Tracking Challenge, else 0.
    """

    source: FrameSource
    missing: tuple[int, ...] = ()
    first: int = 0


def open_label_frames(path: str | Path) -> LabelFrames:
    """Open a stack of label images, or a folder with a file a frame.

    Parameters
    ----------
    path : str or Path
        A file with a stack (T, Y, X). Or a folder: with `mask000.tif`, `mask001.tif`, ... or `man_track000.tif`, ... as
        the Cell Tracking Challenge names them, also in a subfolder TRA; else with one stack or single images whose
        names end in `_labels` or `_mask`, in natural order; else with images in natural order.

    Raises
    ------
    InputError
        If there is nothing of this kind, or the frames differ in size.
    """
    path = expand_user(path)
    if not path.is_dir() or is_zarr(path):
        source = FrameSource.from_file(path)
        if source.axes == "ZYX":
            raise InputError(f"'{path}' is a stack of slices (Z); give the frames of a time-lapse.")
        return LabelFrames(_as_stack(source))
    files = images_in(path, made=True)
    masks = [file for file in files if CHALLENGE_NAME.fullmatch(stem_of(file))]
    below = find_subfolder(path, "TRA") or find_subfolder(path, "tra")
    if not masks and below is not None:
        return open_label_frames(below)
    if masks:
        return _open_numbered(path, masks)
    files = [file for file in files if stem_of(file).casefold().endswith(_LABELS)] or files
    if not files:
        raise InputError(f"The folder '{path}' holds no label images; give a stack, or a folder with a file a frame.")
    if len(files) == 1:
        return open_label_frames(files[0])
    sources = [FrameSource.from_file(file) for file in files]
    if stacks := [file for file, source in zip(files, sources, strict=True) if source.stack]:
        raise InputError(f"'{path}' holds several time-lapses, {name_files(stacks)}; give one of these files.")
    return LabelFrames(FrameSource.from_sources(sources, str(path)))


def _open_numbered(folder: Path, masks: Sequence[Path]) -> LabelFrames:
    """Open files whose names end in the number of the frame; numbers that are left out are empty frames."""
    by_number: dict[int, Path] = {}
    for file in masks:
        found = CHALLENGE_NAME.fullmatch(stem_of(file))
        assert found is not None
        other = by_number.setdefault(int(found[1]), file)
        if other != file:
            raise InputError(f"'{folder}': '{other.name}' and '{file.name}' are the same frame; remove one of them.")
    first, last = min(by_number), max(by_number)
    opened = {number: FrameSource.from_file(file) for number, file in by_number.items()}
    any_frame = opened[first]
    empty = np.zeros(any_frame.shape, any_frame.dtype)
    nothing = replace(FrameSource.from_array(empty), pixel_size=any_frame.pixel_size)
    sources = [opened.get(number, nothing) for number in range(first, last + 1)]
    missing = tuple(number - first for number in range(first, last + 1) if number not in opened)
    return LabelFrames(FrameSource.from_sources(sources, str(folder)), missing, first)


def _as_stack(source: FrameSource) -> FrameSource:
    """Return a single image as a time-lapse of one frame."""
    return source if source.stack else FrameSource.from_sources([source], source.name)
