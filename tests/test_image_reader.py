"""Reading files as grey frames."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource, read_image
from blunet.images.image_reader import to_grey

RANDOM = np.random.default_rng(0)
TYPES = ["bool", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "f2", "f4", "f8"]


def values_of(dtype, shape):
    values = RANDOM.integers(-90, 90, shape)
    return (values > 0) if dtype == "bool" else values.astype(dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (40, 33)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_keeps_values_and_type(tmp_path, dtype, shape, order):
    values = values_of(dtype, shape)
    tifffile.imwrite(tmp_path / "a.b.TIF", values, byteorder=order, photometric="minisblack")
    file = FrameSource.from_file(tmp_path / "a.b.TIF")
    assert (file.axes, file.array_shape, file.count, file.dtype) == ("YX", shape, 1, np.dtype(dtype))
    assert file.dtype.isnative
    frame = file.frame()
    assert frame.dtype == file.dtype
    assert frame.dtype.isnative
    np.testing.assert_array_equal(frame, values)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_compressed_tiff(tmp_path, compression, tile):
    values = values_of("u2", (3, 40, 33))
    tifffile.imwrite(
        tmp_path / "c.tif",
        values,
        compression=compression,
        tile=tile,
        photometric="minisblack",
        predictor=True if compression != "packbits" else None,
    )
    file = FrameSource.from_file(tmp_path / "c.tif")
    np.testing.assert_array_equal(np.stack(list(file.each())), values)


WAYS = {
    "plain": {"photometric": "minisblack"},
    "big-endian BigTIFF": {"photometric": "minisblack", "byteorder": ">", "bigtiff": True},
    "ImageJ T": {"imagej": True, "metadata": {"axes": "TYX"}},
    "ImageJ Z": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "ImageJ one page": {"imagej": True, "metadata": {"axes": "TYX"}, "truncate": True},
    "OME T": {"ome": True, "metadata": {"axes": "TYX"}},
    "OME Z zlib": {"ome": True, "metadata": {"axes": "ZYX"}, "compression": "zlib"},
    "volume": {"photometric": "minisblack", "volumetric": True, "tile": (16, 16, 16)},
}


@pytest.mark.parametrize("way", WAYS)
def test_stacks_are_read_frame_by_frame(tmp_path, way):
    stack = values_of("u2", (6, 40, 32))
    options = dict(WAYS[way])
    if options.pop("truncate", False):  # as ImageJ writes stacks: one page, the frames behind each other
        with tifffile.TiffWriter(tmp_path / "s.tif", imagej=True) as tif:
            tif.write(stack, truncate=True, metadata=options["metadata"])
    else:
        tifffile.imwrite(tmp_path / "s.tif", stack, **options)
    file = FrameSource.from_file(tmp_path / "s.tif")
    axes = "ZYX" if " Z" in way or way == "volume" else "TYX"
    assert (file.axes, file.array_shape, file.count, file.dtype) == (axes, (6, 40, 32), 6, np.uint16)
    np.testing.assert_array_equal(file.frame(4), stack[4])
    np.testing.assert_array_equal(np.stack(list(file.each())), stack)
    np.testing.assert_array_equal(np.stack(list(file.each(file.sample(3)))), stack[[0, 2, 5]])
    assert file.sample(100) == list(range(6))
    with pytest.raises(InputError, match="stack of 6 frames"):
        read_image(tmp_path / "s.tif")
    with pytest.raises(InputError, match="no frame 6"):
        file.frame(6)


def test_many_channels_are_taken_as_frames(tmp_path):
    stack = values_of("u2", (9, 8, 7))
    tifffile.imwrite(tmp_path / "s.tif", stack, imagej=True)
    assert FrameSource.from_file(tmp_path / "s.tif").axes == "TYX"
    np.testing.assert_array_equal(FrameSource.from_file(tmp_path / "s.tif").frame(8), stack[8])


def test_axes_of_length_one_are_dropped(tmp_path):
    values = values_of("u2", (40, 32))
    tifffile.imwrite(tmp_path / "t.tif", values[None, None, None], imagej=True, metadata={"axes": "TZCYX"})
    np.testing.assert_array_equal(read_image(tmp_path / "t.tif"), values)


def test_frames_of_one_column_are_a_stack(tmp_path):
    stack = values_of("u2", (4, 5, 1))
    tifffile.imwrite(tmp_path / "s.tif", stack, metadata={"axes": "TYX"}, photometric="minisblack")
    file = FrameSource.from_file(tmp_path / "s.tif")
    assert (file.axes, file.array_shape) == ("TYX", (4, 5, 1))
    np.testing.assert_array_equal(file.frame(2), stack[2])


@pytest.mark.parametrize(
    ("shape", "options", "said"),
    [
        (
            (2, 3, 2, 8, 9),
            {"ome": True, "metadata": {"axes": "TZCYX"}},
            "2 channels, and it is not clear which is DIC",
        ),
        ((2, 8, 9), {"imagej": True, "metadata": {"axes": "CYX"}}, "2 channels, and it is not clear which is DIC"),
        ((2, 3, 8, 9), {"photometric": "minisblack"}, r"\(2, 3, 8, 9\)"),
        ((8, 9, 6), {"photometric": "minisblack", "planarconfig": "contig"}, "6 channels"),
        ((8, 9, 2), {"photometric": "minisblack", "planarconfig": "contig"}, "2 channels"),
    ],
)
def test_more_dimensions_are_refused(tmp_path, shape, options, said):
    tifffile.imwrite(tmp_path / "m.tif", values_of("u2", shape), **options)
    with pytest.raises(InputError, match=said) as error:
        FrameSource.from_file(tmp_path / "m.tif")
    assert "export one" in str(error.value)


def test_several_series_are_refused_but_a_thumbnail_is_not(tmp_path):
    values = values_of("u2", (40, 32))
    for name, second in (("thumbnail.tif", values[::4, ::4]), ("positions.tif", values)):
        with tifffile.TiffWriter(tmp_path / name, ome=name == "positions.tif") as tif:
            tif.write(values, photometric="minisblack")
            tif.write(second, photometric="minisblack")
    np.testing.assert_array_equal(read_image(tmp_path / "thumbnail.tif"), values)
    with pytest.raises(InputError, match="2 image series"):
        FrameSource.from_file(tmp_path / "positions.tif")


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("samples", [3, 4])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("frames", [1, 3])
def test_colour_becomes_grey_of_the_same_type(tmp_path, dtype, samples, planar, frames):
    top = np.iinfo(dtype).max
    stack = RANDOM.integers(0, top, (frames, 20, 30, samples), dtype, endpoint=True)
    stack[:, :5, :5, :3] = stack[:, :5, :5, :1]
    written = np.moveaxis(stack, -1, 1) if planar == "separate" else stack
    tifffile.imwrite(tmp_path / "c.tif", written, photometric="rgb", planarconfig=planar)
    file = FrameSource.from_file(tmp_path / "c.tif")
    assert file.array_shape == ((3, 20, 30) if frames == 3 else (20, 30))
    for frame, colours in zip(file.each(), stack, strict=True):
        assert frame.dtype == np.dtype(dtype)
        expected = 0.299 * colours[..., 0] + 0.587 * colours[..., 1] + 0.114 * colours[..., 2]
        np.testing.assert_allclose(frame, expected, atol=0.5001)
        np.testing.assert_array_equal(frame[:5, :5], colours[:5, :5, 0])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("ending", ["png", "PNG", "tif"])
def test_8_bit_files_of_any_mode(tmp_path, mode, ending):
    if mode == "P" and ending == "tif":
        pytest.skip("a TIFF's palette is a display setting: its indices are the values")
    colours = Image.fromarray(RANDOM.integers(0, 255, (20, 30, 3), np.uint8))
    written = colours.quantize(16) if mode == "P" else colours.convert(mode)
    written.save(tmp_path / f"x.{ending}")
    grey = read_image(tmp_path / f"x.{ending}")
    assert grey.dtype == (np.bool_ if mode == "1" else np.uint8)
    expected = np.asarray(written.convert("1" if mode == "1" else "L"))
    np.testing.assert_allclose(grey.astype(int), expected.astype(int), atol=1)


def test_16_bit_png_stays_16_bit(tmp_path):
    import imagecodecs

    grey = RANDOM.integers(0, 65535, (20, 30), np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    colours = RANDOM.integers(0, 65535, (20, 30, 4), np.uint16)
    (tmp_path / "colour.png").write_bytes(imagecodecs.png_encode(colours))
    file = FrameSource.from_file(tmp_path / "grey.png")
    assert (file.axes, file.shape, file.dtype) == ("YX", (20, 30), np.uint16)
    np.testing.assert_array_equal(file.frame(), grey)
    assert FrameSource.from_file(tmp_path / "colour.png").dtype == np.uint16
    np.testing.assert_array_equal(read_image(tmp_path / "colour.png"), to_grey(colours))


def test_jpeg(tmp_path):
    smooth = np.add.outer(np.arange(40), np.arange(60)).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "x.JPEG", quality=95)
    Image.fromarray(smooth).convert("RGB").save(tmp_path / "rgb.jpg", quality=95)
    Image.fromarray(smooth).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    for name in ("x.JPEG", "rgb.jpg", "cmyk.jpg"):
        grey = read_image(tmp_path / name)
        assert grey.dtype == np.uint8
        np.testing.assert_allclose(grey.astype(int), smooth, atol=4)


def test_the_format_is_recognised_from_the_content(tmp_path):
    values = values_of("u1", (8, 9))
    Image.fromarray(values).save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / "zélle é.tif")
    np.testing.assert_array_equal(read_image(str(tmp_path / "zélle é.tif")), values)


@pytest.mark.parametrize(
    ("options", "size", "unit"),
    [
        ({"imagej": True, "resolution": (10, 5), "metadata": {"unit": "micron"}}, (0.2, 0.1), "µm"),
        ({"imagej": True, "resolution": (10, 5), "metadata": {"unit": "um"}}, (0.2, 0.1), "µm"),
        ({"imagej": True, "resolution": (10, 5), "metadata": {"unit": "\\u00B5m"}}, (0.2, 0.1), "µm"),
        ({"imagej": True, "resolution": (10, 5), "metadata": {"unit": "nm"}}, (0.2, 0.1), "nm"),
        ({"imagej": True, "resolution": (1, 1), "metadata": {"unit": "pixel"}}, None, None),
        ({"imagej": True}, None, None),
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2}}, (0.2, 0.1), "µm"),
        (
            {
                "ome": True,
                "metadata": {
                    "PhysicalSizeX": 100,
                    "PhysicalSizeXUnit": "nm",
                    "PhysicalSizeY": 0.2,
                    "PhysicalSizeYUnit": "µm",
                },
            },
            (200, 100),
            "nm",
        ),
        ({"ome": True}, None, None),
        ({"resolution": (1e5, 5e4), "resolutionunit": "CENTIMETER"}, (0.2, 0.1), "µm"),
        ({"resolution": (254000, 254000), "resolutionunit": "INCH"}, (0.1, 0.1), "µm"),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None, None),
        ({"resolution": (10, 5)}, None, None),
        ({}, None, None),
    ],
)
def test_pixel_size(tmp_path, options, size, unit):
    tifffile.imwrite(tmp_path / "x.tif", values_of("u2", (8, 9)), photometric="minisblack", **options)
    found = FrameSource.from_file(tmp_path / "x.tif").pixel_size
    if size is None:
        assert found is None
    else:
        assert (found.y, found.x) == pytest.approx(size)
        assert found.unit == unit


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    ("share", "frames"), [(0.001, 1), (0.02, 1), (0.3, 1), (0.6, 1), (0.02, 6), (0.3, 6), (0.6, 6), (0.97, 6)]
)
@pytest.mark.parametrize("way", ["plain", "ImageJ T", "OME T", "OME Z zlib", "volume"])
def test_a_cut_off_tiff_is_an_error(tmp_path, share, frames, way):
    path = tmp_path / "cut.tif"
    values = RANDOM.integers(0, 60000, (frames, 48, 48), np.uint16)
    tifffile.imwrite(path, values, **WAYS[way])
    cut(path, share)
    with pytest.raises(InputError, match=r"cut\.tif"):
        list(FrameSource.from_file(path).each())


@pytest.mark.parametrize("share", [0.1, 0.6])
@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
def test_a_cut_off_png_or_jpeg_is_an_error(tmp_path, share, name):
    path = tmp_path / name
    Image.fromarray(RANDOM.integers(0, 255, (64, 64), np.uint8)).save(path)
    cut(path, share)
    with pytest.raises(InputError, match=name):
        read_image(path)


def zeros_after_header():
    file = io.BytesIO()
    tifffile.imwrite(file, np.ones((20, 20), np.uint16))
    return file.getvalue()[:8] + bytes(1000)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"These are my notes.\nDay two.", "These are my no"),
        (b"", "empty"),
        (bytes(500), "no TIFF, PNG or JPEG"),
        (zeros_after_header(), "cut off|damaged"),
        (b"II*\0\x08\0\0\0" + b"\xff" * 300, "cut off|damaged|cannot be read"),
        (b"\x89PNG\r\n\x1a\n" + b"\xff" * 300, "cannot be read|damaged"),
        (b"\xff\xd8\xff" + b"\xff" * 300, "cannot be read|damaged"),
    ],
)
def test_files_that_are_no_images_are_refused_in_one_sentence(tmp_path, content, said):
    path = tmp_path / "x.tif"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as error:
        read_image(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(InputError, match="no file"):
        FrameSource.from_file(tmp_path / "nowhere.tif")
    with pytest.raises(InputError, match="is a folder"):
        FrameSource.from_file(tmp_path)
    tifffile.imwrite(tmp_path / "complex.tif", np.zeros((4, 4), np.complex64))
    with pytest.raises(InputError, match="complex64"):
        FrameSource.from_file(tmp_path / "complex.tif")


def test_the_shared_images(shared_data):
    file = FrameSource.from_file(shared_data / "dic-adherent" / "images" / "dic02_left.tif")
    assert (file.axes, file.shape, file.dtype) == ("YX", (1024, 832), np.uint16)
    assert file.frame().max() > 255


def test_a_tiff_whose_zero_is_white_is_inverted(tmp_path):
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    tifffile.imwrite(tmp_path / "white.tif", 255 - image, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "white.tif"), image)


def test_a_sound_image_with_damaged_metadata_is_read(tmp_path):
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    path = tmp_path / "sound.ome.tif"
    tifffile.imwrite(path, image, metadata={"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "pixel", "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm"})  # fmt: skip  # noqa: E501
    np.testing.assert_array_equal(read_image(path), image)
    assert FrameSource.from_file(path).pixel_size is None
