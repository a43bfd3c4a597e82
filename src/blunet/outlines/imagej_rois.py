"""Regions of interest of ImageJ and Fiji: single files, and sets in a zip file."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blunet.errors import InputError, describe_error
from blunet.outlines.outline import Outline, Ring

if TYPE_CHECKING:
    from roifile import ImagejRoi

#: How a file of one region begins, and a zip file.
ROI, ZIP = b"Iout", b"PK\x03\x04"
ENDING = ".roi"
#: Most bytes of one region, and of all regions of a set, when they are unpacked.
LARGEST_ROI, LARGEST_SET = 2**26, 2**31
#: Corners that stand for a whole ellipse, and for one curve of a path.
ELLIPSE_CORNERS, CURVE_CORNERS = 256, 16
#: Coordinates from here on do not fit into ImageJ's integers and are stored as floats.
LARGEST_INTEGER = 60_000


def is_roi_set(path: Path) -> bool:
    """Return whether a zip file holds regions."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.lower().endswith(ENDING) for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, NotImplementedError):
        return False


def read_rois(path: Path) -> tuple[list[Outline], int]:
    """Read the areas of a file of ImageJ.

    Parameters
    ----------
    path : Path
        A `.roi` file, or a zip file of them as the ROI Manager saves it.

    Returns
    -------
    outlines : list of Outline
        Polygons, traced and freehand regions, rectangles, ellipses and composite regions. The frame is the position in
        the stack; the number is the region's name where this is a number.
    others : int
        Number of regions that are no areas: points, lines and texts.

    Raises
    ------
    InputError
        If the file is damaged, a member of the zip file has a path outside of it, or is unreasonably large unpacked.
    """
    outlines, others = [], 0
    for name, content in _read_members(path):
        outline = _read_roi(content, f"{path}' > '{name}" if name else str(path))
        if outline is None:
            others += 1
        else:
            outlines.append(outline)
    return outlines, others


def _read_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each region; a zip file is never unpacked to the disk."""
    try:
        with path.open("rb") as file:
            begins = file.read(4)
        if begins == ROI:
            if path.stat().st_size > LARGEST_ROI:
                raise InputError(f"'{path}' has {path.stat().st_size:,} bytes, too many for one region of ImageJ.")
            yield "", path.read_bytes()
            return
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            _check_members(path, members)
            for member in members:
                if member.filename.lower().endswith(ENDING):
                    with archive.open(member) as file:
                        yield member.filename, file.read(LARGEST_ROI)
    except zipfile.BadZipFile as e:
        raise InputError(f"'{path}' is no zip file of regions ({describe_error(e)}); save it again in ImageJ.") from e
    except (RuntimeError, NotImplementedError) as e:  # with a password, or a compression that Python does not know
        raise InputError(f"'{path}' cannot be unpacked ({describe_error(e)}); save it again in ImageJ.") from e
    except OSError as e:
        raise InputError(f"'{path}' cannot be read: {e.strerror or describe_error(e)}.") from e


def _check_members(path: Path, members: Iterable[zipfile.ZipInfo]) -> None:
    total = 0
    for member in members:
        parts = (*PurePosixPath(member.filename).parts, *PureWindowsPath(member.filename).parts)
        if ".." in parts or PureWindowsPath(member.filename).anchor or PurePosixPath(member.filename).anchor:
            raise InputError(
                f"'{path}' holds '{member.filename}', a path outside of it; it is not opened, as ImageJ makes none."
            )
        total += member.file_size
        if member.file_size > LARGEST_ROI or total > LARGEST_SET:
            raise InputError(
                f"'{path}' holds {total:,} bytes and more when it is unpacked, too many for regions of ImageJ; save "
                "them again in smaller sets."
            )


def _read_roi(content: bytes, name: str) -> Outline | None:
    """Return a region that is an area; None for any other."""
    from roifile import ROI_SUBTYPE, ROI_TYPE, ImagejRoi

    try:
        roi = ImagejRoi.frombytes(content)
        if roi.subtype in (ROI_SUBTYPE.TEXT, ROI_SUBTYPE.ARROW, ROI_SUBTYPE.IMAGE):
            return None
        if roi.multi_coordinates is not None:
            rings = _read_path(roi.multi_coordinates)
        elif roi.roitype in (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED):
            rings = [np.asarray(roi.coordinates(), np.float64)]
        elif roi.roitype in (ROI_TYPE.RECT, ROI_TYPE.OVAL):
            rings = [_draw_box(roi, oval=roi.roitype == ROI_TYPE.OVAL)]
        else:
            return None
    except Exception as e:  # damaged content raises many kinds of errors
        raise InputError(f"'{name}' is no region of ImageJ, or damaged ({describe_error(e)}); save it again.") from e
    words = re.fullmatch(r"(?:t?\d+-)?0*(\d{1,9})", roi.name) if not re.fullmatch(r"\d{4,}-\d{4,}", roi.name) else None
    return Outline(
        (tuple(rings),),
        number=int(words[1]) if words else None,
        kind=f"group {roi.group}" if roi.group else "",
        frame=_find_frame(roi),
    )


def _find_frame(roi: ImagejRoi) -> int | None:
    """Return the position in the stack: as it is stored, or else as the ROI Manager's name ``0003-0120-0340`` tells."""
    for position in (roi.t_position, roi.z_position, roi.position):
        if position > 0:
            return int(position) - 1
    named = re.fullmatch(r"(\d{4,})-\d{4,}-\d{4,}", roi.name)
    return int(named[1]) - 1 if named and int(named[1]) > 0 else None


