"""OME-Zarr 0.4 and 0.5 as the reference library writes them: images, plates, channels, slices, labels written back."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaozarrs
import zarr
from bright_model import put_model_and_image, squares
from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr.writer import write_image, write_plate_metadata, write_well_metadata
from typer.testing import CliRunner

from blunet.cli import app
from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.ome_zarr import open_image, open_images
from blunet.images.plane_choice import PlaneChoice, choose_channel

FORMATS = {"0.4": FormatV04(), "0.5": FormatV05()}
UNITS = {"t": "minute", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
SCALE = {"t": 2.0, "z": 1.5, "y": 0.5, "x": 0.25}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return put_model_and_image(tmp_path)


@pytest.fixture(params=sorted(FORMATS))
def version(request) -> str:
    return request.param


def write(path: str, image: np.ndarray, axes: str, version: str = "0.5", channels: tuple[str, ...] = ()) -> Path:
    """Write an image as the reference library does, with three levels."""
    fmt = FORMATS[version]
    group = zarr.open_group(path, mode="w", zarr_format=fmt.zarr_format)
    write_image(
        image, group, scale_factors=[2, 4], fmt=fmt, axes=list(axes),
        scale={axis: SCALE.get(axis, 1.0) for axis in axes},
        axes_units={axis: UNITS[axis] for axis in axes if axis in UNITS},
    )  # fmt: skip
    if channels:
        window = {"start": 0, "end": 255, "min": 0, "max": 255}
        omero = {"channels": [{"label": name, "color": "FFFFFF", "window": window} for name in channels]}
        attributes = group.attrs.asdict()
        group.attrs.update({"ome": attributes["ome"] | {"omero": omero}} if version == "0.5" else {"omero": omero})
    return Path(path)


def write_plate(path: str, version: str, wells: dict[str, int]) -> Path:
    """Write a plate with so many fields in each well."""
    fmt = FORMATS[version]
    root = zarr.open_group(path, mode="w", zarr_format=fmt.zarr_format)
    rows, columns = sorted({name.split("/")[0] for name in wells}), sorted({name.split("/")[1] for name in wells})
    write_plate_metadata(root, rows, columns, list(wells), fmt=fmt)
    for name, fields in wells.items():
        if fields:
            write_well_metadata(root.require_group(name), [str(i) for i in range(fields)], fmt=fmt)
        for i in range(fields):
            write(f"{path}/{name}/{i}", np.roll(squares((60, 90 + 2 * i)), i, 0), "yx", version)
    return Path(path)


def run(*arguments: str):
    return CliRunner().invoke(app, ["segment", *arguments, "--model", "model.blunet", "--out", "out"])


def test_an_image_keeps_its_axes_and_sizes(folder, version):
    stack = np.stack([squares(), squares() // 2 + 20, squares()])
    source = FrameSource.from_file(write("x.ome.zarr", stack, "tyx", version))
    assert (source.axes, source.count, source.shape, source.dtype) == ("TYX", 3, (60, 90), np.uint8)
    assert (source.pixel_size.y, source.pixel_size.x, source.pixel_size.unit) == (0.5, 0.25, "µm")
    assert source.interval == 120
    for found, wanted in zip(source.each(), stack, strict=True):
        assert np.array_equal(found, wanted)
    slices = FrameSource.from_file(write("z.zarr", stack, "zyx", version))
    assert (slices.axes, slices.spacing, slices.interval) == ("ZYX", 1.5, None)


def test_segmenting_gives_what_the_same_tiff_gives(folder, version):
    """Labels of an OME-Zarr equal those of its pixels in a TIFF; sizes and steps come through."""
    stack = np.stack([squares(), np.roll(squares(), 5, 0)])
    write("x.ome.zarr", stack, "tyx", version)
    tifffile.imwrite("y.tif", stack, imagej=True, metadata={"axes": "TYX"})
    result = run("x.ome.zarr", "y.tif", "--measure")
    assert (result.exit_code, result.stderr) == (0, "")
    assert np.array_equal(tifffile.imread("out/x_labels.tif"), tifffile.imread("out/y_labels.tif"))
    written = FrameSource.from_file("out/x_labels.tif")
    assert (written.axes, written.interval) == ("TYX", 120)
    assert (written.pixel_size.y, written.pixel_size.x) == pytest.approx((0.5, 0.25))


def test_the_channel_is_known_or_asked_for(folder, version):
    dark = np.full((60, 90), 7, np.uint8)
    write("x.zarr", np.stack([dark, squares(), dark]), "cyx", version, ("DAPI", "DIC N2", "GFP"))
    assert json.loads(run("x.zarr", "--json").stdout)["images"][0]["objects"] == 2
    for channel, objects in (("gfp", 0), ("1", 2), ("dic n2", 2), ("0", 0)):
        found = json.loads(run("x.zarr", "--json", "--channel", channel).stdout)
        assert found["images"][0]["objects"] == objects
    result = run("x.zarr", "--channel", "RFP")
    assert result.exit_code == 2
    assert "has no channel 'RFP'; its channels are: 0 DAPI, 1 DIC N2, 2 GFP" in result.stderr
    write("y.zarr", np.stack([dark, squares()]), "cyx", version)
    result = run("y.zarr")
    assert "has 2 channels, and it is not clear which is DIC: 0, 1; choose the channel" in result.stderr


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("DAPI", "DIC"), 1),
        (("Phase", "DIC-20x", "GFP"), 1),
        (("T-PMT", "EGFP"), 0),
        (("Transmitted light", "mCherry"), 0),
        (("Brightfield", "GFP"), 0),
        (("Ph2", "Phalloidin"), 0),
        (("DIC_20x", "Phase"), 0),
        (("EGFP", "ch1_DIC2"), 1),
        (("Brightfield", "TL DIC "), 1),
    ],
)
def test_transmitted_light_is_known_by_its_name(names, chosen):
    assert choose_channel(names, len(names), None, "x") == chosen


def test_what_a_killed_run_has_left_is_removed(folder):
    """Folders of processes that do not run any more; those of other labels and of a running process stay."""
    write("x.zarr", squares(), "yx")
    assert run("x.zarr", "--into", "cells").exit_code == 0
    labels = folder / "x.zarr" / "labels"
    gone = 2**22 + 1  # more than the system numbers processes
    for name in (f".cells.{gone}", f".cells.{gone}.earlier", f".other.{gone}", f".cells.{os.getppid()}"):
        shutil.copytree(labels / "cells", labels / name)
    assert run("x.zarr", "--into", "cells").exit_code == 0
    left = sorted(path.name for path in labels.iterdir() if path.is_dir())
    assert left == [f".cells.{os.getppid()}", f".other.{gone}", "cells"]


@pytest.mark.parametrize("names", [("DIC", "DIC 2"), ("predicted", "medic"), ("Ph1", "BF")])
def test_unclear_channels_are_asked_for(names):
    with pytest.raises(InputError, match="choose the channel"):
        choose_channel(names, len(names), None, "x")


def test_the_slice_is_asked_for(folder, version):
    blurred = squares() // 4 + 60
    image = np.stack([np.stack([blurred, squares(), blurred])] * 2)[:, None]
    write("x.zarr", image, "tczyx", version)
    result = run("x.zarr")
    assert result.exit_code == 2
    assert "has 2 frames of 3 slices; choose the slice (in a terminal: --z), or best-focus" in result.stderr
    for z, found in (("1", 4), ("best-focus", 4)):
        content = json.loads(run("x.zarr", "--z", z, "--json").stdout)
        assert content["images"][0]["objects"] == found
    assert "has no slice 3; it has 3" in run("x.zarr", "--z", "3").stderr
    assert "The slice is 'top'" in run("x.zarr", "--z", "top").stderr
    sharp = FrameSource.from_planes(open_image(Path("x.zarr")), PlaneChoice(z="best-focus"))
    assert np.array_equal(sharp.frame(1), squares())
    tifffile.imwrite("z.tif", image[0, 0], imagej=True, metadata={"axes": "ZYX"})
    assert json.loads(run("z.tif", "--z", "1", "--json").stdout)["images"][0]["objects"] == 2
    assert tifffile.imread("out/z_labels.tif").shape == (60, 90)


def test_a_plate_is_segmented_well_by_well(folder, version):
    """Every field of every well has results of its own; an empty well is listed, and the others go on."""
    write_plate("plate.zarr", version, {"A/1": 2, "A/2": 1, "B/1": 0})
    result = run("plate.zarr", "--summary", "images.csv", "--json")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert [Path(image["labels"]).name for image in content["images"]] == [
        "plate_A1_0_labels.tif", "plate_A1_1_labels.tif", "plate_A2_0_labels.tif"
    ]  # fmt: skip
    assert [Path(skipped["image"]).as_posix() for skipped in content["skipped"]] == ["plate.zarr/B/1"]
    assert len(Path("images.csv").read_text().splitlines()) == 5
    well, _ = open_images(Path("plate.zarr/A/1"))
    assert [image.stem for image in well] == ["plate_A1_0", "plate_A1_1"]
    with pytest.raises(InputError, match="holds 2 images; give one of them"):
        FrameSource.from_file("plate.zarr/A/1")


@pytest.mark.parametrize("axes", ["yx", "tcyx", "zyx"])
def test_labels_are_written_back(folder, version, axes):
    """The reference library finds the labels beside the image; they are those of the TIFF, at every level."""
    image = squares() if axes == "yx" else np.stack([squares(), np.roll(squares(), 4, 1)])
    write("x.zarr", image[:, None] if "c" in axes else image, axes, version)
    result = run("x.zarr", "--into", "cells")
    assert (result.exit_code, result.stderr) == (0, "")
    written = tifffile.imread("out/x_labels.tif")
    yaozarrs.validate_zarr_store("x.zarr")
    yaozarrs.validate_zarr_store("x.zarr/labels/cells")
    assert any("cells" in str(node.zarr) for node in Reader(parse_url("x.zarr/labels"))())
    group = zarr.open_group("x.zarr/labels/cells", mode="r")
    assert np.array_equal(np.squeeze(group["0"][:]), written)
    assert np.array_equal(np.squeeze(group["1"][:]), written[..., ::2, ::2])
    about = group.attrs.asdict()
    assert about["blunet"]["model"]["name"] == "bright"
    label = (about["ome"] if version == "0.5" else about)["image-label"]
    assert label["source"] == {"image": "../../"}
    count = written.max()
    assert [colour["label-value"] for colour in label["colors"]] == list(range(1, count + 1))
    assert [row["area_um2"] for row in label["properties"]] == [50.0] * count
    copy = open_image(Path("x.zarr"))
    assert copy.levels == 3


def test_labels_of_others_and_edited_ones_are_not_replaced(folder, version):
    write("x.zarr", squares(), "yx", version)
    assert run("x.zarr", "--into", "cells").exit_code == 0
    assert run("x.zarr", "--into", "cells").exit_code == 0  # our own are replaced
    array = zarr.open_group("x.zarr/labels/cells", mode="r+")["0"]
    array[0, 0] = 9
    result = run("x.zarr", "--into", "cells")
    assert "was edited and would be overwritten" in result.stderr
    assert array[0, 0] == 9
    shutil.copytree("x.zarr/0" if Path("x.zarr/0").exists() else "x.zarr/s0", "x.zarr/labels/hand")
    assert "was not made by BLU-Net" in run("x.zarr", "--into", "hand").stderr
    assert "cannot be the name of labels" in run("x.zarr", "--into", "../up").stderr
    result = run("a.tif", "--into", "cells")
    assert "is no OME-Zarr: its labels are not written into it" in result.stderr


def test_a_finished_plate_is_not_done_again(folder, version):
    write_plate("plate.zarr", version, {"A/1": 2, "A/2": 1})
    assert run("plate.zarr", "--into", "cells", "--measure").exit_code == 0
    assert "3 finished before" in run("plate.zarr", "--into", "cells", "--measure", "--resume").stdout
    shutil.rmtree("plate.zarr/A/2/0/labels")
    assert "2 finished before" in run("plate.zarr", "--into", "cells", "--measure", "--resume").stdout
    image = zarr.open_group("plate.zarr/A/1/1", mode="r+")
    finest = open_image(Path("plate.zarr/A/1/1")).array.basename
    image[finest][:5] = 0
    assert "2 finished before" in run("plate.zarr", "--into", "cells", "--resume").stdout


def test_bad_zarr_is_named(folder, version):
    fmt = FORMATS[version].zarr_format
    zarr.open_group("plain.zarr", mode="w", zarr_format=fmt).create_array("0", shape=(4, 4), dtype="u1")
    assert "'plain.zarr' is a Zarr without OME metadata" in run("plain.zarr").stderr
    array = zarr.create_array("array.zarr", shape=(4, 4), dtype="u1", zarr_format=fmt)
    array[:] = 1
    assert "'array.zarr' is a Zarr array without OME metadata" in run("array.zarr").stderr
    path = write("gone.zarr", squares(), "yx", version)
    shutil.rmtree(path / open_image(path).array.basename)
    assert "'gone.zarr'" in run("gone.zarr").stderr
    path = write("broken.zarr", squares(), "yx", version)
    files = (path / open_image(path).array.basename).rglob("[0-9]*")
    chunk = max((file for file in files if file.is_file()), key=lambda file: file.stat().st_size)
    chunk.write_bytes(b"\x00\x01")
    result = run("broken.zarr", "a.tif")
    assert result.exit_code == 1
    assert "'broken.zarr' cannot be read" in result.stderr
    assert Path("out/a_labels.tif").exists()
    metadata = path / ("zarr.json" if version == "0.5" else ".zattrs")
    metadata.write_text(metadata.read_text().replace('"yx"', "").replace('"multiscales"', '"multiscale"'))
    assert "without OME metadata" in run("broken.zarr").stderr
    metadata.write_text("{")
    assert "'broken.zarr' cannot be opened as Zarr" in run("broken.zarr").stderr


def test_a_folder_stands_for_its_zarr_images_too(folder, version):
    Path("all").mkdir()
    write("all/x.zarr", squares(), "yx", version)
    shutil.copy("a.tif", "all/a.tif")
    content = json.loads(run("all", "--json").stdout)
    assert [Path(image["image"]).name for image in content["images"]] == ["a.tif", "x.zarr"]
    assert len(json.loads(run("all/*.zarr", "--json").stdout)["images"]) == 1


def results(*arguments: str) -> list[str]:
    """Return the names of the labels of a run, and check that it went well."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return [Path(image["labels"]).name for image in json.loads(result.stdout)["images"]]


