"""Annotations of other programs become training data; what cannot be used is named, and nothing is overwritten."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import roifile
import tifffile
from PIL import Image
from pycocotools import mask as coco_mask
from typer.testing import CliRunner

from blunet.cli import app
from blunet.dataset.pairs import find_pairs
from blunet.images.frame_source import read_image
from blunet.outlines.imagej_rois import write_rois
from blunet.outlines.tracing import trace_outlines

SHAPE = (24, 30)


def truth(shift: int = 0) -> np.ndarray:
    """Three cells, one of them with a hole."""
    labels = np.zeros(SHAPE, np.int32)
    labels[2:9, 3 + shift : 10 + shift] = 1
    labels[4:6, 5 + shift : 7 + shift] = 0
    labels[12:20, 4:9] = 2
    labels[12:20, 9:15] = 3
    return labels


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 200, SHAPE).astype(np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    tifffile.imwrite("data/x.tif", picture())
    return tmp_path / "data"


def run(*arguments: object):
    return CliRunner().invoke(app, ["import-annotations", *map(str, arguments), "--out", "out"])


def content(*arguments: object, code: int = 0) -> dict:
    result = run(*arguments, "--json")
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def read_pair(name: str) -> tuple[np.ndarray, np.ndarray]:
    return read_image(f"out/images/{name}.tif"), read_image(f"out/masks/{name}.tif")


def refused(*arguments: object) -> str:
    """Return the sentence with which the command refuses something; nothing is written."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert not result.stdout
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert not list(Path("out").rglob("*.tif"))
    return result.stderr


def dump(path: str, found: object) -> None:
    Path(path).write_text(json.dumps(found))


