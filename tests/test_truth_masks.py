"""What the values of a mask mean."""

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import label

from blunet.dataset.truth_masks import interpret_mask, measure_diameter, read_mask, separate_touching
from blunet.errors import InputError


def test_a_mask_of_one_value_is_labelled_by_4_connectivity_without_specks():
    mask = np.zeros((40, 40), np.uint8)
    mask[0:10, 0:10] = 255
    mask[10:20, 10:20] = 255  # touches the first by a corner only
    mask[30:37, 0:7] = 255  # 49 px: a speck
    mask[30:35, 20:30] = 255  # 50 px: an object
    labels = interpret_mask(mask).labels
    assert labels.dtype == np.int32
    assert np.bincount(labels.ravel()).tolist() == [1600 - 250, 100, 100, 50]
    np.testing.assert_array_equal(interpret_mask(mask > 0).labels, labels)


def test_a_mask_of_several_values_keeps_them():
    mask = np.zeros((20, 20), np.uint16)
    mask[0, 0] = 7  # small objects stay
    mask[5:8, 5:8] = 300
    mask[15:18, 5:8] = 300  # one object in two pieces
    np.testing.assert_array_equal(interpret_mask(mask).labels, mask)
    np.testing.assert_array_equal(interpret_mask(mask.astype(np.float32)).labels, mask)
    huge = np.where(mask == 300, np.uint64(2**40), mask)
    np.testing.assert_array_equal(np.unique(interpret_mask(huge).labels), [0, 1, 2])
    assert interpret_mask(huge).labels[16, 6] == 2


def test_a_mask_may_be_empty():
    assert interpret_mask(np.zeros((3, 5), np.uint8)).labels.tolist() == np.zeros((3, 5)).tolist()


@pytest.mark.parametrize("value", [-1, 0.5, np.nan, np.inf])
def test_values_that_are_no_labels_are_refused(value):
    mask = np.zeros((3, 5), np.float32)
    mask[1, 1] = value
    with pytest.raises(InputError, match=f"{value:g}"):
        interpret_mask(mask)


def test_a_mask_of_another_size_names_both(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", np.ones((30, 40), np.uint8))
    assert read_mask(tmp_path / "m.tif", (30, 40)).shape == (30, 40)
    with pytest.raises(InputError, match=r"30 x 40 .* 40 x 30"):
        read_mask(tmp_path / "m.tif", (40, 30))


def test_colours_of_a_mask_are_objects_and_black_is_background(tmp_path):
    colours = np.zeros((20, 20, 3), np.uint8)
    colours[0:8, 0:8] = (255, 0, 0)
    colours[0:8, 8:16] = (0, 130, 0)  # of the same grey as the first
    colours[12:18, 2:9] = (0, 0, 1)
    Image.fromarray(colours).save(tmp_path / "rgb.png")
    Image.fromarray(colours).quantize(8, dither=Image.Dither.NONE).save(tmp_path / "palette.png")
    for name in ("rgb.png", "palette.png"):
        labels = read_mask(tmp_path / name)
        assert sorted(np.unique(labels, return_counts=True)[1].tolist()) == [42, 64, 64, 230]
        assert labels[19, 19] == 0
        assert labels[0, 0] != labels[0, 8]
    black_and_white = np.repeat(np.eye(20, dtype=np.uint8)[..., None] * 0 + 255, 3, axis=2)
    Image.fromarray(black_and_white).save(tmp_path / "grey.png")
    assert np.unique(read_mask(tmp_path / "grey.png")).tolist() == [1]


@pytest.mark.parametrize("width", [1, 2])
def test_touching_objects_are_separated_by_a_gap(width):
    labels = np.zeros((30, 30), np.int32)
    labels[2:12, 2:12] = 1
    labels[2:12, 12:22] = 2
    labels[12:20, 5:15] = 3
    labels[25:28, 25:28] = 4
    separated = separate_touching(labels, width)
    assert label(separated > 0)[1] == 4
    assert label(labels > 0)[1] == 2
    assert np.all((separated == labels) | (separated == 0))
    assert (separated[5, 2:22] == 0).sum() == width
    assert (separated == 4).sum() == 9
    assert (labels > 0).sum() - (separated > 0).sum() <= 20 * width
    assert labels[2, 11] == 1  # the input is unchanged


def test_the_typical_diameter_is_the_median_over_all_objects():
    small, large = np.zeros((50, 50), np.int32), np.zeros((50, 50), np.int32)
    small[:2, :2], small[10:12, :2] = 1, 2
    large[:10, :10] = 1
    assert measure_diameter([small, large]) == pytest.approx(np.sqrt(16 / np.pi))
    assert measure_diameter([large, np.zeros((3, 5), np.int32)]) == pytest.approx(np.sqrt(400 / np.pi))
    assert measure_diameter([np.zeros((3, 5), np.int32)]) is None
    assert measure_diameter([]) is None
