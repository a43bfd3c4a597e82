"""`blunet segment`: what it writes and prints."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from bright_model import BRIGHT, DARK, bright_model, put_model_and_image, squares
from PIL import Image
from typer.testing import CliRunner

from blunet.cli import app
from blunet.images.frame_source import FrameSource
from blunet.images.image_writer import read_description
from blunet.images.normalisation_settings import Normalisation
from blunet.jobs.events import Cancelled, CancelToken, FrameDone, Segmented
from blunet.jobs.file_segmentation import segment_files
from blunet.jobs.image_segmentation import Event
from blunet.jobs.layer_plan import MOST_LAYERS
from blunet.jobs.segmentation_inputs import find_inputs
from blunet.packed.model_card import ModelInfo
from blunet.segmentation.segmentation_settings import SegmentationSettings
from blunet.settings_model import facts_of


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, with a model and an image."""
    monkeypatch.chdir(tmp_path)
    return put_model_and_image(tmp_path)


def run(*arguments: str):
    return CliRunner().invoke(app, ["segment", *arguments, "--model", "model.blunet", "--out", "out"])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_labels_of_one_image(folder):
    result = run("a.tif")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "a.tif" in result.stdout
    assert "2 objects" in result.stdout
    assert names(folder / "out") == ["a_labels.tif"]
    labels = tifffile.imread("out/a_labels.tif")
    assert labels.dtype == np.uint16
    assert np.bincount(labels.ravel()).tolist() == [60 * 90 - 800, 400, 400]


def test_stdout_is_one_json_object(folder):
    tifffile.imwrite("flat.tif", np.full((30, 40), 7, np.uint8))
    result = run("a.tif", "flat.tif", "nowhere.tif", "--json")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert list(content) == ["images", "model", "skipped"]
    assert content["model"] == "model.blunet"
    first, second = content["images"]
    assert first.pop("seconds") > 0
    assert first == {
        "image": "a.tif",
        "labels": str(Path("out/a_labels.tif")),
        "objects": 2,
        "foreground": pytest.approx(809 / 5400),
    }
    assert (second["objects"], second["foreground"]) == (0, 0)
    assert [skipped["image"] for skipped in content["skipped"]] == ["nowhere.tif"]
    assert "nowhere.tif" in content["skipped"][0]["reason"]
    assert "flat.tif" in result.stderr
    assert "constant" in result.stderr


