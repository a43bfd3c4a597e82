"""A compression that takes seconds."""

from __future__ import annotations

from dataclasses import replace

from blunet.compression.compression_settings import (
    STEPS,
    CompressionSettings,
    StepSettings,
)
from blunet.compression.pipeline import compress
from blunet.compression.run_events import (
    EpochDone,
    RunStopped,
)
from blunet.compression.run_request import Request
from blunet.images.normalise import Normalisation

STEP = StepSettings(2, 4, 2e-3, crop=32)
HINT = StepSettings(2, 4, 2e-3, "val_loss", crop=32)
TINY = CompressionSettings(
    levels=2, base_filters=4, pretrain=STEP, transfer=STEP, hint_encoder=HINT, hint_decoder=HINT, retrain=STEP,
    binarise=STEP, normalisation=Normalisation("percentile", 0.5, 99.5, 20.0), pretraining_fields=2, seed=3,
)  # fmt: skip


def request(data, run, settings=TINY, **more):
    return Request(str(data), str(run), settings, **more)


def only(*steps, **more):
    """Tiny settings of which only these steps run."""
    return replace(TINY, **{s: replace(TINY.step(s), run=s in steps) for s in STEPS}, **more)


def stopped_in(step, data, run):
    """Run as far as the first epoch of a step."""
    events = []
    for event in compress(request(data, run), lambda: isinstance(events[-1], EpochDone) and events[-1].step == step):
        events.append(event)
    assert isinstance(events[-1], RunStopped)
