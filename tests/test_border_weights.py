"""Weights of thin borders between cells."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from blunet.dataset.border_weights import compute_border_weights
from blunet.errors import InputError


def discs() -> NDArray[np.int32]:
    """Return four discs numbered 3, 7, 8 and 1000."""
    y, x = np.indices((90, 90))
    labels = np.zeros((90, 90), np.int32)
    for number, row, column in ((3, 22, 22), (7, 22, 68), (8, 68, 27), (1000, 63, 68)):
        labels[(y - row) ** 2 + (x - column) ** 2 < 18**2] = number
    return labels


def gap_between(width: int) -> NDArray[np.int32]:
    labels = np.zeros((60, 80), np.int32)
    labels[10:50, 10:30] = 4
    labels[10:50, 30 + width : 60] = 9
    return labels


def test_weights_follow_the_formula() -> None:
    labels = gap_between(3)
    weights = compute_border_weights(labels, border=10, sigma=5, largest_ratio=1)
    assert weights.dtype == np.float32
    # In a gap of 3 pixels d1 + d2 is 4 everywhere between the two straight sides.
    np.testing.assert_allclose(weights[30, 30:33], 1 + 10 * np.exp(-(4**2) / 50), rtol=1e-5)
    assert (weights[labels > 0] == 1).all()
    assert weights[0, 0] == 1


def test_weights_are_larger_in_thinner_gaps_and_only_between_instances() -> None:
    middles = [compute_border_weights(gap_between(w), largest_ratio=1)[30, 30 + w // 2] for w in (1, 3, 6, 12)]
    assert middles == sorted(middles, reverse=True)
    assert middles[0] > 9
    one = (gap_between(3) > 0).astype(np.int32)
    np.testing.assert_array_equal(compute_border_weights(one, largest_ratio=1), 1)


def test_weights_of_many_instances_equal_the_direct_computation() -> None:
    labels = discs()
    distances = np.sort([distance_transform_edt(labels != n) for n in (3, 7, 8, 1000)], axis=0)
    plain = 1 + 10 * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * 5.0**2)) * (labels == 0)
    np.testing.assert_allclose(compute_border_weights(labels, largest_ratio=1), plain, atol=10 * np.exp(-8))


def test_classes_have_equal_total_weights() -> None:
    labels = gap_between(3)
    weights = compute_border_weights(labels, border=0)
    assert weights[labels > 0].sum() == pytest.approx(weights[labels == 0].sum(), rel=1e-4)
    assert weights.mean() == pytest.approx(1, rel=1e-5)
    speck = np.zeros((100, 100), np.int32)
    speck[50, 50] = 1
    limited = compute_border_weights(speck, largest_ratio=10)
    assert limited.max() / limited.min() == pytest.approx(10, rel=1e-5)


@pytest.mark.parametrize("value", [0, 3])
def test_labels_of_one_class_have_weights_of_one(value: int) -> None:
    np.testing.assert_array_equal(compute_border_weights(np.full((9, 12), value, np.uint16)), 1)


def test_bad_weights_are_refused() -> None:
    labels = discs()
    for keywords in ({"border": -1}, {"sigma": 0}, {"largest_ratio": 0.5}, {"sigma": float("nan")}):
        with pytest.raises(InputError, match=next(iter(keywords))):
            compute_border_weights(labels, **keywords)
    with pytest.raises(InputError, match="integers of shape"):
        compute_border_weights(labels.astype(float))
    with pytest.raises(InputError, match="hold -1"):
        compute_border_weights(labels - 1)