def test_probability_and_measurements_on_request(folder):
    assert run("a.tif", "--probability", "--measure").exit_code == 0
    assert names(folder / "out") == ["a_labels.tif", "a_objects.csv", "a_probability.tif"]
    found = tifffile.imread("out/a_probability.tif")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.where(squares() > 100, BRIGHT, DARK), atol=1e-5)
    with open("out/a_objects.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["area_px2"] for row in rows] == ["400", "400"]
    assert [float(row["mean_intensity"]) for row in rows] == [200, 200]


def test_options_reach_the_objects(folder):
    def objects(*options: str) -> int:
        return json.loads(run("a.tif", "--json", *options).stdout)["images"][0]["objects"]

    assert objects() == 2
    assert objects("--min-size", "9") == 3
    assert objects("--min-size", "401") == 0
    assert objects("--objects", "mask") == 1
    assert objects("--threshold", "0.9") == 0
    assert objects("--threshold", "0.1") == 1
    assert objects("--diameter", "40", "--objects", "components") == 2


def test_pixel_size_model_and_settings_stay_with_the_labels(folder):
    tifffile.imwrite("m.tif", squares(), imagej=True, resolution=(4, 2), metadata={"unit": "um", "axes": "YX"})
    assert run("m.tif", "--measure", "--threshold", "0.4").exit_code == 0
    written = FrameSource.from_file("out/m_labels.tif")
    assert (written.axes, written.pixel_size.unit) == ("YX", "µm")
    assert (written.pixel_size.y, written.pixel_size.x) == pytest.approx((0.5, 0.25))
    description = read_description("out/m_labels.tif")
    assert description["model"]["name"] == "bright"
    expected = {"threshold": 0.4, "splitting": 0.4, "min_size": 20, "objects": "watershed", "diameter": None}
    assert description["settings"] == expected
    assert Path("out/m_objects.csv").read_text().splitlines()[1].startswith("1,50,")


def test_a_stack(folder):
    moved = np.stack([squares(), np.zeros((60, 90), np.uint8), np.roll(squares(), 5, axis=1)])
    tifffile.imwrite("s.tif", moved, imagej=True, metadata={"axes": "TYX"})
    result = run("s.tif", "--json", "--measure", "--probability")
    assert result.exit_code == 0
    assert "frame 2 of 3: The image is constant" in result.stderr
    content = json.loads(result.stdout)["images"][0]
    assert content["objects"] == 4
    assert content["foreground"] == pytest.approx(2 / 3 * 809 / 5400)
    assert FrameSource.from_file("out/s_labels.tif").axes == "TYX"
    labels = tifffile.imread("out/s_labels.tif")
    assert np.array_equal(labels > 0, (moved > 100) & (labels > 0))
    assert [np.unique(frame).tolist() for frame in labels] == [[0, 1, 2], [0], [0, 3, 4]]
    assert np.array_equal(labels[2] - 2 * (labels[2] > 0), np.roll(labels[0], 5, axis=1))
    np.testing.assert_allclose(tifffile.imread("out/s_probability.tif"), np.where(moved > 100, BRIGHT, DARK), atol=1e-5)
    with open("out/s_objects.csv", newline="", encoding="utf-8") as file:
        assert [row["frame"] for row in csv.DictReader(file)] == ["0", "0", "2", "2"]


def test_files_folders_and_patterns(folder):
    plate = folder / "plate"
    plate.mkdir()
    (plate / "notes.txt").write_text("no image")
    for name in ("w2.tif", "w10.tif", "w1.png", "w1_labels.tif"):
        Image.fromarray(squares()).save(plate / name)
    result = run("plate", "a.tif", "plate/w*.tif", "--json")
    assert result.exit_code == 0
    listed = [Path(image["image"]).name for image in json.loads(result.stdout)["images"]]
    assert listed == ["w1.png", "w2.tif", "w10.tif", "a.tif"]
    assert names(folder / "out") == ["a_labels.tif", "w10_labels.tif", "w1_labels.tif", "w2_labels.tif"]


def test_an_image_of_a_few_pixels_and_a_constant_one_are_segmented(folder):
    tifffile.imwrite("tiny.tif", np.arange(15, dtype=np.uint8).reshape(3, 5))
    tifffile.imwrite("flat.tif", np.full((30, 40), 7, np.uint16))
    result = run("tiny.tif", "flat.tif")
    assert result.exit_code == 0
    assert tifffile.imread("out/tiny_labels.tif").shape == (3, 5)
    assert tifffile.imread("out/flat_labels.tif").shape == (30, 40)
    assert result.stderr.count("Warning: 'flat.tif': The image is constant") == 1


def test_an_older_result_is_replaced(folder):
    assert run("a.tif", "--objects", "mask").exit_code == 0
    assert tifffile.imread("out/a_labels.tif").max() == 1
    assert run("a.tif").exit_code == 0
    assert tifffile.imread("out/a_labels.tif").max() == 2


def test_a_cancelled_job_leaves_only_complete_files(folder):
    tifffile.imwrite("z.tif", np.stack([squares()] * 5), imagej=True, metadata={"axes": "TYX"})
    cancel = CancelToken()
    seen: list[Event] = []

    def follow() -> None:
        for event in segment_files(["a.tif", "z.tif"], "out", bright_model(), cancel=cancel):
            seen.append(event)
            if isinstance(event, FrameDone) and event.frame == 2:
                cancel.cancel()

    with pytest.raises(Cancelled):
        follow()
    assert [event.image.name for event in seen if isinstance(event, Segmented)] == ["a.tif"]
    assert names(folder / "out") == ["a_labels.tif"]


def test_labels_of_another_program_are_not_overwritten(folder):
    (folder / "out").mkdir()
    theirs = folder / "out" / "a_labels.tif"
    tifffile.imwrite(theirs, np.ones((4, 4), np.uint8))
    before = theirs.read_bytes()
    result = run("a.tif")
    assert result.exit_code == 2
    assert "was not made by BLU-Net" in result.stderr
    assert theirs.read_bytes() == before


def test_images_of_a_folder_as_one_time_lapse(folder):
    bright_model(ModelInfo(normalisation=Normalisation(method="percentile", low=0, high=100))).save("model.blunet")
    plate = folder / "plate"
    plate.mkdir()
    stack = np.stack([np.roll(squares(), 2 * t, axis=1) // (1 + t % 2) for t in range(11)])
    for t, frame in enumerate(stack):
        tifffile.imwrite(plate / f"t{t}.tif", frame)
    tifffile.imwrite("stack.tif", stack, imagej=True, metadata={"axes": "TYX"})
    result = run("plate", "--time-lapse", "--measure", "--json")
    assert result.exit_code == 0
    (image,) = json.loads(result.stdout)["images"]
    assert (image["image"], image["objects"]) == ("plate", 12)  # half of the frames are too dark for the shared limits
    assert run("stack.tif", "--measure").exit_code == 0
    np.testing.assert_array_equal(tifffile.imread("out/plate_labels.tif"), tifffile.imread("out/stack_labels.tif"))
    assert Path("out/plate_objects.csv").read_text() == Path("out/stack_objects.csv").read_text()
    tifffile.imwrite(plate / "t11.tif", squares()[:50])
    result = run("plate", "--time-lapse", "--json")
    assert result.exit_code == 1
    (skipped,) = json.loads(result.stdout)["skipped"]
    assert skipped["image"] == str(Path("plate", "t11.tif"))
    assert "'t11.tif' (90 × 50 uint8)" in skipped["reason"]
    Path("bad.tif").write_bytes(b"no image")
    result = run("plate", "nowhere.tif", "bad.tif", "--time-lapse", "--json")
    assert result.exit_code == 1
    skipped = [each["image"] for each in json.loads(result.stdout)["skipped"]]
    assert skipped == ["nowhere.tif", "bad.tif", str(Path("plate", "t11.tif"))]
    tifffile.imwrite(plate / "plate_labels.tif", squares())
    (folder / "plate" / "plate_labels.tif").rename(folder / "out" / "plate_labels.tif")
    assert "was not made by BLU-Net" in run("plate", "--time-lapse").stderr


def test_any_number_of_time_lapses_is_segmented_with_the_images_of_one(folder):
    for i in range(MOST_LAYERS + 1):
        tifffile.imwrite(f"stack{i}.tif", np.zeros((2, 8, 8), np.uint8), imagej=True, metadata={"axes": "TYX"})
    inputs, skipped = find_inputs(["stack*.tif"], time_lapse=True)
    assert (len(inputs), skipped) == (MOST_LAYERS + 1, [])


def test_labels_above_65535_are_written_as_uint32(folder):
    dots = np.kron(np.indices((150, 150)).sum(axis=0) % 2, np.ones((2, 2), int)).astype(np.uint8) * 160 + 40
    dots[:4, :200] += (np.arange(200) % 8).astype(np.uint8)
    tifffile.imwrite("dots.tif", np.stack([dots] * 7), imagej=True, metadata={"axes": "TYX"})
    result = run("dots.tif", "--objects", "components", "--min-size", "1", "--measure", "--json")
    objects = json.loads(result.stdout)["images"][0]["objects"]
    labels = tifffile.imread("out/dots_labels.tif")
    assert objects == 7 * 150 * 150 // 2 > 65_535
    assert (labels.dtype, labels.max()) == (np.uint32, objects)
    assert FrameSource.from_file("out/dots_labels.tif").axes == "TYX"
    with open("out/dots_objects.csv", newline="", encoding="utf-8") as file:
        assert [int(row["label"]) for row in csv.DictReader(file)] == list(range(1, objects + 1))


def test_each_label_of_a_stack_is_one_row_of_the_table(folder):
    tifffile.imwrite("s.tif", np.stack([squares(), squares()[::-1]]), imagej=True, metadata={"axes": "TYX"})
    assert run("s.tif", "--measure").exit_code == 0
    labels = tifffile.imread("out/s_labels.tif")
    with open("out/s_objects.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["1", "2", "3", "4"]
    for row in rows:
        place = int(row["frame"]), round(float(row["centroid_y_px"])), round(float(row["centroid_x_px"]))
        assert labels[place] == int(row["label"])


def test_an_image_unlike_the_training_images_gives_a_warning(folder):
    tifffile.imwrite("dark.tif", squares().astype(np.uint16))
    result = run("dark.tif", "--json")
    assert result.exit_code == 0
    assert "Warning: 'dark.tif': The image has grey values from 40 to 200" in result.stderr
    assert "Warning" not in run("a.tif").stderr


def test_help_is_the_description_of_the_settings():
    shown = " ".join(CliRunner().invoke(app, ["segment", "--help"]).stdout.split())
    for name in SegmentationSettings.model_fields:
        assert facts_of(SegmentationSettings, name).help in shown
    assert "[default: 20]" in shown
    scored = " ".join(CliRunner().invoke(app, ["evaluate", "--help"]).stdout.split())
    assert facts_of(SegmentationSettings, "diameter").help in scored
