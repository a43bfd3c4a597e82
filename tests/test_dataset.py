"""The check of a folder before training on it, and which of its files train and which validate."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image

from blunet.compression.data import read_data
from blunet.compression.dataset import changed, check_dataset, listing
from blunet.compression.estimate import duration
from blunet.compression.film import is_film, outline
from blunet.compression.request import Request
from blunet.compression.settings import preset
from blunet.compression.splits import folds, part, split
from blunet.errors import InputError
from blunet.images.dic_settings import DicSettings
from blunet.images.simulate import simulate_dic, simulate_timelapse
from blunet.jobs.training_data import check_data

SIZE = 32
NAMES = [f"field{i}" for i in range(1, 31)]


def grey(seed, shape=(SIZE, SIZE), dtype=np.uint8):
    return np.random.default_rng(seed).integers(1, 200, shape).astype(dtype)


def squares(*sides, shape=(SIZE, SIZE)):
    """Labels 1, 2, ... on the diagonal, each a square with one of the sides, a pixel between them."""
    labels = np.zeros(shape, np.uint8)
    start = 0
    for number, side in enumerate(sides, 1):
        labels[start : start + side, start : start + side] = number
        start += side + 1
    return labels


def put(folder, name, image, mask):
    """Write an image as TIFF and its mask as PNG."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(folder / "images" / f"{name}.tif", image)
    Image.fromarray(mask).save(folder / "masks" / f"{name}.png")


@pytest.fixture
def data(tmp_path):
    """Ten different pairs without any oddity."""
    folder = tmp_path / "data"
    for i in range(1, 11):
        put(folder, f"t{i}", grey(i), np.roll(squares(9, 10), i, axis=0))
    return folder


def about(report, word):
    """The one warning in which the word stands."""
    found = [warning for warning in report.warnings if word in warning]
    assert len(found) == 1, report.warnings
    return found[0]


