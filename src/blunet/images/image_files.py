"""Finding image files: endings, stems, folders and patterns."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from blunet.errors import InputError
from blunet.files import expand_user

PathOrName = TypeVar("PathOrName", str, Path)

#: Endings of image files, in lower case. In a folder, other files are ignored.
ENDINGS = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
#: Endings of microscopes' own files, which an extra reads (see `microscope_files`).
MICROSCOPES = (".nd2", ".czi", ".lif")
#: Files of which a Zarr group or array has one.
ZARR_MARKS = ("zarr.json", ".zgroup", ".zarray")
#: Ends of the stems of result files and masks, which are no images to segment.
MADE = ("_labels", "_probability", "_mask", "_masks", "_reviewed")


def stem_of(path: str | Path) -> str:
    """Return a file's name without its ending (`a.b.tif` -> `a.b`, `c.ome.tif` -> `c`)."""
    stem = Path(path).stem
    return stem[:-4] if stem.lower().endswith(".ome") and len(stem) > 4 else stem


def strip_suffix(stem: str, *suffixes: str) -> str | None:
    """Return a stem without the first of `suffixes` that it ends in, in any case; None if it ends in none of them."""
    return next((stem[: -len(end)] for end in suffixes if stem.casefold().endswith(end)), None)


def stem_without(path: Path, *suffixes: str) -> str:
    """Return the stem of a file's name without the first of `suffixes` that it ends in; whole if no more were left."""
    return strip_suffix(stem_of(path), *suffixes) or stem_of(path)


def find_subfolder(folder: Path, name: str) -> Path | None:
    """Return the subfolder of a name, in upper or lower case; None if there is none."""
    if (folder / name).is_dir():
        return folder / name
    if not folder.is_dir():
        return None
    return next((path for path in sorted(folder.iterdir()) if path.name.casefold() == name and path.is_dir()), None)


def sort_naturally(paths: Iterable[PathOrName]) -> list[PathOrName]:
    """Sort paths or names so that `t2.tif` comes before `t10.tif`; upper and lower case are equal."""
    chosen = sorted(paths, key=str)
    if len(chosen) < 2:
        return chosen
    from natsort import natsorted, ns  # here, as it takes a tenth of a second to import

    return natsorted(chosen, key=str, alg=ns.IGNORECASE | ns.PATH)


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group or array."""
    return path.is_dir() and any((path / mark).is_file() for mark in ZARR_MARKS)


def is_microscope_file(path: Path) -> bool:
    """Whether a file is one of a microscope, by its name."""
    return path.suffix.lower() in MICROSCOPES and path.is_file()


def microscope_file_of(path: Path) -> Path | None:
    """Return the microscope's file that a path names, itself or as one of its images, ``x.nd2/3``; None: it is none."""
    if is_microscope_file(path):
        return path
    return path.parent if path.name.isdecimal() and is_microscope_file(path.parent) else None


def images_in(folder: Path, *, made: bool = False, zarr: bool = False) -> list[Path]:
    """Return the image files directly in `folder`, in natural order and without hidden files.

    Parameters
    ----------
    folder : Path
        It must exist.
    made : bool
        Whether to include files whose stem ends in one of `MADE`.
    zarr : bool
        Whether to include the folders of Zarr groups, and files of microscopes.
    """
    return _chosen(folder.iterdir(), made=made, zarr=zarr)


def _chosen(paths: Iterable[Path], *, made: bool = False, zarr: bool = False) -> list[Path]:
    chosen = [
        path
        for path in paths
        if not path.name.startswith(".")
        and (made or not stem_of(path).casefold().endswith(MADE))
        and (
            (path.suffix.lower() in ENDINGS and path.is_file())
            or (zarr and (is_zarr(path) or is_microscope_file(path)))
        )
    ]
    return sort_naturally(chosen)


def images_of(source: str | Path) -> list[Path]:
    """Return the image files that one argument of a command stands for.

    Parameters
    ----------
    source : str or Path
        A file of any name; the folder of an OME-Zarr; another folder, which stands for its images in natural order,
        without those whose stem ends in `_labels`, `_probability`, `_mask` or `_masks`; or a pattern such as
        `plate/*.tif`, with the same choice as in a folder, or `plate*`, if only folders match. Upper and lower case
        are equal where no name has the pattern's own.

    Raises
    ------
    InputError
        If there is no such file, the folder holds no images, no image matches the pattern, or the system refuses the
        name or the folder.
    """
    if not str(source).strip():
        raise InputError("The name of an input is empty; give image files, folders or patterns.")
    try:
        return _images_of(source)
    except OSError as e:
        raise InputError(f"'{source}' cannot be opened: {e.strerror or e}; check the name.") from e


