"""What opening files, folders and patterns in a viewer would make, from their headers alone."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from blunet.dataset.masks_beside import find_masks
from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.image_files import images_in, images_of, stem_of, without_repeats
from blunet.images.pixel_size import PixelSize
from blunet.jobs.events import CancelToken

#: More images than this do not become layers of their own: napari's list of layers is not made for that.
MOST_LAYERS = 40
#: Headers are read by so many threads, mostly to wait for a server together.
READERS = 8


@dataclass(frozen=True)
class PlannedLayer:
    """One image layer to come.

    Attributes
    ----------
    name : str
    frames : FrameSource
        One file, or several as the frames of a time-lapse.
    source : Path or None
        The file or folder that has all of it and nothing else, as an argument of `blunet segment`.
    masks : mapping of Path to Path
        By image, of those that have one.
    """

    name: str
    frames: FrameSource
    source: Path | None = None
    masks: Mapping[Path, Path] = field(default_factory=dict)

    @property
    def pixel_size(self) -> PixelSize | None:
        """Size of a pixel; None if the files do not say, or in a unit that a viewer does not understand."""
        size = self.frames.pixel_size
        return size if size is not None and size.in_viewers else None

    @property
    def interval(self) -> float | None:
        """Seconds between the frames of a time-lapse; None if the files do not say."""
        return self.frames.interval if self.frames.stack else None


@dataclass(frozen=True)
class Plan:
    """What opening would make; `left_out` are sentences on what cannot be opened."""

    layers: tuple[PlannedLayer, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """The sources cannot be opened, for this reason."""

    sentence: str


def look(
    sources: Iterable[str], *, together: bool, masks: bool, token: CancelToken
) -> Iterator[Plan | Refused]:  # fmt: skip
    """Yield what opening the sources would make, or why that cannot be; see `plan_layers`."""
    import dask.array  # noqa: F401 - takes half a second, which need not pass when the user has pressed Open

    try:
        yield plan_layers(sources, together=together, masks=masks, token=token)
    except InputError as e:
        yield Refused(str(e))


def plan_layers(
    sources: Iterable[str | Path], *, together: bool = True, masks: bool = True, token: CancelToken | None = None
) -> Plan:
    """Find out, from the files' headers alone, which layers they make.

    Parameters
    ----------
    sources : iterable of str or Path
        Files, folders (with images in them, or in their folder `images`) and patterns.
    together : bool
        Whether several single images are the frames of one time-lapse. Those of another size or type than most are
        left out, and named. A file that holds a stack always is a layer of its own.
    masks : bool
        Whether masks beside the images are to be opened with them.
    token : CancelToken, optional
        Looked at between files.

    Raises
    ------
    InputError
        If there is nothing to open, or it makes more than `MOST_LAYERS` layers.
    Cancelled
        If asked to stop.
    """
    given = [_images_folder(source) for source in sources]
    if not given:
        raise InputError("Nothing was chosen; give image files, a folder or a pattern.")
    paths = without_repeats(path for source in given for path in images_of(source))
    files, problems = _headers(paths, token)
    if not files:
        raise InputError(problems[0] if len(problems) == 1 else f"None of {len(paths)} files opens: {problems[0]}")
    beside = find_masks(file.paths[0] for file in files) if masks else {}
    groups = [[file] for file in files]
    singles = [file for file in files if not file.stack]
    if together and len(singles) > 1:
        frames, others = _alike(singles)
        problems += [_odd(others, frames[0])] if others else []
        groups = [frames, *([file] for file in files if file.stack)]
    if len(groups) > MOST_LAYERS:
        raise InputError(
            f"These are {len(groups)} layers, more than {MOST_LAYERS}; open them as the frames of one time-lapse, or "
            "choose fewer."
        )
    only = Path(given[0]) if len(given) == 1 and len(groups) == 1 and not glob.has_magic(str(given[0])) else None
    return Plan(tuple(_planned(group, beside, only) for group in groups), tuple(problems))


def _images_folder(source: str | Path) -> str | Path:
    """Return the folder `images` of a folder of pairs, else what was given."""
    folder = Path(source).expanduser()
    return folder / "images" if (folder / "images").is_dir() and not images_in(folder) else source


def _headers(paths: Sequence[Path], token: CancelToken | None) -> tuple[list[FrameSource], list[str]]:
    def header(path: Path) -> FrameSource | InputError:
        if token is not None:
            token.check()
        try:
            return FrameSource.from_file(path)
        except InputError as e:
            return e

    with ThreadPoolExecutor(READERS, "blunet-headers") as pool:
        found = list(pool.map(header, paths))
    return [file for file in found if isinstance(file, FrameSource)], [
        str(e) for e in found if isinstance(e, InputError)
    ]


def _alike(files: Sequence[FrameSource]) -> tuple[list[FrameSource], list[FrameSource]]:
    """Part the images of the most common size and type (of two, the first) from the others."""
    (most, _), *_ = Counter((file.shape, file.dtype) for file in files).most_common(1)
    frames = [file for file in files if (file.shape, file.dtype) == most]
    return frames, [file for file in files if (file.shape, file.dtype) != most]


def _odd(others: Sequence[FrameSource], usual: FrameSource, most: int = 5) -> str:
    named = ", ".join(f"'{file.paths[0].name}' ({_size(file)})" for file in others[:most])
    more = f" and {len(others) - most} more" if len(others) > most else ""
    return f"Left out, as the other frames are {_size(usual)}: {named}{more}."


def _size(file: FrameSource) -> str:
    return f"{file.shape[1]} × {file.shape[0]} {file.dtype}"


def _planned(group: Sequence[FrameSource], beside: Mapping[Path, Path], only: Path | None) -> PlannedLayer:
    frames = group[0]
    first = frames.paths[0]
    name, source = stem_of(first), only
    if len(group) > 1:
        folder = first.resolve().parent
        name = (folder.parent if folder.name == "images" else folder).name or name
        frames = FrameSource.from_sources(group, str(only or folder))
    else:
        source = first
    masks = {path: beside[path] for path in frames.paths if path in beside}
    return PlannedLayer(name, frames, source, masks)
