"""Which pages of a TIFF are frames, whatever its metadata say."""

from __future__ import annotations

import os
from uuid import UUID

import numpy as np
import pytest
import tifffile
from bright_model import bright_model, squares

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource, read_image
from blunet.images.image_files import find_images
from blunet.images.pixel_size import PixelSize
from blunet.jobs.events import CancelToken, Segmented, Skipped
from blunet.jobs.file_segmentation import segment_files
from blunet.jobs.label_saving import save_labels
from blunet.jobs.layer_opening import OpenSettings, open_layers
from blunet.jobs.layer_plan import plan_layers

RANDOM = np.random.default_rng(0)
PAGES = RANDOM.integers(0, 255, (12, 24, 32), np.uint8)

IMAGE = """<Image ID="Image:{n}"><Pixels ID="Pixels:{n}" DimensionOrder="XYCZT" Type="uint8" SizeX="{x}" SizeY="{y}"
 SizeC="{c}" SizeZ="{z}" SizeT="{t}" PhysicalSizeX="0.5" PhysicalSizeY="0.5" PhysicalSizeZ="2"
 TimeIncrement="30">{channels}{blocks}</Pixels></Image>"""
BLOCK = """<TiffData FirstC="{c}" FirstZ="{z}" FirstT="{t}" IFD="{ifd}" PlaneCount="1"><UUID
 FileName="{name}">urn:uuid:{uuid}</UUID></TiffData>"""


def write_set(folder, files, sizes=(1, 1, 1), images=1):
    """Write an OME data set of several files, each with the metadata of all.

    Parameters
    ----------
    files : mapping of str to list of (image, c, z, t, pixels)
        The planes of each file.
    sizes : (C, Z, T)
    """
    uuids = {name: str(UUID(int=i + 1)) for i, name in enumerate(files)}
    blocks = [""] * images
    for name, planes in files.items():
        for ifd, (image, c, z, t, _) in enumerate(planes):
            blocks[image] += BLOCK.format(c=c, z=z, t=t, ifd=ifd, name=name, uuid=uuids[name])
    y, x = next(iter(files.values()))[0][-1].shape
    channels = "".join(f'<Channel ID="Channel:0:{c}" SamplesPerPixel="1"/>' for c in range(sizes[0]))
    texts = [
        IMAGE.format(n=n, y=y, x=x, c=sizes[0], z=sizes[1], t=sizes[2], channels=channels, blocks=blocks[n])
        for n in range(images)
    ]
    for name, planes in files.items():
        xml = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        xml += f'UUID="urn:uuid:{uuids[name]}">{"".join(texts)}</OME>'
        with tifffile.TiffWriter(folder / name) as tif:
            for number, plane in enumerate(planes):
                description = xml.encode() if number == 0 else None
                tif.write(plane[-1], description=description, metadata=None, photometric="minisblack")
    return [folder / name for name in files]


def objects(paths, folder):
    events = list(segment_files(paths, folder / "out", bright_model()))
    assert not [event.reason for event in events if isinstance(event, Skipped)]
    return [event.objects for event in events if isinstance(event, Segmented)]


def one_square():
    image = squares()
    image[30:50, 50:70] = 40
    return image


def test_a_file_of_a_time_lapse_gives_its_own_frame_and_the_set_opens_as_one(tmp_path):
    frames = [squares(), one_square(), squares()]
    files = {f"e_T{t}.ome.tif": [(0, 0, 0, t, frame)] for t, frame in enumerate(frames)}
    paths = write_set(tmp_path, files, sizes=(1, 1, 3))
    assert objects(paths, tmp_path) == [2, 1, 2]
    for path, frame in zip(paths, frames, strict=True):
        np.testing.assert_array_equal(read_image(path), frame)
        assert FrameSource.from_file(path).pixel_size == PixelSize(0.5, 0.5, "µm")
    (layer,) = open_layers(plan_layers(paths), OpenSettings(), CancelToken())
    assert (layer.data.shape, layer.interval) == ((3, 60, 90), 30)
    np.testing.assert_array_equal(layer.data.compute(), frames)


