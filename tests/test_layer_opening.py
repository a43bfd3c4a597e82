"""Files, folders and patterns become layers."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from blunet.dataset.masks_beside import find_masks
from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.jobs.events import Cancelled, CancelToken
from blunet.jobs.layer_opening import LayerOpened, LeftOut, OpenSettings, open_layers
from blunet.jobs.layer_plan import MOST_LAYERS, plan_layers
from blunet.jobs.shading import AllFlattened, find_contrast, flatten_all, flatten_frame

RANDOM = np.random.default_rng(0)


def frame_of(t, shape=(24, 32), dtype=np.uint16):
    values = RANDOM.integers(0, 200, shape).astype(dtype)
    values[0, 0] = t
    return values


def write_frames(folder, count, **options):
    folder.mkdir(parents=True, exist_ok=True)
    frames = [frame_of(t) for t in range(count)]
    for t, frame in enumerate(frames):
        tifffile.imwrite(folder / f"t{t}.tif", frame, photometric="minisblack", **options)
    return np.stack(frames)


def opened(sources, settings=OpenSettings(), **options):  # noqa: B008
    events = list(open_layers(plan_layers(sources, **options), settings, CancelToken()))
    layers = [event for event in events if isinstance(event, LayerOpened)]
    return layers, [event.sentence for event in events if isinstance(event, LeftOut)]


def test_a_folder_of_frames_is_one_time_lapse_in_natural_order(tmp_path):
    frames = write_frames(tmp_path / "lapse", 12)
    (layer,), left_out = opened([tmp_path / "lapse"])
    assert not left_out
    assert (layer.kind, layer.name, layer.source) == ("image", "lapse", tmp_path / "lapse")
    assert layer.files[1:3] + layer.files[-2:] == ("t1.tif", "t2.tif", "t10.tif", "t11.tif")
    assert layer.data.chunksize == (1, 24, 32)
    np.testing.assert_array_equal(layer.data.compute(), frames)
    np.testing.assert_array_equal(layer.data[3, 2:5, ::3].compute(), frames[3, 2:5, ::3])
    np.testing.assert_array_equal(layer.data[::-5].compute(), frames[::-5])
    assert layer.to_layer()[1]["axis_labels"] == ["t", "y", "x"]


def test_frames_of_a_time_lapse_are_read_when_they_are_shown(tmp_path):
    write_frames(tmp_path / "lapse", 6)
    (layer,), _ = opened([tmp_path / "lapse"])
    for t in (0, 1, 2, 4, 5):
        (tmp_path / "lapse" / f"t{t}.tif").unlink()  # none of them is read again
    later = frame_of(77)
    tifffile.imwrite(tmp_path / "lapse" / "t3.tif", later, photometric="minisblack")
    np.testing.assert_array_equal(layer.data[3].compute(), later)
    with pytest.raises(InputError, match=r"no file '.*t4\.tif'"):
        layer.data[4].compute()
    tifffile.imwrite(tmp_path / "lapse" / "t5.tif", later[:9], photometric="minisblack")
    with pytest.raises(InputError, match=r"t5\.tif' has changed"):
        layer.data[5].compute()


def test_images_can_become_layers_of_their_own(tmp_path):
    frames = write_frames(tmp_path / "fields", 3)
    layers, _ = opened([str(tmp_path / "fields" / "*.tif")], together=False)
    assert [layer.name for layer in layers] == ["t0", "t1", "t2"]
    for layer, frame in zip(layers, frames, strict=True):
        np.testing.assert_array_equal(layer.data, frame)
        assert layer.source is not None
        assert layer.source.stem == layer.name
        assert layer.interval is None
    write_frames(tmp_path / "many", MOST_LAYERS + 1)
    with pytest.raises(InputError, match=f"{MOST_LAYERS + 1} layers"):
        plan_layers([tmp_path / "many"], together=False)


def test_frames_of_another_size_or_type_are_left_out_and_named(tmp_path):
    write_frames(tmp_path, 5)
    tifffile.imwrite(tmp_path / "t0.tif", frame_of(0, (10, 32)), photometric="minisblack")
    Image.fromarray(frame_of(9, dtype=np.uint8)).save(tmp_path / "t9.png")
    (tmp_path / "t10.tif").write_bytes(b"no image at all")
    (layer,), left_out = opened([tmp_path])
    assert layer.files == ("t1.tif", "t2.tif", "t3.tif", "t4.tif")
    assert any("'t0.tif' (32 × 10 uint16)" in s and "'t9.png' (32 × 24 uint8)" in s for s in left_out)
    assert any("t10.tif" in s and "no TIFF" in s for s in left_out)


def test_a_stack_of_many_pages_is_a_layer_of_its_own(tmp_path):
    stack = np.stack([frame_of(t) for t in range(7)])
    tifffile.imwrite(tmp_path / "pages.tif", stack, photometric="minisblack", compression="zlib")
    singles = write_frames(tmp_path, 2)
    layers, _ = opened([tmp_path])
    assert [layer.data.shape for layer in layers] == [(2, 24, 32), (7, 24, 32)]
    np.testing.assert_array_equal(layers[0].data.compute(), singles)
    np.testing.assert_array_equal(layers[1].data[2:5].compute(), stack[2:5])
    assert (layers[1].name, layers[1].source) == ("pages", tmp_path / "pages.tif")


@pytest.mark.parametrize(
    ("options", "scale", "units"),
    [
        (
            {"imagej": True, "resolution": (4, 2), "metadata": {"unit": "um", "finterval": 30.0, "axes": "TYX"}},
            [30, 0.5, 0.25],
            ["s", "µm", "µm"],
        ),
        (
            {"imagej": True, "metadata": {"finterval": 5, "tunit": "min", "axes": "TYX"}},
            [300, 1, 1],
            ["s", "pixel", "pixel"],
        ),
        ({"imagej": True, "metadata": {"fps": 4.0, "axes": "TYX"}}, [0.25, 1, 1], ["s", "pixel", "pixel"]),
        (
            {
                "ome": True,
                "metadata": {
                    "axes": "TYX",
                    "TimeIncrement": 250.0,
                    "TimeIncrementUnit": "ms",
                    "PhysicalSizeX": 300,
                    "PhysicalSizeXUnit": "nm",
                    "PhysicalSizeY": 400,
                    "PhysicalSizeYUnit": "nm",
                },
            },
            [0.25, 400, 300],
            ["s", "nm", "nm"],
        ),
        ({}, [1, 1, 1], ["pixel", "pixel", "pixel"]),
        (
            {"imagej": True, "resolution": (4, 2), "metadata": {"unit": "furlong", "axes": "TYX"}},
            [1, 1, 1],
            ["pixel"] * 3,
        ),
    ],
)
def test_scale_and_units_come_from_the_metadata(tmp_path, options, scale, units):
    stack = np.stack([frame_of(t) for t in range(3)])
    tifffile.imwrite(tmp_path / "x.tif", stack, photometric="minisblack", **options)
    (layer,), _ = opened([tmp_path / "x.tif"])
    _, keywords, kind = layer.to_layer()
    assert kind == "image"
    assert keywords["scale"] == pytest.approx(scale)
    assert keywords["units"] == units
    assert keywords["axis_labels"] == ["t", "y", "x"]


def test_pixel_size_and_interval_can_be_given(tmp_path):
    write_frames(tmp_path / "lapse", 3)
    (layer,), _ = opened([tmp_path / "lapse"], OpenSettings(pixel_size=0.2, interval=60))
    assert layer.to_layer()[1]["scale"] == [60, 0.2, 0.2]
    assert layer.to_layer()[1]["units"] == ["s", "µm", "µm"]
    (single,), _ = opened([tmp_path / "lapse" / "t1.tif"], OpenSettings(pixel_size=0.2, interval=60))
    assert single.to_layer()[1]["scale"] == [0.2, 0.2]


def test_an_interval_that_is_not_positive_is_ignored(tmp_path):
    for name, value in (("zero", 0.0), ("negative", -3.0)):
        tifffile.imwrite(tmp_path / name, frame_of(0), imagej=True, metadata={"finterval": value})
        assert FrameSource.from_file(tmp_path / name).interval is None
    Image.fromarray(frame_of(0, dtype=np.uint8)).save(tmp_path / "x.png")
    assert FrameSource.from_file(tmp_path / "x.png").interval is None


def test_contrast_is_that_of_the_first_frame(tmp_path):
    frame = np.arange(100 * 100, dtype=np.uint16).reshape(100, 100)
    tifffile.imwrite(tmp_path / "x.tif", frame)
    (layer,), _ = opened([tmp_path / "x.tif"], OpenSettings(low=10, high=90))
    assert layer.limits == pytest.approx((999.9, 8999.1))
    assert layer.to_layer()[1]["contrast_limits"] == pytest.approx((999.9, 8999.1))
    tifffile.imwrite(tmp_path / "flat.tif", np.full((9, 9), 7, np.uint16))
    holes = np.ones((9, 9), np.float32)
    holes[0, 0] = np.nan
    tifffile.imwrite(tmp_path / "holes.tif", holes)
    for name in ("flat.tif", "holes.tif"):
        (layer,), _ = opened([tmp_path / name])
        assert "contrast_limits" not in layer.to_layer()[1]


def cells(shape=(24, 32), number=1):
    mask = np.zeros(shape, np.uint8)
    mask[2:12, 3:13] = number
    return mask


def test_masks_beside_frames_become_labels_of_the_same_frames(tmp_path):
    write_frames(tmp_path / "lapse", 4)
    tifffile.imwrite(tmp_path / "lapse" / "t1_mask.tif", cells() * 255)
    Image.fromarray(np.maximum(cells(), cells(number=2)[::-1])).save(tmp_path / "lapse" / "t3_mask.png")
    tifffile.imwrite(tmp_path / "lapse" / "t2_mask.tif", cells((9, 9)))
    (image, labels), left_out = opened([tmp_path / "lapse"])
    assert image.data.shape == labels.data.shape == (4, 24, 32)
    assert labels.kind == "labels"
    np.testing.assert_array_equal(labels.data[1], cells())
    assert set(np.unique(labels.data[3])) == {0, 1, 2}
    assert not labels.data[[0, 2]].any()
    assert left_out == [s for s in left_out if "t2_mask.tif" in s and "9 x 9" in s]
    assert len(left_out) == 1
    labels.data[0, 0, 0] = 5  # can be painted on
    without, _ = opened([tmp_path / "lapse"], masks=False)
    assert [layer.kind for layer in without] == ["image"]


def test_a_folder_of_pairs(tmp_path):
    write_frames(tmp_path / "images", 2)
    (tmp_path / "masks").mkdir()
    tifffile.imwrite(tmp_path / "masks" / "t0.tif", cells())
    layers, _ = opened([tmp_path], together=False)
    assert [(layer.kind, layer.name) for layer in layers] == [("image", "t0"), ("labels", "t0 – mask"), ("image", "t1")]
    image, labels = opened([tmp_path])[0]
    assert (image.name, image.source) == (tmp_path.name, tmp_path / "images")
    np.testing.assert_array_equal(labels.data[0], cells())


def test_a_stack_of_masks_belongs_to_a_stack(tmp_path):
    stack = np.stack([frame_of(t) for t in range(3)])
    tifffile.imwrite(tmp_path / "x.tif", stack, photometric="minisblack")
    masks = np.stack([cells() * 0, cells(), cells()])
    masks[2] += (masks[2] > 0) & (np.arange(32) > 7)
    tifffile.imwrite(tmp_path / "x_mask.tif", masks, photometric="minisblack")
    _, labels = opened([tmp_path / "x.tif"])[0]
    np.testing.assert_array_equal(labels.data, masks)
    tifffile.imwrite(tmp_path / "x_mask.tif", masks[:2], photometric="minisblack")
    layers, left_out = opened([tmp_path / "x.tif"])
    assert len(layers) == 1
    assert "(2, 24, 32)" in left_out[0]


def test_large_numbers_of_labels_are_kept(tmp_path):
    write_frames(tmp_path, 2)
    tifffile.imwrite(tmp_path / "t0_mask.tif", cells())
    tifffile.imwrite(tmp_path / "t1_mask.tif", cells().astype(np.uint32) * 70_000 + cells()[::-1])
    _, labels = opened([tmp_path])[0]
    assert labels.data.max() > 70_000 - 1
    assert labels.data[0].max() == 1


def test_masks_are_found_by_the_rules_of_pairs(tmp_path):
    for name in ("images/a.tif", "images/b.tif", "masks/a_mask.png", "masks/c.tif", "d.tif", "d_mask.png", "e.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    images = [tmp_path / name for name in ("images/a.tif", "images/b.tif", "d.tif", "e.tif")]
    found = {image.name: mask.name for image, mask in find_masks(images).items()}
    assert found == {"a.tif": "a_mask.png", "d.tif": "d_mask.png"}


def test_bad_sources_are_refused_in_a_sentence(tmp_path):
    for sources, words in (
        ([], "Nothing was chosen"),
        ([tmp_path / "nowhere"], "no file or folder"),
        ([tmp_path], "holds no images"),
        ([str(tmp_path / "*.tif")], "No image matches"),
    ):
        with pytest.raises(InputError, match=words):
            plan_layers(sources)
    (tmp_path / "x.tif").write_bytes(b"no image at all")
    with pytest.raises(InputError, match=r"x\.tif' is no TIFF"):
        plan_layers([tmp_path])
    channels = RANDOM.integers(0, 9, (2, 5, 24, 32)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "x.tif", channels, imagej=True, metadata={"axes": "TCYX"})
    with pytest.raises(InputError, match="export one as an image of its own"):
        plan_layers([tmp_path / "x.tif"])


def test_opening_can_be_stopped(tmp_path):
    write_frames(tmp_path / "fields", 3)
    token = CancelToken()
    events = open_layers(plan_layers([tmp_path / "fields"], together=False), OpenSettings(), token)
    next(events)
    token.cancel()
    with pytest.raises(Cancelled):
        next(events)
    with pytest.raises(Cancelled):
        plan_layers([tmp_path / "fields"], token=token)


# Contrast and shading -------------------------------------------------------------------------------------------------


def shaded(frames=1):
    slope = np.linspace(1000, 5000, 256)
    return (slope + RANDOM.normal(0, 100, (frames, 128, 256))).astype(np.uint16)


def settings_of(sigma=40.0):
    from blunet.images.normalisation_settings import Normalisation

    return Normalisation(method="percentile", low=0.1, high=99.9, shading=sigma)


def test_slow_shading_is_removed():
    (frame,) = shaded()
    (flat,) = flatten_frame(FrameSource.from_array(frame), 0, settings_of(), CancelToken())
    columns = flat.image.mean(axis=0)
    assert flat.image.dtype == np.float32
    assert np.ptp(columns[64:-64]) < 0.1  # of a slope that covered nearly the whole range
    (all_of_it,) = flatten_all(FrameSource.from_array(frame), settings_of(), CancelToken())
    np.testing.assert_array_equal(all_of_it.data, flat.image)


def test_shading_of_a_stack_is_removed_lazily_with_shared_limits():
    import dask.array as da

    stack = shaded(20)
    read = []

    def block(block, block_info=None):
        if block.size:
            read.append(block_info[0]["array-location"][0][0])
        return block

    lazy = da.from_array(stack, (1, 128, 256)).map_blocks(block, dtype=stack.dtype, meta=stack[:0])
    (event,) = flatten_all(FrameSource.from_array(lazy), settings_of(), CancelToken())
    assert isinstance(event, AllFlattened)
    assert len(set(read)) == 16
    read.clear()
    third = event.data[3].compute()
    assert read == [3]
    (in_memory,) = flatten_all(FrameSource.from_array(stack), settings_of(), CancelToken())
    np.testing.assert_array_equal(in_memory.data[3].compute(), third)
    assert (third.dtype, event.data.dtype, event.data.shape) == (np.float32, np.float32, stack.shape)


def test_a_constant_image_has_no_shading():
    with pytest.raises(InputError, match="constant"):
        list(flatten_frame(FrameSource.from_array(np.full((9, 9), 3, np.uint8)), 0, settings_of(), CancelToken()))
    stack = np.stack([np.full((64, 64), 3, np.uint16), shaded()[0, :64, :64]])
    (event,) = flatten_all(FrameSource.from_array(stack), settings_of(10), CancelToken())
    assert not event.data[0].compute().any()


def test_contrast_of_a_frame():
    frame = np.arange(10_000, dtype=np.float32).reshape(100, 100)
    (found,) = find_contrast(FrameSource.from_array(np.stack([frame * 0, frame])), 1, 5, 95, CancelToken())
    assert found.limits == pytest.approx((499.95, 9499.05))
