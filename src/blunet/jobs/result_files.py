"""The results of one image, collected frame by frame and then written to files."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.files import replacing_together, reporting, sha256_of
from blunet.images.frame_source import FrameSource
from blunet.images.image_files import stem_without
from blunet.images.image_windows import ImageWindows
from blunet.images.image_writer import write_labels, write_probability
from blunet.images.ome_zarr import ZarrImage
from blunet.images.ome_zarr_labels import write_labels_group
from blunet.segmentation.frames import FrameLabelled
from blunet.segmentation.measurements import write_measurements
from blunet.segmentation.mosaic import MosaicLabelled
from blunet.segmentation.provenance import LABELS_HASH, TABLE_HASH, hash_frame, join_hashes
from blunet.segmentation.scratch import Scratch

#: Past this many bytes frames are kept on disk instead of in memory.
SPOOL_BYTES = 2**28

LABELS, PROBABILITY, OBJECTS = "labels.tif", "probability.tif", "objects.csv"
#: Key of a description: what was found in the image.
FOUND = "found"
#: Ending of the stem of a file of labels.
LABELS_SUFFIX = "_labels"


class Results:
    """Collects the frames of one image and writes them as files; use it in a `with` statement.

    Parameters
    ----------
    source : FrameSource
        The files get its axes and pixel size.
    files : tuple of str
        Which of `LABELS`, `PROBABILITY` and `OBJECTS` to write.
    folder : Path
        Where they are written. Frames that are too many for the memory are kept there too.
    keep_tables : bool
        Whether to keep the measurements also where no table is written.
    """

    def __init__(self, source: FrameSource, files: tuple[str, ...], folder: Path, *, keep_tables: bool = False) -> None:
        self.source = source
        self.files = files
        self.folder = folder
        self.measured = keep_tables or OBJECTS in files
        self.objects = 0
        self.warnings: list[str] = []
        self._kept = contextlib.ExitStack()
        self._foreground: list[float] = []
        self._diameters: list[float] = []
        self._hashes: list[bytes] = []
        self._tables: list[Mapping[str, NDArray[Any]]] = []
        self._labels = _Spool(np.dtype(np.int32), source.shape, folder)
        self._probability = _Spool(np.dtype(np.float32), source.shape, folder)

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._labels.close()
        self._probability.close()
        self._kept.close()

    def make_scratch(self) -> Scratch:
        """Return a place for what does not fit into memory, which is kept as long as these results."""
        return self._kept.enter_context(Scratch(self.folder))

    @property
    def foreground(self) -> float:
        """Fraction of the pixels that is foreground, averaged over the frames."""
        return float(np.mean(self._foreground))

    @property
    def diameter(self) -> float:
        """Median diameter of the objects in pixels, of the frame in the middle; NaN without objects."""
        found = sorted(diameter for diameter in self._diameters if np.isfinite(diameter))
        return found[len(found) // 2] if found else float("nan")

    def add(self, found: FrameLabelled | MosaicLabelled) -> None:
        """Keep what was found in the next frame.

        Raises
        ------
        InputError
            If the folder cannot hold it.
        """
        self.objects += found.objects
        self._hashes.append(hash_frame(found.labels))
        self._diameters.append(found.diameter)
        self._foreground.append(found.foreground_fraction)
        with reporting(self.folder):
            self._labels.add(found.labels)
            if PROBABILITY in self.files:
                assert found.probability is not None
                self._probability.add(found.probability)
        if self.measured:
            self._tables.append(found.table)

    def describe(self, description: Mapping[str, Any]) -> dict[str, Any]:
        """Return a description with what was found added."""
        return {
            **description,
            FOUND: {"objects": self.objects, "foreground": self.foreground, "warnings": self.warnings},
            LABELS_HASH: join_hashes(self._hashes),
        }

    def write_into(self, image: ZarrImage, name: str, z: int | None, description: Mapping[str, Any]) -> None:
        """Write the labels into the OME-Zarr of their image (see `write_labels_group`)."""
        frames = iter(self._labels) if self.source.stack else iter([self._labels.single()])
        about = self.describe(description)
        write_labels_group(image, name, frames, axes=self.source.axes, z=z, description=about, tables=self._tables)

    def write(
        self,
        stem: str,
        description: Mapping[str, Any],
        outdated: Iterable[Path] = (),
        *,
        last: Callable[[], None] = lambda: None,
    ) -> Path:
        """Write the files, the labels last, and return the path of the labels.

        Parameters
        ----------
        stem : str
            The names of the files begin with it.
        description : mapping
            The model and settings.
        outdated : iterable of Path
            Files of earlier labels, which are removed before the labels are replaced.
        last : callable
            Called when all files are written, before they get their names: what it raises leaves none of them.

        Raises
        ------
        InputError
            If a file cannot be written.
        """
        labels = self.folder / f"{stem}_{LABELS}"
        with replacing_together(self.folder, labels.name) as temporary:
            self._write_all(temporary, stem, description)
            last()
            for path in outdated:
                path.unlink()
        return labels

    def _write_all(self, folder: Path, stem: str, description: Mapping[str, Any]) -> None:
        paths = {file: folder / f"{stem}_{file}" for file in self.files}
        place: dict[str, Any] = {
            "pixel_size": self.source.pixel_size,
            "axis": self.source.stack_axis,
            "step": self.source.step,
        }
        single = not self.source.stack
        description = self.describe(description)
        if OBJECTS in paths:
            write_measurements(paths[OBJECTS], self._tables)
            description[TABLE_HASH] = sha256_of(paths[OBJECTS])
        if PROBABILITY in paths:
            maps = self._probability.single() if single else iter(self._probability)
            frames = None if single else self.source.count
            write_probability(paths[PROBABILITY], maps, frames=frames, **place, description=description)
        found = self._labels.single() if single else iter(self._labels)
        write_labels(paths[LABELS], found, largest=self.objects, **place, description=description)


def table_beside(labels: Path) -> Path:
    """Return the path of the table that belongs to a file of labels: `x_objects.csv` for `x_labels.tif` and `x.tif`."""
    return labels.with_name(f"{stem_without(labels, LABELS_SUFFIX)}_{OBJECTS}")


class _Spool:
    """Keeps frames of one shape and type one after the other; a single frame is kept as it is."""

    def __init__(self, dtype: np.dtype[Any], shape: tuple[int, ...], folder: Path) -> None:
        self.dtype, self.shape = dtype, shape
        self._first: Any = None
        self._file = tempfile.SpooledTemporaryFile(SPOOL_BYTES, dir=str(folder))  # noqa: SIM115 - closed by its owner

    def add(self, frame: ImageWindows) -> None:
        if self._first is None and not self._file.tell():
            self._first = frame
            return
        if self._first is not None:
            self._file.write(np.ascontiguousarray(self._first, self.dtype).tobytes())
            self._first = None
        self._file.write(np.ascontiguousarray(frame, self.dtype).tobytes())

    def single(self) -> Any:
        """Return the only frame, which was added last: an array, or what is read in windows."""
        assert self._first is not None
        return self._first

    def __iter__(self) -> Iterator[NDArray[Any]]:
        if self._first is not None:
            yield self._first
            return
        self._file.seek(0)
        size = self.dtype.itemsize * int(np.prod(self.shape))
        while data := self._file.read(size):
            yield np.frombuffer(data, self.dtype).reshape(self.shape)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what a full disk has not taken is no longer needed
            self._file.close()