def test_a_time_lapse_of_zarr_files_takes_the_channel_and_slice_that_are_wanted(folder, version):
    dark = np.full((60, 90), 7, np.uint8)
    for name in ("t0.zarr", "t1.zarr"):
        write(name, np.stack([squares(), dark]), "cyx", version, ("DIC", "GFP"))
    run("t0.zarr", "t1.zarr", "--time-lapse", "--channel", "gfp")
    labels = tifffile.imread(f"out/{folder.name}_labels.tif")
    assert labels.shape == (2, 60, 90)
    assert not labels.any()
    result = run("t0.zarr", "t1.zarr", "--time-lapse", "--channel", "RFP")
    assert result.exit_code == 2
    assert "has no channel 'RFP'" in result.stderr
    result = run("t0.zarr", "t1.zarr", "--time-lapse", "--into", "cells")
    assert "is a time-lapse of several files: its labels are not written into these" in result.stderr
    write("s.zarr", np.stack([np.stack([dark, squares()])] * 2), "tzyx", version)
    assert results("s.zarr", "--time-lapse", "--z", "1", "--into", "cells") == ["s_labels.tif"]
    assert tifffile.imread("out/s_labels.tif").max() == 4
    assert zarr.open_group("s.zarr/labels/cells", mode="r")["0"].shape == (2, 1, 60, 90)