def refusal(folder, crop=16):
    with pytest.raises(InputError) as error:
        check_dataset(folder, crop)
    sentence = str(error.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_a_good_folder_is_described_without_a_warning(data):
    report = check_dataset(data, SIZE)
    assert [pair.name for pair in report.pairs] == [f"t{i}" for i in range(1, 11)]
    assert report.warnings == []
    assert report.unpaired_images == report.unpaired_masks == []
    first = report.pairs[0]
    assert (first.image, first.mask) == (data / "images" / "t1.tif", data / "masks" / "t1.png")
    assert (first.shape, first.dtype, first.objects) == ((SIZE, SIZE), "uint8", 2)
    assert first.foreground == (9**2 + 10**2) / SIZE**2
    assert first.image_sha256 == hashlib.sha256(first.image.read_bytes()).hexdigest()
    assert first.mask_sha256 == hashlib.sha256(first.mask.read_bytes()).hexdigest()
    assert report.object_diameter == pytest.approx(9.5 * 2 / np.sqrt(np.pi))
    assert report.lines() == [
        f"10 images with masks in '{data}'",
        "Images: 32 x 32 pixels (Y x X); uint8",
        "Objects: 20, from 2 to 2 in an image; typical diameter 10.7 px",
        "Foreground: 17.7% of the pixels, from 17.7% to 17.7% in an image",
    ]


def test_the_typical_diameter_is_of_all_objects_and_not_of_the_images(tmp_path):
    put(tmp_path, "one", grey(1), squares(20))
    put(tmp_path, "three", grey(2), squares(8, 8, 8))
    report = check_dataset(tmp_path, 16)
    assert report.object_diameter == pytest.approx(8 * 2 / np.sqrt(np.pi))
    assert report.pairs[0].object_diameter == pytest.approx(20 * 2 / np.sqrt(np.pi))


def test_files_without_a_partner_are_named(data):
    shutil.copy(data / "images" / "t1.tif", data / "images" / "alone.tif")
    for i in range(7):
        shutil.copy(data / "masks" / "t1.png", data / "masks" / f"lost{i}.png")
    report = check_dataset(data, SIZE)
    assert [path.name for path in report.unpaired_images] == ["alone.tif"]
    assert len(report.unpaired_masks) == 7
    assert len(report.pairs) == 10
    assert about(report, "without a mask").startswith("1 image without")
    assert "'images/alone.tif'" in about(report, "without a mask")
    assert "'masks/lost4.png' and 2 more" in about(report, "without an image")
    assert report.lines()[-2:] == [f"Warning: {warning}" for warning in report.warnings]


def test_single_odd_files_are_named(data):
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
    report = check_dataset(data, SIZE)
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
    report = check_dataset(tmp_path, SIZE)
    assert about(report, "95%").startswith("2 masks")
    assert report.object_diameter == pytest.approx(np.sqrt(4 * SIZE * (SIZE - 1) / np.pi))


def test_images_smaller_than_the_crop_are_named(data):
    put(data, "t3", grey(3, (SIZE, SIZE - 1)), squares(9, 10, shape=(SIZE, SIZE - 1)))
    assert check_dataset(data, SIZE - 1).warnings == []
    assert "crop of 32 x 32 pixels, to be padded with black: 'images/t3.tif'" in about(
        check_dataset(data, SIZE), "smaller"
    )


def test_files_that_differ_much_are_named(data):
    put(data, "t3", grey(3, (65, 65)), squares(31, 31, shape=(65, 65)))
    put(data, "t4", grey(4, dtype=np.uint16), squares(9, 10))
    report = check_dataset(data, 16)
    assert "32 x 32 ('t1.tif') to 65 x 65 ('t3.tif')" in about(report, "differ much in size,")
    types = about(report, "types")
    assert "uint16: 'images/t4.tif'" in types
    assert "uint8: 'images/t1.tif', 'images/t2.tif', 'images/t3.tif'" in types
    assert "'t3.png'" in about(report, "in diameter")
    assert report.lines()[1] == "Images: 32 x 32 to 65 x 65 pixels (Y x X); uint16, uint8"


def test_few_images_are_said_to_give_rough_scores(data):
    for i in range(1, 4):
        (data / "masks" / f"t{i}.png").unlink()
        (data / "images" / f"t{i}.tif").unlink()
    assert check_dataset(data, SIZE).warnings == ["There are only 7 images: scores on 1 validation image are rough."]


def test_copies_are_named_but_for_masks_without_a_border(data):
    shutil.copy(data / "images" / "t1.tif", data / "images" / "t10.tif")
    shutil.copy(data / "masks" / "t4.png", data / "masks" / "t6.png")
    for name in ("t7", "t8"):
        put(data, name, grey(ord(name[-1])), np.zeros((SIZE, SIZE), np.uint8))
    report = check_dataset(data, SIZE)
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


def test_files_that_are_no_single_image(data):
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


def test_the_listing_survives_json_and_a_move_and_tells_what_changed(data):
    before = json.loads(json.dumps(listing(check_dataset(data, SIZE))))
    assert before["pairs"][1]["name"] == "t2"
    assert before["pairs"][1]["shape"] == [SIZE, SIZE]
    assert before["sha256"]["images/t2.tif"] == hashlib.sha256((data / "images" / "t2.tif").read_bytes()).hexdigest()
    moved = data.rename(data.with_name("elsewhere"))
    assert changed(before, check_dataset(moved, SIZE)) == []
    put(moved, "t3", grey(3), squares(9, 11))
    (moved / "images" / "t7.tif").unlink()
    put(moved, "t99", grey(99), squares(5, 12))
    assert changed(before, check_dataset(moved, SIZE)) == [
        "images/t7.tif",
        "images/t99.tif",
        "masks/t3.png",
        "masks/t7.png",
        "masks/t99.png",
    ]
    with pytest.raises(InputError):
        changed({"folder": "x"}, check_dataset(moved, SIZE))


def test_a_split_hangs_on_names_and_seed_alone():
    training, validation = split(NAMES)
    assert sorted(training + validation) == sorted(NAMES)
    assert len(validation) == 6
    assert split(NAMES[::-1]) == (training, validation)
    assert split(set(NAMES)) == (training, validation)
    assert split(NAMES, seed=1) != (training, validation)
    assert len({tuple(split(NAMES, seed=seed)[1]) for seed in range(20)}) > 15
    assert training == [name for name in NAMES if name in training]  # natural order: field2 before field10
    # Written down once: a run of today must find the same files after an update.
    assert validation == ["field7", "field20", "field21", "field26", "field28", "field30"]


def test_a_new_file_moves_at_most_one_other():
    before = set(split(NAMES)[1])
    for i in range(31, 41):
        after = set(split([*NAMES, f"field{i}"])[1])
        assert len((before ^ after) - {f"field{i}"}) <= 1


@pytest.mark.parametrize(
    ("files", "share", "validating"),
    [(2, 0.2, 1), (2, 0.9, 1), (3, 0.01, 1), (3, 0.99, 2), (10, 0.25, 3), (12, 0.2, 2)],
)
def test_at_least_one_file_on_either_side(files, share, validating):
    training, validation = split(NAMES[:files], share)
    assert (len(training), len(validation)) == (files - validating, validating)


@pytest.mark.parametrize("k", [2, 5, 7, 30])
def test_every_file_validates_in_one_fold(k):
    made = folds(NAMES, k)
    assert len(made) == k
    assert sorted(name for _, validation in made for name in validation) == sorted(NAMES)
    for training, validation in made:
        assert sorted(training + validation) == sorted(NAMES)
        assert 30 // k <= len(validation) <= 30 // k + 1
    assert folds(NAMES[::-1], k) == made
    assert folds(NAMES, k, seed=1) != made


@pytest.mark.parametrize("k", [2, 4, 7, 30])
def test_consecutive_folds_are_runs_of_neighbours(k):
    made = folds(NAMES[::-1], k, order="consecutive")
    assert [name for _, validation in made for name in validation] == NAMES  # field2 before field10
    for training, validation in made:
        assert sorted(training + validation) == sorted(NAMES)
        assert 30 // k <= len(validation) <= 30 // k + 1
    assert folds(NAMES, k, seed=1, order="consecutive") == made


def test_the_last_files_validate_where_they_are_consecutive():
    assert split(NAMES[::-1], 0.1, order="consecutive") == (NAMES[:27], NAMES[27:])
    assert split(NAMES[:2], 0.01, order="consecutive") == (NAMES[:1], NAMES[1:2])


def labelled(*masks, film):
    pairs = [SimpleNamespace(name=f"field{i}", objects=n) for i, n in enumerate(masks, 1)]
    return SimpleNamespace(pairs=pairs, film=film)


@pytest.mark.parametrize(
    ("order", "film", "wanted"),
    [
        ("random", False, "drawn"),
        ("random", True, "drawn"),
        ("consecutive", False, "in a row"),
        ("consecutive", True, "in a row"),
        ("auto", False, "drawn"),
        ("auto", True, "in a row"),
    ],
)
def test_files_are_parted_as_the_settings_say(order, film, wanted):
    settings = replace(preset("quick"), seed=3, validation_order=order)
    report = labelled(*[1] * 30, film=film)
    made = part(report, settings)
    assert (made.training, made.validation) == (split(NAMES, 0.2, 3) if wanted == "drawn" else (NAMES[:24], NAMES[24:]))
    folded = part(report, replace(settings, folds=5, fold=1))
    assert folded.validation == (folds(NAMES, 5, 3)[1][1] if wanted == "drawn" else NAMES[6:12])


@pytest.mark.parametrize("order", ["random", "consecutive", "auto"])
@pytest.mark.parametrize("film", [False, True])
def test_it_is_told_what_validates_where_images_are_a_film(order, film):
    made = part(labelled(*[1] * 30, film=film), replace(preset("quick"), validation_order=order))
    assert len(made.remarks) == (film and order == "auto")
    assert len(made.warnings) == (film and order == "random")
    for remark in made.remarks:
        assert "6 in a row (field25, field26, field27 ...)" in remark
    for warning in made.warnings:
        assert 'validation_order = "auto"' in warning
    assert preset("study").validation_order == "random"  # as published


def test_parts_without_objects_are_refused_and_a_film_that_ends_empty_is_drawn_from():
    report = labelled(*[1] * 24, *[0] * 6, film=True)
    settings = preset("quick")
    made = part(report, settings)
    assert (made.training, made.validation) == split(NAMES, 0.2, settings.seed)
    assert made.remarks == []
    for order, advice in (("consecutive", "chosen by another 'fold' or"), ("random", "chosen by another 'seed', ")):
        drawn = [name not in split(NAMES, 0.2, settings.seed)[1] for name in NAMES]
        report = labelled(*([1] * 24 + [0] * 6 if order == "consecutive" else drawn), film=True)
        with pytest.raises(InputError, match="6 images to choose the best weights by are empty") as told:
            part(report, replace(settings, validation_order=order))
        assert advice in str(told.value)


def separate(count):
    settings = DicSettings(shape=(128, 128), object_diameter=20)
    return np.stack([simulate_dic(settings, seed=i).labels for i in range(count)])


def frames(count):
    return simulate_timelapse(DicSettings(shape=(128, 128), object_diameter=20), count)[1]


def centred(count):
    """Disks of several sizes near the middle, as of organoids: all masks are alike, and none is a film."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128] - 63.5
    made = [[*rng.normal(0, 8, 2), rng.uniform(25, 45)] for _ in range(count)]
    return np.stack([((y - dy) ** 2 + (x - dx) ** 2 < radius**2).astype(np.int32) for dy, dx, radius in made])


def seen(*stacks):
    return [SimpleNamespace(outline=outline(mask), shape=mask.shape) for masks in stacks for mask in masks]


@pytest.mark.parametrize(
    ("labels", "film"),
    [
        (separate(8), False),
        (frames(8), True),
        (frames(3), True),
        (frames(8)[:, :, ::-1], True),
        (frames(30)[::5], True),  # fast: neighbours have 0.8
        (frames(2), False),  # one validates in any case
        (np.concatenate([frames(6), separate(4)]), True),
        (np.concatenate([frames(3), separate(6)]), False),
        (centred(12), False),
        (np.zeros((5, 32, 32), int), False),
        (np.concatenate([np.zeros((1, 32, 32), int), np.ones((4, 32, 32), int)]), False),
    ],
)
def test_frames_of_a_film_are_known_by_their_masks(labels, film):
    assert is_film(seen(labels)) == film


def test_images_of_several_sizes_can_be_a_film_but_not_across_them():
    assert is_film(seen(frames(4), frames(4)[:, :100]))
    few = seen(frames(4)) + [replace_shape(pair, i) for i, pair in enumerate(seen(frames(6)))]
    assert not is_film(few)


def replace_shape(pair, i):
    return SimpleNamespace(outline=pair.outline, shape=(128, i))


def test_a_film_in_a_folder_is_found_checked_and_parted_alike(tmp_path):
    """Frames of two sizes: the estimate tells which of them were taken to validate."""
    for i, mask in enumerate(frames(10)):
        cut = mask if i < 8 else mask[:64]
        put(tmp_path, f"f{i}", grey(i, cut.shape), cut.astype(np.uint8))
    settings = preset("quick")
    request = Request(str(tmp_path), str(tmp_path / "run"), settings, "scratch")
    data = read_data(request)
    assert data.report.film
    assert [pair.name for pair in data.validation] == ["f8", "f9"] == data.parted.validation
    assert split([f"f{i}" for i in range(10)], 0.2, settings.seed)[1] != ["f8", "f9"]
    (checked,) = check_data(tmp_path, settings, "scratch")
    assert [line for line in checked.lines if "in a row (f8, f9)" in line] == data.parted.remarks
    steps = settings.steps("scratch")
    validated = {shape: duration(settings, steps, [shape] * 2) for shape in ((64, 128), (128, 128))}
    assert checked.seconds == pytest.approx(validated[64, 128], rel=1e-6)
    assert validated[64, 128] < validated[128, 128] * 0.9999


def test_splits_that_are_not_possible():
    for share in (0, 1, -0.5, float("nan")):
        with pytest.raises(InputError, match="share"):
            split(NAMES, share)
    for few in ([], ["one"]):
        with pytest.raises(InputError, match="at least two"):
            split(few)
    for k in (1, 0, -2, 31):
        with pytest.raises(InputError, match=f"^{k} folds of 30 images"):
            folds(NAMES, k)
    for parted in (lambda: split(["a", "b", "a"]), lambda: folds(["a", "b", "a"], 2)):
        with pytest.raises(InputError, match="'a' is named twice"):
            parted()


def test_real_images(shared_data):
    report = check_dataset(shared_data / "phase-usiigaci" / "train", 256)
    assert len(report.pairs) == 35
    assert report.warnings == []
    assert {pair.shape for pair in report.pairs} == {(1022, 1024)}
    assert 30 < report.object_diameter < 80
