"""The layers that files, folders and patterns make, found from the headers of the files alone."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from blunet.dataset.annotations.annotated_image import AnnotatedImage
from blunet.dataset.masks_beside import find_masks
from blunet.errors import InputError
from blunet.files import expand_user
from blunet.images.file_sets import find_sets, join_stacks, split_channels
from blunet.images.frame_numbers import describe_missing_frames
from blunet.images.frame_source import ALL_PLANES, FrameSource
from blunet.images.image_files import find_images, find_subfolder, images_in, is_microscope_file, is_zarr
from blunet.images.microscope_files import open_microscope_images, stem_of_image
from blunet.images.ome_zarr import stem_of_group
from blunet.images.ome_zarr_plate import Plate, read_plate
from blunet.images.pixel_size import PixelSize
from blunet.images.plane_choice import PlaneChoice
from blunet.jobs.annotation_layers import read_annotated_sources
from blunet.jobs.events import CancelToken, Skipped
from blunet.jobs.plane_options import PlaneOptions, find_plane_options
from blunet.jobs.saved_labels import find_saved_labels, is_labels_file

#: Most layers that are opened at once: napari's list of layers is not made for more.
MOST_LAYERS = 40
#: Number of threads that read headers, as on a file server each takes a while.
READERS = 8


@dataclass(frozen=True)
class PlannedLayer:
    """One image layer to come, with the layers of labels that belong to it; or saved labels by themselves.

    Attributes
    ----------
    name : str
    frames : FrameSource
        One file, or several as the frames of a time-lapse.
    source : Path or None
        The file or folder that holds all frames and nothing else. None: there is none.
    masks : mapping of Path to Path
        The masks, by the paths of their images.
    labels : mapping of Path to Path
        The saved labels, by the paths of their images; those of labels by themselves, by their own paths.
    annotations : mapping of Path to AnnotatedImage
        Those of other programs, by the paths of their images.
    kind : {"image", "labels"}
    remark : str
        What the user should know, such as that frames are missing; empty: nothing.
    """

    name: str
    frames: FrameSource
    source: Path | None = None
    masks: Mapping[Path, Path] = field(default_factory=dict)
    labels: Mapping[Path, Path] = field(default_factory=dict)
    annotations: Mapping[Path, AnnotatedImage] = field(default_factory=dict)
    kind: str = "image"
    remark: str = ""

    @property
    def pixel_size(self) -> PixelSize | None:
        """Size of a pixel; None if the files do not say."""
        return self.frames.pixel_size

    @property
    def interval(self) -> float | None:
        """Seconds between the frames of a time-lapse; None if the files do not say."""
        return self.frames.interval if self.frames.axes == "TYX" else None


@dataclass(frozen=True)
class Plan:
    """The layers to open, and what cannot be opened.

    Attributes
    ----------
    layers : tuple of PlannedLayer
    left_out : tuple of str
        Sentences about the files that are not opened, or are missing; frames of another size or type share one.
    skipped : tuple of Skipped
        The same files one by one.
    """

    layers: tuple[PlannedLayer, ...]
    left_out: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True)
class Refused:
    """The sources cannot be opened; the sentence says why."""

    sentence: str


def look(
    sources: Sequence[str], *, together: bool, masks: bool, token: CancelToken, planes: PlaneChoice = ALL_PLANES
) -> Iterator[PlaneOptions | Plate | Plan | Refused]:
    """Yield what the sources are: their channels and slices, and then a plate, or the plan of layers.

    Yields
    ------
    PlaneOptions, and then a Plate if the only source is one, else a Plan (see `plan_layers`) or a Refused.
    """
    import dask.array  # noqa: F401 - takes half a second, better now than when the user has pressed Open

    try:
        plate = read_plate(expand_user(sources[0])) if len(sources) == 1 else None
        yield find_plane_options(sources if plate is None else _first_field(plate))
        yield plate or plan_layers(sources, together=together, masks=masks, planes=planes, token=token)
    except InputError as e:
        yield Refused(str(e))


def _first_field(plate: Plate) -> list[Path]:
    return [well.image(well.fields[0]) for well in plate.wells if well.fields][:1]


def plan_layers(
    sources: Iterable[str | Path],
    *,
    together: bool = True,
    masks: bool = True,
    most: int | None = MOST_LAYERS,
    planes: PlaneChoice = ALL_PLANES,
    token: CancelToken | None = None,
) -> Plan:
    """Find the layers that sources make, from the headers of the files alone.

    Parameters
    ----------
    sources : iterable of str or Path
        Files, folders (with images in them or in their subfolder `images`) and patterns; also annotations of other
        programs, which open their images.
    together : bool
        Whether single images are the frames of one time-lapse. Images of another size or type than most of them are
        left out. A file that holds a stack becomes a layer of its own, unless it continues another: the files of an
        OME or Micro-Manager set, or those numbered by time (`x_t000.tif`), are one time-lapse. Channels and positions
        of a set are layers of their own.
    masks : bool
        Whether to open the masks and saved labels beside the images too. Saved labels that are given themselves are
        opened as labels in any case, with their image if that is given too.
    most : int, optional
        Largest number of layers. None: no limit.
    planes : PlaneChoice
        Channel of each OME-Zarr, and slice of each file.
    token : CancelToken, optional
        Checked between files.

    Raises
    ------
    InputError
        If there is nothing to open, or there would be more than `most` layers.
    Cancelled
        If the job was asked to stop.
    """
    given = [images_folder(source) for source in sources]
    if not given:
        raise InputError("Nothing was chosen; give image files, a folder or a pattern.")
    annotated = read_annotated_sources(given)
    paths, refused = find_images(annotated.sources)
    paths = [image for path in paths for image in _images_in(path)]
    files, unreadable = _headers(paths, planes, token)
    skipped = [*(Skipped(*each) for each in refused), *unreadable]
    problems = [*annotated.remarks, *(file.reason for file in skipped)]
    if not files:
        raise InputError(problems[0] if len(problems) == 1 else f"None of {len(problems)} files opens: {problems[0]}")
    images = [file for file in files if not _holds_labels(file)]
    paths = [file.paths[0] for file in images]
    in_folders = [path for path in paths if path.parent.is_dir()]  # not images within a microscope's file
    masks_of, labels_of = (find_masks(in_folders), find_saved_labels(in_folders)) if masks else ({}, {})
    attached = set(labels_of.values())
    alone = [file for file in files if _holds_labels(file) and file.paths[0] not in attached]
    groups: list[list[FrameSource]] = []
    for kind in (images, alone):
        chosen, others = _grouped(kind, together)
        groups += chosen
        problems += [_odd(others, chosen[0][0])] if others else []
        skipped += [Skipped(file.paths[0], _odd([file], chosen[0][0])) for file in others]
    if most is not None and len(groups) > most:
        raise InputError(
            f"These are {len(groups)} layers, more than {most}; open them as the frames of one time-lapse, or "
            "choose fewer."
        )
    used = [source for source in given if Path(source) not in dict(refused)]
    only = Path(used[0]) if len(used) == 1 and len(groups) == 1 and not glob.has_magic(str(used[0])) else None
    joined = sum(len(group) > 1 for group in groups)
    if annotated.annotations:
        only = None
    planned = tuple(_planned(group, masks_of, labels_of, only, joined == 1) for group in groups)
    of = annotated.annotations
    planned = tuple(
        replace(layer, annotations={path: of[path] for path in layer.frames.paths if path in of}) for layer in planned
    )
    problems += [layer.remark for layer in planned if layer.remark]
    return Plan(planned, tuple(problems), tuple(skipped))


def images_folder(source: str | Path) -> str | Path:
    """Return the subfolder `images` of a folder of pairs, and any other source unchanged."""
    folder = expand_user(source)
    try:
        inner = find_subfolder(folder, "images")
        return source if inner is None or images_in(folder) else inner
    except OSError:  # which the reading of the source reports
        return source


def _images_in(path: Path) -> list[Path]:
    """Return the images of a microscope's file one by one, and any other file itself."""
    if not is_microscope_file(path):
        return [path]
    try:
        return [image.path for image in open_microscope_images(path)]
    except InputError:  # which opening it reports
        return [path]


