"""Measurements of objects, compared with scikit-image's and with known shapes."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from skimage.draw import ellipse
from skimage.measure import regionprops_table

from blunet.errors import InputError
from blunet.images.pixel_size import PixelSize, pixel_size_of_layer
from blunet.segmentation import measurements
from blunet.segmentation.measurements import measure, write_measurements
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings


@pytest.fixture(scope="module")
def field():
    return simulate_dic(seed=2)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 0.25)])
def test_agrees_with_scikit_image(field, spacing):
    table = measure(field.labels, field.image, pixel_size=PixelSize(*spacing, "µm"))
    properties = ["label", "area", "centroid", "axis_major_length", "axis_minor_length", "orientation"]
    properties += ["bbox", "eccentricity", "equivalent_diameter_area"]
    properties += ["intensity_mean", "intensity_min", "intensity_max"]
    theirs = regionprops_table(field.labels, field.image, properties, spacing=spacing)
    names = {
        "label": "label",
        "area": "area_um2",
        "centroid-0": "centroid_y_um",
        "centroid-1": "centroid_x_um",
        "axis_major_length": "major_axis_um",
        "axis_minor_length": "minor_axis_um",
        "eccentricity": "eccentricity",
        "equivalent_diameter_area": "equivalent_diameter_um",
        "intensity_mean": "mean_intensity",
        "intensity_min": "min_intensity",
        "intensity_max": "max_intensity",
        "bbox-0": "bbox_top_px",
        "bbox-1": "bbox_left_px",
        "bbox-2": "bbox_bottom_px",
        "bbox-3": "bbox_right_px",
    }
    assert len(table["label"]) > 20
    for name, values in theirs.items():
        if name != "orientation":
            np.testing.assert_allclose(table[names[name]], values, rtol=1e-6, atol=1e-6, err_msg=name)
    turned = np.degrees(theirs["orientation"]) + 90 - table["orientation_deg"]
    assert np.abs((turned + 90) % 180 - 90).max() < 1e-4


@pytest.mark.parametrize("degrees", [0, 30, 80, -45])
def test_an_ellipse_has_the_axes_and_orientation_it_was_drawn_with(degrees):
    labels = np.zeros((200, 200), np.int32)
    # skimage turns counter-clockwise as seen, from the x axis for radii (y, x)
    labels[ellipse(100, 90, 20, 60, shape=labels.shape, rotation=np.radians(degrees))] = 4
    table = measure(labels)
    assert table["label"].tolist() == [4]
    assert table["major_axis_px"][0] == pytest.approx(120, rel=0.02)
    assert table["minor_axis_px"][0] == pytest.approx(40, rel=0.02)
    assert table["orientation_deg"][0] == pytest.approx(degrees, abs=1)
    assert (table["centroid_y_px"][0], table["centroid_x_px"][0]) == pytest.approx((100, 90), abs=0.1)
    assert table["area_px2"][0] == np.count_nonzero(labels)


def test_units_are_in_the_names_and_the_values():
    labels = np.zeros((10, 10), np.int32)
    labels[2:6, 3:9] = 1
    pixels, micrometres = measure(labels), measure(labels, pixel_size=PixelSize(0.5, 0.5, "µm"))
    assert "area_px2" in pixels
    assert micrometres["area_um2"][0] == pixels["area_px2"][0] / 4 == 6
    assert micrometres["centroid_x_um"][0] == 0.5 * pixels["centroid_x_px"][0] == 0.5 * 5.5
    assert micrometres["bbox_left_px"][0] == 3
    without_unit = pixel_size_of_layer((0.5, 0.5), None)  # a size without a unit says nothing
    assert "area_px2" in measure(labels, pixel_size=without_unit)
    assert all(name.isascii() for name in micrometres)


def test_columns_of_intensity_and_frame_are_optional():
    labels = np.array([[1, 1, 0], [0, 0, 7]])
    assert not any("intensity" in name or name == "frame" for name in measure(labels))
    table = measure(labels, np.array([[3, 5, 9], [9, 9, 250]], np.uint8), frame=4)
    assert table["mean_intensity"].tolist() == [4, 250]
    assert (table["min_intensity"].tolist(), table["max_intensity"].tolist()) == ([3, 250], [5, 250])
    assert table["frame"].tolist() == [4, 4]
    assert table["label"].tolist() == [1, 7]


def test_one_pixel_and_no_pixel():
    alone = measure(np.array([[0, 0], [0, 3]]), np.ones((2, 2)))
    names = ("area_px2", "major_axis_px", "minor_axis_px", "eccentricity", "centroid_y_px")
    assert [alone[name].tolist() for name in names] == [[1], [0], [0], [0], [1]]
    empty = measure(np.zeros((4, 4), np.int32), np.ones((4, 4)))
    assert list(empty) == list(alone)
    assert all(values.size == 0 for values in empty.values())


def test_seventy_thousand_objects():
    numbers = np.arange(1, 265**2 + 1).reshape(265, 265)
    labels = np.kron(numbers, np.pad(np.ones((2, 3), int), ((0, 1), (0, 1))))
    table = measure(labels, labels)
    assert np.array_equal(table["label"], numbers.ravel())
    assert (table["area_px2"] == 6).all()
    assert np.array_equal(table["mean_intensity"], numbers.ravel())


def test_an_image_of_another_size_is_refused():
    with pytest.raises(InputError, match=r"\(3, 3\).*\(2, 2\)"):
        measure(np.zeros((2, 2), int), np.zeros((3, 3)))


def test_tables_of_frames_are_written_to_one_file(tmp_path, field):
    tables = [measure(field.labels, field.image, frame=t) for t in (0, 1)]
    tables.insert(1, measure(np.zeros_like(field.labels), field.image, frame=9))
    write_measurements(tmp_path / "a.csv", tables)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    count = len(tables[0]["label"])
    assert [row["frame"] for row in rows] == ["0"] * count + ["1"] * count
    assert [int(row["label"]) for row in rows[:count]] == tables[0]["label"].tolist()
    written = [float(row["mean_intensity"]) for row in rows[count:]]
    np.testing.assert_allclose(written, tables[2]["mean_intensity"], rtol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_file_without_objects_has_a_header(tmp_path):
    write_measurements(tmp_path / "a.csv", [measure(np.zeros((4, 4), np.int32))])
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("label,area_px2,")


def test_a_table_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        write_measurements(tmp_path / "nowhere" / "a.csv", [measure(np.ones((4, 4), np.int32))])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, bool])
def test_windows_give_the_same_table(dtype, monkeypatch):
    """Objects that lie in several windows are measured as in one; numbers with gaps keep their rows."""
    rng = np.random.default_rng(0)
    labels = simulate_dic(DicSettings(shape=(200, 150), object_diameter=30), 1).labels * 3
    image = (rng.normal(0, 50, labels.shape) if dtype is not bool else rng.random(labels.shape) > 0.5).astype(dtype)
    whole = measure(labels, image, pixel_size=PixelSize(0.5, 0.25, "µm"))
    monkeypatch.setattr(measurements, "WINDOW", (7, 60))
    banded = measure(labels, image, pixel_size=PixelSize(0.5, 0.25, "µm"))
    assert list(banded) == list(whole)
    assert len(whole["label"]) > 10
    for name, column in whole.items():
        assert banded[name].dtype == column.dtype
        np.testing.assert_allclose(banded[name], column, rtol=1e-9, atol=1e-9)
