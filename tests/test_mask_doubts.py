"""Masks whose stored values are not what they seem, or do not mean what they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from bright_model import bright_model
from PIL import Image

from blunet.compression.presets import preset
from blunet.compression.run_data import read_data
from blunet.compression.run_request import Request
from blunet.dataset.dataset_check import check_dataset
from blunet.dataset.split_settings import SplitSettings
from blunet.dataset.truth_masks import interpret_mask, read_mask, read_truth
from blunet.errors import InputError
from blunet.images.frame_source import FrameSource, read_image
from blunet.jobs.evaluation_run import Evaluated, Warned, evaluate_folder
from blunet.jobs.events import CancelToken
from blunet.jobs.layer_opening import Doubted, LayerOpened, OpenSettings, open_layers
from blunet.jobs.layer_plan import plan_layers
from blunet.simulation.dic_fields import simulate_dic

#: Centres (Y, X) and radii in pixels.
DISCS = ((22, 25, 12), (30, 90, 15), (90, 30, 18), (85, 92, 10))


def discs(shape=(120, 121)):
    """Return the labels of four separate discs."""
    y, x = np.indices(shape)
    labels = np.zeros(shape, np.uint8)
    for number, (cy, cx, radius) in enumerate(DISCS, start=1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = number
    return labels


BINARY = np.where(discs() > 0, np.uint8(255), np.uint8(0))


def write_tiff(path, values, **options):
    tifffile.imwrite(path, values, **{"photometric": "minisblack"} | options)


def write_png(path, values):
    Image.fromarray(values).save(path)


def write_inverted_palette(path, values):
    """Write as ImageJ does under an inverted look-up table."""
    image = Image.fromarray(values, "P")
    image.putpalette(np.repeat(np.arange(256, dtype=np.uint8)[::-1], 3).tobytes())
    image.save(path)


IMAGEJ = {"imagej": True, "photometric": "miniswhite"}
EXACT = {
    "8 bits": ("m.tif", lambda p: write_tiff(p, BINARY)),
    "1 bit": ("m.tif", lambda p: write_tiff(p, BINARY > 0)),
    "ImageJ, inverted look-up table": ("m.tif", lambda p: write_tiff(p, BINARY, **IMAGEJ)),
    "ImageJ, inverted look-up table, 16 bits": ("m.tif", lambda p: write_tiff(p, BINARY.astype("u2"), **IMAGEJ)),
    "ImageJ, inverted look-up table, big-endian": ("m.tif", lambda p: write_tiff(p, BINARY, byteorder=">", **IMAGEJ)),
    "zero is white, 8 bits": ("m.tif", lambda p: write_tiff(p, 255 - BINARY, photometric="miniswhite")),
    "zero is white, 1 bit": ("m.tif", lambda p: write_tiff(p, BINARY == 0, photometric="miniswhite")),
    "zero is white, tiles": ("m.tif", lambda p: write_tiff(p, 255 - BINARY, photometric="miniswhite", tile=(16, 16))),
    "PNG": ("m.png", lambda p: write_png(p, BINARY)),
    "PNG, inverted look-up table": ("m.png", lambda p: write_inverted_palette(p, BINARY)),
}


@pytest.mark.parametrize("way", EXACT)
def test_stored_values_count_whatever_is_shown(tmp_path, way):
    name, write = EXACT[way]
    write(tmp_path / name)
    truth = read_truth(tmp_path / name)
    np.testing.assert_array_equal(truth.labels > 0, BINARY > 0)
    assert (truth.labels.max(), truth.instances, truth.doubts) == (4, False, ())


def seen(colour, opacity):
    """Return pixels of one grey value or one for each, with an opacity for each."""
    grey = np.broadcast_to(np.asarray(colour, np.uint8), BINARY.shape)
    return np.dstack([grey, grey, grey, opacity])


def write_clear_palette(path, values):
    """Write labels as a palette image whose background is white and transparent."""
    image = Image.fromarray(values, "P")
    image.putpalette([255, 255, 255, 200, 0, 0, 0, 200, 0, 0, 0, 200, 9, 9, 9])
    image.save(path, transparency=0)


WHITE = np.full_like(BINARY, 255)
NOISE = np.random.default_rng(0).integers(0, 255, BINARY.shape, np.uint8)
TRANSPARENT = {
    "white on nothing": ("m.png", lambda p: write_png(p, seen(255, BINARY))),
    "black on nothing": ("m.png", lambda p: write_png(p, seen(0, BINARY))),
    "black on nothing that hides white": ("m.png", lambda p: write_png(p, seen(255 - BINARY, BINARY))),
    "nothing that hides noise": ("m.png", lambda p: write_png(p, seen(np.where(BINARY > 0, 200, NOISE), BINARY))),
    "half opaque": ("m.png", lambda p: write_png(p, seen(255, BINARY // 2))),
    "all opaque": ("m.png", lambda p: write_png(p, seen(BINARY, WHITE))),
    "all transparent": ("m.png", lambda p: write_png(p, seen(BINARY, 0 * WHITE))),
    "grey": ("m.png", lambda p: Image.fromarray(seen(255, BINARY)[..., 2:], "LA").save(p)),
    "TIFF": (
        "m.tif",
        lambda p: write_tiff(p, seen(255, BINARY), photometric="rgb", extrasamples=["unassalpha"]),
    ),
}


@pytest.mark.parametrize("way", TRANSPARENT)
def test_what_is_transparent_is_background(tmp_path, way):
    name, write = TRANSPARENT[way]
    write(tmp_path / name)
    truth = read_truth(tmp_path / name)
    np.testing.assert_array_equal(truth.labels > 0, BINARY > 0)
    assert (truth.labels.max(), truth.doubts) == (4, ())


def test_a_transparent_colour_of_a_palette_is_background(tmp_path):
    write_clear_palette(tmp_path / "m.png", discs())
    truth = read_truth(tmp_path / "m.png")
    np.testing.assert_array_equal(truth.labels > 0, BINARY > 0)
    assert truth.doubts == ()


def test_labels_under_an_inverted_look_up_table_keep_their_values(tmp_path):
    write_tiff(tmp_path / "m.tif", discs(), **IMAGEJ)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), discs())


def test_an_image_is_read_as_a_mask_is(tmp_path):
    write_tiff(tmp_path / "imagej.tif", BINARY, **IMAGEJ)
    write_tiff(tmp_path / "bit.tif", BINARY == 0, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "imagej.tif"), BINARY)
    np.testing.assert_array_equal(read_image(tmp_path / "bit.tif"), BINARY > 0)


def test_a_volume_whose_zero_is_white_is_inverted(tmp_path):
    stack = np.stack([BINARY[:112, :112]] * 16)
    write_tiff(tmp_path / "v.tif", 255 - stack, photometric="miniswhite", volumetric=True, tile=(16, 16, 16))
    np.testing.assert_array_equal(FrameSource.from_file(tmp_path / "v.tif").frame(3), stack[3])


def resized(values, mode="L"):
    """Return values that were enlarged with smoothing and cut to the same size."""
    large = Image.fromarray(values, mode).resize((181, 180), Image.Resampling.BICUBIC)
    return np.asarray(large)


def shrunk(values):
    return np.asarray(Image.fromarray(values).resize((60, 60), Image.Resampling.BOX))


def write_jpeg(path, values, quality):
    Image.fromarray(values).save(path, quality=quality)


SMOOTHED = {
    "JPEG 30": ("m.jpg", lambda p: write_jpeg(p, BINARY, 30)),
    "JPEG 90": ("m.jpg", lambda p: write_jpeg(p, BINARY, 90)),
    "JPEG 100": ("m.jpg", lambda p: write_jpeg(p, BINARY, 100)),
    "JPEG RGB": ("m.jpg", lambda p: write_jpeg(p, np.repeat(BINARY[..., None], 3, axis=2), 90)),
    "JPEG named PNG": ("m.png", lambda p: Image.fromarray(BINARY).save(p, "jpeg")),
    "enlarged": ("m.png", lambda p: write_png(p, resized(BINARY))),
    "shrunk": ("m.png", lambda p: write_png(p, shrunk(BINARY))),
    "three values": ("m.png", lambda p: write_png(p, np.uint8(127) * (shrunk(BINARY) // 127))),
    "1 instead of 255": ("m.tif", lambda p: write_tiff(p, shrunk(BINARY).astype("u2") * 257)),
    "JPEG in a TIFF": ("m.tif", lambda p: write_tiff(p, BINARY, compression="jpeg")),
}


@pytest.mark.parametrize("way", SMOOTHED)
def test_a_binary_mask_with_smoothed_outlines_is_cut_in_the_middle(tmp_path, way):
    name, write = SMOOTHED[way]
    write(tmp_path / name)
    truth = read_truth(tmp_path / name)
    assert (truth.labels.max(), truth.instances) == (4, False)
    assert truth.doubts == ("cut",)
    areas = np.bincount(truth.labels.ravel())[1:] / truth.labels.size
    wanted = np.bincount(discs().ravel())[1:] / BINARY.size
    np.testing.assert_allclose(
        np.sort(areas), np.sort(wanted), rtol=0.13
    )  # half as large, an outline is a pixel of a radius of 5


COLOURS = np.array([[0, 0, 0], [200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 200, 0]], np.uint8)
RUINED = {
    "labels as JPEG": ("m.jpg", lambda p: write_jpeg(p, discs() * np.uint8(50), 90)),
    "labels resized": ("m.png", lambda p: write_png(p, resized(discs() * np.uint8(50)))),
    "small labels resized": ("m.png", lambda p: write_png(p, resized(discs()))),
    "colours as JPEG": ("m.jpg", lambda p: write_jpeg(p, COLOURS[discs()], 90)),
    "an image": ("m.tif", lambda p: write_tiff(p, simulate_dic(seed=1).image)),
    "noise": ("m.png", lambda p: write_png(p, np.random.default_rng(0).integers(0, 255, (60, 60), np.uint8))),
}


@pytest.mark.parametrize("way", RUINED)
def test_values_that_run_into_each_other_are_refused(tmp_path, way):
    name, write = RUINED[way]
    write(tmp_path / name)
    with pytest.raises(InputError, match=rf"{name}.* values that run into each other.*PNG or TIFF"):
        read_truth(tmp_path / name)


def confluent():
    """Return 16 objects without any background between them, and some at the border."""
    labels = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((20, 20), int))
    labels[:3] = 0
    return labels


@pytest.mark.parametrize("mask", [discs(), confluent(), simulate_dic(seed=4).labels])
def test_sound_labels_are_kept_as_they_are(mask):
    truth = interpret_mask(mask)
    np.testing.assert_array_equal(truth.labels, mask)
    assert (truth.instances, truth.doubts) == (True, ())


#: 1 and 2 in turn, every 12 rows.
STRIPES = (1 + np.indices(BINARY.shape)[0] // 12 % 2).astype(np.uint8)
WRONG = {
    "inverted": (255 - BINARY, "covers more than half of the image"),
    "background 255": (np.where(discs() > 0, discs(), np.uint8(255)), "without any background"),
    "background among labels": (
        np.where(discs() > 0, discs() * np.uint8(discs() != 2), np.uint8(9)),
        "covers more than",
    ),
    "ilastik": (np.where(discs() > 0, np.uint8(1), np.uint8(2)), "without any background"),
    "full": (np.full_like(BINARY, 255), "without any background"),
    "smoothed": (resized(BINARY)[:120, :121], "between background and objects"),
    "classes": (np.where(np.indices(BINARY.shape).sum(axis=0) % 24 < 6, STRIPES, np.uint8(0)), "as classes of pixels"),
}


@pytest.fixture(params=WRONG)
def wrong(request, tmp_path):
    """A folder of three pairs with one wrong mask, `b_mask.png`, and what is said of it."""
    mask, said = WRONG[request.param]
    for seed, name in enumerate("abc"):
        noise = np.random.default_rng(seed).integers(0, 9, BINARY.shape, np.uint8)
        write_tiff(tmp_path / f"{name}.tif", np.where(discs() > 0, np.uint8(200), noise))
        write_png(tmp_path / f"{name}_mask.png", mask if name == "b" else np.roll(BINARY, 3 * seed, axis=0))
    return tmp_path, said


def names_only_b(sentences, said):
    """Return whether one sentence says it, of the wrong mask alone."""
    found = [sentence for sentence in sentences if said in sentence]
    return len(found) == 1 and "1 " in found[0] and "b_mask.png" in found[0] and "a_mask" not in found[0]


def test_the_data_check_names_wrong_masks(wrong):
    folder, said = wrong
    report = check_dataset(folder, crop=16, split=SplitSettings(validation_order="consecutive"))
    assert names_only_b(report.warnings, said), report.warnings


def test_the_check_of_test_files_names_wrong_masks(wrong):
    folder, said = wrong
    data = read_data(Request(data=str(folder), run="", settings=preset("quick"), test=str(folder)))
    assert names_only_b([sentence for sentence in data.test_warnings if sentence.startswith("Test: ")], said)


def test_evaluate_names_wrong_masks(wrong):
    folder, said = wrong
    events = list(evaluate_folder(folder, bright_model()))
    assert names_only_b([event.message for event in events if isinstance(event, Warned)], said)
    assert isinstance(events[-1], Evaluated)


def test_load_names_wrong_masks(wrong):
    folder, said = wrong
    events = list(open_layers(plan_layers([folder]), settings=OpenSettings(), token=CancelToken()))
    assert names_only_b([event.sentence for event in events if isinstance(event, Doubted)], said)
    assert [event.kind for event in events if isinstance(event, LayerOpened)] == ["image", "labels"]


def test_load_names_a_wrong_stack_of_masks_once(tmp_path):
    write_tiff(tmp_path / "s.tif", np.stack([BINARY] * 3))
    write_tiff(tmp_path / "s_mask.tif", np.stack([255 - BINARY] * 3))
    events = list(open_layers(plan_layers([tmp_path / "s.tif"]), settings=OpenSettings(), token=CancelToken()))
    assert len([event for event in events if isinstance(event, Doubted)]) == 1
    assert Path(tmp_path / "s_mask.tif").name in "".join(e.sentence for e in events if isinstance(e, Doubted))