def _headers(
    paths: Sequence[Path], planes: PlaneChoice, token: CancelToken | None
) -> tuple[list[FrameSource], list[Skipped]]:
    def header(path: Path) -> FrameSource | Skipped:
        if token is not None:
            token.check()
        try:
            return FrameSource.from_file(path, planes)
        except InputError as e:
            return Skipped(path, str(e))

    with ThreadPoolExecutor(READERS, "blunet-headers") as pool:
        found = list(pool.map(header, paths))
    return [file for file in found if isinstance(file, FrameSource)], [
        file for file in found if isinstance(file, Skipped)
    ]


def _holds_labels(file: FrameSource) -> bool:
    return is_labels_file(file.paths[0]) and file.dtype.kind in "ui"


def _grouped(files: Sequence[FrameSource], together: bool) -> tuple[list[list[FrameSource]], list[FrameSource]]:
    """Return the files of each layer, and those that are left out, as they do not fit to the others."""
    if not together:
        return [[file] for file in files], []
    parts = find_sets(files)
    singles = [file for part in parts for file in part if len(part) == 1 and not _is_apart(file, files)]
    if len(singles) < 2:
        return parts, []
    frames, others = _alike(singles)
    return [*split_channels(frames), *(part for part in parts if part[0] not in singles)], others