def test_a_channel_or_slice_that_a_tiff_has_not_is_said(folder):
    result = run("a.tif", "--channel", "DIC")
    assert result.exit_code == 2
    assert "'a.tif' has no channel 'DIC'; its channels are: 0" in result.stderr
    tifffile.imwrite("n.ome.tif", squares()[None], metadata={"axes": "CYX", "Channel": {"Name": ["DIC"]}})
    assert run("n.ome.tif", "--channel", "dic").exit_code == run("a.tif", "--channel", "0").exit_code == 0
    result = run("a.tif", "--z", "7")
    assert result.exit_code == 2
    assert "'a.tif' has no slice 7; it has 1, counted from 0" in result.stderr
    assert run("a.tif", "--z", "0").exit_code == run("a.tif", "--z", "best-focus").exit_code == 0
    tifffile.imwrite("t.tif", np.stack([squares()] * 3), imagej=True, metadata={"axes": "TYX"})
    assert "'t.tif' has no slice 1; it has 1" in run("t.tif", "--z", "1").stderr


def test_more_names_than_channels(folder, version):
    write("x.zarr", squares()[None], "cyx", version, ("GFP", "DIC"))
    result = run("x.zarr", "--channel", "DIC")
    assert "has no channel 'DIC'; its channels are: 0 GFP" in result.stderr


