"""Partly annotated images: what was not reviewed neither teaches nor is scored."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from made_pairs import grey, put

from blunet.architecture import NetworkSettings
from blunet.compression.compression_settings import StepSettings
from blunet.compression.training_task import cross_entropy_and_dice, make_segmentation_task, maps_loss
from blunet.dataset.augmentation_settings import AugmentationSettings
from blunet.dataset.crops import Crops
from blunet.dataset.dataset_check import check_dataset
from blunet.dataset.dataset_report import find_changed_files, record_dataset
from blunet.dataset.fields import Field, prepare_for_training, simulate_fields
from blunet.dataset.pairs import find_pairs
from blunet.dataset.reviewed import NOT_REVIEWED, hide_unreviewed, read_pair_labels
from blunet.dataset.split_settings import SplitSettings
from blunet.errors import InputError
from blunet.evaluation.scores import score_labels
from blunet.images.normalisation_settings import Normalisation
from blunet.jobs.training_data import check_layers, write_pairs
from blunet.networks.build import build_network

PERCENTILES = Normalisation(method="percentile", low=0.5, high=99.5, shading=50.0)
STEP = StepSettings(epochs=1, batches=1, learning_rate=1e-3)


@pytest.fixture(scope="module")
def field():
    return next(simulate_fields(1, PERCENTILES, object_diameter=24.0, seed=3, size=128))


def half(labels):
    """Return the left half as the reviewed region."""
    region = np.zeros(labels.shape, np.uint8)
    region[:, : labels.shape[1] // 2] = 1
    return region


def test_a_region_hides_the_cells_outside_and_strokes_hide_only_background(field):
    region = half(field.labels)
    hidden = hide_unreviewed(field.labels, region)
    for number in np.unique(field.labels)[1:]:
        cell = field.labels == number
        inside = 2 * region[cell].sum() >= cell.sum()
        assert (hidden[cell] == (number if inside else NOT_REVIEWED)).all()
    background = field.labels == 0
    assert (hidden[background] == np.where(region[background] > 0, 0, NOT_REVIEWED)).all()
    stroke = np.zeros_like(region)
    stroke[np.nonzero(background)[0][:40], np.nonzero(background)[1][:40]] = 1
    hidden = hide_unreviewed(field.labels, stroke)
    assert (hidden > 0).sum() == (field.labels > 0).sum()
    assert (hidden == 0).sum() == stroke.sum()
    with pytest.raises(InputError, match="equal shapes"):
        hide_unreviewed(field.labels, stroke[:9])


@pytest.mark.parametrize("flat", [False, True])
def test_reviewed_files_are_found_read_and_part_of_the_runs_data(tmp_path, flat):
    mask = np.zeros((32, 32), np.uint8)
    mask[4:12, 4:12], mask[20:30, 20:30] = 1, 2
    region = np.zeros((32, 32), np.uint8)
    region[:16] = 255
    for name in "abc":
        if flat:
            tifffile.imwrite(tmp_path / f"{name}.tif", grey(ord(name)))
            tifffile.imwrite(tmp_path / f"{name}_mask.tif", mask)
        else:
            put(tmp_path, name, grey(ord(name)), mask)
    path = tmp_path / "b_reviewed.tif" if flat else tmp_path / "reviewed" / "b.png"
    if flat:
        tifffile.imwrite(path, region)
    else:
        put(tmp_path / "other", "b", grey(1), region)
        (tmp_path / "reviewed").mkdir()
        (tmp_path / "other" / "masks" / "b.png").rename(path)
    found = find_pairs(tmp_path)
    assert [pair.reviewed for pair in found.pairs] == [None, path, None]
    labels = read_pair_labels(found.pairs[1])
    assert np.unique(labels).tolist() == [NOT_REVIEWED, 0, 1]
    assert np.unique(read_pair_labels(found.pairs[0])).tolist() == [0, 1, 2]
    report = check_dataset(tmp_path, crop=32, split=SplitSettings())
    assert [pair.reviewed_share for pair in report.pairs] == [1, 0.5, 1]
    assert report.pairs[1].foreground == pytest.approx(64 / 512)
    assert any(line.startswith("Reviewed: 83.3% of the pixels; 1 of the images in part") for line in report.describe())
    before = json.loads(json.dumps(record_dataset(report)))
    assert find_changed_files(before, report) == []
    (tifffile.imwrite if flat else lambda p, v: p.unlink())(path, region.T)
    assert len(find_changed_files(before, check_dataset(tmp_path, crop=32, split=SplitSettings()))) == 1


def test_a_reviewed_file_of_another_size_is_named(tmp_path):
    mask = np.zeros((32, 32), np.uint8)
    mask[4:12, 4:12] = 1
    for name in "ab":
        put(tmp_path, name, grey(1), mask)
    (tmp_path / "reviewed").mkdir()
    tifffile.imwrite(tmp_path / "reviewed" / "b.tif", np.ones((16, 32), np.uint8))
    with pytest.raises(InputError, match="16 x 32 pixels"):
        check_dataset(tmp_path, crop=32, split=SplitSettings())
    for name in "ab":  # cells alone
        tifffile.imwrite(tmp_path / "reviewed" / f"{name}.tif", mask)
    with pytest.raises(InputError, match="nothing but cells was reviewed"):
        check_dataset(tmp_path, crop=32, split=SplitSettings())


def test_crops_are_taken_where_something_was_reviewed_and_the_rest_is_marked(field):
    region = np.zeros(field.labels.shape, np.uint8)
    region[90:, 90:] = 1
    partly = prepare_for_training(replace(field, labels=hide_unreviewed(field.labels, region)), distance=True)
    crops = Crops([[partly]], 32, 4, AugmentationSettings(), seed=1, weighted=True)
    known = []
    for i in range(8):
        truths = crops.draw_batch(i).truths
        assert ((truths[..., 0] == NOT_REVIEWED) == (truths[..., 1] == NOT_REVIEWED)).all()
        known += (truths[..., 0] != NOT_REVIEWED).mean(axis=(1, 2)).tolist()
    assert np.mean(np.array(known) > 0.02) > 0.8
    assert min(known) < 1


def test_the_losses_do_not_see_what_was_not_reviewed():
    rng = np.random.default_rng(1)
    truth = np.stack([rng.integers(0, 2, (2, 8, 8)), rng.random((2, 8, 8))], axis=-1).astype(np.float32)
    maps = rng.uniform(0.05, 0.95, (2, 8, 8, 2)).astype(np.float32)
    truth[:, :, 4:] = NOT_REVIEWED
    other = maps.copy()
    other[:, :, 4:] = 1 - other[:, :, 4:]
    for loss, channels in ((maps_loss, slice(None)), (cross_entropy_and_dice, slice(0, 1))):
        one, two = (np.asarray(loss(truth[..., channels], m[..., channels])) for m in (maps, other))
        np.testing.assert_allclose(one, two, rtol=1e-5)
        alone = np.asarray(loss(truth[:, :, :4, channels], maps[:, :, :4, channels]))
        np.testing.assert_allclose(one[:, :, :4], alone, rtol=1e-4)


def test_a_network_learns_from_the_reviewed_part_alone(field):
    """Labels that are wrong outside the region change nothing: a step of training gives the same weights."""
    settings = NetworkSettings(network="lightweight", levels=2, base_filters=4)
    region = half(field.labels)
    across = np.intersect1d(field.labels[:, 63], field.labels[:, 64])
    right = np.where(np.isin(field.labels, across), 0, field.labels)
    wrong = np.where(region > 0, right, (right == 0).astype(np.int32) * 999)
    weights = []
    for labels in (right, wrong):
        hidden = hide_unreviewed(labels, region)
        trained = build_network(settings, seed=1)
        task = make_segmentation_task(trained, [replace(field, labels=hidden)], settings, STEP, partly=True)
        trained.compile(optimizer="sgd", loss=task.loss)
        crops = Crops([[replace(field, labels=hidden)]], 128, 1, AugmentationSettings.none(), seed=1)
        batch = crops.draw_batch(0)
        trained.train_on_batch(batch.images, task.make_targets(batch))
        weights.append(trained.get_weights())
        assert 0 < task.validate().loss < 2
    for one, two in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, two)


def test_scores_are_those_of_the_reviewed_pixels(field):
    region = half(field.labels)
    truth = hide_unreviewed(field.labels, region)
    truth[:, 64:] = NOT_REVIEWED
    found = np.where(region > 0, field.labels, 77)  # all wrong outside
    scores = score_labels(found > 0, found, truth)
    cells = np.unique(truth[truth > 0])
    known = truth != NOT_REVIEWED
    assert scores.iou == pytest.approx((truth > 0).sum() / ((found > 0) & known).sum())
    assert scores.cells.cells == scores.cells.found == cells.size
    assert score_labels(truth > 0, np.maximum(truth, 0), truth).map == 1


def test_frames_that_were_not_reviewed_are_not_written(tmp_path, field):
    images = np.stack([(field.image * 255).astype(np.uint8)] * 3)
    labels = np.stack([field.labels] * 3)
    reviewed = np.zeros(labels.shape, np.uint8)
    reviewed[0], reviewed[2, :64] = 1, 1
    assert [each.t for each in write_pairs(images, labels, tmp_path, reviewed=reviewed)] == [0, 2]
    first, second = find_pairs(tmp_path).pairs
    assert (read_pair_labels(first) >= 0).all()
    assert (read_pair_labels(second) == NOT_REVIEWED).any()
    (checked,) = check_layers(images, labels, 64, SplitSettings(), reviewed=reviewed)
    assert checked.lines[0] == "2 of 3 frames were reviewed: these are used."
    with pytest.raises(InputError, match="no frame was reviewed"):
        list(write_pairs(images, labels, tmp_path, reviewed=reviewed * 0))
    with pytest.raises(InputError, match="equal shapes"):
        list(write_pairs(images, labels, tmp_path, reviewed=reviewed[0]))
    list(write_pairs(images, labels, tmp_path))
    assert all(pair.reviewed is None for pair in find_pairs(tmp_path).pairs)


def test_a_field_keeps_its_image(field):
    hidden = Field(field.name, field.image, hide_unreviewed(field.labels, half(field.labels)))
    prepared = prepare_for_training(hidden, distance=True)
    assert prepared.distance is not None
    assert prepared.distance.min() == 0
    assert (prepared.labels == NOT_REVIEWED).sum() == (hidden.labels == NOT_REVIEWED).sum()