def test_files_of_a_set_with_several_frames_each(tmp_path):
    files = {
        "a.ome.tif": [(0, 0, 0, t, PAGES[t]) for t in range(4)], "b.ome.tif": [(0, 0, 0, t, PAGES[t]) for t in (4, 5)]
    }  # fmt: skip
    first, second = write_set(tmp_path, files, sizes=(1, 1, 6))
    for path, pages in ((first, PAGES[:4]), (second, PAGES[4:6])):
        source = FrameSource.from_file(path)
        assert (source.axes, source.interval) == ("TYX", 30)
        np.testing.assert_array_equal(list(source.each()), pages)


def test_positions_in_files_of_their_own(tmp_path):
    files = {"Pos0.ome.tif": [(0, 0, 0, 0, squares())], "Pos1.ome.tif": [(1, 0, 0, 0, one_square())]}
    assert objects(write_set(tmp_path, files, images=2), tmp_path) == [2, 1]


def test_channels_in_files_of_their_own(tmp_path):
    files = {"w_C0.ome.tif": [(0, 0, 0, 0, squares())], "w_C1.ome.tif": [(0, 1, 0, 0, one_square())]}
    assert objects(write_set(tmp_path, files, sizes=(2, 1, 1)), tmp_path) == [2, 1]


def test_a_slice_stack_of_a_set(tmp_path):
    files = {f"t{t}.ome.tif": [(0, 0, z, t, PAGES[4 * t + z]) for z in range(4)] for t in range(2)}
    _, second = write_set(tmp_path, files, sizes=(1, 4, 2))
    source = FrameSource.from_file(second)
    assert (source.axes, source.spacing, source.interval) == ("ZYX", 2, None)
    np.testing.assert_array_equal(list(source.each()), PAGES[4:8])


@pytest.mark.parametrize("renamed", [False, True])
def test_one_file_of_a_set_without_the_others(tmp_path, renamed):
    files = {f"e_T{t}.ome.tif": [(0, 0, 0, t, PAGES[t])] for t in range(3)}
    first, second, third = write_set(tmp_path, files, sizes=(1, 1, 3))
    first.unlink()
    third.unlink()
    path = second.rename(tmp_path / "copy.ome.tif") if renamed else second
    np.testing.assert_array_equal(read_image(path), PAGES[1])


def test_several_channels_or_positions_in_one_file_of_a_set_are_refused(tmp_path):
    other = [(0, 0, 0, 1, PAGES[5])]
    files = {"a.ome.tif": [(0, c, 0, 0, PAGES[c]) for c in range(2)], "b.ome.tif": other}
    path, _ = write_set(tmp_path, files, sizes=(2, 1, 2))
    with pytest.raises(InputError, match=r"a\.ome\.tif' holds 2 channels.*of a set; export one"):
        FrameSource.from_file(path)
    files = {"a.ome.tif": [(n, 0, 0, 0, PAGES[n]) for n in range(2)], "b.ome.tif": other}
    path, _ = write_set(tmp_path, files, sizes=(1, 1, 2), images=2)
    with pytest.raises(InputError, match="holds 2 image series"):
        FrameSource.from_file(path)


def test_a_file_whose_metadata_lie_in_another(tmp_path):
    xml = b'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><BinaryOnly '
    xml += b'MetadataFile="m.companion.ome" UUID="urn:uuid:00000000-0000-0000-0000-000000000001"/></OME>'
    tifffile.imwrite(tmp_path / "x.ome.tif", PAGES[:3], description=xml, metadata=None, photometric="minisblack")
    np.testing.assert_array_equal(list(FrameSource.from_file(tmp_path / "x.ome.tif").each()), PAGES[:3])


def write_pages(path, *pages, **options):
    with tifffile.TiffWriter(path) as tif:
        for page, subfile in pages:
            tif.write(page, subfiletype=subfile, photometric="minisblack", metadata=None, **options)
    return path


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("size", [(8, 10), (30, 200)])
def test_copies_of_reduced_resolution_are_left_out(tmp_path, order, size):
    pages = [(np.ones(size, np.uint8), 1), (squares(), 0)]
    np.testing.assert_array_equal(read_image(write_pages(tmp_path / "x.tif", *pages[::order])), squares())
    series = [(np.ones(size, np.uint8), 1), *((page, 0) for page in PAGES)]
    path = write_pages(tmp_path / "s.tif", *series[::order])
    np.testing.assert_array_equal(list(FrameSource.from_file(path).each()), PAGES[::order])