def test_wells_whose_names_could_be_mistaken(folder, version):
    """Row A, column 11 and row A1, column 1 have results of their own, also where one well or field is given."""
    write_plate("plate.zarr", version, {"A/11": 1, "A1/1": 1})
    assert results("plate.zarr/") == ["plate_A11_0_labels.tif", "plate_A1-1_0_labels.tif"]
    assert results("plate.zarr/*/*") == ["plate_A11_0_labels.tif", "plate_A1-1_0_labels.tif"]
    assert results("plate.zarr/A1/1/0") == ["plate_A1-1_0_labels.tif"]
    shutil.copytree("plate.zarr", "other.zarr")
    assert len(results("*.zarr/A/11/0", "a.tif")) == 3
    Path("second").mkdir()
    shutil.copytree("plate.zarr", "second/plate.zarr")
    result = run("plate.zarr", "second/plate.zarr")
    assert result.exit_code == 2
    assert "would both write" in result.stderr


def write_collection(path: str, version: str, images: tuple[str, ...], series: tuple[str, ...] = ()) -> None:
    """Write a collection as bioformats2raw does."""
    root = zarr.open_group(path, mode="w", zarr_format=FORMATS[version].zarr_format)

    def describe(group: zarr.Group, about: dict[str, object]) -> None:
        group.attrs.update(about if version == "0.4" else {"ome": {**about, "version": "0.5"}})

    describe(root, {"bioformats2raw.layout": 3})
    if series:
        describe(root.create_group("OME"), {"series": list(series)})
    for name in images:
        write(f"{path}/{name}", squares()[None, None, None], "tczyx", version)


