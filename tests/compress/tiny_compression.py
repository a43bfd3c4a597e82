"""A compression that takes seconds."""

from __future__ import annotations

from blunet.compression.compression_settings import CompressionSettings, StepSettings
from blunet.compression.pipeline import compress
from blunet.compression.run_events import (
    EpochDone,
    RunStopped,
)
from blunet.compression.run_request import Request
from blunet.compression.steps import STEPS
from blunet.images.normalisation_settings import Normalisation

STEP = StepSettings(epochs=2, batches=4, learning_rate=2e-3, crop=32)
HINT = StepSettings(epochs=2, batches=4, learning_rate=2e-3, monitor="val_loss", crop=32)
TINY = CompressionSettings(
    levels=2, base_filters=4, pretrain=STEP, transfer=STEP, hint_encoder=HINT, hint_decoder=HINT, retrain=STEP,
    binarise=STEP, normalisation=Normalisation(method="percentile", low=0.5, high=99.5, shading=20.0),
    pretraining_fields=2, seed=3,
)  # fmt: skip


def request(data, run, settings=TINY, **more):
    return Request(data=str(data), run=str(run), settings=settings, **more)


def only(*steps, **more):
    """Return tiny settings with these steps alone."""
    return TINY.changed(**{s: TINY.step(s).changed(run=s in steps) for s in STEPS}, **more)


def stopped_in(step, data, run):
    """Stop a run after the first epoch of a step."""
    events = []
    for event in compress(request(data, run), lambda: isinstance(events[-1], EpochDone) and events[-1].step == step):
        events.append(event)
    assert isinstance(events[-1], RunStopped)
