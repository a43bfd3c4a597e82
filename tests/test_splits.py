"""Which files of a folder train and which validate, and what is known for it of a film."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from made_pairs import grey, put

from blunet.compression.presets import preset
from blunet.compression.run_data import read_data
from blunet.compression.run_estimate import duration
from blunet.compression.run_request import Request
from blunet.dataset.splits import SplitSettings, folds, part, split
from blunet.dataset.time_lapse import is_film, outline
from blunet.errors import InputError
from blunet.jobs.training_data import check_data
from blunet.simulation.dic_fields import simulate_dic, simulate_timelapse
from blunet.simulation.dic_settings import DicSettings

NAMES = [f"field{i}" for i in range(1, 31)]


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
    settings = preset("quick").changed(seed=3, validation_order=order)
    report = labelled(*[1] * 30, film=film)
    made = part(report, settings.split)
    assert (made.training, made.validation) == (split(NAMES, 0.2, 3) if wanted == "drawn" else (NAMES[:24], NAMES[24:]))
    folded = part(report, settings.changed(folds=5, fold=1).split)
    assert folded.validation == (folds(NAMES, 5, 3)[1][1] if wanted == "drawn" else NAMES[6:12])


@pytest.mark.parametrize("order", ["random", "consecutive", "auto"])
@pytest.mark.parametrize("film", [False, True])
def test_it_is_told_what_validates_where_images_are_a_film(order, film):
    made = part(labelled(*[1] * 30, film=film), preset("quick").changed(validation_order=order).split)
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
    made = part(report, settings.split)
    assert (made.training, made.validation) == split(NAMES, 0.2, settings.seed)
    assert made.remarks == []
    for order, advice in (("consecutive", "chosen by another 'fold' or"), ("random", "chosen by another 'seed', ")):
        drawn = [name not in split(NAMES, 0.2, settings.seed)[1] for name in NAMES]
        report = labelled(*([1] * 24 + [0] * 6 if order == "consecutive" else drawn), film=True)
        with pytest.raises(InputError, match="6 images to choose the best weights by are empty") as told:
            part(report, settings.changed(validation_order=order).split)
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
    few = seen(frames(10))
    for i, pair in enumerate(few[4:]):
        pair.shape = (128, i)
    assert not is_film(few)


def test_a_film_in_a_folder_is_found_checked_and_parted_alike(tmp_path):
    """Frames of two sizes: the estimate tells which of them were taken to validate."""
    for i, mask in enumerate(frames(10)):
        cut = mask if i < 8 else mask[:64]
        put(tmp_path, f"f{i}", grey(i, cut.shape), cut.astype(np.uint8))
    settings = preset("quick")
    request = Request(str(tmp_path), str(tmp_path / "run"), settings, "scratch")
    data = read_data(request)
    assert data.report.film
    assert [pair.name for pair in data.validation] == ["f8", "f9"] == part(data.report, settings.split).validation
    assert split([f"f{i}" for i in range(10)], 0.2, settings.seed)[1] != ["f8", "f9"]
    (checked,) = check_data(tmp_path, settings, "scratch")
    assert [line for line in checked.lines if "in a row (f8, f9)" in line] == data.report.remarks != []
    assert list(checked.lines) == data.report.lines()
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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"validation_share": 1.0}, "'validation_share' is 1.0; give a number, above 0 and below 1"),
        ({"validation_order": "sorted"}, "'validation_order' is 'sorted'; give one of random, consecutive, auto"),
        ({"folds": 5, "fold": 5}, "'fold' is 5; with 5 folds give 0 to 4"),
    ],
)
def test_split_settings_out_of_range_are_named(change, said):
    with pytest.raises(InputError, match=said):
        SplitSettings(**change)
