"""Which files of a folder train and which validate."""

from __future__ import annotations

import pytest

from blunet.compression.presets import preset
from blunet.dataset.split_settings import SplitSettings
from blunet.dataset.splits import (
    VALIDATION_LIST,
    read_validation_list,
    split_by_share,
    split_files,
    split_into_folds,
)
from blunet.errors import InputError

NAMES = [f"field{i}" for i in range(1, 31)]


def test_a_split_depends_on_names_and_seed_only():
    training, validation = split_by_share(NAMES, 0.2)
    assert sorted(training + validation) == sorted(NAMES)
    assert len(validation) == 6
    assert split_by_share(NAMES[::-1], 0.2) == (training, validation)
    assert split_by_share(set(NAMES), 0.2) == (training, validation)
    assert split_by_share(NAMES, 0.2, seed=1) != (training, validation)
    assert len({tuple(split_by_share(NAMES, 0.2, seed=seed)[1]) for seed in range(20)}) > 15
    assert training == [name for name in NAMES if name in training]  # natural order: field2 before field10
    # A run must find the same files after an update.
    assert validation == ["field7", "field20", "field21", "field26", "field28", "field30"]


def test_a_new_file_moves_at_most_one_other():
    before = set(split_by_share(NAMES, 0.2)[1])
    for i in range(31, 41):
        after = set(split_by_share([*NAMES, f"field{i}"], 0.2)[1])
        assert len((before ^ after) - {f"field{i}"}) <= 1


@pytest.mark.parametrize(
    ("files", "share", "validating"),
    [(2, 0.2, 1), (2, 0.9, 1), (3, 0.01, 1), (3, 0.99, 2), (10, 0.25, 3), (12, 0.2, 2)],
)
def test_at_least_one_file_trains_and_one_validates(files, share, validating):
    training, validation = split_by_share(NAMES[:files], share)
    assert (len(training), len(validation)) == (files - validating, validating)


@pytest.mark.parametrize("k", [2, 5, 7, 30])
def test_every_file_validates_in_one_fold(k):
    made = split_into_folds(NAMES, k)
    assert len(made) == k
    assert sorted(name for _, validation in made for name in validation) == sorted(NAMES)
    for training, validation in made:
        assert sorted(training + validation) == sorted(NAMES)
        assert 30 // k <= len(validation) <= 30 // k + 1
    assert split_into_folds(NAMES[::-1], k) == made
    assert split_into_folds(NAMES, k, seed=1) != made


@pytest.mark.parametrize("k", [2, 4, 7, 30])
def test_consecutive_folds_are_runs_of_neighbours(k):
    made = split_into_folds(NAMES[::-1], k, order="consecutive")
    assert [name for _, validation in made for name in validation] == NAMES  # field2 before field10
    for training, validation in made:
        assert sorted(training + validation) == sorted(NAMES)
        assert 30 // k <= len(validation) <= 30 // k + 1
    assert split_into_folds(NAMES, k, seed=1, order="consecutive") == made


def test_the_last_files_validate_where_they_are_consecutive():
    assert split_by_share(NAMES[::-1], 0.1, order="consecutive") == (NAMES[:27], NAMES[27:])
    assert split_by_share(NAMES[:2], 0.01, order="consecutive") == (NAMES[:1], NAMES[1:2])


def objects(*counts):
    return {f"field{i}": count for i, count in enumerate(counts, 1)}


@pytest.mark.parametrize(
    ("order", "time_lapse", "wanted"),
    [
        ("random", False, "drawn"),
        ("random", True, "drawn"),
        ("consecutive", False, "in a row"),
        ("consecutive", True, "in a row"),
        ("auto", False, "drawn"),
        ("auto", True, "in a row"),
    ],
)
def test_files_are_split_as_the_settings_say(order, time_lapse, wanted):
    settings = SplitSettings(seed=3, validation_order=order)
    files = objects(*[1] * 30)
    found = split_files(files, settings, time_lapse=time_lapse)
    assert found.split == (split_by_share(NAMES, 0.2, 3) if wanted == "drawn" else (NAMES[:24], NAMES[24:]))
    folded = split_files(files, settings.changed(folds=5, fold=1), time_lapse=time_lapse)
    assert folded.split.validation == (
        split_into_folds(NAMES, 5, 3)[1].validation if wanted == "drawn" else NAMES[6:12]
    )


@pytest.mark.parametrize("order", ["random", "consecutive", "auto"])
@pytest.mark.parametrize("time_lapse", [False, True])
def test_the_user_learns_what_validates_in_a_time_lapse(order, time_lapse):
    found = split_files(objects(*[1] * 30), SplitSettings(validation_order=order), time_lapse=time_lapse)
    assert len(found.remarks) == (time_lapse and order == "auto")
    assert len(found.warnings) == (time_lapse and order == "random")
    for remark in found.remarks:
        assert "6 in a row (field25, field26, field27 ...)" in remark
    for warning in found.warnings:
        assert 'validation_order = "auto"' in warning


def test_the_study_draws_its_validation_files():
    assert preset("quick").split.validation_order == "auto"
    assert preset("study").split.validation_order == "random"  # as published


def test_splits_without_objects_are_refused_and_a_time_lapse_that_ends_empty_is_drawn_from():
    settings = SplitSettings(validation_order="auto", seed=1)
    drawn = split_by_share(NAMES, 0.2, 1)
    found = split_files(objects(*[1] * 24, *[0] * 6), settings, time_lapse=True)
    assert found.split == drawn
    assert found.remarks == []
    for order, advice in (("consecutive", "chosen by another 'fold' or"), ("random", "chosen by another 'seed', ")):
        validation = NAMES[24:] if order == "consecutive" else drawn.validation
        files = {name: int(name not in validation) for name in NAMES}
        with pytest.raises(InputError, match="6 images to choose the best weights by are empty") as error:
            split_files(files, settings.changed(validation_order=order), time_lapse=True)
        assert advice in str(error.value)


def test_splits_that_are_not_possible():
    for share in (0, 1, -0.5, float("nan")):
        with pytest.raises(InputError, match="share"):
            split_by_share(NAMES, share)
    for few in ([], ["one"]):
        with pytest.raises(InputError, match="at least two"):
            split_by_share(few, 0.2)
    for k in (1, 0, -2, 31):
        with pytest.raises(InputError, match=f"^{k} folds of 30 images"):
            split_into_folds(NAMES, k)
    for split in (lambda: split_by_share(["a", "b", "a"], 0.2), lambda: split_into_folds(["a", "b", "a"], 2)):
        with pytest.raises(InputError, match="'a' is named twice"):
            split()


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


def test_a_list_names_the_files_that_validate(tmp_path):
    objects = {name: 3 for name in NAMES}
    assert read_validation_list(tmp_path, objects) is None
    path = tmp_path / VALIDATION_LIST
    path.write_text("field12\n\nfield2.tif\n", encoding="utf-8")
    found = read_validation_list(tmp_path, objects)
    assert found.split.validation == ["field2", "field12"]
    assert sorted([*found.split.training, "field2", "field12"]) == sorted(NAMES)
    assert "field2, field12" in found.remarks[0]
    for text, words in (("field99", "names 'field99'"), ("\n", "no image"), ("\n".join(NAMES), "all images")):
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            read_validation_list(tmp_path, objects)
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="cannot be read"):
        read_validation_list(tmp_path, objects)
    path.write_text("field2")
    with pytest.raises(InputError, match="are empty"):
        read_validation_list(tmp_path, objects | {"field2": 0})