def test_a_pyramid_is_one_image(tmp_path):
    levels = [np.kron(squares(), np.ones((4, 4), np.uint8))]
    levels += [levels[0][::2, ::2], levels[0][::4, ::4]]
    np.testing.assert_array_equal(
        read_image(write_pages(tmp_path / "p.tif", *((level, 0) for level in levels))), levels[0]
    )
    np.testing.assert_array_equal(
        read_image(write_pages(tmp_path / "q.tif", *((x, 0) for x in levels[::-1]))), levels[0]
    )


def test_a_thumbnail_among_pages_without_a_mark_is_left_out_wherever_it_is(tmp_path):
    path = write_pages(tmp_path / "x.tif", (squares()[::5, ::5], 0), (squares(), 0))
    np.testing.assert_array_equal(read_image(path), squares())


@pytest.mark.parametrize(
    "shapes",
    [
        [(12, 30), *[(24, 32)] * 4],
        [(12, 16), *[(24, 32)] * 4],
        [(24, 32)] * 2 + [(48, 60)] * 3,
        [(24, 32)] * 2 + [(48, 64)] * 3,
        [(24, 32)] * 4 + [(96, 128)],
    ],
)
def test_images_of_different_shapes_are_named(tmp_path, shapes):
    path = write_pages(tmp_path / "x.tif", *((RANDOM.integers(0, 255, shape, np.uint8), 0) for shape in shapes))
    with pytest.raises(InputError, match=r"x\.tif' holds 2 image series \(\(.*export each"):
        FrameSource.from_file(path)


def describe_imagej(**counts):
    return "ImageJ=1.53t\n" + "".join(f"{name}={count}\n" for name, count in counts.items())


@pytest.mark.parametrize("told", [1, 3, 5, 9])
@pytest.mark.parametrize("held", [2, 5])
@pytest.mark.parametrize("axis", ["frames", "slices"])
def test_all_pages_are_frames_whatever_imagej_tells(tmp_path, told, held, axis):
    text = describe_imagej(images=told, **{axis: told})
    with tifffile.TiffWriter(tmp_path / "x.tif") as tif:
        for t in range(held):
            tif.write(PAGES[t], description=text if t == 0 else None, metadata=None, photometric="minisblack")
    source = FrameSource.from_file(tmp_path / "x.tif")
    np.testing.assert_array_equal(list(source.each()), PAGES[:held])
    if told > 1:
        assert source.axes == ("ZYX" if axis == "slices" else "TYX")


@pytest.mark.parametrize("told", [3, 5, 9])
@pytest.mark.parametrize("axis", ["T", "Z"])
def test_all_pages_are_frames_whatever_ome_tells(tmp_path, told, axis):
    xml = IMAGE.format(n=0, y=24, x=32, c=1, z=1, t=1, channels="", blocks="<TiffData/>")
    xml = xml.replace(f'Size{axis}="1"', f'Size{axis}="{told}"')
    xml = f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{xml}</OME>'.encode()
    tifffile.imwrite(tmp_path / "x.tif", PAGES[:5], description=xml, metadata=None, photometric="minisblack")
    source = FrameSource.from_file(tmp_path / "x.tif")
    assert source.axes == f"{axis}YX"
    np.testing.assert_array_equal(list(source.each()), PAGES[:5])


def test_pages_that_do_not_fill_several_axes_are_refused(tmp_path):
    text = describe_imagej(images=6, frames=3, channels=2, hyperstack="true")
    with tifffile.TiffWriter(tmp_path / "x.tif") as tif:
        for t in range(5):
            tif.write(PAGES[t], description=text if t == 0 else None, metadata=None, photometric="minisblack")
    with pytest.raises(InputError, match=r"holds 5 frames, and its metadata tell of 6"):
        FrameSource.from_file(tmp_path / "x.tif")