def rectangle(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def flat(*corners: float) -> list[float]:
    return [number for point in rectangle(*corners) for number in point]


def coco(**changes: object) -> dict:
    run_lengths = coco_mask.encode(np.asfortranarray((truth() == 1).astype(np.uint8)))
    cell = {"image_id": 5, "category_id": 1, "iscrowd": 0}
    return {
        "images": [{"id": 5, "file_name": "x.tif", "height": SHAPE[0], "width": SHAPE[1]}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [
            {**cell, "id": 1, "segmentation": {"size": list(SHAPE), "counts": run_lengths["counts"].decode()}},
            {**cell, "id": 2, "segmentation": [flat(4, 12, 9, 20)]},
            {**cell, "id": 3, "segmentation": [flat(9, 12, 15, 17), flat(9, 16, 15, 20)]},
        ],
        **changes,
    }


def feature(*rings: list[list[float]], **properties: object) -> dict:
    closed = [[*ring, ring[0]] for ring in rings]
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": closed}, "properties": properties}


def geojson(*features: dict) -> dict:
    return {"type": "FeatureCollection", "features": list(features)}


def labelme(*shapes: dict, **changes: object) -> dict:
    about = {"imagePath": "x.tif", "imageData": None, "imageHeight": SHAPE[0], "imageWidth": SHAPE[1]}
    return {"version": "5.4.1", "shapes": list(shapes), **about, **changes}


# Each format gives the cells that were drawn -------------------------------------------------------------------------


def test_coco_polygons_and_run_lengths():
    dump("data/annotations.json", coco())
    found = content("data/annotations.json")
    assert found["format"] == "coco"
    assert found["images"][0]["objects"] == 3
    image, mask = read_pair("x")
    np.testing.assert_array_equal(image, picture())
    np.testing.assert_array_equal(mask, truth())
    assert [pair.name for pair in find_pairs("out").pairs] == ["x"]


def test_coco_as_livecell_has_it():
    """One file for several folders of images, annotations by their ids, numbers as text."""
    place = Path("livecell/images/livecell_train_val_images/A172")
    place.mkdir(parents=True)
    tifffile.imwrite(place / "A172_Phase_A7_1_00d00h00m_1.tif", picture())
    found = coco()
    found["images"][0]["file_name"] = "A172_Phase_A7_1_00d00h00m_1.tif"
    found["annotations"] = {str(each["id"]): each for each in found["annotations"]}
    dump("livecell/livecell_coco_train.json", found)
    assert content("livecell/livecell_coco_train.json")["images"][0]["names"] == ["A172_Phase_A7_1_00d00h00m_1"]


def test_coco_as_evican_has_it_gives_cells_without_their_nuclei():
    found = coco(categories=[{"id": 1, "name": "Cell"}, {"id": 2, "name": "Nucleus"}])
    nucleus = {"image_id": 5, "category_id": 2, "iscrowd": 0, "segmentation": [flat(5, 13, 8, 18)]}
    found["annotations"].append(nucleus)
    dump("data/instances.json", found)
    told = content("data/instances.json")
    assert any("only the cells are taken" in remark for remark in told["warnings"])
    np.testing.assert_array_equal(read_pair("x")[1], truth())
    assert "There is no class 'mitosis'" in run("data/instances.json", "--class", "mitosis").stderr


def test_regions_of_imagej():
    write_rois(Path("data/RoiSet.zip"), trace_outlines(truth()))
    found = content("data/RoiSet.zip")
    assert found["format"] == "roi"
    np.testing.assert_array_equal(read_pair("x")[1], truth())


def test_single_regions_in_a_folder_are_those_of_the_only_image():
    for place, corners in enumerate([(2, 2, 8, 8), (12, 3, 20, 9)]):
        roifile.ImagejRoi.frompoints(np.array(rectangle(*corners), int)).tofile(f"data/{place}.roi")
    assert content("data")["images"][0]["objects"] == 2


def test_regions_go_to_their_frame_of_a_stack():
    frames = [truth(), np.zeros_like(truth()), truth(4)]
    tifffile.imwrite("data/x.tif", np.stack([picture(i) for i in range(3)]), imagej=True, metadata={"axes": "TYX"})
    outlines = [each for t, labels in enumerate(frames) for each in trace_outlines(labels, frame=t)]
    write_rois(Path("data/x_RoiSet.zip"), outlines)
    assert content("data/x_RoiSet.zip")["images"][0]["names"] == ["x_t0001", "x_t0003"]
    np.testing.assert_array_equal(read_pair("x_t0003")[0], picture(2))
    np.testing.assert_array_equal(read_pair("x_t0003")[1], truth(4))


def test_geojson_of_qupath_with_holes_and_offset():
    outer, hole = rectangle(103, 202, 110, 209), rectangle(105, 204, 107, 206)
    cells = [feature(outer, hole), feature(rectangle(104, 212, 109, 220)), feature(rectangle(109, 212, 115, 220))]
    dump("data/x.geojson", geojson(*cells))
    found = content("data/x.geojson", "--offset", "100,200")
    assert found["format"] == "geojson"
    np.testing.assert_array_equal(read_pair("x")[1], truth())


def test_labelme_shapes_groups_and_masks():
    mask = io.BytesIO()
    Image.fromarray((truth()[2:9, 3:10] > 0).astype(np.uint8) * 255).save(mask, "PNG")
    text = base64.b64encode(mask.getvalue()).decode()
    shapes = [
        {"label": "a", "shape_type": "mask", "points": [[3, 2], [9, 8]], "mask": text},
        {"label": "a", "shape_type": "rectangle", "points": [[4, 12], [9, 20]]},
        {"label": "a", "shape_type": "polygon", "points": rectangle(9, 12, 15, 15), "group_id": 7},
        {"label": "a", "shape_type": "polygon", "points": rectangle(9, 15, 15, 20), "group_id": 7},
        {"label": "a", "shape_type": "point", "points": [[3, 3]]},
    ]  # fmt: skip
    dump("data/x.json", labelme(*shapes, imagePath="..\\..\\elsewhere\\x.tif"))
    found = content("data")
    assert found["format"] == "labelme"
    assert found["images"][0]["not_single_objects"] == 1
    np.testing.assert_array_equal(read_pair("x")[1], truth())


def test_a_circle_of_labelme_has_its_area():
    dump("data/x.json", labelme({"label": "a", "shape_type": "circle", "points": [[12, 12], [12, 20]]}))
    content("data/x.json")
    assert np.count_nonzero(read_pair("x")[1]) == pytest.approx(np.pi * 64, rel=0.05)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_masks_of_cellpose(ending):
    if ending == "png":
        Image.fromarray(truth().astype(np.uint16)).save("data/x_cp_masks.png")
    else:
        tifffile.imwrite("data/x_cp_masks.tif", truth().astype(np.uint16))
    Path("data/x_seg.npy").write_bytes(b"\x93NUMPY" + bytes(80))
    found = content("data")
    assert found["format"] == "cellpose"
    np.testing.assert_array_equal(read_pair("x")[1], truth())


def test_masks_in_another_folder_than_the_images_as_bbbc030_has_them():
    for place in ("images", "ground_truth/masks"):
        (Path("bbbc030") / place).mkdir(parents=True)
    tifffile.imwrite("bbbc030/images/cho01.tif", picture())
    binary = np.zeros(SHAPE, np.uint8)
    binary[2:12, 2:12] = binary[14:22, 15:28] = 255
    Image.fromarray(binary).save("bbbc030/ground_truth/masks/cho01.png")
    found = content("bbbc030/ground_truth", "--images", "bbbc030/images")
    assert found["format"] == "masks"
    assert found["images"][0]["objects"] == 2


def make_sequence(root: Path, gold: dict[int, np.ndarray], silver: dict[int, np.ndarray], frames: int = 4) -> None:
    (root / "01").mkdir(parents=True)
    for t in range(frames):
        tifffile.imwrite(root / "01" / f"t{t:03d}.tif", picture(t))
    for place, masks in (("01_GT/SEG", gold), ("01_ST/SEG", silver)):
        (root / place).mkdir(parents=True)
        for t, mask in masks.items():
            tifffile.imwrite(root / place / f"man_seg{t:03d}.tif", mask.astype(np.uint16))


@pytest.mark.parametrize("given", ["", "01", "01_GT", "01_GT/SEG"])
def test_folders_of_the_cell_tracking_challenge(given):
    root = Path("DIC-C2DH-HeLa")
    some = np.where(truth() == 1, 1, 0)
    make_sequence(root, gold={1: truth(4), 2: some}, silver={t: truth() for t in range(4)})
    found = content(root / given)
    assert found["format"] == "ctc"
    assert [image["names"][0] for image in found["images"]] == ["01_t000", "01_t001", "01_t002", "01_t003"]
    np.testing.assert_array_equal(read_pair("01_t001")[1], truth(4))  # gold truth
    np.testing.assert_array_equal(read_pair("01_t002")[1], truth())  # gold truth holds one of three cells
    np.testing.assert_array_equal(read_pair("01_t003")[0], picture(3))
    assert "4 frames have masks (1 gold truth, 3 silver truth)" in found["warnings"][0]
    assert "with silver truth instead: 1." in found["warnings"][1]


def test_gold_truth_alone_is_compared_with_the_markers():
    root = Path("set")
    make_sequence(root, gold={1: np.where(truth() == 1, 1, 0)}, silver={})
    (root / "01_GT/TRA").mkdir()
    tifffile.imwrite(root / "01_GT/TRA/man_track001.tif", truth().astype(np.uint16))
    assert any("outlines 1 of 3 cells" in warning for warning in content(root)["warnings"])


def test_a_single_cell_in_a_frame_is_one_object_and_not_its_pieces():
    root = Path("set")
    pieces = np.zeros(SHAPE, np.int32)
    pieces[2:4, 2:4] = pieces[10:12, 10:12] = 6
    make_sequence(root, gold={0: pieces}, silver={})
    assert content(root)["images"][0]["objects"] == 1


# What is odd is told -------------------------------------------------------------------------------------------------


def test_overlapping_regions_are_counted_and_the_smaller_is_on_top():
    for name, corners in (
        ("big", (0, 0, 20, 20)),
        ("small", (5, 5, 9, 9)),
        ("same", (5, 5, 9, 9)),
        ("far", (90, 90, 99, 99)),
    ):
        roifile.ImagejRoi.frompoints(np.array(rectangle(*corners), int), name=name).tofile("data/x_RoiSet.zip")
    found = content("data/x_RoiSet.zip")
    counts = found["images"][0]
    assert (counts["objects"], counts["overlapping"], counts["hidden"], counts["outside"]) == (2, 2, 1, 1)
    assert "of its outlines 2 lie on top of larger ones" in found["warnings"][0]
    assert "1 left out, as smaller ones cover them" in found["warnings"][0]
    assert np.count_nonzero(read_pair("x")[1] == read_pair("x")[1][6, 6]) == 16


def test_crowds_are_not_reviewed_and_boxes_and_images_without_outlines_are_left_out():
    found = coco()
    cell = {"image_id": 5, "category_id": 1}
    first_column = {"size": list(SHAPE), "counts": [0, SHAPE[0], SHAPE[0] * (SHAPE[1] - 1)]}
    found["annotations"] += [
        {**cell, "iscrowd": 1, "segmentation": first_column},
        {**cell, "iscrowd": 0, "bbox": [1, 1, 3, 3]},
        {"image_id": 99, "category_id": 1, "segmentation": [flat(0, 0, 3, 3)]},
    ]
    found["images"].append({"id": 6, "file_name": "empty.tif", "height": 9, "width": 9})
    dump("data/a.json", found)
    told = content("data/a.json")
    assert (told["images"][0]["not_single_objects"], told["images"][0]["crowds"]) == (1, 1)
    expected = np.ones(SHAPE)
    expected[:, 0] = 0
    np.testing.assert_array_equal(read_image("out/reviewed/x.tif") > 0, expected)
    assert find_pairs("out").pairs[0].reviewed is not None
    np.testing.assert_array_equal(read_pair("x")[1], truth())
    assert "images without outlines, left out: 1." in told["warnings"][0]
    assert "does not list, left out: 1." in told["warnings"][1]


def test_annotations_without_their_image_are_skipped_and_named():
    found = coco()
    found["images"].append({"id": 6, "file_name": "gone.tif", "height": 24, "width": 30})
    found["annotations"].append({"image_id": 6, "category_id": 1, "segmentation": [flat(0, 0, 3, 3)]})
    dump("data/a.json", found)
    told = content("data/a.json", code=1)
    assert "There is no image 'gone.tif'" in told["skipped"][0]["reason"]
    assert len(told["images"]) == 1


def test_images_of_one_name_in_two_folders_do_not_collide():
    found = coco()
    for place in ("a", "b"):
        Path("data", place).mkdir()
        tifffile.imwrite(f"data/{place}/y.tif", picture(ord(place)))
    found["images"] = [{**found["images"][0], "id": key, "file_name": f"{key}/y.tif"} for key in ("a", "b")]
    found["annotations"] = [{**found["annotations"][1], "image_id": key} for key in ("a", "b")]
    dump("data/all.json", found)
    assert [each["names"] for each in content("data/all.json")["images"]] == [["a_y"], ["b_y"]]
    np.testing.assert_array_equal(read_pair("b_y")[0], picture(ord("b")))


def test_origin_and_licence_are_kept_with_the_pairs():
    write_rois(Path("data/RoiSet.zip"), trace_outlines(truth()))
    content("data/RoiSet.zip", "--origin", "Cellpose 4 (cpsam)", "--licence", "CC BY-NC 4.0")
    (entry,) = json.loads(Path("out/origin.json").read_text())["imports"]
    assert (entry["origin"], entry["licence"], entry["format"]) == ("Cellpose 4 (cpsam)", "CC BY-NC 4.0", "roi")


def test_nothing_is_overwritten():
    write_rois(Path("data/RoiSet.zip"), trace_outlines(truth()))
    content("data/RoiSet.zip")
    before = Path("out/masks/x.tif").read_bytes()
    write_rois(Path("data/RoiSet.zip"), trace_outlines(truth(3)))
    result = run("data/RoiSet.zip")
    assert result.exit_code == 2
    assert "exists already and would be overwritten" in result.stderr
    assert Path("out/masks/x.tif").read_bytes() == before


# Bad input is one sentence -------------------------------------------------------------------------------------------


def test_geojson_of_another_image():
    dump("data/x.geojson", geojson(feature(rectangle(5000, 5000, 5010, 5010)), feature(rectangle(9000, 1, 9010, 9))))
    assert "all 2 outlines lie outside the image of 30 x 24 pixels" in refused("data/x.geojson")


@pytest.mark.parametrize("size", [(48, 60), (30, 24)])
def test_coco_of_an_image_of_another_size(size):
    found = coco(annotations=coco()["annotations"][1:])
    found["images"][0] |= {"height": size[0], "width": size[1]}
    dump("data/a.json", found)
    assert "the image was resized or exchanged" in refused("data/a.json")


def test_coco_with_a_mask_of_another_size_than_its_image():
    found = coco()
    found["annotations"][0]["segmentation"] = {"size": [10, 10], "counts": [50, 50]}
    dump("data/a.json", found)
    assert "a mask has the size [10, 10]" in refused("data/a.json")


def test_coco_with_a_mask_that_would_fill_the_memory():
    found = coco()
    found["images"][0] = {"id": 5, "file_name": "x.tif"}
    found["annotations"] = [{"image_id": 5, "segmentation": {"size": [10**6, 10**6], "counts": [0, 10**12]}}]
    dump("data/a.json", found)
    assert "sizes are whole numbers below 65,536" in refused("data/a.json")


@pytest.mark.parametrize("name", ["x_seg.npy", "cells.pkl"])
def test_a_pickle_is_refused_with_the_way_round_it(name):
    Path("data", name).write_bytes(b"\x93NUMPY\x01\x00" + bytes(80))
    said = refused(Path("data", name))
    assert "is a pickle" in said
    assert "Save masks as PNG" in said
    if name.endswith("_seg.npy"):
        assert "is a pickle" in refused("data")


def test_labels_without_images():
    Path("alone").mkdir()
    tifffile.imwrite("alone/z_mask.tif", truth().astype(np.uint16))
    assert "'alone/z_mask.tif' has no image" in refused("alone").replace("\\", "/")
    dump("alone/z.json", labelme({"label": "a", "points": rectangle(1, 1, 5, 5)}))
    assert "z.json" in refused("alone/z.json")


def test_it_is_not_guessed_which_of_many_images_a_set_of_regions_belongs_to():
    tifffile.imwrite("data/y.tif", picture(1))
    write_rois(Path("data/RoiSet.zip"), trace_outlines(truth()))
    assert "It is not clear which image 'RoiSet.zip' belongs to" in refused("data/RoiSet.zip")


def test_regions_of_a_stack_do_not_fit_to_a_single_image():
    write_rois(Path("data/x.zip"), [each for t in range(2) for each in trace_outlines(truth(), frame=t)])
    assert "holds outlines of 2 frames but 'data/x.tif' is a single image" in refused("data/x.zip").replace("\\", "/")


def test_regions_without_a_position_do_not_fit_to_a_stack():
    tifffile.imwrite("data/x.tif", np.stack([picture(i) for i in range(3)]), imagej=True, metadata={"axes": "TYX"})
    write_rois(Path("data/x.zip"), trace_outlines(truth()))
    assert "does not say to which of the 3 frames" in refused("data/x.zip")
    write_rois(Path("data/x.zip"), trace_outlines(truth(), frame=5))
    assert "holds outlines of frame 6" in refused("data/x.zip")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "is no JSON"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", '{"a": 1}', "holds no annotations that are known"),
        ("a.json", '{"images": [], "annotations": []}', "holds no outlines"),
        ("a.json", '{"images": 3, "annotations": []}', "'images' is no list"),
        ("a.json", '{"images": [{"id": 1}], "annotations": [{"id": 3}]}', "without 'image_id'"),
        ("a.json", '{"images": [{"file_name": "x.tif"}], "annotations": []}', "without 'id'"),
        ("a.json", "\ufeff", "is no JSON"),
        ("a.geojson", '{"type": "FeatureCollection", "features": []}', "holds no outlines of areas"),
        ("a.zip", "no zip", "holds no annotations that are known"),
        ("a.roi", "", "holds no annotations that are known"),
    ],
)
def test_broken_files_are_named(name, text, said):
    Path("data", name).write_text(text, encoding="utf-8")
    assert said in refused(Path("data", name))


