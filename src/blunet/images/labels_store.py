"""An OME-Zarr of labels that is written frame by frame, and can be looked at meanwhile."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError, describe_error
from blunet.files import remove_leftovers
from blunet.images.frame_source import FrameSource
from blunet.images.ome_zarr_labels import KEY

ENDING = ".ome.zarr"
#: Side of a chunk in pixels.
CHUNK = 512
#: Levels are added until both sides have at most this many pixels.
COARSEST = 1024
#: Names of OME's units, by those of `PixelSize`.
UNITS = {
    "pm": "picometer", "Å": "angstrom", "nm": "nanometer", "µm": "micrometer", "mm": "millimeter", "cm": "centimeter",
    "m": "meter", "inch": "inch",
}  # fmt: skip


class Windows(Protocol):
    """Labels (Y, X) that are read in windows."""

    def __getitem__(self, window: tuple[slice, slice], /) -> NDArray[Any]: ...


class LabelsStore:
    """Writes labels of frames into a new OME-Zarr 0.5, which gets its name when it is closed.

    Use it in a `with` statement, at whose end everything is removed that `finish` has not given its name.

    Parameters
    ----------
    path : Path
        The final name; there must be none of this name yet.
    source : FrameSource
        The labels get its axes, pixel size and steps.
    description : mapping, optional
        What the labels are made with.

    Attributes
    ----------
    levels : list of zarr.Array
        Of shape (Y, X), or (T, Y, X) or (Z, Y, X) of a stack; the finest first. Frames that are not written are 0.

    Raises
    ------
    InputError
        If it cannot be made, or something has the name.
    """

    def __init__(self, path: Path, source: FrameSource, description: Mapping[str, Any] | None = None) -> None:
        import zarr

        self.path, self.source = path, source
        if path.exists():
            raise InputError(f"'{path}' is there already and is not overwritten; choose another name for the labels.")
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}")
        self.levels: list[Any] = []
        with self._reporting():
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(path)
            self._group: Any = zarr.open_group(self._temporary, mode="w", zarr_format=3)
            axes = source.axes.lower()
            for level in range(1 + max(0, math.ceil(math.log2(max(source.shape) / COARSEST)))):
                shape = tuple(-(-length // 2**level) for length in source.shape)
                chunks = tuple(min(CHUNK, length) for length in shape)
                self.levels.append(
                    self._group.create_array(
                        str(level),
                        shape=(source.count, *shape) if source.stack else shape,
                        chunks=(1, *chunks) if source.stack else chunks,
                        dtype="uint32",
                        fill_value=0,
                        dimension_names=list(axes),
                    )
                )
            self._describe(description or {})

    def __enter__(self) -> LabelsStore:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)

    def write(self, t: int, labels: NDArray[Any] | Windows) -> None:
        """Write the labels (Y, X) of a frame, in bands of rows.

        Raises
        ------
        InputError
            If the disk is full, or the folder cannot be written to any more.
        """
        height, width = self.source.shape
        step = CHUNK * 2 ** (len(self.levels) - 1)
        with self._reporting():
            for top in range(0, height, step):
                bottom = min(top + step, height)
                band = np.asarray(labels[slice(top, bottom), slice(0, width)]).astype(np.uint32)
                for level, array in enumerate(self.levels):
                    rows = slice(top >> level, -(-bottom // 2**level))
                    array[(t, rows) if self.source.stack else rows] = band[:: 2**level, :: 2**level]

    def finish(self, description: Mapping[str, Any]) -> Path:
        """Add what the labels were made with, and give the Zarr its name.

        Raises
        ------
        InputError
            If that is not possible, such as where something has got the name meanwhile.
        """
        with self._reporting():
            if self.path.exists():
                raise InputError(f"'{self.path}' has been made by another program meanwhile; choose another name.")
            with contextlib.suppress(OSError):  # a full disk: the labels are worth more
                self._describe(description)
            os.rename(self._temporary, self.path)
        return self.path

    def _describe(self, description: Mapping[str, Any]) -> None:
        source, size, step = self.source, self.source.pixel_size, self.source.step
        length = None if size is None else UNITS[size.unit]
        axes: list[dict[str, Any]] = []
        if source.stack:
            time = source.stack_axis == "T"
            unit = None if step is None else "second" if time else length
            axes.append(_axis(source.stack_axis.lower(), "time" if time else "space", unit))
        axes += [_axis(name, "space", length) for name in "yx"]
        first = [step or 1.0] if source.stack else []
        sides = (1.0, 1.0) if size is None else (size.y, size.x)
        datasets = [
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [*first, *(side * 2**level for side in sides)]}
                ],
            }
            for level in range(len(self.levels))
        ]
        multiscale = {"name": self.path.name, "axes": axes, "datasets": datasets, "type": "nearest"}
        ome = {"version": "0.5", "multiscales": [multiscale], "image-label": {"version": "0.5"}}
        self._group.attrs.update({"ome": ome, KEY: dict(description)})

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except Exception as e:  # stores and codecs raise many kinds of errors
            reason = e.strerror if isinstance(e, OSError) and e.strerror else describe_error(e)
            raise InputError(f"Labels cannot be written to '{self.path}': {reason}; choose another place.") from e


def open_levels(path: Path) -> list[Any]:
    """Return the arrays of labels that a `LabelsStore` has written, the finest first."""
    import zarr

    group: Any = zarr.open_group(path, mode="r")
    return [group[dataset["path"]] for dataset in group.attrs["ome"]["multiscales"][0]["datasets"]]


def _axis(name: str, kind: str, unit: str | None) -> dict[str, Any]:
    return {"name": name, "type": kind, **({"unit": unit} if unit else {})}
