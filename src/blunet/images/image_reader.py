"""Image files: their header, their frames as grey values, and the values of masks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError, describe_error
from blunet.images.bitmap_reader import PNG, read_bitmap, read_bitmap_layout, read_palette
from blunet.images.tiff_reader import Layout, read_tiff_frames, read_tiff_layout

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
JPEG = b"\xff\xd8\xff"
#: Rec. ITU-R BT.601 luma of red, green and blue.
LUMINANCE = np.array([0.299, 0.587, 0.114])


def read_layout(path: Path) -> Layout:
    """Read what a file's header says about its frames, without their pixels.

    Parameters
    ----------
    path : Path
        TIFF (1 to 64 bits, floats; also big-endian and BigTIFF; with ImageJ's or OME's metadata), PNG (1 to 16 bits)
        or JPEG. The content counts, not the ending.

    Raises
    ------
    InputError
        If there is no such file, it is not an image, is damaged, or has more dimensions than (T, Y, X).
    """
    with reading(path):
        layout = _layout(path)
    if 0 in (*layout.shape, layout.frames):
        shape = (layout.frames, *layout.shape) if layout.axis else layout.shape
        raise InputError(f"'{path}' holds no pixels: its shape is {shape}; give another image.")
    if layout.dtype.kind not in "buif":
        raise InputError(f"'{path}' holds values of type {layout.dtype}; export it as integers or floats.")
    return layout


def read_frames(path: Path, indices: Iterable[int]) -> Iterator[NDArray[Any]]:
    """Yield frames of a file as grey values (Y, X), one in memory at a time.

    Colour becomes grey of the same type.

    Raises
    ------
    InputError
        If a frame cannot be read.
    """
    with reading(path):
        for values in _frames(path, indices):
            yield to_grey(values)


class MaskValues(NamedTuple):
    """The values of a mask, (Y, X).

    `coloured`: whether they number colours, so that their order means nothing. `lossy`: whether the file does not keep
    values exactly.
    """

    values: NDArray[Any]
    coloured: bool
    lossy: bool


def read_values(path: str | Path) -> MaskValues:
    """Read the values of a mask: unchanged if they are grey, else one number per colour, and 0 for black.

    What is transparent is 0 too; see `_without_transparency`.

    Raises
    ------
    InputError
        As `read_layout`, and if the file holds a stack.
    """
    path = Path(path)
    layout = read_layout(path)
    if layout.axis:
        raise InputError(f"'{path}' is a stack of {layout.frames} frames; give a single image.")
    with reading(path):
        begins = _begins(path)
        if begins.startswith(PNG):
            indices = read_palette(path)
            if indices is not None:
                return MaskValues(indices, coloured=True, lossy=False)
        values = next(_frames(path, [0]))
    lossy = begins.startswith(JPEG)
    if values.ndim == 3 and values.shape[-1] in (2, 4):
        values = _without_transparency(values)
    if values.ndim == 2:
        return MaskValues(values, coloured=False, lossy=lossy)
    first, colours = values[..., :1], values[..., :3]
    if values.shape[-1] < 3 or np.array_equal(colours, np.broadcast_to(first, colours.shape)):
        return MaskValues(first[..., 0], coloured=False, lossy=lossy)
    _, colour = np.unique(colours.reshape(-1, 3), axis=0, return_inverse=True)
    numbers = np.where(colours.any(axis=-1), colour.reshape(values.shape[:2]) + 1, 0)
    return MaskValues(numbers, coloured=True, lossy=lossy)


def _without_transparency(values: NDArray[Any]) -> NDArray[Any]:
    """Return grey values (Y, X) or colours (Y, X, S) in which what is transparent is 0, as the background is.

    Where all that can be seen has one colour, the objects are told by how opaque they are. A file that is transparent
    as a whole is taken as opaque.
    """
    colours, alpha = values[..., :-1], values[..., -1]
    shown = alpha > 0
    if not shown.any() or alpha.min() == alpha.max():
        return colours if colours.shape[-1] > 1 else colours[..., 0]
    visible = colours[shown]
    if (visible == visible[0]).all():
        return alpha
    colours = np.where(shown[..., np.newaxis], colours, 0)
    return colours if colours.shape[-1] > 1 else colours[..., 0]


def to_grey(values: NDArray[Any]) -> NDArray[Any]:
    """Turn samples into grey values of the same type.

    Parameters
    ----------
    values : ndarray of shape (Y, X) or (Y, X, S)
        S = 1 or 2: grey (and alpha); S = 3 or 4: red, green, blue (and alpha). Alpha is ignored.

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


def is_tiff(path: Path) -> bool:
    """Return whether a file is a TIFF, by its content."""
    with reading(path):
        return _begins(path).startswith(TIFF)


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def _layout(path: Path) -> Layout:
    begins = _begins(path)
    if begins.startswith(TIFF):
        return read_tiff_layout(path)
    if begins.startswith((PNG, JPEG)):
        return read_bitmap_layout(path)
    raise InputError(
        f"'{path}' is no TIFF, PNG or JPEG image: it "
        + (f"begins with {begins!r}; export it as one of these." if begins else "is empty.")
    )


def _frames(path: Path, indices: Iterable[int]) -> Iterator[NDArray[Any]]:
    if _begins(path).startswith(TIFF):
        return read_tiff_frames(path, indices)
    return iter([read_bitmap(path)])


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn any error while `path` is read into an InputError of one sentence."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as e:
        raise InputError(f"There is no file '{path}'; check the name.") from e
    except IsADirectoryError as e:
        raise InputError(f"'{path}' is a folder; give an image file.") from e
    except OSError as e:
        raise InputError(f"'{path}' cannot be read: {e.strerror or describe_error(e)}.") from e
    except MemoryError as e:
        raise InputError(f"'{path}' does not fit into memory; close other programs, or export a smaller image.") from e
    except Exception as e:  # on damaged files, decoders raise many kinds of errors
        raise InputError(
            f"'{path}' cannot be decoded ({describe_error(e)}): it is damaged, or of a kind that is not supported; "
            "export it again, best as an uncompressed TIFF."
        ) from e