def test_the_images_of_a_collection(folder, version):
    """They are those that the group OME lists, or else the numbered ones."""
    write_collection("c.zarr", version, ("0", "1", "10", "first", "\u00b2"), ("first", "0"))
    assert results("c.zarr") == ["c_first_labels.tif", "c_0_labels.tif"]
    shutil.rmtree("c.zarr/OME")
    assert results("c.zarr") == ["c_0_labels.tif", "c_1_labels.tif", "c_10_labels.tif"]
    assert results("c.zarr/0", "c.zarr/1") == ["c_0_labels.tif", "c_1_labels.tif"]
    write_collection("d.zarr", version, ("0",), ("0", "1"))
    result = run("d.zarr")
    assert result.exit_code == 1
    assert "There is no Zarr group 'd.zarr/1'" in result.stderr.replace("\\", "/")
    write_collection("e.zarr", version, (), ("0", "1"))
    assert "'e.zarr' holds no image that can be opened: There is no Zarr group" in run("e.zarr").stderr


@pytest.mark.parametrize("name", ["fields ü b#1%20 [x].ome.zarr", *["a::b.zarr"] * (os.name != "nt")])
def test_any_name_of_a_zarr(folder, version, name):
    write("x.zarr", squares(), "yx", version).rename(name)
    stem = name.removesuffix(".zarr").removesuffix(".ome")
    assert results(name, "--into", "cells") == [f"{stem}_labels.tif"]
    assert zarr.open_group(Path(name, "labels", "cells"), mode="r")["0"].shape == (60, 90)
    assert "1 finished before" in run(name, "--into", "cells", "--resume").stdout