def _images_of(source: str | Path) -> list[Path]:
    path = expand_user(source)
    if is_zarr(path) or microscope_file_of(path) is not None:
        return [path]
    if path.is_dir():
        images = images_in(path, zarr=True)
        if not images:
            made = _name_made(images_in(path, made=True))
            raise InputError(f"The folder '{source}' holds no images{made}; give one with {', '.join(ENDINGS)} files.")
        return images
    if path.is_file():
        return [path]
    if path.exists():
        raise InputError(f"'{source}' is not a regular file; give image files, folders or patterns.")
    if not glob.has_magic(str(source)):
        raise InputError(f"There is no file or folder '{source}'; check the name.")
    matches = match_pattern(path)
    images = _chosen(matches, zarr=True)
    if not images and not _chosen(matches, made=True):
        images = [
            image for folder in sort_naturally(matches) if folder.is_dir() for image in images_in(folder, zarr=True)
        ]
    if not images:
        raise InputError(f"No image matches '{source}'{_name_made(_chosen(matches, made=True))}; check the pattern.")
    return images


def match_pattern(pattern: Path) -> list[Path]:
    """Return the files and folders that match a pattern, as a desktop finds them: in upper and lower case.

    Parameters
    ----------
    pattern : Path
        With `*`, `?`, `[abc]` or `**`. Folders whose names hold these characters can be written as they are. The case
        of an ending never counts, and that of other letters only if a name has it.
    """
    place, parts = Path(pattern.anchor), list(pattern.parts[bool(pattern.anchor) :])
    while len(parts) > 1 and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    *folders, last = parts
    name, dot, ending = last.rpartition(".")
    within = [*folders, name + dot + _ignore_case(ending) if dot else last]
    for words in (within, [_ignore_case(word) for word in parts]):
        found = glob.glob(str(Path(glob.escape(str(place)), *words)), recursive=True)
        if found:
            return [Path(each) for each in found]
    return []


def _ignore_case(pattern: str) -> str:
    """Return a pattern for names in upper and lower case; what stands in brackets is unchanged."""
    words = re.split(r"(\[[^]]*\])", pattern)
    return "".join(
        word if word.startswith("[") else "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in word)
        for word in words
    )


def _name_made(files: Sequence[Path]) -> str:
    """Return a clause about files that are found and not used."""
    if not files:
        return ""
    return f" but '{files[0].name}' and the like, which are labels, probabilities or masks (name them to use them)"


def find_images(sources: Sequence[str | Path]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Return the image files that several arguments stand for.

    Parameters
    ----------
    sources : sequence of str or Path
        Each as in `images_of`.

    Returns
    -------
    images : list of Path
        In the order of the arguments, each file once.
    refused : list of (Path, str)
        The arguments that stand for no image, and why.

    Raises
    ------
    InputError
        If `images_of` refuses the only argument.
    """
    images, refused = [], []
    for source in sources:
        try:
            images += images_of(source)
        except InputError as e:
            if len(sources) == 1:
                raise
            refused.append((Path(source), str(e)))
    return without_repeats(images), refused


def without_repeats(paths: Iterable[Path]) -> list[Path]:
    """Return the paths without those that lead to a file named before, also by a symbolic or hard link."""
    first: dict[tuple[object, ...], Path] = {}
    for path in paths:
        first.setdefault(_content_of(path), path)
    return list(first.values())


def _content_of(path: Path) -> tuple[object, ...]:
    """Return what two names of one file have in common."""
    try:
        found = path.stat()
    except OSError:
        return (path.resolve(),)
    return (found.st_dev, found.st_ino) if found.st_ino else (path.resolve(),)


def name_files(paths: Iterable[Path], most: int = 5) -> str:
    """Name the first `most` files, with their folder `images` or `masks`, and count the others."""
    names = [
        f"'{path.parent.name}/{path.name}'" if path.parent.name in ("images", "masks") else f"'{path.name}'"
        for path in paths
    ]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
