"""Which channel and which slice of an image are segmented."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError
from blunet.images.image_windows import ChunkedImage
from blunet.images.pixel_size import PixelSize

BEST_FOCUS: Literal["best-focus"] = "best-focus"
#: Before and after a word in the name of a channel: no letter, as in "DIC_20x" and "DIC2".
_WORD, _END = r"(?<![^\W\d_])", r"(?![^\W\d_])"
#: Names of channels of transmitted light: interference contrast before what else may be meant.
_CONTRASTS = (
    re.compile(rf"{_WORD}dic{_END}|nomarski|differential.?interference", re.IGNORECASE),
    re.compile(rf"phase|{_WORD}(ph|bf|tl|td|t-?pmt){_END}|bright.?field|transmi", re.IGNORECASE),
)


class PlaneImage(Protocol):
    """An image with axes of time, channels and slices, of which one plane (Y, X) is read at a time.

    Attributes
    ----------
    path : Path
    dtype : numpy dtype
        In this machine's byte order.
    channels : tuple of str
        Their names, as far as the file gives them.
    contrasts : tuple of str
        Their contrast methods, likewise.
    pixel_size : PixelSize or None
    interval : float or None
        Seconds from frame to frame.
    spacing : float or None
        Distance of slices in the unit of the pixel size.
    """

    @property
    def path(self) -> Path: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def channels(self) -> tuple[str, ...]: ...
    @property
    def contrasts(self) -> tuple[str, ...]: ...
    @property
    def pixel_size(self) -> PixelSize | None: ...
    @property
    def interval(self) -> float | None: ...
    @property
    def spacing(self) -> float | None: ...

    def size(self, axis: str) -> int:
        """Return the length of an axis, "t", "c", "z", "y" or "x"; 1 if there is none."""
        ...

    def opened(self) -> AbstractContextManager[Callable[[int, int, int], NDArray[Any]]]:
        """Open the file; yields a function that reads the plane (Y, X) of a frame, a channel and a slice."""
        ...

    def windows(self, t: int, channel: int, z: int) -> AbstractContextManager[ChunkedImage | None]:
        """Open the plane of a frame, a channel and a slice to be read in windows; None if that cannot be."""
        ...


@dataclass(frozen=True)
class PlaneChoice:
    """The channel and the slice to segment.

    Attributes
    ----------
    channel : str or None
        Name, in any case, or number, counted from 0. None: the one of transmitted light (see `choose_channel`).
    z : int, "best-focus" or None
        Number of a slice, counted from 0; or the sharpest slice of each frame. None: all slices, one by one.
    """

    channel: str | None = None
    z: int | Literal["best-focus"] | None = None


def read_slice(text: str | None) -> int | Literal["best-focus"] | None:
    """Return the slice that a user has written: a number counted from 0, or best-focus.

    Raises
    ------
    InputError
        If it is neither.
    """
    if text is None:
        return None
    if text == BEST_FOCUS:
        return BEST_FOCUS
    if not text.isdecimal():
        raise InputError(f"The slice is '{text}'; give a number, counted from 0, or {BEST_FOCUS}.")
    return int(text)


def choose_channel(
    names: Sequence[str], count: int, wanted: str | None, image: str, contrasts: Sequence[str] = ()
) -> int:
    """Return the number of the channel to segment, counted from 0.

    Parameters
    ----------
    names : sequence of str
        Of the channels, as far as the file names them.
    count : int
        Number of channels.
    wanted : str, optional
        Name or number. None: the only channel, or the only one whose name says DIC, or else the only one whose name
        says another contrast of transmitted light.
    image : str
        For messages.
    contrasts : sequence of str
        Contrast methods of the channels, as far as the file tells them; they count as names do.

    Raises
    ------
    InputError
        If there is no such channel, or it is not clear which is meant.
    """
    says = [" ".join(each[i] for each in (names, contrasts) if i < len(each)).strip() for i in range(count)]
    listed = ", ".join(f"{i} {said}".strip() for i, said in enumerate(says))
    if wanted is not None and not wanted.strip():
        raise InputError(f"The name of the channel is empty; the channels of '{image}' are: {listed}.")
    if wanted is not None:
        places = [i for i, name in enumerate(names[:count]) if name.strip().casefold() == wanted.strip().casefold()]
        if not places and wanted.strip().isdecimal() and int(wanted) < count:
            places = [int(wanted)]
        if len(places) != 1:
            how = f"{len(places)} channels" if places else "no channel"
            raise InputError(f"'{image}' has {how} '{wanted}'; its channels are: {listed}.")
        return places[0]
    if count == 1:
        return 0
    for contrast in _CONTRASTS:
        places = [i for i, name in enumerate(says) if contrast.search(name)]
        if len(places) == 1:
            return places[0]
    raise InputError(
        f"'{image}' has {count} channels, and it is not clear which is DIC: {listed}; choose the channel (in a "
        "terminal: --channel), or export one as an image of its own."
    )


def measure_focus(plane: NDArray[Any]) -> float:
    """Return how sharp a plane (Y, X) is: the variance of its Laplacian."""
    from scipy import ndimage

    return float(ndimage.laplace(plane.astype(np.float32), mode="nearest").var())


def choose_sharpest(planes: Iterable[NDArray[Any]]) -> NDArray[Any]:
    """Return the sharpest of planes (Y, X) of one size, the first of equal ones; at least one is given."""
    each = iter(planes)
    best = next(each)
    sharpness = measure_focus(best)
    for plane in each:
        if (found := measure_focus(plane)) > sharpness:
            best, sharpness = plane, found
    return best


def check_slice(z: int | str, count: int, image: str) -> None:
    """Check that an image of `count` slices has a slice.

    Raises
    ------
    InputError
        If not.
    """
    if isinstance(z, int) and not 0 <= z < count:
        raise InputError(f"'{image}' has no slice {z}; it has {count}, counted from 0.")
