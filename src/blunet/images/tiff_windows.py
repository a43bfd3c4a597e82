"""TIFF files that are read in windows: only the tiles or strips that a window needs are decoded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from blunet.errors import InputError, describe_error
from blunet.images.image_reader import reading
from blunet.images.image_windows import ChunkedImage
from blunet.images.tiff_pages import open_pages
from blunet.images.tiff_reader import brightness

#: Rows of a chunk of a page that is stored in one piece, without compression.
ROWS_AT_ONCE = 64


@contextlib.contextmanager
def open_tiff_windows(path: Path, index: int) -> Iterator[ChunkedImage | None]:
    """Open a frame of a TIFF to be read in windows.

    Parameters
    ----------
    path : Path
    index : int
        Of the frame, counted from 0, in the order of the file.

    Yields
    ------
    ChunkedImage or None
        None if frames share a page, or a pixel has several samples: such files are read as a whole.

    Raises
    ------
    InputError
        If the file is damaged; also while windows are read.
    """
    with contextlib.ExitStack() as stack:
        with reading(path):  # errors of the work that is done with the windows are not those of the file
            _, (series, *_) = stack.enter_context(open_pages(path))
            page = series.pages[index] if index < len(series.pages) else None
            windows = None if page is None else _read_in_chunks(page, path)
        yield windows


def _read_in_chunks(page: Any, path: Path) -> ChunkedImage | None:
    keyframe: tifffile.TiffPage = page.keyframe
    dtype = keyframe.dtype
    if keyframe.shape != (keyframe.imagelength, keyframe.imagewidth) or keyframe.imagedepth != 1 or dtype is None:
        return None
    shape, dtype = (keyframe.imagelength, keyframe.imagewidth), dtype.newbyteorder("=")
    file = page.parent.filehandle

    def read_bytes(start: int, count: int) -> bytes:
        if start + count > file.size:
            raise InputError(f"'{path}' is cut off; copy or export it again.")
        with reading(path):
            file.seek(start)
            data: bytes = file.read(count)
        return data

    if keyframe.is_memmappable and len(page.dataoffsets) >= 1 and page.is_contiguous:
        stored = np.dtype(page.parent.byteorder + dtype.char)

        def read_rows(rows: slice, columns: slice) -> NDArray[Any]:
            row = shape[1] * stored.itemsize
            data = read_bytes(page.dataoffsets[0] + rows.start * row, (rows.stop - rows.start) * row)
            return brightness(np.frombuffer(data, stored).reshape(-1, shape[1]).astype(dtype), keyframe)

        return ChunkedImage(shape, dtype, (ROWS_AT_ONCE, shape[1]), read_rows)

    tiled = bool(keyframe.is_tiled)
    side = (keyframe.tilelength, keyframe.tilewidth) if tiled else (min(keyframe.rowsperstrip, shape[0]), shape[1])
    across = -(-shape[1] // side[1])

    def read_segment(rows: slice, columns: slice) -> NDArray[Any]:
        number = rows.start // side[0] * across + columns.start // side[1]
        place = f"in rows {rows.start} to {rows.stop} and columns {columns.start} to {columns.stop}"
        wanted = rows.stop - rows.start, columns.stop - columns.start
        offset, count = page.dataoffsets[number], page.databytecounts[number]
        if not offset or not count:
            return np.full(wanted, keyframe.nodata, dtype)
        data = read_bytes(offset, count)
        try:
            segment: Any = keyframe.decode(data, number, jpegtables=page.jpegtables)[0]
            values: NDArray[Any] = segment.reshape(-1, segment.shape[-2])[: wanted[0], : wanted[1]]
            if values.shape != wanted:
                raise ValueError(f"{values.shape[0]} x {values.shape[1]} pixels of {wanted[0]} x {wanted[1]}")
        except Exception as e:  # decoders raise many kinds of errors
            raise InputError(f"'{path}' is damaged {place} ({describe_error(e)}); copy or export it again.") from e
        return brightness(values.astype(dtype, copy=False), keyframe)

    return ChunkedImage(shape, dtype, side, read_segment)
