"""Objects from a probability map: components, splits, sizes."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from scipy.ndimage import label

from blunet.dataset.truth_masks import read_mask, separate_touching
from blunet.errors import InputError
from blunet.evaluation.metrics import average_precision
from blunet.segmentation.objects import label_objects
from blunet.segmentation.segmentation_settings import Objects

KINDS = get_args(Objects)


def discs(*places: tuple[int, int, int], shape: tuple[int, int] = (100, 160)) -> np.ndarray:
    """Discs (y, x, radius) as a probability map of 0.9 on 0.1."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    inside = np.zeros(shape, bool)
    for cy, cx, radius in places:
        inside |= (y - cy) ** 2 + (x - cx) ** 2 <= radius**2
    return np.where(inside, 0.9, 0.1).astype(np.float32)


def test_foreground_is_above_the_threshold_and_not_at_it():
    row = np.array([[0.5, 0.5001, 0.2, 0.9]])
    assert label_objects(row, 0.5, "mask", min_size=1).tolist() == [[0, 1, 0, 1]]
    assert label_objects(row, 0.2, "components", min_size=1).tolist() == [[1, 1, 0, 2]]


def test_components_that_touch_at_a_corner_are_separate():
    corner = np.array([[0.9, 0.1], [0.1, 0.9]])
    assert label_objects(corner, 0.5, "components", min_size=1).tolist() == [[1, 0], [0, 2]]
    assert len(np.unique(label_objects(corner, 0.5, "watershed", min_size=1))) == 3


def test_touching_discs_are_split_at_the_neck():
    touching = discs((50, 50, 25), (50, 96, 25))
    assert label_objects(touching, 0.5, "components").max() == 1
    labels = label_objects(touching, 0.5, "watershed")
    assert labels.max() == 2
    assert labels[50, 50] != labels[50, 96]
    assert np.array_equal(labels > 0, touching > 0.5)
    neck = np.flatnonzero(np.diff(labels[50]) * labels[50, :-1] * labels[50, 1:])
    assert abs(neck[0] - 73) <= 2


@pytest.mark.parametrize("scale", [1, 2, 5])
def test_splitting_does_not_depend_on_scale(scale):
    touching = np.kron(discs((50, 50, 25), (50, 96, 25)), np.ones((scale, scale)))
    assert label_objects(touching, 0.5, "watershed").max() == 2


@pytest.mark.parametrize("thickness", [3, 8, 30])
def test_an_elongated_object_stays_whole(thickness):
    y, x = np.mgrid[:200, :200]
    across = y - 100 - 30 * np.sin(x / 30)
    cell = np.where((np.abs(across) < thickness) & (x > 10) & (x < 190), 0.9, 0.1)
    assert label_objects(cell, 0.5, "watershed").max() == 1


def test_size_is_judged_after_splitting():
    # The small disc is large enough only together with the one it touches.
    touching = discs((50, 50, 30), (50, 92, 12))
    whole, parts = (label_objects(touching, 0.5, kind, min_size=1) for kind in ("components", "watershed"))
    assert (whole.max(), parts.max()) == (1, 2)
    small = np.bincount(parts.ravel())[1:].min()
    assert label_objects(touching, 0.5, "watershed", min_size=small).max() == 2
    assert label_objects(touching, 0.5, "watershed", min_size=small + 1).max() == 1
    assert label_objects(touching, 0.5, "components", min_size=small + 1).max() == 1


def test_an_object_of_exactly_the_smallest_size_is_kept():
    probability = np.zeros((10, 30))
    probability[2:6, 2:7] = probability[2:6, 12:17] = 1
    probability[5, 16] = 0
    for kind in KINDS:
        labels = label_objects(probability, 0.5, kind, min_size=20)
        assert np.count_nonzero(labels) == 20
        assert labels.max() == 1
    assert label_objects(probability, 0.5, "mask", min_size=0).sum() == 39


@pytest.mark.parametrize("kind", KINDS)
def test_empty_full_and_tiny_images(kind):
    assert not label_objects(np.zeros((30, 40)), 0.5, kind).any()
    assert (label_objects(np.ones((30, 40)), 0.5, kind) == 1).all()
    assert label_objects(np.ones((1, 1)), 0.5, kind, min_size=1).tolist() == [[1]]
    assert label_objects(np.ones((3, 5)), 0.5, kind, min_size=20).max() == 0
    assert label_objects(np.ones((1, 50)), 0.5, kind).max() == 1
    assert label_objects(np.ones((30, 40)), 1.0, kind).max() == 0
    assert label_objects(np.ones((4, 6)), 0.5, kind).dtype == np.int32


@pytest.mark.parametrize("kind", ["components", "watershed"])
def test_seventy_thousand_cells(kind):
    side = 265
    tile = np.pad(np.ones((5, 5)), ((0, 2), (0, 2)))
    labels = label_objects(np.tile(tile, (side, side)), 0.5, kind)
    assert labels.max() == side**2
    assert (np.bincount(labels.ravel())[1:] == 25).all()


@pytest.mark.parametrize("kind", KINDS)
def test_labels_have_no_gaps_and_every_object_is_connected(kind):
    rng = np.random.default_rng(5)
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.normal(size=(200, 200)), 4)
    labels = label_objects((noise > 0).astype(float), 0.5, kind)
    numbers = np.unique(labels)
    assert numbers.tolist() == list(range(numbers.size))
    assert not (labels > 0)[noise <= 0].any()
    if kind != "mask":
        assert all(label(labels == number)[1] == 1 for number in numbers[1:])


def test_real_cells_that_touch_are_split(shared_data):
    masks = sorted((shared_data / "phase-usiigaci" / "train" / "masks").glob("*.png"))[::6]
    truths = [read_mask(path) for path in masks]

    def precision(kind: str, foreground) -> float:
        found = [label_objects(foreground(truth).astype(float), 0.5, kind) for truth in truths]
        return float(np.mean([average_precision(*pair) for pair in zip(truths, found, strict=True)]))

    def touching(truth):
        return truth > 0

    def with_gaps(truth):
        return separate_touching(truth) > 0

    assert precision("watershed", touching) > precision("components", touching) + 0.1
    assert precision("watershed", touching) > 0.88
    assert precision("watershed", with_gaps) > 0.95


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threshold": 1.5}, "'threshold' is 1.5"),
        ({"threshold": -0.1}, "'threshold' is -0.1"),
        ({"threshold": float("nan")}, "'threshold' is nan"),
        ({"objects": "cells"}, "'cells'"),
        ({"min_size": -1}, "'min_size' is -1"),
        ({"probability": np.zeros((2, 3, 4))}, r"\(2, 3, 4\)"),
    ],
)
def test_settings_out_of_range(changes, words):
    with pytest.raises(InputError, match=words):
        label_objects(**{"probability": np.zeros((4, 4)), "threshold": 0.5, **changes})


@pytest.mark.parametrize("pixels", [1, 70, 500, 10**9])
def test_small_components_are_removed_in_bands_as_in_the_whole_image(monkeypatch, pixels):
    monkeypatch.setattr("blunet.segmentation.objects.PIXELS_PER_BAND", pixels)
    noise = np.random.default_rng(3).random((61, 35)) > 0.45  # parts that wind through many bands
    for min_size in (0, 1, 2, 9, 60):
        whole = label_objects(noise.astype(float), 0.5, "components", min_size) > 0
        assert np.array_equal(label_objects(noise.astype(float), 0.5, "mask", min_size), whole)
