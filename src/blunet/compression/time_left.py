"""How long a run still takes, from its own pace so far. No Keras here."""

from __future__ import annotations

import time
from collections.abc import Sequence

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.run_estimate import step_seconds
from blunet.compression.run_events import BatchDone

#: Seconds of a step after which its pace is believed.
BELIEVED = 5.0


class TimeLeft:
    """Scales the estimate of the steps to come by how the current step compares with its own.

    Parameters
    ----------
    settings : CompressionSettings
    steps : sequence of str
        That the run has, in order.
    validation : sequence of (Y, X)
        Sizes of the validation files in pixels.
    """

    def __init__(
        self, settings: CompressionSettings, steps: Sequence[str], validation: Sequence[tuple[int, int]] = ()
    ) -> None:
        self.costs = {step: step_seconds(settings, step, validation) for step in steps}
        self._step, self._began, self._first = "", 0.0, 0.0

    def seconds(self, event: BatchDone) -> float | None:
        """Seconds left after a batch; None in the first seconds of a step."""
        share = (event.epoch - 1 + event.batch / event.batches) / event.epochs
        now = time.monotonic()
        if event.step != self._step:
            self._step, self._began, self._first = event.step, now, share
        elapsed, done = now - self._began, share - self._first
        if elapsed < BELIEVED or done <= 0:
            return None
        whole = elapsed / done
        steps = list(self.costs)
        later = sum(self.costs[step] for step in steps[steps.index(event.step) + 1 :])
        return whole * (1 - share) + later * whole / self.costs[event.step]
