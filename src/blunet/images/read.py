"""Reading images: the one place where files become grey frames."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.bitmap import PNG, bitmap_layout, bitmap_values, palette_values
from blunet.images.tiff import Layout, tiff_frames, tiff_layout

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
JPEG = b"\xff\xd8\xff"
#: Rec. ITU-R BT.601 luma of red, green and blue.
LUMINANCE = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class ImageFile:
    """An image or a stack of frames on disk, read when asked for.

    Parameters
    ----------
    path : Path
        The file.
    axes : {"YX", "TYX"}
        Any stack is taken as frames in time; axes of length one are dropped.
    shape : tuple of int
        Of the axes, without colour.
    dtype : numpy dtype
        Of the file's values, in this machine's byte order.
    pixel_size : (Y, X), optional
        Size of a pixel in `unit`; None if the file does not tell.
    unit : str, optional
        Such as "µm".
    """

    path: Path
    axes: Literal["YX", "TYX"]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    pixel_size: tuple[float, float] | None = None
    unit: str | None = None

    @property
    def frames(self) -> int:
        """Number of frames; 1 for a single image."""
        return self.shape[0] if self.axes == "TYX" else 1

    def frame(self, t: int = 0) -> NDArray[Any]:
        """Read the frame `t` (counted from 0) as grey values (Y, X) of `dtype`.

        Raises
        ------
        InputError
            If there is no such frame or it cannot be read.
        """
        return next(self.each([t]))

    def each(self, indices: Iterable[int] | None = None) -> Iterator[NDArray[Any]]:
        """Yield frames (Y, X) of `dtype`, one in memory at a time.

        Parameters
        ----------
        indices : iterable of int, optional
            Which frames, counted from 0. None: all, in their order.

        Raises
        ------
        InputError
            If there is no such frame or it cannot be read.
        """
        chosen = list(range(self.frames) if indices is None else indices)
        for index in chosen:
            if not 0 <= index < self.frames:
                raise InputError(f"'{self.path}' has no frame {index}; it has {self.frames}, counted from 0.")
        with reading(self.path):
            for values in _frames(self.path, chosen):
                yield to_grey(values)

    def sample(self, most: int = 16) -> list[int]:
        """Choose at most `most` frames spread evenly over the stack, the first and the last among them."""
        count = min(most, self.frames)
        return [round(i * (self.frames - 1) / max(count - 1, 1)) for i in range(count)]


def open_image(path: str | Path) -> ImageFile:
    """Look at an image file without reading its pixels.

    Parameters
    ----------
    path : str or Path
        TIFF (1 to 64 bits, floats; also big-endian and BigTIFF; with ImageJ's or OME's metadata), PNG (1 to
        16 bits) or JPEG. What counts is the content, not the ending. Colour becomes grey of the same type.

    Returns
    -------
    ImageFile
        Single images and stacks of frames.

    Raises
    ------
    InputError
        If there is no such file, it is no image or a damaged one, or has more dimensions than (T, Y, X).
    """
    path = Path(path)
    with reading(path):
        layout = _layout(path)
    if 0 in (*layout.shape, layout.frames):
        raise InputError(f"'{path}' holds no pixels: its shape is {layout.shape}; give another image.")
    if layout.dtype.kind not in "buif":
        raise InputError(f"'{path}' holds values of type {layout.dtype}; export it as integers or floats.")
    return ImageFile(
        path=path,
        axes="TYX" if layout.stack else "YX",
        shape=(layout.frames, *layout.shape) if layout.stack else layout.shape,
        dtype=layout.dtype,
        pixel_size=layout.pixel_size,
        unit=layout.unit,
    )


def read_image(path: str | Path) -> NDArray[Any]:
    """Read a single image as grey values (Y, X) in the file's type.

    Raises
    ------
    InputError
        As `open_image`, and if the file holds a stack.
    """
    return _single(open_image(path)).frame()


def read_values(path: str | Path) -> NDArray[Any]:
    """Read a mask's values (Y, X): as they are, or a number for each colour with 0 for black.

    Raises
    ------
    InputError
        As `read_image`.
    """
    file = _single(open_image(path))
    with reading(file.path):
        if _begins(file.path).startswith(PNG):
            indices = palette_values(file.path)
            if indices is not None:
                return indices
        values = next(_frames(file.path, [0]))
    if values.ndim == 2:
        return values
    first, colours = values[..., :1], values[..., :3]
    if values.shape[-1] < 3 or np.array_equal(colours, np.broadcast_to(first, colours.shape)):
        return first[..., 0]
    _, colour = np.unique(colours.reshape(-1, 3), axis=0, return_inverse=True)
    return np.where(colours.any(axis=-1), colour.reshape(values.shape[:2]) + 1, 0)


def to_grey(values: NDArray[Any]) -> NDArray[Any]:
    """Turn samples into grey values of the same type.

    Parameters
    ----------
    values : ndarray of shape (Y, X) or (Y, X, S)
        S = 1 or 2: grey (and alpha); S = 3 or 4: red, green, blue (and alpha). Alpha is left out.

    Returns
    -------
    ndarray of shape (Y, X)
        0.299 red + 0.587 green + 0.114 blue (Rec. ITU-R BT.601), rounded for integers.
    """
    if values.ndim == 2:
        return values
    if values.shape[-1] < 3:
        return values[..., 0]
    grey = values[..., :3] @ LUMINANCE
    rounded: NDArray[Any] = np.rint(grey) if values.dtype.kind in "ui" else grey
    return rounded.astype(values.dtype)


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def _layout(path: Path) -> Layout:
    begins = _begins(path)
    if begins.startswith(TIFF):
        return tiff_layout(path)
    if begins.startswith((PNG, JPEG)):
        return bitmap_layout(path)
    raise InputError(
        f"'{path}' is no TIFF, PNG or JPEG image: it "
        + (f"begins with {begins!r}; export it as one of these." if begins else "is empty.")
    )


def _frames(path: Path, indices: Iterable[int]) -> Iterator[NDArray[Any]]:
    if _begins(path).startswith(TIFF):
        return tiff_frames(path, indices)
    return iter([bitmap_values(path)])


def _single(file: ImageFile) -> ImageFile:
    if file.axes != "YX":
        raise InputError(f"'{file.path}' is a stack of {file.frames} frames; give a single image.")
    return file


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong in reading `path` into one sentence."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as e:
        raise InputError(f"There is no file '{path}'; check the name.") from e
    except IsADirectoryError as e:
        raise InputError(f"'{path}' is a folder; give an image file.") from e
    except OSError as e:
        raise InputError(f"'{path}' cannot be read: {e.strerror or _reason(e)}.") from e
    except Exception as e:  # decoders raise errors of many kinds on damaged files
        raise InputError(f"'{path}' is damaged or of an unknown kind: {_reason(e)}.") from e


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
