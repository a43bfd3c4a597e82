"""The time that a run still takes, from its own pace so far. No Keras here."""

from __future__ import annotations

import time
from collections.abc import Sequence

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.run_estimate import estimate_step_seconds
from blunet.compression.run_events import BatchDone

#: Seconds of a step before its pace is used.
WARM_UP_SECONDS = 5.0


class TimeLeft:
    """Scales the estimates of the remaining steps by how the current step's true pace compares with its estimate.

    Parameters
    ----------
    settings : CompressionSettings
    steps : sequence of str
        The steps of the run, in order.
    validation : sequence of (Y, X)
        Sizes of the validation files in pixels.
    """

    def __init__(
        self, settings: CompressionSettings, steps: Sequence[str], validation: Sequence[tuple[int, int]] = ()
    ) -> None:
        self.estimates = {step: estimate_step_seconds(settings, step, validation) for step in steps}
        self._step, self._began, self._first = "", 0.0, 0.0

    def estimate_seconds(self, event: BatchDone) -> float | None:
        """Return the seconds left after a batch; None in the first seconds of a step."""
        share = (event.epoch - 1 + event.batch / event.batches) / event.epochs
        now = time.monotonic()
        if event.step != self._step:
            self._step, self._began, self._first = event.step, now, share
        elapsed, done = now - self._began, share - self._first
        if elapsed < WARM_UP_SECONDS or done <= 0:
            return None
        whole_step = elapsed / done
        steps = list(self.estimates)
        later = sum(self.estimates[step] for step in steps[steps.index(event.step) + 1 :])
        return whole_step * (1 - share) + later * whole_step / self.estimates[event.step]
