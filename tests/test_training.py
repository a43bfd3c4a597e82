"""The training loop and the binarised start, with real (small) training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blunet.architecture import NetworkSettings, ResidualLevels
from blunet.compression.binarisation import binarise
from blunet.compression.compression_settings import StepSettings
from blunet.compression.run_events import BatchDone, EpochDone, RunStopped, StepDone
from blunet.compression.training import StepFiles, compute_learning_rate, train
from blunet.compression.training_task import make_segmentation_task, validate
from blunet.dataset.augmentation_settings import AugmentationSettings
from blunet.dataset.crops import Crops
from blunet.dataset.fields import Field, prepare_for_training, simulate_fields
from blunet.errors import InputError
from blunet.images.normalisation_settings import Normalisation
from blunet.networks.build import build_network
from blunet.networks.keras_file import run_network

NETWORK = NetworkSettings(network="lightweight", levels=3, base_filters=8)
PERCENTILES = Normalisation(method="percentile", low=0.5, high=99.5, shading=50.0)


@pytest.fixture(scope="module")
def fields():
    return list(simulate_fields(6, PERCENTILES, object_diameter=24.0, seed=3, size=128))


@pytest.fixture(scope="module")
def crops(fields):
    return Crops([[prepare_for_training(f) for f in fields[:4]]], 64, 4, AugmentationSettings.none(), seed=1)


def run(network, crops, fields, step, states=None, cancelled=lambda: False):
    task = make_segmentation_task(network, fields[4:], NETWORK, step)
    return list(train("student", task, crops, step, states, cancelled))


def epochs(events):
    return [e for e in events if isinstance(e, EpochDone)]


@pytest.fixture(scope="module")
def student(fields, crops):
    network = build_network(NETWORK, seed=1)
    return network, run(network, crops, fields, StepSettings(epochs=8, batches=50, learning_rate=1e-3))


def test_batches_are_the_same_for_one_seed_whatever_was_drawn_before(crops):
    ahead = list(crops.draw_batches(5, 9))
    for i, (images, truths, _) in enumerate(ahead):
        again = crops.draw_batch(5 + i)
        np.testing.assert_array_equal(images, again[0])
        np.testing.assert_array_equal(truths, again[1])
    assert ahead[0][0].shape == (4, 64, 64, 1)
    assert (ahead[0][0] != replace(crops, seed=2).draw_batch(5)[0]).any()
    assert set(np.unique(ahead[0][1])) == {0.0, 1.0}


def test_groups_are_drawn_evenly():
    black, white = (
        Field(n, np.full((8, 8), v, np.float32), np.zeros((8, 8), np.int32)) for n, v in (("black", 0), ("white", 1))
    )
    drawn = Crops([[black] * 50, [white]], 8, 200, AugmentationSettings.none(), seed=0).draw_batch(0)[0]
    assert 0.35 < drawn.mean() < 0.65


def test_training_learns_and_keeps_the_best_weights(fields, student):
    network, told = student
    events = epochs(told)
    assert [e.epoch for e in events] == list(range(1, 9))
    assert events[-1].loss < events[0].loss
    best = max(e.val_iou for e in events)
    assert validate(network, fields[4:], 4).iou == pytest.approx(best, abs=1e-6)
    assert best > 0.4
    assert [e.best for e in events] == [
        e.val_iou > max([x.val_iou for x in events[:i]], default=-1) for i, e in enumerate(events)
    ]


def test_ignored_epochs_are_never_the_best(fields, crops):
    network = build_network(NETWORK, seed=1)
    step = StepSettings(epochs=3, batches=2, learning_rate=1e-3, monitor="val_loss", ignored_epochs=2)
    assert [e.best for e in epochs(run(network, crops, fields, step))] == [False, False, True]


@pytest.mark.parametrize("kept", ["on disk", "in memory", "stopped"])
def test_pretrained_weights_are_kept_unless_an_epoch_is_better(kept, fields, crops, student, tmp_path):
    network, _ = student
    before = [w.copy() for w in network.get_weights()]
    step = StepSettings(epochs=2, batches=3, learning_rate=0.5)  # a rate that ruins any network
    task = make_segmentation_task(network, fields[4:], NETWORK, step, pretrained=True)
    states = (
        None if kept == "in memory" else StepFiles(tmp_path / "last.npz", tmp_path / "best.npz", tmp_path / "p.png")
    )
    start = task.validate().iou
    try:
        if kept == "stopped":
            asked = iter([False, False, True])
            assert isinstance(list(train("x", task, crops, step, states, lambda: next(asked)))[-1], RunStopped)
        *told, done = train("x", task, crops, step, states)
        assert not any(e.best for e in epochs(told))
        assert (done.best_epoch, done.val_iou) == (0, start)
        for old, new in zip(before, network.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    finally:
        network.set_weights(before)


@pytest.mark.parametrize("loss", ["bce", "bce+dice"])
def test_border_weights_and_dice_train(fields, crops, loss):
    network = build_network(NETWORK, seed=1)
    step = StepSettings(epochs=4, batches=30, learning_rate=3e-3, loss=loss)
    events = epochs(run(network, replace(crops, weighted=True), fields, step))
    assert events[-1].loss < events[0].loss


@pytest.mark.parametrize("stop", [3, 9, 14])
def test_a_step_stopped_anywhere_and_resumed_ends_as_an_uninterrupted_one(fields, crops, stop, tmp_path):
    step = StepSettings(epochs=3, batches=6, learning_rate=1e-3)
    whole = build_network(NETWORK, seed=1)
    run(whole, crops, fields, step, StepFiles(*(tmp_path / n for n in ("a.npz", "b.npz", "a.png"))))
    states = StepFiles(*(tmp_path / n for n in ("last.npz", "best.npz", "mask.png")))
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) > stop

    first = run(build_network(NETWORK, seed=1), crops, fields, step, states, cancelled)
    assert isinstance(first[-1], RunStopped)
    assert (first[-1].epoch, first[-1].batch) == (stop // 6 + 1, stop % 6)
    resumed = build_network(NETWORK, seed=9)
    second = run(resumed, crops, fields, step, states)
    assert isinstance(second[-1], StepDone)
    batches = [e for e in [*first, *second] if isinstance(e, BatchDone) and e.batch == e.batches]
    assert len(batches) == 3
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_a_loss_that_is_not_finite_ends_in_advice(fields, crops, tmp_path):
    network = build_network(NETWORK, seed=1)
    states = StepFiles(*(tmp_path / n for n in ("last.npz", "best.npz", "mask.png")))
    run(network, crops, fields, StepSettings(epochs=1, batches=3, learning_rate=1e-3), states)
    kept = states.best.read_bytes()
    network.set_weights([np.full_like(w, np.nan) for w in network.get_weights()])
    states.last.unlink()
    with pytest.raises(InputError, match="learning_rate"):
        run(network, crops, fields, StepSettings(epochs=1, batches=3, learning_rate=1e-3), states)
    assert states.best.read_bytes() == kept


def test_weights_that_become_nan_after_the_last_batch_are_not_saved(fields, crops, tmp_path):
    states = StepFiles(*(tmp_path / n for n in ("last.npz", "best.npz", "mask.png")))
    network = build_network(NETWORK, seed=1)
    run(
        network,
        crops,
        fields,
        StepSettings(epochs=2, batches=1, learning_rate=1e-3),
        states,
        lambda: states.last.exists(),
    )
    kept = states.last.read_bytes()
    task = make_segmentation_task(network, fields[4:], NETWORK, StepSettings(epochs=2, batches=1, learning_rate=1e-3))

    def spoilt():
        network.set_weights([np.full_like(w, np.nan) for w in network.get_weights()])
        return validate(network, fields[4:], NETWORK.multiple)

    step = StepSettings(epochs=2, batches=1, learning_rate=1e-3)
    with pytest.raises(InputError, match=r"in epoch 2; .* lower 'student\.learning_rate' \(0\.001\)"):
        list(train("student", replace(task, validate=spoilt), crops, step, states))
    assert states.last.read_bytes() == kept


def test_a_step_without_its_best_weights_is_refused(fields, crops, tmp_path):
    states = StepFiles(*(tmp_path / n for n in ("last.npz", "best.npz", "mask.png")))
    run(build_network(NETWORK, seed=1), crops, fields, StepSettings(epochs=1, batches=3, learning_rate=1e-3), states)
    states.best.unlink()
    with pytest.raises(InputError, match=r"best\.npz' is gone; put it back, or delete '.*last\.npz'"):
        run(
            build_network(NETWORK, seed=1), crops, fields, StepSettings(epochs=1, batches=3, learning_rate=1e-3), states
        )
    states.last.unlink()
    assert isinstance(
        run(
            build_network(NETWORK, seed=1), crops, fields, StepSettings(epochs=1, batches=3, learning_rate=1e-3), states
        )[-1],
        StepDone,
    )


def test_a_truncated_or_damaged_checkpoint_is_named(fields, crops, tmp_path):
    states = StepFiles(*(tmp_path / n for n in ("last.npz", "best.npz", "mask.png")))
    step = StepSettings(epochs=1, batches=3, learning_rate=1e-3)
    run(build_network(NETWORK, seed=1), crops, fields, step, states)
    more = step.changed(epochs=2)
    for cut in (states.best, states.last):
        whole = cut.read_bytes()
        for broken in (whole[:5000], whole[:5000] + b"damaged!" + whole[5008:]):
            cut.write_bytes(broken)
            network = build_network(NETWORK, seed=1)
            task = make_segmentation_task(network, fields[4:], NETWORK, more)
            with pytest.raises(InputError, match=rf"'.*{cut.name}' cannot be read: .*; delete the step's \.npz files"):
                next(train("student", task, crops, more, states))  # before anything is trained
        cut.write_bytes(whole)


def test_learning_rate_is_constant_then_falls():
    study = StepSettings(epochs=400, batches=1, learning_rate=1e-3, monitor="val_loss", decay=0.95)
    assert compute_learning_rate(study, 0) == compute_learning_rate(study, 199) == 1e-3
    assert compute_learning_rate(study, 200) == pytest.approx(0.95e-3)
    assert compute_learning_rate(study, 209) == pytest.approx(1e-3 * 0.95**10)
    short = StepSettings(epochs=20, batches=1, learning_rate=1e-3, monitor="val_loss")
    assert compute_learning_rate(short, 19) == pytest.approx(1e-5)


def test_the_calibrated_start_loses_least(fields, student):
    """Compared with the least-squares and the published start, before any training."""
    network, _ = student
    images = [f.image for f in fields[:4]]
    teacher = [run_network(network, f.image, 4)[0] for f in fields[4:]]
    errors = {}
    for start in ("calibrated", "least_squares", "published"):
        binary = binarise(network, NETWORK, ResidualLevels(), images, start)
        answers = [run_network(binary, f.image, 4)[0] for f in fields[4:]]
        errors[start] = np.mean([np.abs(a - t).mean() for a, t in zip(answers, teacher, strict=True)])
    assert errors["calibrated"] < 0.8 * min(errors["least_squares"], errors["published"]), errors


def test_more_residual_levels_start_closer_to_the_student(fields, student):
    network, _ = student
    images = [f.image for f in fields[:4]]
    teacher = run_network(network, fields[4].image, 4)[0]
    errors = []
    for m in (1, 2, 4):
        start = binarise(network, NETWORK, ResidualLevels.uniform(m), images)
        errors.append(np.abs(run_network(start, fields[4].image, 4)[0] - teacher)[20:-20, 20:-20].mean())
    assert errors[0] > errors[1] > 1.2 * errors[2], errors
