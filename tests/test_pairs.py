"""Finding images, their masks, and what masks mean."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from blunet.dataset.pairs import find_pairs
from blunet.dataset.truth_masks import label_truth, measure_diameter, read_mask, separate_touching
from blunet.errors import InputError
from blunet.images.image_files import find_images, images_of, stem_of


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, np.zeros((4, 5), np.uint8))
    return folder


def test_a_folder_means_its_images_in_natural_order(tmp_path):
    touch(tmp_path, "t10.tif", "t2.TIF", "t1.tiff", "a.png", "b.JPG", ".hidden.tif", "inner/x.tif")
    touch(tmp_path, "t1_labels.tif", "t1_probability.tif", "t1_mask.tif", "t1_mask.ome.tif")
    (tmp_path / "notes.txt").write_text("not an image")
    assert [path.name for path in find_images([tmp_path])] == [
        "a.png",
        "b.JPG",
        "t1.tiff",
        "t2.TIF",
        "t10.tif",
    ]
    pattern = str(tmp_path / "t*")
    assert [path.name for path in find_images([pattern])] == ["t1.tiff", "t2.TIF", "t10.tif"]


def test_each_file_is_found_once_and_a_named_file_always(tmp_path):
    touch(tmp_path, "b.tif", "a.tif", "a_mask.tif", "field [1].tif")
    found = find_images([tmp_path / "b.tif", tmp_path, str(tmp_path / "*.tif"), tmp_path / "a_mask.tif"])
    assert [path.name for path in found] == ["b.tif", "a.tif", "field [1].tif", "a_mask.tif"]
    assert images_of(str(tmp_path / "field [1].tif")) == [tmp_path / "field [1].tif"]


def test_nothing_found_is_an_error_that_names_the_place(tmp_path):
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "only/x_labels.tif")
    for source in (tmp_path / "empty", tmp_path / "only", tmp_path / "nowhere.tif", tmp_path / "*.png"):
        with pytest.raises(InputError) as error:
            images_of(source)
        assert f"'{source}'" in str(error.value)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.b.tif", "a.b"),
        ("c.ome.tif", "c"),
        ("d.OME.TIFF", "d"),
        ("zélle 1.png", "zélle 1"),
        (".ome.tif", ".ome"),
    ],
)
def test_stems(name, stem):
    assert stem_of(name) == stem


def test_pairs_in_two_folders(tmp_path):
    touch(tmp_path, "images/s10.tif", "images/s9.ome.tif", "images/a.b.tif", "images/alone.tif")
    touch(tmp_path, "masks/s10.png", "masks/s9_mask.tif", "masks/a.b.TIF", "masks/lost.png")
    found = find_pairs(tmp_path)
    assert [(pair.name, pair.mask.name) for pair in found.pairs] == [
        ("a.b", "a.b.TIF"),
        ("s9", "s9_mask.tif"),
        ("s10", "s10.png"),
    ]
    assert [path.name for path in found.unpaired_images] == ["alone.tif"]
    assert [path.name for path in found.unpaired_masks] == ["lost.png"]


def test_pairs_side_by_side(tmp_path):
    touch(tmp_path, "x.tif", "x_mask.png", "y.tif", "z_mask.tif", "x_labels.tif")
    found = find_pairs(tmp_path)
    assert [(pair.image.name, pair.mask.name) for pair in found.pairs] == [("x.tif", "x_mask.png")]
    assert [path.name for path in found.unpaired_images] == ["y.tif"]
    assert [path.name for path in found.unpaired_masks] == ["z_mask.tif"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "holds no images and masks"),
        (["masks/a.tif", "masks/b.tif"], r"masks without images \(a, b\)"),
        (["a_mask.tif"], r"masks without images \(a\)"),
        (["images/a.tif"], r"images without masks \(a\)"),
        ([f"{i}.tif" for i in range(9)], r"images without masks \(0, 1, 2, 3, 4 and 4 more\)"),
        (["images/a.tif", "masks/b.tif"], r"images: a; masks: b"),
        (["images/a.tif", "images/a.png", "masks/a.tif"], "share the stem 'a'"),
        (["x.tif", "x_mask.tif", "x_mask.png"], "share the stem 'x'"),
    ],
)
def test_a_folder_without_pairs_says_what_it_holds(tmp_path, names, said):
    with pytest.raises(InputError, match=said):
        find_pairs(touch(tmp_path, *names))


def test_a_missing_folder_of_pairs(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        find_pairs(tmp_path / "nowhere")


def test_a_mask_of_one_value_is_labelled_by_4_connectivity_without_specks():
    mask = np.zeros((40, 40), np.uint8)
    mask[0:10, 0:10] = 255
    mask[10:20, 10:20] = 255  # touches the first by a corner only
    mask[30:37, 0:7] = 255  # 49 px: a speck
    mask[30:35, 20:30] = 255  # 50 px: an object
    labels = label_truth(mask)
    assert labels.dtype == np.int32
    assert np.bincount(labels.ravel()).tolist() == [1600 - 250, 100, 100, 50]
    np.testing.assert_array_equal(label_truth(mask > 0), labels)


def test_a_mask_of_several_values_keeps_them():
    mask = np.zeros((20, 20), np.uint16)
    mask[0, 0] = 7  # small objects stay
    mask[5:8, 5:8] = 300
    mask[15:18, 5:8] = 300  # one object in two pieces
    np.testing.assert_array_equal(label_truth(mask), mask)
    np.testing.assert_array_equal(label_truth(mask.astype(np.float32)), mask)
    huge = np.where(mask == 300, np.uint64(2**40), mask)
    np.testing.assert_array_equal(np.unique(label_truth(huge)), [0, 1, 2])
    assert label_truth(huge)[16, 6] == 2


def test_an_empty_mask_is_legal():
    assert label_truth(np.zeros((3, 5), np.uint8)).tolist() == np.zeros((3, 5)).tolist()


@pytest.mark.parametrize("value", [-1, 0.5, np.nan, np.inf])
def test_values_that_are_no_labels_are_refused(value):
    mask = np.zeros((3, 5), np.float32)
    mask[1, 1] = value
    with pytest.raises(InputError, match=f"{value:g}"):
        label_truth(mask)


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
def test_touching_objects_are_parted_by_a_gap(width):
    labels = np.zeros((30, 30), np.int32)
    labels[2:12, 2:12] = 1
    labels[2:12, 12:22] = 2
    labels[12:20, 5:15] = 3
    labels[25:28, 25:28] = 4
    parted = separate_touching(labels, width)
    from scipy.ndimage import label

    assert label(parted > 0)[1] == 4
    assert label(labels > 0)[1] == 2
    assert np.all((parted == labels) | (parted == 0))
    assert (parted[5, 2:22] == 0).sum() == width
    assert (parted == 4).sum() == 9
    assert (labels > 0).sum() - (parted > 0).sum() <= 20 * width
    assert labels[2, 11] == 1  # the input is untouched


def test_typical_diameter_is_the_median_over_all_objects():
    small, large = np.zeros((50, 50), np.int32), np.zeros((50, 50), np.int32)
    small[:2, :2], small[10:12, :2] = 1, 2
    large[:10, :10] = 1
    assert measure_diameter([small, large]) == pytest.approx(np.sqrt(16 / np.pi))
    assert measure_diameter([large, np.zeros((3, 5), np.int32)]) == pytest.approx(np.sqrt(400 / np.pi))
    assert measure_diameter([np.zeros((3, 5), np.int32)]) is None
    assert measure_diameter([]) is None


def test_the_shared_pairs(shared_data):
    assert len(find_pairs(shared_data / "phase-usiigaci" / "train").pairs) == 35
    (pair,) = find_pairs(shared_data / "dic-adherent").pairs
    assert read_mask(pair.mask, (1024, 832)).max() == 46
