"""The one way to get frames: from files, folders, arrays and layers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.frame_readers import ArrayReader, FileReader, PlaneReader, Reader, make_lazy_array
from blunet.images.grey_image import GreyImage, check_image
from blunet.images.image_files import images_of, is_zarr, microscope_file_of
from blunet.images.image_reader import read_layout
from blunet.images.image_windows import ImageWindows
from blunet.images.microscope_files import open_microscope_image
from blunet.images.ome_planes import SetPlace
from blunet.images.ome_zarr import open_image
from blunet.images.pixel_size import PixelSize
from blunet.images.plane_choice import PlaneChoice, PlaneImage, check_slice, choose_channel, choose_sharpest
from blunet.images.tiff_planes import open_tiff_planes
from blunet.images.tiff_reader import ManyAxesError

if TYPE_CHECKING:
    from dask.array import Array

#: All slices of the only channel, or of that of transmitted light.
ALL_PLANES = PlaneChoice()


@dataclass(frozen=True, eq=False)
class FrameSource:
    """An image, or the frames of a time-lapse, read only when asked for.

    Make one with `from_file`, `from_files`, `from_folder`, `from_planes` or `from_array`.

    Attributes
    ----------
    name : str
        For messages; empty: none.
    axes : {"YX", "TYX", "ZYX"}
        Slices (Z) are segmented one by one, as the frames of a time-lapse are.
    count : int
        Number of frames; 1 for a single image.
    shape : (Y, X)
        Of a frame.
    dtype : numpy dtype
        Of the values, in this machine's byte order.
    reader : callable
        Given indices of frames, yields the frames.
    pixel_size : PixelSize, optional
        None: not known.
    interval : float, optional
        Seconds from frame to frame. None: not known.
    spacing : float, optional
        Distance of the slices, in the unit of the pixel size. None: not known.
    paths : tuple of Path
        The file of each frame, or one file with all frames; empty for an array.
    place : SetPlace, optional
        Of a file that says that it belongs to a set.
    """

    name: str
    axes: Literal["YX", "TYX", "ZYX"]
    count: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    reader: Reader = field(repr=False)
    pixel_size: PixelSize | None = None
    interval: float | None = None
    spacing: float | None = None
    paths: tuple[Path, ...] = ()
    place: SetPlace | None = None
    _ranges: dict[int, tuple[Any, Any]] = field(default_factory=dict, init=False, repr=False)
    """Darkest and brightest value of the frames that were checked."""

    @classmethod
    def from_file(cls, path: str | Path, planes: PlaneChoice = ALL_PLANES) -> FrameSource:
        """Open an image file; its pixels are not read yet.

        Parameters
        ----------
        path : str or Path
            TIFF, PNG, JPEG (see `read_layout`), an OME-Zarr with one image, or an image of ND2, CZI or LIF. A stack of
            anything but slices (Z) is taken as frames in time; axes of length one are dropped. Colour becomes grey of
            the same type.
        planes : PlaneChoice
            Channel and slice, of files that have several.

        Raises
        ------
        InputError
            If there is no such file, it is not an image, is damaged, it is not clear which channel or slice is meant,
            or it has other axes than time, channels, slices, rows and columns.
        """
        path = Path(path)
        if is_zarr(path):
            return cls.from_planes(open_image(path), planes)
        if microscope_file_of(path) is not None:
            return cls.from_planes(open_microscope_image(path), planes)
        try:
            layout = read_layout(path)
        except ManyAxesError:
            if (image := open_tiff_planes(path)) is None:
                raise
            return cls.from_planes(image, planes)
        if planes.channel is not None:  # the file has one: is it this?
            known = open_tiff_planes(path) if path.suffix.lower() in (".tif", ".tiff") else None
            choose_channel(known.channels if known else (), 1, planes.channel, str(path))
        source = cls(
            name=str(path),
            axes="ZYX" if layout.axis == "Z" else "TYX" if layout.axis else "YX",
            count=layout.frames,
            shape=layout.shape,
            dtype=layout.dtype,
            reader=FileReader(path, layout.shape, layout.dtype),
            pixel_size=layout.pixel_size,
            interval=layout.interval,
            spacing=layout.spacing,
            paths=(path,),
            place=layout.place,
        )
        return source.choose_slice(planes.z)

    @classmethod
    def from_files(cls, paths: Iterable[str | Path], name: str = "") -> FrameSource:
        """Open files with one image each as the frames of one time-lapse, in their order.

        Raises
        ------
        InputError
            As `from_file` and `from_sources`.
        """
        return cls.from_sources([cls.from_file(path) for path in paths], name)

    @classmethod
    def from_folder(cls, folder: str | Path) -> FrameSource:
        """Open the images of a folder, in natural order, as the frames of one time-lapse.

        Raises
        ------
        InputError
            As `from_files`, and if the folder holds no images.
        """
        return cls.from_files(images_of(folder), str(folder))

    @classmethod
    def from_sources(cls, sources: Sequence[FrameSource], name: str = "") -> FrameSource:
        """Join single images to one time-lapse, in their order.

        Parameters
        ----------
        sources : sequence of FrameSource
            At least one; all of one shape and type. Pixel size and interval are those of the first.
        name : str
            For messages.

        Raises
        ------
        InputError
            If there are none, one is a stack, or they differ in shape or type.
        """
        if not sources:
            raise InputError("A time-lapse has no frames; give at least one image.")
        first = sources[0]
        for source in sources:
            if source.axes != "YX":
                raise InputError(f"{source.prefix()}this is a stack of {source.count} frames; give single images.")
            if (source.shape, source.dtype) != (first.shape, first.dtype):
                raise InputError(
                    f"{source.prefix()}the image is {_size(source)} and the first frame {_size(first)}; the frames of "
                    "a time-lapse have one size and type."
                )
        return cls(
            name=name,
            axes="TYX",
            count=len(sources),
            shape=first.shape,
            dtype=first.dtype,
            reader=lambda indices: (sources[index].frame() for index in indices),
            pixel_size=first.pixel_size,
            interval=first.interval,
            paths=tuple(path for source in sources for path in source.paths),
        )

    @classmethod
    def from_planes(cls, image: PlaneImage, planes: PlaneChoice = ALL_PLANES) -> FrameSource:
        """Take the frames of an image with axes of time, channels or slices; its pixels are not read yet.

        Parameters
        ----------
        image : PlaneImage
            In an OME-Zarr or a TIFF.
        planes : PlaneChoice
            Channel and slice. Without a slice, those of a single Z stack are the frames.

        Raises
        ------
        InputError
            If it is not clear which channel or slice is meant, or there is no such.
        """
        name = str(image.path)
        channel = choose_channel(image.channels, image.size("c"), planes.channel, name, image.contrasts)
        frames, slices = image.size("t"), image.size("z")
        z = 0 if planes.z is None and slices == 1 else planes.z
        if z is None and frames > 1:
            raise InputError(
                f"'{name}' has {frames} frames of {slices} slices; choose the slice (in a terminal: --z), or "
                "best-focus for the sharpest of each frame."
            )
        if z is not None:
            check_slice(z, slices, name)
        axes: Literal["YX", "TYX", "ZYX"] = "ZYX" if z is None else "TYX" if frames > 1 else "YX"
        return cls(
            name=name,
            axes=axes,
            count=slices if z is None else frames,
            shape=(image.size("y"), image.size("x")),
            dtype=image.dtype,
            reader=PlaneReader(image, channel, z),
            pixel_size=image.pixel_size,
            interval=image.interval if axes == "TYX" else None,
            spacing=image.spacing if axes == "ZYX" else None,
            paths=(image.path,),
        )

    def choose_slice(self, z: int | Literal["best-focus"] | None) -> FrameSource:
        """Return one slice of a Z stack, or the sharpest, as a single image; frames of one slice are unchanged.

        Raises
        ------
        InputError
            If there is no such slice.
        """
        if z is None or self.axes != "ZYX":
            check_slice(z or 0, 1, self.name)
            return self
        check_slice(z, self.count, self.name)

        def read(indices: Sequence[int]) -> Iterator[NDArray[Any]]:
            for _ in indices:
                yield self.frame(z) if isinstance(z, int) else choose_sharpest(self.each())

        return replace(self, axes="YX", count=1, reader=read, spacing=None)

    @classmethod
    def from_array(
        cls, array: Any, *, name: str = "", pixel_size: PixelSize | None = None, interval: float | None = None
    ) -> FrameSource:
        """Take the frames of an array, such as a layer's.

        Parameters
        ----------
        array : array of shape (Y, X) or (T, Y, X)
            A NumPy array, or a dask array, of which one frame is computed at a time.
        name : str
            For messages.
        pixel_size : PixelSize, optional
        interval : float, optional
            Seconds from frame to frame.

        Raises
        ------
        InputError
            If the array has another number of dimensions, or no pixels.
        """
        array = array if hasattr(array, "shape") and hasattr(array, "dtype") else np.asarray(array)
        shape = tuple(int(length) for length in array.shape)
        if len(shape) not in (2, 3) or 0 in shape:
            place = f"'{name}': " if name else ""
            raise InputError(
                f"{place}The image has the shape {shape}; give a grey image of shape (Y, X) or a time-lapse (T, Y, X)."
            )
        stack = len(shape) == 3
        return cls(
            name=name,
            axes="TYX" if stack else "YX",
            count=shape[0] if stack else 1,
            shape=(shape[-2], shape[-1]),
            dtype=np.dtype(array.dtype),
            reader=ArrayReader(array),
            pixel_size=pixel_size,
            interval=interval,
        )

    @property
    def stack(self) -> bool:
        """Whether there is an axis of time or slices."""
        return self.axes != "YX"

    @property
    def stack_axis(self) -> Literal["T", "Z"]:
        """What a stack runs through."""
        return "Z" if self.axes == "ZYX" else "T"

    @property
    def step(self) -> float | None:
        """Seconds from frame to frame, or the distance of slices in the unit of the pixel size."""
        return self.spacing if self.axes == "ZYX" else self.interval

    @property
    def array_shape(self) -> tuple[int, ...]:
        """(Y, X), or (T, Y, X) or (Z, Y, X) of a stack."""
        return (self.count, *self.shape) if self.stack else self.shape

    def prefix(self, index: int = 0) -> str:
        """Return what names a frame at the beginning of a message, such as ``'x.tif': frame 2 of 3: ``."""
        named = f"'{self.name}': " if self.name else ""
        return f"{named}frame {index + 1} of {self.count}: " if self.stack else named

    def frame(self, index: int = 0) -> NDArray[Any]:
        """Read one frame, (Y, X), counted from 0.

        Raises
        ------
        InputError
            If there is no such frame or it cannot be read.
        """
        return next(self.each([index]))

    def each(self, indices: Iterable[int] | None = None) -> Iterator[NDArray[Any]]:
        """Yield frames (Y, X), one in memory at a time.

        Parameters
        ----------
        indices : iterable of int, optional
            Counted from 0. None: all frames, in their order.

        Raises
        ------
        InputError
            If there is no such frame or it cannot be read.
        """
        chosen = list(range(self.count) if indices is None else indices)
        for index in chosen:
            if not 0 <= index < self.count:
                named = f"'{self.name}'" if self.name else "The image"
                raise InputError(f"{named} has no frame {index}; it has {self.count}, counted from 0.")
        frames = self.reader(chosen)
        for index in chosen:
            try:
                frame = next(frames)
            except InputError as e:
                raise self.error(index, str(e)) from e
            except OSError as e:
                raise self.error(index, f"the image cannot be read: {e}.") from e
            yield frame

    @contextlib.contextmanager
    def windows(self, index: int = 0) -> Iterator[ImageWindows]:
        """Open one frame to be read in windows, without the memory for all of it where the file allows that.

        Yields
        ------
        ImageWindows
            A NumPy array of the whole frame for files that have to be read in one piece, such as PNG, colour, or the
            sharpest slice.

        Raises
        ------
        InputError
            If there is no such frame or it cannot be read; also while windows are read.
        """
        opened = getattr(self.reader, "windows", None)
        with contextlib.nullcontext() if opened is None else opened(index) as windows:
            yield self.frame(index) if windows is None else windows

    def each_checked(self, indices: Iterable[int] | None = None) -> Iterator[GreyImage]:
        """Yield frames as `each` does, each checked the first time that it is read.

        Raises
        ------
        InputError
            As `each`, and for a frame that is not a grey image of finite numbers (see `check_image`).
        """
        chosen = list(range(self.count) if indices is None else indices)
        for index, values in zip(chosen, self.each(chosen), strict=True):
            if index in self._ranges:
                yield GreyImage(values, *self._ranges[index])
                continue
            try:
                image = check_image(values)
            except InputError as e:
                raise self.error(index, str(e)) from e
            self._ranges[index] = (image.darkest, image.brightest)
            yield image

    def sample(self, most: int = 16) -> list[int]:
        """Choose at most `most` frames spread evenly over the stack, the first and the last among them."""
        count = min(most, self.count)
        return [round(i * (self.count - 1) / max(count - 1, 1)) for i in range(count)]

    def to_dask(self) -> Array:
        """Return the frames as a dask array (Y, X) or (T, Y, X) of one chunk a frame, read when they are computed.

        Computing a frame that cannot be read, or has changed its shape or type, raises InputError.
        """
        if isinstance(self.reader, ArrayReader) and (array := self.reader.as_dask()) is not None:
            return array
        return make_lazy_array(self.array_shape, self.dtype, self.each)

    def error(self, index: int, reason: str) -> InputError:
        """Return an error about a frame: the reason, after the frame's name unless it names the file itself."""
        named = bool(self.paths) and any(str(path) in reason for path in self.paths)
        return InputError(reason if named else self.prefix(index) + reason)


def read_image(path: str | Path) -> NDArray[Any]:
    """Read a single image as grey values (Y, X) in the file's type.

    Raises
    ------
    InputError
        As `FrameSource.from_file`, and if the file holds a stack.
    """
    source = FrameSource.from_file(path)
    if source.stack:
        raise InputError(f"'{path}' is a stack of {source.count} frames; give a single image.")
    return source.frame()


def _size(source: FrameSource) -> str:
    return f"{source.shape[1]} × {source.shape[0]} {source.dtype}"
