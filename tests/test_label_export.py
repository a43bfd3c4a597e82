"""Labels are exported to the files of other programs, and come back from them pixel for pixel."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import roifile
import tifffile
from typer.testing import CliRunner

from blunet.cli import app
from blunet.images.frame_source import FrameSource, read_image
from blunet.images.image_writer import write_labels
from blunet.images.ome_zarr import open_image
from blunet.images.ome_zarr_labels import read_labels, read_labels_description
from blunet.images.pixel_size import PixelSize
from blunet.outlines.filling import fill_outlines
from blunet.outlines.geojson import read_geojson
from blunet.outlines.imagej_rois import read_rois

SIZE = PixelSize(0.5, 0.5, "µm")


def cells(seed: int = 0, shape: tuple[int, int] = (40, 50)) -> np.ndarray:
    """Labels with gaps in the numbers, holes, pieces and contacts at corners, up to the border."""
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 6, (shape[0] // 5, shape[1] // 5)) * 3
    labels = np.kron(coarse, np.ones((5, 5), int)).astype(np.int32)
    labels[chance.random(shape) < 0.02] = 0
    labels[-1, -1] = 40
    return labels


def picture(shape: tuple[int, ...] = (40, 50)) -> np.ndarray:
    return np.random.default_rng(9).integers(1, 200, shape).astype(np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_labels("x_labels.tif", cells(), pixel_size=SIZE, description={})
    tifffile.imwrite("x.tif", picture())
    stack = np.stack([cells(1), np.zeros_like(cells()), cells(2)])
    write_labels("s_labels.tif", stack, pixel_size=SIZE, step=60.0, description={})
    tifffile.imwrite("s.tif", picture(stack.shape), imagej=True, metadata={"axes": "TYX"})
    return tmp_path


def export(*arguments: object, code: int = 0):
    result = CliRunner().invoke(app, ["export", *map(str, arguments), "--out", "out"])
    assert result.exit_code == code, result.output
    return result


def frames_again(outlines, shape) -> np.ndarray:
    frames = np.zeros(shape, np.int32)
    for t in range(shape[0]):
        frames[t], counts = fill_outlines([each for each in outlines if (each.frame or 0) == t], shape[1:])
        assert counts.lost == counts.overlapping == 0
    return frames


@pytest.mark.parametrize(("format", "name"), [("roi", "{}_RoiSet.zip"), ("geojson", "{}.geojson")])
def test_outlines_give_the_labels_again(format, name):
    export("x_labels.tif", "s_labels.tif", "--format", format)
    read = read_rois if format == "roi" else read_geojson
    single = read(Path("out", name.format("x")))[0]
    np.testing.assert_array_equal(frames_again(single, (1, 40, 50))[0], cells())
    stack = read(Path("out", name.format("s")))[0]
    np.testing.assert_array_equal(frames_again(stack, (3, 40, 50)), FrameSource.from_file("s_labels.tif").to_dask())


@pytest.mark.parametrize("format", ["roi", "geojson"])
def test_what_is_exported_can_be_imported_as_training_data(format):
    export("s_labels.tif", "--format", format)
    (written,) = Path("out").iterdir()
    written.rename(f"s{written.suffix}")
    result = CliRunner().invoke(app, ["import-annotations", f"s{written.suffix}", "--out", "pairs"])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in Path("pairs/masks").iterdir()) == ["s_t0001.tif", "s_t0003.tif"]
    np.testing.assert_array_equal(read_image("pairs/masks/s_t0003.tif"), cells(2))


def test_detections_of_qupath_have_names_and_measurements():
    export("x_labels.tif", "--format", "geojson", "--image", "x.tif")
    features = json.loads(Path("out/x.geojson").read_text())["features"]
    for feature in features:
        mask = cells() == int(feature["properties"]["name"])
        measurements = feature["properties"]["measurements"]
        assert measurements["area_um2"] == mask.sum() * 0.25
        assert measurements["mean_intensity"] == pytest.approx(picture()[mask].mean())
        assert feature["properties"]["objectType"] == "detection"
    assert len({feature["id"] for feature in features}) == len(features) == 6


def test_regions_are_named_after_the_labels():
    export("x_labels.tif", "--format", "roi")
    assert [roi.name for roi in roifile.roiread("out/x_RoiSet.zip")] == [
        "00003",
        "00006",
        "00009",
        "00012",
        "00015",
        "00040",
    ]


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_tables_have_a_row_for_each_object_of_each_frame(format):
    export("s_labels.tif", "--format", format, "--image", "s.tif")
    if format == "csv":
        with Path("out/s_objects.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        from pyarrow import parquet

        rows = parquet.read_table("out/s_objects.parquet").to_pylist()
    expected = [(t, label) for t, seed in ((0, 1), (2, 2)) for label in np.unique(cells(seed))[1:]]
    assert [(int(row["frame"]), int(row["label"])) for row in rows] == expected
    assert float(rows[0]["mean_intensity"]) == pytest.approx(picture((3, 40, 50))[0][cells(1) == expected[0][1]].mean())


@pytest.mark.parametrize("name", ["x", "s"])
def test_an_ome_zarr_holds_image_and_labels(name):
    export(f"{name}_labels.tif", "--format", "ome-zarr", "--image", f"{name}.tif")
    image = open_image(Path(f"out/{name}.ome.zarr"))
    source = FrameSource.from_planes(image)
    np.testing.assert_array_equal(source.to_dask(), FrameSource.from_file(f"{name}.tif").to_dask())
    labels = np.stack([np.asarray(frame[:, :]) for frame in read_labels(image, "cells")])
    expected = FrameSource.from_file(f"{name}_labels.tif")
    np.testing.assert_array_equal(labels, np.stack(list(expected.each())))
    assert "software" in read_labels_description(image, "cells")


def test_an_ome_zarr_is_read_by_the_reference_reader():
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    large = picture((1500, 1200))
    tifffile.imwrite("x.tif", large)
    labels = np.zeros((1500, 1200), np.int32)
    labels[1400:, 1100:] = 7
    write_labels("x_labels.tif", labels, pixel_size=SIZE, description={})
    export("x_labels.tif", "--format", "ome-zarr", "--image", "x.tif")
    nodes = {node.zarr.basename(): node for node in Reader(parse_url("out/x.ome.zarr"))()}
    finest, coarse = nodes["x.ome.zarr"].data
    np.testing.assert_array_equal(finest, large)
    assert coarse.shape == (750, 600)
    np.testing.assert_array_equal(nodes["cells"].data[0], labels)


def test_labels_through_time_become_masks_of_the_challenge_without_gaps():
    lapse = np.zeros((4, 8, 8), np.int32)
    lapse[:, :2, :2] = 5
    lapse[[0, 1, 3], 4:6, 4:6] = 2  # missing in frame 2
    write_labels("l_labels.tif", lapse, description={})
    export("l_labels.tif", "--format", "ctc")
    masks = np.stack([tifffile.imread(f"out/l_RES/mask{t:03d}.tif") for t in range(4)])
    assert masks.dtype == np.uint16
    expected = lapse.copy()
    expected[3][lapse[3] == 2] = 6
    np.testing.assert_array_equal(masks, expected)
    assert Path("out/l_RES/res_track.txt").read_text() == "2 0 1 0\n5 0 3 0\n6 3 3 2\n"


def test_a_folder_stands_for_its_labels_and_images():
    export(".", "--format", "csv", "--image", ".")
    assert sorted(path.name for path in Path("out").iterdir()) == ["s_objects.csv", "x_objects.csv"]


def test_nothing_is_overwritten():
    export("x_labels.tif", "--format", "roi")
    before = Path("out/x_RoiSet.zip").read_bytes()
    write_labels("x_labels.tif", cells(5), description={})
    assert "exists already and would be overwritten" in export("x_labels.tif", "--format", "roi", code=2).stderr
    assert Path("out/x_RoiSet.zip").read_bytes() == before
    assert [path.name for path in Path("out").iterdir()] == ["x_RoiSet.zip"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gone.tif", "--format", "roi"), "There is no file or folder 'gone.tif'"),
        (("x_labels.tif", "--format", "ome-zarr"), "name the image, or the folder, with --image"),
        (("x_labels.tif", "--format", "csv", "--image", "gone"), "There is no file or folder 'gone'"),
        (("x_labels.tif", "--format", "csv", "--image", "s.tif"), "give the image of these labels"),
        (("x_labels.tif", "s_labels.tif", "--format", "csv", "--image", "x.tif"), "is one image for 2 files of labels"),
        (("float.tif", "--format", "roi"), "holds values of type float32 and no labels"),
        (("x_labels.tif", "a/x_labels.tif", "--format", "roi"), "would both become"),
    ],
)
def test_bad_input_is_one_sentence(arguments, said):
    tifffile.imwrite("float.tif", np.zeros((3, 3), np.float32))
    Path("a").mkdir()
    Path("a/x_labels.tif").write_bytes(Path("x_labels.tif").read_bytes())
    assert said in export(*arguments, code=2).stderr
    assert not Path("out").exists() or not list(Path("out").iterdir())


@pytest.mark.parametrize("ending", [".zip", ".geojson", ".csv", ".parquet"])
def test_napari_saves_a_layer_by_its_ending(tmp_path, ending):
    from napari.layers import Labels
    from npe2 import PluginManager

    PluginManager.instance().discover()
    layer = Labels(cells(), name="cells", scale=(0.5, 0.5), units=("µm", "µm"))
    (written,) = layer.save(str(tmp_path / f"saved{ending}"), plugin="napari-blunet")
    assert Path(written).stat().st_size > 0
    if ending == ".zip":
        np.testing.assert_array_equal(fill_outlines(read_rois(Path(written))[0], (40, 50))[0], cells())
    if ending == ".geojson":
        first = json.loads(Path(written).read_text())["features"][0]["properties"]
        assert first["measurements"]["area_um2"] == (cells() == int(first["name"])).sum() * 0.25
