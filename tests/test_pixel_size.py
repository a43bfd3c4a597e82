"""The size of a pixel, from whatever files and layers say."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from bright_model import bright_model, squares

from blunet.images.frame_source import FrameSource
from blunet.images.image_writer import write_labels
from blunet.images.pixel_size import PixelSize, make_pixel_size, pixel_size_of_layer, spell_unit
from blunet.jobs.events import CancelToken, Segmented
from blunet.jobs.file_segmentation import segment_files
from blunet.jobs.label_saving import save_labels
from blunet.jobs.layer_opening import OpenSettings, open_layers
from blunet.jobs.layer_plan import plan_layers

OME = """<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image
 ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="90" SizeY="60" SizeC="1" SizeZ="1"
 SizeT="1" {sizes}><Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData/></Pixels></Image></OME>"""


def write_ome(path, y, x, **others):
    sizes = {"PhysicalSizeY": y, "PhysicalSizeX": x, **others}
    xml = OME.format(sizes=" ".join(f'{name}="{value}"' for name, value in sizes.items()))
    tifffile.imwrite(path, squares(), description=xml.encode(), metadata=None, photometric="minisblack")
    return path


SENSELESS = [
    "0",
    "-0.0",
    "NaN",
    "INF",
    "-INF",
    "-1.61736E9",
    "1e-30",
    "1e30",
    "",
    "abc",
    "0.5.1",
    "1,2,3",
    "1_0",
    "0.5 um",
]


@pytest.mark.parametrize("value", SENSELESS)
def test_a_size_that_is_none_is_not_used_and_the_image_is_segmented(tmp_path, value):
    file = write_ome(tmp_path / "x.ome.tif", value, value)
    assert FrameSource.from_file(file).pixel_size is None
    events = list(segment_files([file], tmp_path / "out", bright_model(), save_measurements=True))
    assert [event.objects for event in events if isinstance(event, Segmented)] == [2]
    assert "area_px2" in (tmp_path / "out" / "x_objects.csv").read_text().splitlines()[0]
    assert FrameSource.from_file(tmp_path / "out" / "x_labels.tif").pixel_size is None
    (layer,) = open_layers(plan_layers([file]), OpenSettings(), CancelToken())
    assert layer.to_layer()[1]["scale"] == [1, 1]


@pytest.mark.parametrize("one", SENSELESS)
def test_both_sides_of_a_pixel_have_to_make_sense(tmp_path, one):
    assert FrameSource.from_file(write_ome(tmp_path / "y.ome.tif", one, "0.5")).pixel_size is None
    assert FrameSource.from_file(write_ome(tmp_path / "x.ome.tif", "0.5", one)).pixel_size is None


def test_a_decimal_comma_is_read(tmp_path):
    file = write_ome(tmp_path / "x.ome.tif", "0,65", "0,325", TimeIncrement="2,5")
    assert FrameSource.from_file(file).pixel_size == PixelSize(0.65, 0.325, "µm")
    assert FrameSource.from_file(file).interval == 2.5


def test_each_axis_has_its_unit(tmp_path):
    file = write_ome(tmp_path / "x.ome.tif", "0.2", "100", PhysicalSizeXUnit="nm", PhysicalSizeYUnit="µm")
    assert FrameSource.from_file(file).pixel_size == PixelSize(200, 100, "nm")


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("micrometers", "µm"), ("Micrometre", "µm"), ("UM", "µm"), ("um/px", "µm"), ("µm / pixel", "µm"),
        ("Âµm", "µm"), ("nanometers", "nm"), ("Millimeter", "mm"), ("inches", "inch"), ("meters", "m"),
        ("angstroms", "Å"), ("å", "Å"), ("\\u00C5", "Å"), ("cm", "cm"), ("pm", "pm"),
        ("[um]", "µm"), ("(micron)", "µm"), ('"nm"', "nm"), ("um per pixel", "µm"), ("\\u00B5m", "µm"),
        ("furlong", None), ("s", None), ("degree", None), ("dimensionless", None), ("Pixels", None), ("µm/s", None),
    ],
)  # fmt: skip
def test_units_of_length_have_one_spelling_and_others_are_none(name, spelled):
    assert spell_unit(name) == spelled


@pytest.mark.parametrize("dots", [72, 96, 150, 300, 600, 1200, 2400, 4800])
@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER"])
@pytest.mark.parametrize("imagej", [False, True])
def test_print_resolutions_are_no_pixel_size(tmp_path, dots, unit, imagej):
    resolution = dots if unit == "INCH" else dots / 2.54
    options = {"metadata": {"unit": "inch" if unit == "INCH" else "cm"}} if imagej else {"resolutionunit": unit}
    tifffile.imwrite(tmp_path / "x.tif", squares(), resolution=(resolution, resolution), imagej=imagej, **options)
    assert FrameSource.from_file(tmp_path / "x.tif").pixel_size is None


def test_resolutions_of_microscopes_are_pixel_sizes(tmp_path):
    for pixels, size in ((1e5, 0.1), (1000, 10), (20_000, 0.5)):
        tifffile.imwrite(tmp_path / "x.tif", squares(), resolution=(pixels, pixels), resolutionunit="CENTIMETER")
        found = FrameSource.from_file(tmp_path / "x.tif").pixel_size
        assert (found.y, found.x, found.unit) == (pytest.approx(size), pytest.approx(size), "µm")


@pytest.mark.parametrize("resolution", [(2**32 - 1, 1), (0, 1), (1, 0), (0, 0)])
def test_a_resolution_that_is_infinite_or_none_is_no_pixel_size(tmp_path, resolution):
    tags = [(282, 5, 1, resolution, True), (283, 5, 1, resolution, True), (296, 3, 1, 3, True)]
    tifffile.imwrite(tmp_path / "x.tif", squares(), extratags=tags, metadata=None)
    assert FrameSource.from_file(tmp_path / "x.tif").pixel_size is None


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("finterval=500000\ntunit=\\u00B5s", 0.5),
        ("finterval=2\ntunit=min", 120),
        ("finterval=0.5\ntunit=day", 43_200),
        ("finterval=0", None),
        ("finterval=-3", None),
        ("finterval=nan", None),
        ("finterval=3\ntunit=px", None),
        ("fps=0.2", 5),
        ("slices=3\nspacing=-2", 2),
        ("slices=3\nspacing=0", None),
        ("slices=3\nspacing=2,5", 2.5),
    ],
)
def test_steps_of_imagej_stacks(tmp_path, text, step):
    description = f"ImageJ=1.53t\nimages=3\nunit=um\n{text}\n"
    options = {"resolution": (2, 2), "resolutionunit": 1, "metadata": None, "photometric": "minisblack"}
    with tifffile.TiffWriter(tmp_path / "x.tif") as tif:
        for t in range(3):
            tif.write(squares() + np.uint8(t), description=description if t == 0 else None, **options)
    source = FrameSource.from_file(tmp_path / "x.tif")
    assert (source.axes, source.step) == ("ZYX" if "slices" in text else "TYX", step)


def test_a_resolution_that_is_no_fraction_does_not_damage_the_image(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", squares(), extratags=[(282, "f", 1, 2e4, True), (283, "f", 1, 1e4, True)])
    np.testing.assert_array_equal(FrameSource.from_file(tmp_path / "x.tif").frame(), squares())


def test_files_in_different_units_give_tables_with_the_same_columns_and_values(tmp_path):
    spellings = {"um": 2.0, "micrometers": 2.0, "nm": 0.002, "mm": 2000.0, "cm": 20_000.0}
    for number, (unit, resolution) in enumerate(spellings.items()):
        tifffile.imwrite(
            tmp_path / f"{number}.tif", squares(), imagej=True, resolution=(resolution,) * 2, metadata={"unit": unit}
        )
    write_ome(tmp_path / "9.ome.tif", "500", "5000", PhysicalSizeYUnit="nm", PhysicalSizeXUnit="Å")
    list(segment_files([tmp_path], tmp_path / "out", bright_model(), save_measurements=True))
    tables = [np.genfromtxt(path, delimiter=",", names=True) for path in (tmp_path / "out").glob("*.csv")]
    assert len(tables) == 6
    assert len({table.dtype.names for table in tables}) == 1
    for table in tables:
        np.testing.assert_allclose(table["area_um2"], [100, 100], rtol=1e-5)
        np.testing.assert_allclose(table["centroid_y_um"], tables[0]["centroid_y_um"], rtol=1e-5)


UM = ("um", "um")


def turned(degrees):
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def affine(linear):
    matrix = np.eye(len(linear) + 1)
    matrix[:-1, :-1] = linear
    return matrix


@pytest.mark.parametrize(
    ("scale", "others", "size"),
    [
        ((-0.5, 0.25), {}, (0.5, 0.25)),
        ((1, 1), {"affine": affine(np.diag([0.5, 0.25]))}, (0.5, 0.25)),
        ((0.5, 0.25), {"affine": affine(np.diag([2.0, -2.0]))}, (1, 0.5)),
        ((0.5, 0.25), {"rotate": turned(30)}, (0.5, 0.25)),
        ((0.5, 0.25), {"rotate": turned(30), "shear": [0.0], "affine": affine(2 * turned(77))}, (1, 0.5)),
        ((1, 1), {"affine": affine(np.array([[0, 0.5], [0.25, 0]]))}, (0.25, 0.5)),
        ((1, 1), {"affine": affine(np.diag([0.0, 0.5]))}, None),
        ((0.5, 0.5), {"shear": [0.5]}, None),  # no rectangles
        ((0.5, 0.5), {"shear": np.array([[1, 0], [0.3, 1]])}, None),
        ((0.5, np.nan), {}, None),
    ],
)
def test_the_size_of_a_layers_pixels_is_that_of_its_steps_in_the_world(scale, others, size):
    found = pixel_size_of_layer(scale, UM, **others)
    assert (found is None) if size is None else (found.y, found.x) == pytest.approx(size)
    if not others:
        assert pixel_size_of_layer((300, *scale), ("s", *UM)) == found


def test_pixels_that_reach_into_time_have_no_size():
    slanted = np.eye(4)
    slanted[0, 1] = 0.5
    assert pixel_size_of_layer((1, 1, 1), ("s", *UM), affine=slanted) is None
    assert pixel_size_of_layer((1, 1, 1), ("um", *UM), affine=np.diag([2.0, 0.5, 0.5, 1])) == PixelSize(0.5, 0.5, "µm")


@pytest.mark.parametrize("unit", ["nm", "Å", "µm", "mm", "m", "inch"])
@pytest.mark.parametrize("largest", [9, 70_000])
def test_every_size_that_is_made_can_be_written_and_read_again(tmp_path, unit, largest):
    for micrometres in (1e-5, 0.325, 1.7):
        size = make_pixel_size(micrometres / 2, micrometres, "µm", unit)
        assert size is None or size.unit == unit
        size = make_pixel_size(0.5, 0.25, unit)
        if size is None:
            continue
        write_labels(tmp_path / "l.tif", np.full((5, 5), largest), pixel_size=size, description={})
        found = FrameSource.from_file(tmp_path / "l.tif").pixel_size
        assert (found.y, found.x, found.unit) == (pytest.approx(0.5), pytest.approx(0.25), unit)


@pytest.mark.parametrize("micrometres", [1e-6, 1e-4, 0.325, 1e3, 1e6])
def test_the_smallest_and_largest_sizes_are_written(tmp_path, micrometres):
    size = make_pixel_size(micrometres, micrometres, "um")
    write_labels(tmp_path / "l.tif", np.ones((5, 5), int), pixel_size=size, description={})
    assert FrameSource.from_file(tmp_path / "l.tif").pixel_size.in_micrometres.y == pytest.approx(micrometres, rel=1e-4)


def test_labels_of_a_mirrored_and_moved_layer_are_saved_with_its_pixel_size(tmp_path):
    attributes = {"scale": [-1.0, 1.0], "affine": np.diag([0.5, 0.25, 1]), "units": UM, "rotate": np.eye(2)}
    attributes |= {"shear": [0.0]}
    save_labels(tmp_path / "l.tif", np.ones((9, 9), int), attributes)
    assert FrameSource.from_file(tmp_path / "l.tif").pixel_size == PixelSize(0.5, 0.25, "µm")


class Levels(list):
    """Levels of a multiscale layer; as napari's, they have a type of values."""

    dtype = np.dtype(int)


@pytest.mark.parametrize("kind", [list, tuple, Levels])
def test_multiscale_labels_are_saved_at_full_resolution(tmp_path, kind):
    finest = np.arange(64).reshape(8, 8)
    save_labels(tmp_path / "l.tif", kind([finest, finest[::2, ::2], finest[::4, ::4]]), {})
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "l.tif"), finest)
