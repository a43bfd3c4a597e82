"""Scores, compared with known counts and with a plain search for matches."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import shift

from blunet.errors import InputError
from blunet.evaluation.metrics import IOUS, CellCounts, average_precision, average_precisions, count_cells, f1, iou
from blunet.evaluation.scores import Scores, average_scores, score, score_labels
from blunet.simulation.dic_fields import simulate_dic

TRUTH = np.array([[1, 1, 1, 0], [1, 1, 1, 0]], bool)
FOUND = np.array([[0, 1, 1, 1], [0, 1, 1, 1]], bool)


def test_iou_and_f1_of_known_counts():
    assert iou(TRUTH, FOUND) == 4 / 8
    assert f1(TRUTH, FOUND) == 2 * 4 / (6 + 6)
    assert (iou(TRUTH, TRUTH), f1(TRUTH, TRUTH)) == (1, 1)
    assert (iou(TRUTH, ~TRUTH), f1(TRUTH, ~TRUTH)) == (0, 0)


def test_two_empty_images_score_1_and_one_empty_image_0():
    empty = np.zeros((3, 4), bool)
    assert (iou(empty, empty), f1(empty, empty), average_precision(empty * 1, empty * 1)) == (1, 1, 1)
    assert (iou(empty, ~empty), f1(~empty, empty), average_precision(~empty * 1, empty * 1)) == (0, 0, 0)
    assert average_precision(empty * 1, ~empty * 1) == 0


def test_average_precision_counts_matches_misses_and_extras():
    truth, found = np.zeros((10, 40), int), np.zeros((10, 40), int)
    truth[0:5, 0:10], found[0:5, 0:10] = 3, 9  # equal
    truth[0:5, 12:22], found[0:5, 12:18] = 8, 2  # IoU 0.6
    truth[0:5, 24:34], found[0:5, 24:28] = 5, 5  # IoU 0.4: a miss and an extra
    found[8:10, 0:4] = 7  # an extra
    assert average_precision(truth, found) == 2 / (2 + 2 + 1)
    assert average_precision(truth, found, iou=0.7) == 1 / (1 + 3 + 2)
    assert average_precision(truth, found, iou=0.3) == 3 / (3 + 1 + 0)


def test_an_iou_of_exactly_half_matches_once():
    truth, found = np.array([[1, 1, 0, 0]]), np.array([[1, 0, 0, 0]])
    assert average_precision(truth, found) == 1
    # Each half of the found object overlaps it by one half: only one of them can match.
    assert average_precision(np.array([[1, 1, 2, 2]]), np.array([[1, 1, 1, 1]])) == 1 / 2
    assert average_precision(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]])) == 1 / 2


def test_the_numbers_of_labels_do_not_matter():
    labels = simulate_dic(seed=4).labels
    renumbered = np.random.default_rng(0).permutation(np.arange(1, 2000))[labels - 1] * (labels > 0)
    assert average_precision(labels, renumbered) == 1
    assert average_precision(labels.astype(np.uint16), (renumbered * 1000).astype(np.int64)) == 1


@pytest.mark.parametrize("pixels", [1, 4, 9])
def test_agrees_with_a_plain_search(pixels):
    truth = simulate_dic(seed=4).labels
    found = shift(truth, pixels, order=0)
    matches = 0
    for number in np.unique(truth[truth > 0]):
        inside = truth == number
        for other in np.unique(found[inside]):
            if other:
                shared = np.count_nonzero(inside & (found == other))
                matches += shared / np.count_nonzero(inside | (found == other)) > 0.5
    objects = np.unique(truth[truth > 0]).size + np.unique(found[found > 0]).size
    assert matches > 0
    assert average_precision(truth, found) == matches / (objects - matches)


def test_all_ious_at_once_are_those_of_one_after_the_other():
    truth = simulate_dic(seed=4).labels
    found = shift(truth, 3, order=0)
    at_once = average_precisions(truth, found)
    assert at_once == [average_precision(truth, found, iou=iou) for iou in IOUS]
    assert at_once == sorted(at_once, reverse=True)
    assert at_once[0] > at_once[-1]


@pytest.mark.parametrize("percent", range(50, 100, 5))
def test_an_iou_matches_itself_in_spite_of_rounding(percent):
    truth = np.ones((1, 100), int)
    found = (np.arange(100) < percent)[None].astype(int)
    matched = (percent - 50) // 5 + 1
    assert average_precisions(truth, found) == [1] * matched + [0] * (10 - matched)


def test_the_mean_over_ious_of_known_objects():
    truth = np.zeros((10, 100), int)
    truth[:5], truth[5:] = 1, 2
    found = truth.copy()
    found[:5, 70:] = 0  # IoUs of 0.7 and 1: one of two matches above 0.7
    assert score_labels(found > 0, found, truth).map == pytest.approx((5 * 1 + 5 * 1 / 3) / 10)


def test_shapes_that_differ_are_refused():
    for function in (iou, f1, average_precision):
        with pytest.raises(InputError, match=r"\(2, 3\).*\(3, 2\)"):
            function(np.zeros((2, 3), int), np.zeros((3, 2), int))


def test_foreground_is_scored_with_specks_and_objects_without():
    truth = np.zeros((40, 40), int)
    truth[5:25, 5:25] = 1
    probability = np.where(truth > 0, 0.8, 0.2).astype(np.float32)
    probability[35, 35] = 0.9
    assert score(probability, truth, 0.5) == Scores(400 / 401, 800 / 801, 1, 1, CellCounts(cells=1, found=1))
    assert score(probability, truth, 0.85) == Scores(0, 0, 0, 0, CellCounts(cells=1))


def test_all_images_have_the_same_weight_in_an_average():
    scores = [Scores(1, 1, 0, 1, CellCounts(4, 2, 1)), Scores(0.5, 0, 0.5, 0.5, CellCounts(3, 3, extra=1))]
    assert average_scores(scores) == Scores(0.75, 0.5, 0.25, 0.75, CellCounts(7, 5, 1, extra=1))
    with pytest.raises(InputError, match="no scores"):
        average_scores([])


def test_cells_are_counted_once_each():
    truth = np.zeros((60, 120), int)
    for number in range(6):
        truth[5:25, 20 * number : 20 * number + 18] = number + 1
    found = np.zeros_like(truth)
    found[5:25, 0:18] = 1  # found
    found[5:25, 20:58] = 2  # two cells in one object
    found[5:25, 60:68], found[5:25, 70:78] = 3, 4  # one cell in two objects
    found[5:10, 80:98] = 5  # a quarter of a cell: missed, as is the last
    found[40:50, 40:50] = 6  # no cell
    counts = count_cells(truth, found)
    assert counts == CellCounts(cells=6, found=1, merged=2, split=1, extra=1)
    assert counts.missed == 2
    assert counts.sentence == "1 of 6 cells found singly, 2 merged, 1 split, 2 missed; 1 object is no cell"


def test_the_large_cell_of_a_merged_pair_may_be_found():
    truth = np.zeros((20, 40), int)
    truth[:, :24], truth[:, 24:30] = 1, 2
    assert count_cells(truth, (truth > 0).astype(int)) == CellCounts(cells=2, found=1, merged=1)


@pytest.mark.parametrize("empty", ["truth", "found", "both"])
def test_cells_of_an_empty_image(empty):
    cells = np.zeros((8, 8), int)
    cells[2:5, 2:5] = 1
    nothing = np.zeros_like(cells)
    counts = count_cells(*{"truth": (nothing, cells), "found": (cells, nothing), "both": (nothing, nothing)}[empty])
    assert (counts.cells, counts.found) == (int(empty == "found"), 0)
    assert counts.extra == (empty == "truth")
