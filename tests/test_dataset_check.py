"""The check of a folder before training on it."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pytest
import tifffile
from made_pairs import SIZE, grey, put

from blunet.dataset.dataset_check import check_dataset
from blunet.dataset.dataset_report import find_changed_files, record_dataset
from blunet.dataset.split_settings import SplitSettings
from blunet.errors import InputError


def squares(*sides, shape=(SIZE, SIZE)):
    """Return squares of these sides along the diagonal, labelled from 1, one pixel apart."""
    labels = np.zeros(shape, np.uint8)
    start = 0
    for number, side in enumerate(sides, 1):
        labels[start : start + side, start : start + side] = number
        start += side + 1
    return labels


@pytest.fixture
def data(tmp_path):
    """Ten different pairs without anything to warn about."""
    folder = tmp_path / "data"
    for i in range(1, 11):
        put(folder, f"t{i}", grey(i), np.roll(squares(9, 10), i, axis=0))
    return folder


def check(folder, crop, **split):
    settings = SplitSettings(**{"validation_order": "consecutive"} | split)  # masks here resemble a time-lapse's
    return check_dataset(folder, crop=crop, split=settings)


def about(report, word):
    """Return the only warning that contains the word."""
    found = [warning for warning in report.warnings if word in warning]
    assert len(found) == 1, report.warnings
    return found[0]


def test_the_list_of_validation_files_counts_unless_there_are_folds(data):
    (data / "validation.txt").write_text("t3\nt7\n")
    report = check(data, 32)
    assert report.validation == ["t3", "t7"]
    assert len(report.training) == 8
    assert check(data, 32, folds=5).validation == ["t1", "t2"]


def refusal(folder, crop=16):
    with pytest.raises(InputError) as error:
        check(folder, crop)
    sentence = str(error.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_a_good_folder_is_described_without_a_warning(data):
    report = check(data, SIZE)
    assert [pair.name for pair in report.pairs] == [f"t{i}" for i in range(1, 11)]
    assert report.warnings == []
    first = report.pairs[0]
    assert (first.image, first.mask) == (data / "images" / "t1.tif", data / "masks" / "t1.png")
    assert (first.shape, first.dtype, first.objects) == ((SIZE, SIZE), "uint8", 2)
    assert first.foreground == (9**2 + 10**2) / SIZE**2
    assert first.image_sha256 == hashlib.sha256(first.image.read_bytes()).hexdigest()
    assert first.mask_sha256 == hashlib.sha256(first.mask.read_bytes()).hexdigest()
    assert report.object_diameter == pytest.approx(9.5 * 2 / np.sqrt(np.pi))
    assert report.describe() == [
        f"10 images with masks in '{data}'",
        "Images: 32 x 32 pixels (Y x X); uint8",
        "Objects: 20, from 2 to 2 in an image; typical diameter 10.7 px",
        "Foreground: 17.7% of the pixels, from 17.7% to 17.7% in an image",
    ]


def test_the_typical_diameter_is_of_all_objects_and_not_of_the_images(tmp_path):
    put(tmp_path, "one", grey(1), squares(20))
    put(tmp_path, "three", grey(2), squares(8, 8, 8))
    report = check(tmp_path, 16)
    assert report.object_diameter == pytest.approx(8 * 2 / np.sqrt(np.pi))
    assert report.pairs[0].object_diameter == pytest.approx(20 * 2 / np.sqrt(np.pi))


def test_files_without_a_partner_are_named(data):
    shutil.copy(data / "images" / "t1.tif", data / "images" / "alone.tif")
    for i in range(7):
        shutil.copy(data / "masks" / "t1.png", data / "masks" / f"lost{i}.png")
    report = check(data, SIZE)
    assert len(report.pairs) == 10
    assert about(report, "without a mask").startswith("1 image without")
    assert about(report, "without a mask").endswith(": 'images/alone.tif'.")
    assert about(report, "without an image").startswith("7 masks without")
    assert "'masks/lost4.png' and 2 more" in about(report, "without an image")
    assert report.describe()[-2:] == [f"Warning: {warning}" for warning in report.warnings]


def test_peculiar_files_are_named(data):
    full = np.full((SIZE, SIZE), 255, np.uint8)
    crowded = full.copy()
    crowded[0] = 0
    specks = np.zeros((SIZE, SIZE), np.uint8)
    specks[:7, :7] = 255
    put(data, "t1", np.full((SIZE, SIZE), 7, np.uint8), squares(9, 10))
    put(data, "t2", grey(2), np.zeros((SIZE, SIZE), np.uint8))
    put(data, "t3", grey(3), specks)
    put(data, "t4", grey(4), full)
    put(data, "t5", grey(5), crowded)
    report = check(data, SIZE)
    assert "'images/t1.tif'" in about(report, "one grey value")
    assert "2 empty masks" in about(report, "empty")
    assert "'masks/t2.png', 'masks/t3.png'" in about(report, "empty")
    assert "'masks/t4.png'" in about(report, "full mask")
    assert "'masks/t5.png'" in about(report, "more than 95% foreground")
    assert len(report.warnings) == 4
    assert [pair.objects for pair in report.pairs[:5]] == [2, 0, 0, 1, 1]


def test_masks_full_of_objects_are_named_though_none_has_a_diameter_to_compare(tmp_path):
    crowded = np.full((SIZE, SIZE), 255, np.uint8)
    crowded[0] = 0
    for i in (1, 2):
        put(tmp_path, f"t{i}", grey(i), crowded[:: 2 * i - 3])
    report = check(tmp_path, SIZE)
    assert about(report, "95%").startswith("2 masks")
    assert report.object_diameter == pytest.approx(np.sqrt(4 * SIZE * (SIZE - 1) / np.pi))


def test_images_smaller_than_the_crop_are_named(data):
    put(data, "t3", grey(3, (SIZE, SIZE - 1)), squares(9, 10, shape=(SIZE, SIZE - 1)))
    assert check(data, SIZE - 1).warnings == []
    assert "crop of 32 x 32 pixels, to be padded with black: 'images/t3.tif'" in about(check(data, SIZE), "smaller")


def test_files_that_differ_much_are_named(data):
    put(data, "t3", grey(3, (65, 65)), squares(31, 31, shape=(65, 65)))
    put(data, "t4", grey(4, dtype=np.uint16), squares(9, 10))
    report = check(data, 16)
    assert "32 x 32 ('t1.tif') to 65 x 65 ('t3.tif')" in about(report, "differ much in size,")
    types = about(report, "types")
    assert "uint16: 'images/t4.tif'" in types
    assert "uint8: 'images/t1.tif', 'images/t2.tif', 'images/t3.tif'" in types
    assert "'t3.png'" in about(report, "in diameter")
    assert report.describe()[1] == "Images: 32 x 32 to 65 x 65 pixels (Y x X); uint16, uint8"


def test_few_images_give_a_warning_about_rough_scores(data):
    for i in range(1, 4):
        (data / "masks" / f"t{i}.png").unlink()
        (data / "images" / f"t{i}.tif").unlink()
    assert check(data, SIZE).warnings == ["There are only 7 images: scores on 1 validation image are rough."]


@pytest.mark.parametrize(
    ("split", "count"), [({"validation_share": 0.5}, 4), ({"folds": 2, "fold": 1}, 4), ({"folds": 3, "fold": 2}, 3)]
)
def test_the_warning_about_few_images_counts_those_that_the_settings_choose(data, split, count):
    for i in range(1, 4):
        (data / "masks" / f"t{i}.png").unlink()
        (data / "images" / f"t{i}.tif").unlink()
    report = check(data, SIZE, **split)
    assert len(report.validation) == count
    assert f"scores on {count} validation images are rough" in about(report, "only 7 images")


def test_copies_are_named_unless_they_are_empty_or_full_masks(data):
    shutil.copy(data / "images" / "t1.tif", data / "images" / "t10.tif")
    shutil.copy(data / "masks" / "t4.png", data / "masks" / "t6.png")
    for name in ("t7", "t8"):
        put(data, name, grey(ord(name[-1])), np.zeros((SIZE, SIZE), np.uint8))
    report = check(data, SIZE)
    copies = [warning for warning in report.warnings if "copies" in warning]
    assert len(copies) == 2
    assert "'images/t1.tif', 'images/t10.tif'" in copies[0]
    assert "'masks/t4.png', 'masks/t6.png'" in copies[1]


def test_no_folder_and_no_pairs(tmp_path):
    assert f"'{tmp_path / 'nowhere'}'" in refusal(tmp_path / "nowhere")
    assert f"'{tmp_path}'" in refusal(tmp_path)


def test_one_pair_leaves_nothing_for_validation(tmp_path):
    put(tmp_path, "only", grey(1), squares(9))
    assert "'only.tif'" in refusal(tmp_path)
    assert "at least two" in refusal(tmp_path)
    shutil.copy(tmp_path / "images" / "only.tif", tmp_path / "images" / "tow.tif")
    assert "'images/tow.tif' found no partner" in refusal(tmp_path)


def test_masks_all_empty_or_all_full(tmp_path):
    for value, word in ((0, "empty"), (3, "full")):
        folder = tmp_path / word
        for i in (1, 2, 3):
            put(folder, f"t{i}", grey(i), np.full((SIZE, SIZE), value, np.uint8))
        assert refusal(folder).startswith(f"All 3 masks in '{folder}' are {word}")
    both = squares()
    both[:] = 1
    both[:16] = 2  # two classes from 1 on, no background at all: as full as one
    for i in (1, 2, 3):
        put(tmp_path / "full", f"t{i}", grey(i), both)
    assert "are full" in refusal(tmp_path / "full")


def test_a_mask_of_another_size(data):
    put(data, "t5", grey(5), squares(9, shape=(SIZE, SIZE + 8)))
    sentence = refusal(data)
    assert str(data / "masks" / "t5.png") in sentence
    assert "32 x 40" in sentence
    assert "32 x 32" in sentence


def test_files_that_are_not_a_single_image_are_refused(data):
    path = data / "images" / "t5.tif"
    whole = path.read_bytes()
    tifffile.imwrite(path, grey(5, (3, SIZE, SIZE)), photometric="minisblack")
    assert f"'{path}' is a stack of 3 frames" in refusal(data)
    path.write_bytes(whole[: len(whole) // 2])
    assert str(path) in refusal(data)
    path.write_text("not an image")
    assert str(path) in refusal(data)
    tifffile.imwrite(path, np.full((SIZE, SIZE), np.nan, np.float32))
    assert str(path) in refusal(data)
    assert "NaN" in refusal(data)


def test_a_crop_of_no_pixels(data):
    assert "is 0;" in refusal(data, crop=0)


def test_the_record_survives_json_and_a_move_and_shows_what_changed(data):
    before = json.loads(json.dumps(record_dataset(check(data, SIZE))))
    assert before["pairs"][1]["name"] == "t2"
    assert before["pairs"][1]["shape"] == [SIZE, SIZE]
    assert before["sha256"]["images/t2.tif"] == hashlib.sha256((data / "images" / "t2.tif").read_bytes()).hexdigest()
    moved = data.rename(data.with_name("elsewhere"))
    assert find_changed_files(before, check(moved, SIZE)) == []
    put(moved, "t3", grey(3), squares(9, 11))
    (moved / "images" / "t7.tif").unlink()
    put(moved, "t99", grey(99), squares(5, 12))
    assert find_changed_files(before, check(moved, SIZE)) == [
        "images/t7.tif",
        "images/t99.tif",
        "masks/t3.png",
        "masks/t7.png",
        "masks/t99.png",
    ]
    with pytest.raises(InputError):
        find_changed_files({"folder": "x"}, check(moved, SIZE))


def test_real_images(shared_data):
    report = check(shared_data / "phase-usiigaci" / "train", 256)
    assert len(report.pairs) == 35
    assert report.warnings == []
    assert {pair.shape for pair in report.pairs} == {(1022, 1024)}
    assert 30 < report.object_diameter < 80