def test_results_have_the_name_that_was_given_though_it_is_a_link(folder, version):
    write("x.zarr", squares(), "yx", version)
    Path("link.zarr").symlink_to("x.zarr", target_is_directory=True)
    assert results("link.zarr") == ["link_labels.tif"]


def test_results_are_not_put_into_a_zarr(folder, version):
    write_plate("plate.zarr", version, {"A/1": 1})
    for out in ("plate.zarr", "plate.zarr/A/1/0/new", "./plate.zarr/labels"):
        result = CliRunner().invoke(app, ["segment", "plate.zarr", "--model", "model.blunet", "--out", out])
        assert result.exit_code == 2
        assert f"The output folder '{Path(out)}' lies in the Zarr" in result.stderr
    assert not list(Path("plate.zarr").rglob("*.tif"))


def test_a_missing_array_is_named(folder, version):
    path = write("x.zarr", squares(), "yx", version)
    finest = open_image(path).array.basename
    shutil.rmtree(path / finest)
    result = run("x.zarr", "a.tif")
    assert result.exit_code == 1
    assert f"'x.zarr' has no array '{finest}', which its metadata name" in result.stderr


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_a_list_of_groups_without_the_new_labels_is_said(folder, version):
    """Programs that read consolidated metadata do not see the labels until it is made again."""
    write("x.zarr", squares(), "yx", version)
    zarr.consolidate_metadata("x.zarr")
    assert "lists what the Zarr held before, not the labels 'cells'" in run("x.zarr", "--into", "cells").stderr
    zarr.consolidate_metadata("x.zarr")
    assert run("x.zarr", "--into", "cells").stderr == ""
    assert "cannot be the name of labels" in run("x.zarr", "--into", "zarr.json").stderr


def test_images_without_metadata_of_display_open(folder, version):
    """The names of channels count; the window and colour that the rules ask for are for viewers."""
    write("x.zarr", np.stack([np.full((60, 90), 7, np.uint8), squares()]), "cyx", version)
    group = zarr.open_group("x.zarr", mode="r+")
    about = group.attrs.asdict()
    for channels, objects in (
        ([{"label": "GFP"}, {"label": "DIC"}], 2),
        ([{"label": "DIC", "color": "#FFFFFF", "window": {"start": 0, "end": 1}}, {}], 0),
        ([None, {"label": "DIC"}], 2),
    ):
        omero = {"omero": {"channels": channels}}
        group.attrs.update({"ome": about["ome"] | omero} if version == "0.5" else omero)
        assert json.loads(run("x.zarr", "--json").stdout)["images"][0]["objects"] == objects
    assert "The name of the channel is empty" in run("x.zarr", "--channel", " ").stderr
    multiscales = (about["ome"] if version == "0.5" else about)["multiscales"]
    del multiscales[0]["datasets"][0]["coordinateTransformations"]
    group.attrs.update({"ome": about["ome"]} if version == "0.5" else about)
    result = run("x.zarr")
    assert "'x.zarr' is no OME-Zarr of version 0.4 or 0.5: Field required ('" in result.stderr
    assert "multiscales.0.datasets.0.coordinateTransformations')" in result.stderr
    assert "[" not in result.stderr


def test_an_image_that_is_given_twice_is_segmented_once(folder, version):
    write_plate("plate.zarr", version, {"A/1": 2})
    field = (folder / "plate.zarr" / "A" / "1" / "1").resolve()
    assert results("plate.zarr", "plate.zarr/A/1", str(field)) == ["plate_A1_0_labels.tif", "plate_A1_1_labels.tif"]