@pytest.mark.parametrize("imagej", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_stack_behind_one_page_that_was_cut_off_is_refused(tmp_path, imagej, share):
    path = tmp_path / "x.tif"
    with tifffile.TiffWriter(path, imagej=imagej) as tif:
        tif.write(PAGES, truncate=True, photometric="minisblack", metadata={"axes": "TYX"})
    whole = path.read_bytes()
    np.testing.assert_array_equal(list(FrameSource.from_file(path).each()), PAGES)
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"x\.tif' is cut off"):
        list(FrameSource.from_file(path).each())


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_channels_in_the_last_axis_are_no_frames(tmp_path, channels):
    tifffile.imwrite(tmp_path / "x.tif", np.stack([squares()] * channels, axis=-1), photometric="minisblack")
    with pytest.raises(InputError, match=f"60 frames of 90 x {channels} pixels .*{channels} channels; export one"):
        FrameSource.from_file(tmp_path / "x.tif")


def test_links_to_one_file_are_one_image(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", squares())
    os.link(tmp_path / "a.tif", tmp_path / "b.tif")
    (tmp_path / "c.tif").symlink_to(tmp_path / "a.tif")
    assert find_images([tmp_path])[0] == [tmp_path / "a.tif"]
    tifffile.imwrite(tmp_path / "d.tif", squares())
    assert objects([tmp_path], tmp_path) == [2, 2]


@pytest.mark.parametrize("kind", ["imagej", "ome"])
@pytest.mark.parametrize("largest", [9, 70_000])
def test_slices_and_times_keep_their_axis_and_step(tmp_path, kind, largest):
    stack = np.stack([squares()] * 3)
    slices, times = tmp_path / "z.tif", tmp_path / "t.tif"
    if kind == "ome":
        size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
        tifffile.imwrite(slices, stack, ome=True, metadata={"axes": "ZYX", "PhysicalSizeZ": 2000, "PhysicalSizeZUnit": "nm", **size})  # fmt: skip  # noqa: E501
        tifffile.imwrite(times, stack, ome=True, metadata={"axes": "TYX", "TimeIncrement": 5, "TimeIncrementUnit": "min", **size})  # fmt: skip  # noqa: E501
    else:
        options = {"imagej": True, "resolution": (2, 2)}
        tifffile.imwrite(slices, stack, metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"}, **options)
        tifffile.imwrite(
            times, stack, metadata={"axes": "TYX", "finterval": 300.0, "tunit": "sec", "unit": "um"}, **options
        )
    assert objects([slices, times], tmp_path) == [6, 6]
    for path, axes, spacing, interval in ((slices, "ZYX", 2, None), (times, "TYX", None, 300)):
        (image,) = open_layers(plan_layers([path]), OpenSettings(), CancelToken())
        data, keywords, _ = image.to_layer()
        assert keywords["axis_labels"][0].upper() == axes[0]
        assert (keywords["scale"], keywords["units"]) == (
            [spacing or interval, 0.5, 0.5], ["µm" if spacing else "s", "µm", "µm"]
        )  # fmt: skip
        labels = np.full(data.shape, largest)
        save_labels(tmp_path / "saved.tif", labels, keywords)
        for written in (tmp_path / "out" / f"{path.stem}_labels.tif", tmp_path / "saved.tif"):
            found = FrameSource.from_file(written)
            assert (found.axes, found.spacing, found.interval) == (axes, spacing, interval)
            assert found.pixel_size == PixelSize(0.5, 0.5, "µm")


@pytest.mark.parametrize("lengths", [(3, 1), (1, 3), (1, 3, 1), (3, 1, 1), (1, 1, 3), (1, 1), (1,)])
def test_axes_of_length_one_without_a_name_hide_no_frames(tmp_path, lengths):
    count = int(np.prod(lengths))
    tifffile.imwrite(tmp_path / "x.tif", PAGES[:count].reshape(*lengths, 24, 32), photometric="minisblack")
    source = FrameSource.from_file(tmp_path / "x.tif")
    assert source.axes == ("TYX" if count > 1 else "YX")
    np.testing.assert_array_equal(list(source.each()), PAGES[:count])


@pytest.mark.parametrize("lengths", [(2, 3), (2, 1, 3), (3, 3)])
def test_several_axes_without_a_name_are_refused(tmp_path, lengths):
    count = int(np.prod(lengths))
    tifffile.imwrite(tmp_path / "x.tif", PAGES[:count].reshape(*lengths, 24, 32), photometric="minisblack")
    with pytest.raises(InputError, match="export one channel of it"):
        FrameSource.from_file(tmp_path / "x.tif")
