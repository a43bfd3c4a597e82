"""Labels become outlines and outlines labels again; the files are those of the reference libraries."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
import roifile
from pycocotools import mask as coco_mask
from shapely.geometry import shape as make_geometry
from skimage.draw import polygon

from blunet.errors import InputError
from blunet.outlines.filling import FillCounts, fill_outlines
from blunet.outlines.geojson import read_geojson, write_geojson
from blunet.outlines.imagej_rois import read_rois, write_rois
from blunet.outlines.outline import Outline, Patch
from blunet.outlines.run_lengths import decode_run_lengths
from blunet.outlines.tracing import trace_outlines


def draw(*rows: str) -> np.ndarray:
    return np.array([[int(character) for character in row] for row in rows], np.int32)


CASES = {
    "hole": draw("00000", "01110", "01010", "01110", "00000"),
    "two holes that touch": draw("1111", "1011", "1101", "1111"),
    "closed at a corner": draw("01100", "10010", "10010", "01110"),
    "diagonal contact of two": draw("1100", "1100", "0022", "0022"),
    "diagonal contact of one": draw("10", "01"),
    "pieces, one within the other": draw("11111", "10001", "10101", "10001", "11111"),
    "an object in the hole of another": draw("1111", "1221", "1221", "1111"),
    "one pixel": draw("000", "030", "000"),
    "the whole image": draw("777", "777"),
    "borders": draw("1002", "0000", "3004"),
    "one row": draw("1101220"),
    "numbers with gaps": draw("90", "02"),
}


def squares(ring) -> np.ndarray:
    return np.array(ring, float)


def square(left, top, right, bottom, **about) -> Outline:
    return Outline(((squares([[left, top], [right, top], [right, bottom], [left, bottom]]),),), **about)


def random_labels(seed: int) -> np.ndarray:
    chance = np.random.default_rng(seed)
    return chance.integers(0, chance.integers(2, 6), tuple(chance.integers(1, 24, 2))).astype(np.int32)


@pytest.mark.parametrize("labels", [*CASES.values(), *map(random_labels, range(40))])
def test_every_way_round_gives_the_same_labels(labels, tmp_path):
    outlines = trace_outlines(labels)
    objects = np.count_nonzero(np.unique(labels))
    again, counts = fill_outlines(outlines, labels.shape)
    np.testing.assert_array_equal(again, labels)
    assert counts == FillCounts(objects)

    assert write_rois(tmp_path / "RoiSet.zip", outlines) == objects
    read, others = read_rois(tmp_path / "RoiSet.zip")
    np.testing.assert_array_equal(fill_outlines(read, labels.shape)[0], labels)
    assert others == 0

    write_geojson(tmp_path / "cells.geojson", outlines, {})
    if objects:
        read, _, _ = read_geojson(tmp_path / "cells.geojson")
        np.testing.assert_array_equal(fill_outlines(read, labels.shape)[0], labels)


@pytest.mark.parametrize("labels", [*CASES.values(), *map(random_labels, range(40, 60))])
def test_exported_polygons_are_valid_and_have_the_objects_areas(labels, tmp_path):
    write_geojson(tmp_path / "cells.geojson", trace_outlines(labels), {})
    features = json.loads((tmp_path / "cells.geojson").read_text())["features"]
    for feature in features:
        geometry = make_geometry(feature["geometry"])
        assert geometry.is_valid
        assert geometry.area == np.count_nonzero(labels == int(feature["properties"]["name"]))


def test_the_reference_reader_finds_the_regions_where_the_objects_are(tmp_path):
    labels = draw("0000000", "0110033", "0110030", "0000033")
    write_rois(tmp_path / "RoiSet.zip", trace_outlines(labels))
    first, second = roifile.roiread(tmp_path / "RoiSet.zip")
    assert (first.name, first.roitype, first.left, first.top, first.right, first.bottom) == (
        "00001", roifile.ROI_TYPE.TRACED, 1, 1, 3, 3,
    )  # fmt: skip
    assert sorted(map(tuple, first.coordinates().tolist())) == [(1, 1), (1, 3), (3, 1), (3, 3)]
    assert (second.name, second.left, second.right) == ("00003", 5, 7)


def test_frames_become_positions(tmp_path):
    frames = [draw("10", "00"), draw("00", "02")]
    outlines = [outline for t, labels in enumerate(frames) for outline in trace_outlines(labels, frame=t)]
    write_rois(tmp_path / "RoiSet.zip", outlines)
    assert [roi.position for roi in roifile.roiread(tmp_path / "RoiSet.zip")] == [1, 2]
    assert [(each.frame, each.number) for each in read_rois(tmp_path / "RoiSet.zip")[0]] == [(0, 1), (1, 2)]
    write_geojson(tmp_path / "cells.geojson", outlines, {(1, 2): {"area_px2": 1.0, "nothing": float("nan")}})
    assert [(each.frame, each.number) for each in read_geojson(tmp_path / "cells.geojson")[0]] == [(0, 1), (1, 2)]
    last = json.loads((tmp_path / "cells.geojson").read_text())["features"][-1]
    assert last["geometry"]["plane"] == {"c": -1, "z": 0, "t": 1}
    assert last["properties"]["measurements"] == {"area_px2": 1.0}


def test_a_pixel_belongs_to_the_polygon_that_surrounds_its_centre():
    chance = np.random.default_rng(1)
    for _ in range(20):
        corners = chance.uniform(-5, 35, (7, 2))
        expected = np.zeros((30, 28), bool)
        expected[polygon(corners[:, 1] - 0.5, corners[:, 0] - 0.5, expected.shape)] = True
        found, _ = fill_outlines([Outline(((corners,),))], expected.shape)
        np.testing.assert_array_equal(found > 0, expected)


def test_neighbours_share_no_pixel_and_leave_none_out():
    chance = np.random.default_rng(2)
    middle = np.stack([chance.uniform(8, 12, 9), np.linspace(0, 20, 9)], axis=1)
    left = Outline(((np.concatenate([middle, [[0, 20], [0, 0]]]),),))
    right = Outline(((np.concatenate([middle, [[20, 20], [20, 0]]])[::-1],),))
    labels, counts = fill_outlines([left, right], (20, 20))
    assert labels.all()
    assert counts == FillCounts(2)


def test_the_smaller_of_two_overlapping_outlines_is_on_top():
    outlines = [square(4, 4, 8, 8), square(0, 0, 10, 10), square(20, 20, 24, 24), square(20, 20, 24, 24)]
    labels, counts = fill_outlines(outlines, (30, 30))
    assert counts == FillCounts(objects=3, overlapping=2, hidden=1)
    assert np.unique(labels, return_counts=True)[1].tolist() == [30 * 30 - 100 - 16, 16, 84, 16]
    assert labels[5, 5] == 1
    assert labels[0, 0] == 2


def test_what_cannot_be_an_object_is_counted():
    nothing = np.zeros((0, 2))
    outlines = [
        square(0, 0, 3, 3),
        square(50, 50, 60, 60),
        square(-9, 0, -2, 5),
        square(5.1, 5.1, 5.4, 5.4),
        Outline(((nothing,),)),
        Outline(((squares([[0, 0], [1, np.nan], [2, 2]]),),)),
        Outline(((squares([[0, 0], [1e300, 0], [2, 2]]),),)),
        Outline(patch=Patch(np.zeros((2, 2), bool), 3, 3)),
    ]
    _, counts = fill_outlines(outlines, (10, 10))
    assert counts == FillCounts(objects=1, outside=2, empty=2, unusable=3)
    assert counts.lost == 7
    assert counts.describe()[0] == "2 left out, as they lie outside the image"


def test_outlines_are_cut_at_the_border_of_the_image():
    labels, counts = fill_outlines([square(-1e6, -1e6, 1e6, 3)], (5, 4))
    assert counts.objects == 1
    assert np.count_nonzero(labels) == 12
    patch = Outline(patch=Patch(np.ones((4, 4), bool), -2, 3))
    assert np.count_nonzero(fill_outlines([patch], (5, 4))[0]) == 2


@pytest.mark.parametrize(("first", "second", "expected"), [(7, 4, [0, 4, 7]), (7, 7, [0, 1, 2]), (7, None, [0, 1, 2])])
def test_own_numbers_are_kept_if_they_tell_the_objects_apart(first, second, expected):
    labels, _ = fill_outlines([square(0, 0, 2, 2, number=first), square(3, 0, 5, 2, number=second)], (5, 5))
    assert np.unique(labels).tolist() == expected


def test_all_kinds_of_areas_of_imagej_are_read(tmp_path):
    kind, subtype = roifile.ROI_TYPE, roifile.ROI_SUBTYPE
    curve = 4 * (np.sqrt(2) - 1) / 3 * 10  # of a quarter circle of radius 10 around 20, 20
    circle = [0, 30, 20]
    for x, y, dx, dy in ((20, 30, 0, 1), (10, 20, -1, 0), (20, 10, 0, -1), (30, 20, 1, 0)):
        before = circle[-2:]
        start = (before[0] + curve * dx, before[1] + curve * dy)
        turn = {(0, 1): (1, 0), (-1, 0): (0, 1), (0, -1): (-1, 0), (1, 0): (0, -1)}[dx, dy]
        circle += [3, *start, x + curve * turn[0], y + curve * turn[1], x, y]
    path = np.array([*circle, 4], np.float32)
    float_corners = np.array([[1.3, 1.4], [4.6, 1.4], [4.6, 4.7]])
    regions = [
        roifile.ImagejRoi(roitype=kind.RECT, left=2, top=3, right=6, bottom=9),
        roifile.ImagejRoi(roitype=kind.OVAL, left=0, top=0, right=20, bottom=20),
        roifile.ImagejRoi(roitype=kind.RECT, shape_roi_size=path.size, multi_coordinates=path, right=30, bottom=30),
        roifile.ImagejRoi.frompoints(float_corners),
        roifile.ImagejRoi(roitype=kind.LINE, x2=5, y2=5),
        roifile.ImagejRoi(roitype=kind.RECT, subtype=subtype.TEXT, text="a note"),
    ]
    for region, name in zip(regions, "abcdef", strict=True):
        region.name = name
    roifile.roiwrite(tmp_path / "set.zip", regions)
    outlines, others = read_rois(tmp_path / "set.zip")
    assert others == 2
    areas = [np.count_nonzero(fill_outlines([outline], (40, 40))[0]) for outline in outlines]
    assert areas[0] == 24
    assert areas[1] == pytest.approx(np.pi * 100, rel=0.02)
    assert areas[2] == pytest.approx(np.pi * 100, rel=0.02)
    assert areas[3] == 10
    assert [outline.number for outline in outlines] == [None] * 4


def test_the_position_is_also_taken_from_the_name(tmp_path):
    region = roifile.ImagejRoi.frompoints([[1, 1], [5, 1], [5, 5]], name="0003-0002-0002")
    region.tofile(tmp_path / "a.roi")
    (outline,), _ = read_rois(tmp_path / "a.roi")
    assert outline.frame == 2
    assert outline.number is None


@pytest.mark.parametrize("name", ["../evil.roi", "/tmp/evil.roi", "C:\\evil.roi", "a/../../evil.roi"])
def test_a_path_outside_of_a_zip_file_is_refused(tmp_path, name):
    content = roifile.ImagejRoi.frompoints([[1, 1], [5, 1], [5, 5]]).tobytes()
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr(name, content)
    with pytest.raises(InputError, match="a path outside of it"):
        read_rois(tmp_path / "set.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["set.zip"]


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.roi", bytes(2**26 + 1))
    assert (tmp_path / "set.zip").stat().st_size < 2**18
    with pytest.raises(InputError, match="too many for regions"):
        read_rois(tmp_path / "set.zip")


@pytest.mark.parametrize("cut", [0, 10, 63, 70])
def test_a_damaged_region_is_named(tmp_path, cut):
    content = roifile.ImagejRoi.frompoints([[1, 1], [5, 1], [5, 5]]).tobytes()
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a.roi", content[:cut])
    with pytest.raises(InputError, match=r"'a.roi' is no region of ImageJ, or damaged"):
        read_rois(tmp_path / "set.zip")


def test_a_cut_zip_file_is_named(tmp_path):
    write_rois(tmp_path / "set.zip", trace_outlines(CASES["borders"]))
    (tmp_path / "set.zip").write_bytes((tmp_path / "set.zip").read_bytes()[:-30])
    with pytest.raises(InputError, match="is no zip file of regions"):
        read_rois(tmp_path / "set.zip")


@pytest.mark.parametrize("seed", range(12))
def test_run_lengths_are_those_of_coco(seed):
    chance = np.random.default_rng(seed)
    mask = chance.random(tuple(chance.integers(1, 60, 2))) < chance.choice([0.02, 0.5, 1])
    coded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    runs, value, length = [], 0, 0
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            runs.append(length)
            value, length = pixel, 0
        length += 1
    for counts in (coded["counts"], coded["counts"].decode(), [*runs, length]):
        patch, top, left = decode_run_lengths(counts, mask.shape)
        found = np.zeros_like(mask)
        found[top : top + patch.shape[0], left : left + patch.shape[1]] = patch
        np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("counts", [[1, 2], [], [-1, 101], [np.nan, 100], "\x00", "~~~", "ppppppppppppppppp"])
def test_run_lengths_that_do_not_fill_the_image_are_refused(counts):
    with pytest.raises(InputError, match=r"[Rr]un lengths"):
        decode_run_lengths(counts, (10, 10))


def test_geojson_of_all_forms_is_read(tmp_path):
    ring = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
    hole = [[1, 1], [2, 1], [2, 2], [1, 2], [1, 1]]
    polygon = {"type": "Polygon", "coordinates": [ring, hole]}
    several = {"type": "MultiPolygon", "coordinates": [[ring], [[[8, 8], [9, 8], [9, 9], [8, 9], [8, 8]]]]}
    point = {"type": "Point", "coordinates": [3, 3]}

    def feature(geometry, **properties):
        return {"type": "Feature", "geometry": geometry, "properties": properties}

    forms = {
        "collection": {"type": "FeatureCollection", "features": [feature(polygon), feature(several), feature(point)]},
        "list": [feature(polygon), feature(several), feature(point)],
        "feature": feature(polygon, classification={"name": "Cell"}),
        "geometry": several,
    }
    found = {}
    for name, content in forms.items():
        (tmp_path / f"{name}.geojson").write_text(json.dumps(content))
        found[name] = read_geojson(tmp_path / f"{name}.geojson")
    assert {name: len(outlines) for name, (outlines, _, _) in found.items()} == {
        "collection": 2, "list": 2, "feature": 1, "geometry": 1,
    }  # fmt: skip
    assert found["collection"][1] == 1
    assert found["feature"][0][0].kind == "Cell"
    areas = [np.count_nonzero(fill_outlines([each], (10, 10))[0]) for each in found["list"][0]]
    assert areas == [15, 17]


def test_annotations_around_detections_and_tiles_are_no_cells(tmp_path):
    ring = [[[0, 0], [4, 0], [4, 4], [0, 0]]]
    features = [
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": ring}, "properties": {"objectType": kind}}
        for kind in ("annotation", "detection", "cell", "tile")
    ]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    outlines, _, remarks = read_geojson(tmp_path / "a.geojson")
    assert len(outlines) == 2
    assert "annotations around the detections, left out: 1." in remarks[0]


@pytest.mark.parametrize(
    "coordinates",
    [None, 3, "far", [], [[]], [[1, 2]], [[[1, 2], [3]]], [[["a", "b"]]], [[[1, 2], [3, 4]]], [[None]], {}],
)
def test_broken_coordinates_are_unusable_and_no_crash(tmp_path, coordinates):
    content = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": coordinates}, "properties": None}
    (tmp_path / "a.geojson").write_text(json.dumps(content))
    outlines, _, _ = read_geojson(tmp_path / "a.geojson")
    assert [outline.usable for outline in outlines] == [False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON, or is cut off"),
        ("[" * 100_000, "nested too deeply"),
        ('{"type": "FeatureCollection", "features": ' + "[" * 5_000 + "]" * 5_000 + "}", "nested too deeply"),
        ('{"a": 1}', "is no GeoJSON"),
        ("[]", "is no GeoJSON"),
    ],
)
def test_broken_json_is_named(tmp_path, text, said):
    (tmp_path / "a.geojson").write_text(text)
    with pytest.raises(InputError, match=said):
        read_geojson(tmp_path / "a.geojson")
