"""GeoJSON as QuPath writes and reads it."""

from __future__ import annotations

import json
import math
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from blunet.errors import InputError
from blunet.outlines.json_files import read_json
from blunet.outlines.outline import Outline, Ring

GEOMETRIES = ("Polygon", "MultiPolygon", "GeometryCollection")
#: Kinds of features in QuPath that stand for single objects; others may be regions around them.
SINGLE = ("cell", "detection")


def is_geojson(content: Any) -> bool:
    """Return whether the content of a JSON file is GeoJSON."""
    if isinstance(content, list):
        return bool(content) and is_geojson(content[0])
    return isinstance(content, dict) and content.get("type") in ("Feature", "FeatureCollection", *GEOMETRIES)


def read_geojson(path: Path, content: Any = None) -> tuple[list[Outline], int, list[str]]:
    """Read the areas of a GeoJSON file.

    Parameters
    ----------
    path : Path
        A collection, a list or a single one of features, or a bare geometry.
    content : any, optional
        Of the file, if `read_json` has read it already.

    Returns
    -------
    outlines : list of Outline
        Polygons with their holes. An object of several polygons is one outline. Its kind is QuPath's classification.
    others : int
        Number of features that are no areas: points and lines.
    remarks : list of str
        Sentences about features that were left out.

    Raises
    ------
    InputError
        If the file cannot be read or is no GeoJSON.
    """
    content = read_json(path) if content is None else content
    if not is_geojson(content):
        raise InputError(f"'{path}' is no GeoJSON; export it again in QuPath: File > Export objects as GeoJSON.")
    features = list(_list_features(content))
    kinds = Counter(_property(feature, "objectType") for feature in features)
    chosen, remarks = features, []
    if any(kinds[kind] for kind in SINGLE) and kinds["annotation"]:
        chosen = [feature for feature in features if _property(feature, "objectType") != "annotation"]
        remarks.append(f"'{path}': annotations around the detections, left out: {kinds['annotation']:,}.")
    chosen = [feature for feature in chosen if _property(feature, "objectType") not in ("tile", "root", "tma_core")]
    outlines = []
    for feature in chosen:
        geometry = feature.get("geometry", feature)
        parts = tuple(_read_parts(geometry))
        if parts:
            outlines.append(
                Outline(parts, number=_find_number(feature), kind=_find_kind(feature), frame=_find_frame(feature))
            )
    return outlines, len(chosen) - len(outlines), remarks


def _list_features(content: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    if isinstance(content, list):
        for each in content if depth < 3 else ():
            yield from _list_features(each, depth + 1)
    elif isinstance(content, dict):
        if content.get("type") == "FeatureCollection":
            yield from _list_features(content.get("features"), depth + 1)
        else:
            yield content


def _property(feature: Mapping[str, Any], name: str) -> Any:
    properties = feature.get("properties")
    value = properties.get(name) if isinstance(properties, dict) else None
    return value if isinstance(value, (str, int, float, dict)) else None


def _find_kind(feature: Mapping[str, Any]) -> str:
    kind = _property(feature, "classification")
    return str(kind.get("name", "") if isinstance(kind, dict) else kind or "")


def _find_number(feature: Mapping[str, Any]) -> int | None:
    name = str(_property(feature, "name") or "")
    return int(name) if name.isdecimal() and len(name) < 10 else None


def _find_frame(feature: Mapping[str, Any]) -> int:
    """Return the frame or slice; QuPath names no plane where it is the first."""
    geometry = feature.get("geometry", feature)
    plane = geometry.get("plane") if isinstance(geometry, dict) else None
    places = [plane.get(axis) for axis in "tz"] if isinstance(plane, dict) else []
    return next((place for place in places if isinstance(place, int) and place > 0), 0)


def _read_parts(geometry: Any) -> Iterator[tuple[Ring, ...]]:
    """Yield the rings of each polygon; what has no corners yields an empty ring, which is unusable."""
    if not isinstance(geometry, dict):
        return
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind == "Polygon":
        yield _read_rings(coordinates)
    elif kind == "MultiPolygon" and isinstance(coordinates, list):
        yield from map(_read_rings, coordinates)
    elif kind == "GeometryCollection" and isinstance(geometry.get("geometries"), list):
        for each in geometry["geometries"]:
            if isinstance(each, dict) and each.get("type") != "GeometryCollection":
                yield from _read_parts(each)


def _read_rings(coordinates: Any) -> tuple[Ring, ...]:
    rings = []
    for ring in coordinates if isinstance(coordinates, (list, np.ndarray)) else ():
        corners = np.asarray(ring, np.float64) if isinstance(ring, np.ndarray) else np.zeros((0, 2))
        rings.append(corners[:, :2] if corners.ndim == 2 else np.zeros((0, 2)))
    return tuple(_open(ring) for ring in rings) or (np.zeros((0, 2)),)


def _open(ring: Ring) -> Ring:
    """Return a ring without its last corner where this repeats the first."""
    return ring[:-1] if len(ring) > 3 and np.array_equal(ring[0], ring[-1]) else ring


def write_geojson(
    path: Path, outlines: Iterable[Outline], measurements: Mapping[tuple[int, int], Mapping[str, float]]
) -> int:
    """Write outlines as a collection of detections that QuPath opens, and return their number.

    Parameters
    ----------
    path : Path
    outlines : iterable of Outline
        With numbers, which become the names; those of a stack with a frame. Coordinates are those of QuPath: pixels,
        with 0, 0 as the upper left corner of the first pixel.
    measurements : mapping of (int, int) to mapping of str to float
        Those of each object, by its frame (0 in a single image) and number.

    Notes
    -----
    `read_geojson` and `fill_outlines` give the same labels again.
    """
    count = 0
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for outline in outlines:
            feature = _make_feature(outline, measurements.get((outline.frame or 0, outline.number or 0), {}))
            file.write(("," if count else "") + "\n" + json.dumps(feature, allow_nan=False))
            count += 1
        file.write("\n]}\n")
    return count


def _make_feature(outline: Outline, measurements: Mapping[str, float]) -> dict[str, Any]:
    parts = [[_close(ring) for ring in part] for part in outline.parts]
    geometry: dict[str, Any] = {"type": "Polygon", "coordinates": parts[0]}
    if len(parts) > 1:
        geometry = {"type": "MultiPolygon", "coordinates": parts}
    if outline.frame is not None:
        geometry["plane"] = {"c": -1, "z": 0, "t": outline.frame}
    finite = {name: value for name, value in measurements.items() if math.isfinite(value)}
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{outline.frame}-{outline.number}-{parts[0][0][0]}")),
        "geometry": geometry,
        "properties": {"objectType": "detection", "name": str(outline.number), "measurements": finite},
    }


def _close(ring: Ring) -> list[list[int]]:
    corners = np.rint(ring).astype(np.int64)
    closed: list[list[int]] = np.concatenate([corners, corners[:1]]).tolist()
    return closed