def _is_apart(file: FrameSource, files: Sequence[FrameSource]) -> bool:
    """Return whether a file is a layer of its own: a stack, or a channel or position of a set with others here."""
    return file.stack or (
        file.place is not None
        and any(
            other is not file and other.place is not None and other.place.files == file.place.files for other in files
        )
    )


def _alike(files: Sequence[FrameSource]) -> tuple[list[FrameSource], list[FrameSource]]:
    """Separate the images of the most common size and type (of two as common, the first) from the others."""
    (most, _), *_ = Counter((file.shape, file.dtype) for file in files).most_common(1)
    frames = [file for file in files if (file.shape, file.dtype) == most]
    return frames, [file for file in files if (file.shape, file.dtype) != most]


def _odd(others: Sequence[FrameSource], usual: FrameSource, most: int = 5) -> str:
    named = ", ".join(f"'{file.paths[0].name}' ({_size(file)})" for file in others[:most])
    more = f" and {len(others) - most} more" if len(others) > most else ""
    return f"Left out, as the other frames are {_size(usual)}: {named}{more}."


def _size(file: FrameSource) -> str:
    return f"{file.shape[1]} × {file.shape[0]} {file.dtype}"


def _planned(
    group: Sequence[FrameSource],
    masks_of: Mapping[Path, Path],
    labels_of: Mapping[Path, Path],
    only: Path | None,
    by_folder: bool,
) -> PlannedLayer:
    """Return the layer of a group of files; `by_folder`: whether one of several files is named as their folder is."""
    frames = group[0]
    first = frames.paths[0]
    name, source = stem_of_group(first) if is_zarr(first) else stem_of_image(first), only
    kind = "labels" if _holds_labels(frames) else "image"
    if len(group) > 1:
        folder = first.resolve().parent
        if by_folder:
            name = (folder.parent if folder.name.casefold() == "images" else folder).name or name
        whole = str(only or (folder if by_folder else first))
        several = any(file.stack for file in group)
        frames = join_stacks(group, whole) if several else FrameSource.from_sources(group, whole)
    else:
        source = first
    if kind == "labels":
        return PlannedLayer(name, frames, source, labels={path: path for path in frames.paths}, kind=kind)
    masks, labels = ({path: of[path] for path in frames.paths if path in of} for of in (masks_of, labels_of))
    gaps = describe_missing_frames(frames.paths) if len(group) > 1 and by_folder else ""
    return PlannedLayer(name, frames, source, masks, labels, remark=gaps)
