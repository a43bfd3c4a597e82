"""Files as microscopes write them, by libraries of the extra `microscopes`: ND2 (Nikon), CZI (Zeiss), LIF (Leica)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.image_files import is_microscope_file, microscope_file_of, stem_of
from blunet.images.image_reader import reading, to_grey
from blunet.images.pixel_size import PixelSize

#: Module of each kind of file, and the library that it needs.
READERS = {
    ".nd2": ("blunet.images.nd2_reader", "nd2"),
    ".czi": ("blunet.images.czi_reader", "pylibCZIrw"),
    ".lif": ("blunet.images.lif_reader", "liffile"),
}


@dataclass(frozen=True)
class FilePosition:
    """One of the images in a file, as a reader of its kind finds them.

    Attributes
    ----------
    sizes : mapping of str to int
        Lengths of the axes t, c, z, y and x; those that are missing are 1.
    dtype : numpy dtype
        Of grey values, in this machine's byte order.
    channels, contrasts : tuple of str
        Names and contrast methods of the channels, as far as the file has them.
    pixel_size : PixelSize or None
    interval : float or None
        Seconds from frame to frame.
    spacing : float or None
        Distance of slices in the unit of the pixel size.
    """

    sizes: Mapping[str, int]
    dtype: np.dtype[Any]
    channels: tuple[str, ...] = ()
    contrasts: tuple[str, ...] = ()
    pixel_size: PixelSize | None = None
    interval: float | None = None
    spacing: float | None = None


@dataclass(frozen=True)
class MicroscopeImage:
    """An image in a file of a microscope; see `PlaneImage`.

    Attributes
    ----------
    path : Path
        The file; of one of several images in it, the file and the image's number, such as ``x.nd2/3``.
    file : Path
    number : int
        Of the image in the file, counted from 0.
    stem : str
        For the names of results, such as ``x_3``.
    """

    path: Path
    file: Path
    number: int
    stem: str
    about: FilePosition = field(repr=False)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.about.dtype

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""
        return self.about.channels

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Contrast methods of the channels."""
        return self.about.contrasts

    @property
    def pixel_size(self) -> PixelSize | None:
        """Size of a pixel."""
        return self.about.pixel_size

    @property
    def interval(self) -> float | None:
        """Seconds from frame to frame."""
        return self.about.interval

    @property
    def spacing(self) -> float | None:
        """Distance of slices in the unit of the pixel size."""
        return self.about.spacing

    def size(self, axis: str) -> int:
        """Return the length of an axis, "t", "c", "z", "y" or "x"; 1 if there is none."""
        return int(self.about.sizes.get(axis, 1))

    @contextlib.contextmanager
    def opened(self) -> Iterator[Callable[[int, int, int], NDArray[Any]]]:
        """Open the file; yields a function that reads the plane (Y, X) of a frame, a channel and a slice."""
        shape = self.size("y"), self.size("x")
        with reading(self.file), _reader(self.file).open_planes(self.file, self.number) as read_samples:

            def read(t: int, channel: int, z: int) -> NDArray[Any]:
                plane = to_grey(np.asarray(read_samples(t, channel, z))).astype(self.dtype, copy=False)
                if plane.shape != shape:
                    raise InputError(f"'{self.file}' has changed since it was opened; open it again.")
                return plane

            yield read

    @contextlib.contextmanager
    def windows(self, t: int, channel: int, z: int) -> Iterator[None]:
        """Yield None: planes of these files are read as a whole."""
        yield None


def open_microscope_images(path: Path) -> list[MicroscopeImage]:
    """Open the images of a file, or the one that the path names (``x.nd2/3``); their pixels are not read yet.

    Raises
    ------
    InputError
        If the file cannot be read, has no such image, or the library for its kind is not installed.
    """
    file = microscope_file_of(path) or path
    reader = _reader(file)
    with reading(file):
        found: list[FilePosition] = reader.list_positions(file)
    if not found:
        raise InputError(f"'{file}' holds no images; give another file.")
    stem = stem_of(file)
    if len(found) == 1:
        images = [MicroscopeImage(file, file, 0, stem, found[0])]
    else:
        images = [MicroscopeImage(file / str(i), file, i, f"{stem}_{i}", about) for i, about in enumerate(found)]
    if is_microscope_file(path):
        return images
    named = [image for image in images if image.path == path or path.name == str(image.number)]
    if not named:
        raise InputError(f"'{file}' has no image '{path.name}'; it has {len(images)}, counted from 0.")
    return named


def open_microscope_image(path: Path) -> MicroscopeImage:
    """Open the only image of a file.

    Raises
    ------
    InputError
        As `open_microscope_images`, and if it holds several.
    """
    images = open_microscope_images(path)
    if len(images) > 1:
        raise InputError(f"'{path}' holds {len(images)} images; give one of them, such as '{images[0].path}'.")
    return images[0]


def stem_of_image(path: Path) -> str:
    """Return the stem of a file's name, and of an image in a microscope's file such as ``x.nd2/3`` ``x_3``."""
    file = microscope_file_of(path)
    return stem_of(path) if file in (None, path) else f"{stem_of(path.parent)}_{path.name}"


def _reader(file: Path) -> Any:
    module, library = READERS[file.suffix.lower()]
    try:
        import_module(library)
    except ImportError as e:
        raise InputError(
            f"'{file}' needs {library}, which is not installed: pip install napari-blunet[microscopes], or export the "
            "images as OME-TIFF."
        ) from e
    return import_module(module)