def test_numbers_that_are_none_lose_their_outline_alone():
    found = coco()
    found["annotations"][1]["segmentation"] = [[0, 0, 5, float("nan"), 5, 5]]
    found["annotations"].append({"image_id": 5, "segmentation": [[1e308, 0, 1e308, 1e308, 0, 0]]})
    found["annotations"].append({"image_id": 5, "segmentation": [[1, 2, 3]]})
    found["annotations"].append({"image_id": 5, "segmentation": ["abc"]})
    dump("data/a.json", found)
    told = content("data/a.json")
    assert (told["images"][0]["objects"], told["images"][0]["unusable"]) == (2, 4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gone.json",), "There is no file or folder 'gone.json'"),
        (("data", "--format", "yolo"), "There is no format 'yolo'; known are ctc, coco"),
        (("data", "--format", "ctc"), "is no folder of the Cell Tracking Challenge"),
        (("data",), "holds no annotations"),
        (("data", "--images", "nowhere"), "There is no folder 'nowhere'"),
        (("data", "--offset", "1"), "The offset is '1'"),
        (("data", "--offset", "nan,2"), "give finite numbers"),
    ],
)
def test_wrong_arguments_are_named(arguments, said):
    assert said in refused(*arguments)


def test_files_of_two_formats_in_a_folder_need_a_choice():
    write_rois(Path("data/x.zip"), trace_outlines(truth()))
    dump("data/x.json", labelme({"label": "a", "points": rectangle(1, 1, 5, 5)}))
    assert "annotations of several formats: labelme (1), roi (1)" in refused("data")
    assert content("data", "--format", "roi", code=1)["images"][0]["objects"] == 3
