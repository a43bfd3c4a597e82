"""Estimates of how long a compression takes, before it starts and while it runs."""

from __future__ import annotations

from dataclasses import replace

import psutil
import pytest
from tiny_compression import TINY

from blunet.compression import run_estimate as estimate
from blunet.compression.compression_settings import StepSettings
from blunet.compression.presets import preset
from blunet.compression.run_events import (
    BatchDone,
)
from blunet.compression.steps import STEPS
from blunet.compression.time_left import TimeLeft

QUICK = preset("quick")
#: Steps of the published form that were timed.
HINT = StepSettings(epochs=3, batches=60, learning_rate=1e-3, monitor="val_loss", crop=192)
TIMED = QUICK.changed(
    form="published",
    maps="foreground",
    pretrain=StepSettings(epochs=5, batches=80, learning_rate=1e-3, crop=192),
    transfer=StepSettings(epochs=8, batches=80, learning_rate=5e-4, l2=1e-7, crop=192),
    hint_encoder=HINT,
    hint_decoder=HINT.changed(epochs=4),
    retrain=StepSettings(epochs=8, batches=80, learning_rate=1e-3, crop=192, batch=2),
    binarise=StepSettings(epochs=10, batches=80, learning_rate=3e-4, crop=192, batch=2),
)
LARGER = TIMED.changed(
    base_filters=32,
    transfer=StepSettings(epochs=26, batches=100, learning_rate=5e-4, l2=1e-7),
    hint_encoder=StepSettings(epochs=2, batches=100, learning_rate=1e-3, monitor="val_loss"),
    retrain=StepSettings(epochs=24, batches=100, learning_rate=1e-3),
)


def test_the_estimate_is_close_to_measured_times(monkeypatch):
    """On two cores of the reference: a run on 12 fields with 10 more to test, and single steps of both forms."""
    monkeypatch.setattr(estimate, "measure_core_speed", lambda: 1.0)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 2)
    field = (1022, 1024)
    assert estimate.estimate_seconds(TIMED, STEPS, [field] * 2, [field] * 10) == pytest.approx(472, rel=0.3)
    assert estimate.estimate_step_seconds(LARGER, "transfer", [field] * 7) == pytest.approx(26 * 50.5, rel=0.2)
    assert estimate.estimate_step_seconds(LARGER, "hint_encoder", [field] * 7) == pytest.approx(2 * 13.8, rel=0.3)
    assert estimate.estimate_step_seconds(LARGER, "retrain", [field] * 7) == pytest.approx(24 * 16.0, rel=0.2)
    # A batch of 8, timed at 0.58, 0.49 and 0.57 s on cores of 0.76 times the reference's speed.
    for step, seconds in (("transfer", 0.44), ("retrain", 0.37), ("binarise", 0.43)):
        normalised = QUICK.changed(**{step: QUICK.step(step).changed(epochs=1, batches=500, batch=8)})
        assert estimate.estimate_step_seconds(normalised, step) == pytest.approx(500 * seconds, rel=0.3)


def test_the_estimate_follows_the_computer_and_the_work(monkeypatch):
    assert estimate.measure_core_speed() > 0
    monkeypatch.setattr(estimate, "measure_core_speed", lambda: 1.0)
    before = estimate.estimate_seconds(QUICK, STEPS)
    monkeypatch.setattr(estimate, "measure_core_speed", lambda: 2.0)
    assert estimate.estimate_seconds(QUICK, STEPS) == pytest.approx(before / 2)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 1)
    one = estimate.estimate_seconds(QUICK, STEPS)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 4)
    assert one / 4 < estimate.estimate_seconds(QUICK, STEPS) < one / 1.5
    assert estimate.estimate_seconds(QUICK, list(STEPS)[1:]) < estimate.estimate_seconds(QUICK, STEPS)
    assert estimate.estimate_seconds(QUICK, STEPS, [(512, 512)]) > estimate.estimate_seconds(QUICK, STEPS)
    wider = QUICK.changed(validation_size=1024)
    assert estimate.estimate_seconds(wider, STEPS, [(900, 900)]) > estimate.estimate_seconds(QUICK, STEPS, [(900, 900)])
    assert estimate.estimate_seconds(wider, STEPS, [(512, 512)]) == estimate.estimate_seconds(
        QUICK, STEPS, [(512, 512)]
    )
    step = estimate.estimate_step_seconds
    field = [(1024, 1024)] * 20
    assert step(wider, "hint_decoder", field) == step(QUICK, "hint_decoder", field) > step(QUICK, "hint_decoder")
    less = QUICK.changed(validation_size=64)
    assert step(less, "hint_decoder", field) < step(QUICK, "hint_decoder", field)
    simulated = QUICK.changed(validation_size=64, simulated=5)  # one held-out field beside the file, looked at whole
    assert step(simulated, "retrain", [(64, 64)]) == step(QUICK, "retrain", [(64, 64), (512, 512)])


def test_the_time_left_is_estimated_from_the_pace():
    validation = [(800, 900)]
    left = TimeLeft(TINY, STEPS, validation)
    assert left.estimates["retrain"] > TimeLeft(TINY, STEPS).estimates["retrain"]
    batch = BatchDone("transfer", 1, 2, 1, 4, 0.5)
    assert left.estimate_seconds(batch) is None
    left._began -= 10
    later = left.estimate_seconds(replace(batch, batch=3))
    costs = sum(left.estimates[s] for s in list(STEPS)[2:])
    assert later == pytest.approx(40 * 5 / 8 + 40 * costs / left.estimates["transfer"], rel=0.05)