def _draw_box(roi: ImagejRoi, *, oval: bool) -> Ring:
    """Return a rectangle, or the ellipse in it."""
    left, top, right, bottom = map(float, (roi.left, roi.top, roi.right, roi.bottom))
    if roi.subpixelrect:
        left, top, right, bottom = roi.xd, roi.yd, roi.xd + roi.widthd, roi.yd + roi.heightd
    if not oval:
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_CORNERS, endpoint=False)
    x, y = (left + right) / 2, (top + bottom) / 2
    return np.stack([x + (right - left) / 2 * np.cos(angle), y + (bottom - top) / 2 * np.sin(angle)], axis=1)


def _read_path(path: NDArray[np.float32]) -> list[Ring]:
    """Return the rings of a composite region: operations (0 move, 1 line, 2 and 3 curves, 4 close) and their points."""
    numbers = path.astype(np.float64)
    rings: list[Ring] = []
    corners: list[NDArray[np.float64]] = []
    place = 0
    while place < numbers.size:
        operation = int(numbers[place])
        count = {0: 1, 1: 1, 2: 2, 3: 3, 4: 0}[operation]
        points = numbers[place + 1 : place + 1 + 2 * count].reshape(count, 2)
        place += 1 + 2 * count
        if operation == 0 and corners:
            rings.append(np.array(corners))
            corners = []
        corners += list(points) if count < 2 else _draw_curve(np.array([corners[-1], *points]))
    rings.append(np.array(corners))
    return [ring for ring in rings if len(ring) >= 3]


def _draw_curve(points: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return corners along a Bézier curve of 3 or 4 points, without its begin."""
    along = np.linspace(0, 1, CURVE_CORNERS + 1)[1:, None, None]
    while points.shape[-2] > 1:  # de Casteljau's algorithm
        points = points[..., :-1, :] * (1 - along) + points[..., 1:, :] * along
    return list(points[:, 0])


def write_rois(path: Path, outlines: Iterable[Outline]) -> int:
    """Write outlines as a zip file that the ROI Manager opens, and return their number.

    Parameters
    ----------
    path : Path
    outlines : iterable of Outline
        With numbers, which become the names; those of a stack with a frame, which becomes the position. An object of
        several parts, or with holes, is one composite region.

    Notes
    -----
    `read_rois` and `fill_outlines` give the same labels again.
    """
    count = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for outline in outlines:
            name = (
                f"{outline.number:05d}" if outline.frame is None else f"t{outline.frame + 1:04d}-{outline.number:05d}"
            )
            archive.writestr(f"{name}{ENDING}", _make_roi(outline, name).tobytes())
            count += 1
    return count


def _make_roi(outline: Outline, name: str) -> ImagejRoi:
    from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

    rings = [ring for part in outline.parts for ring in part]
    top, left, bottom, right = (round(bound) for bound in outline.bounds)
    place: dict[str, Any] = {"name": name, "top": top, "left": left, "bottom": bottom, "right": right}
    if outline.frame is not None:
        place["position"] = outline.frame + 1
    if len(rings) > 1:
        numbers = np.concatenate([_make_path(ring) for ring in rings])
        return ImagejRoi(roitype=ROI_TYPE.RECT, shape_roi_size=numbers.size, multi_coordinates=numbers, **place)
    corners = rings[0]
    roi = ImagejRoi(
        roitype=ROI_TYPE.TRACED,
        n_coordinates=len(corners),
        integer_coordinates=(np.rint(corners) - [left, top]).astype(np.int32),
        **place,
    )
    if max(bottom, right) > LARGEST_INTEGER:
        roi.options |= ROI_OPTIONS.SUB_PIXEL_RESOLUTION
        roi.subpixel_coordinates = corners.astype(np.float32)
    return roi


def _make_path(ring: Ring) -> NDArray[np.float32]:
    """Return the operations of a ring: move to the first corner, lines to the others, close."""
    lines = np.ones((len(ring), 3))
    lines[0, 0] = 0
    lines[:, 1:] = ring
    return np.append(lines.ravel(), 4).astype(np.float32)
