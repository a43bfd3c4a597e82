"""The progress of a compression on stderr: bars in a terminal, elsewhere one line an epoch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from blunet.cli.console import note, warn
from blunet.cli.progress import Bar
from blunet.compression.run_events import BatchDone, EpochDone, Event, Note, RunStarted, StepDone, StepStarted
from blunet.compression.steps import STEPS
from blunet.quantities import describe_duration, describe_size

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Steps:
    """Shows the events of a compression; use it in a `with` statement.

    In a terminal: a bar until the first step begins, then bars for the run, the epochs of the step and the batches of
    the epoch, and a line for every finished step. Elsewhere, such as in a log file: a line for every epoch.
    """

    def __init__(self) -> None:
        self._steps: list[str] = []
        self._step = ""
        self._best = ""
        self._bars = _Bars() if sys.stderr.isatty() else None
        self._waiting = Bar("Preparing")

    def __enter__(self) -> Steps:
        self._waiting.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.__exit__()
        if self._bars is not None:
            self._bars.stop()

    def show(self, event: Event) -> None:
        """Show one event."""
        match event:
            case RunStarted():
                self._steps = event.steps
                self._line(_beginning(event))
            case Note(text, warning):
                self._line(text, warning=warning)
            case StepStarted():
                self._waiting.__exit__()
                self._step, self._best = event.step, ""
                self._line(_step_line(event, self._number(event.step), len(self._steps)))
                self._move(event, event.epoch - 1, 0.0, event.batches, None)
            case BatchDone():
                self._move(event, event.epoch - 1, event.batch, event.batches, event.seconds_left)
            case EpochDone():
                if event.best and event.val_iou is not None:
                    self._best = f"best val IoU {event.val_iou:.3f}"
                elif event.best:
                    self._best = f"best val loss {event.val_loss:.4g}"
                if self._bars is None:
                    note(_epoch_line(event))
            case StepDone():
                when = f"in epoch {event.best_epoch}" if event.best_epoch else "before the first epoch"
                self._line(f"  {_quality(event)} {when}, {describe_duration(event.seconds)}")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the bars away while lines are printed."""
        with self._waiting.paused(), nullcontext() if self._bars is None else self._bars.paused():
            yield

    def _line(self, text: str, *, warning: bool = False) -> None:
        with self.paused():
            (warn if warning else note)(text)

    def _number(self, step: str) -> int:
        return self._steps.index(step) + 1 if step in self._steps else 1

    def _move(
        self, event: StepStarted | BatchDone, epochs_done: float, batch: float, batches: int, left: float | None
    ) -> None:
        if self._bars is None:
            return
        epochs = max(1, event.epochs)
        number, steps = self._number(event.step), max(1, len(self._steps))
        epochs_done = epochs_done + batch / max(1, batches)
        time_left = "" if left is None else f"about {describe_duration(left)} left"
        loss = f"loss {event.loss:.4g}" if isinstance(event, BatchDone) else ""
        self._bars.update("Step", number - 1 + epochs_done / epochs, steps, f"{number} of {steps}", time_left)
        self._bars.update("Epoch", epochs_done, epochs, f"{event.epoch} of {epochs}", self._best)
        self._bars.update("Batch", batch, batches, f"{batch:.0f} of {batches}", loss)


class _Bars:
    """Three bars, one under the other, that vanish at the end."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress: Progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[remark]}", markup=False),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._tasks: dict[str, TaskID] = {}

    def update(self, title: str, done: float, total: float, count: str, remark: str) -> None:
        """Move a bar; it appears when it is first moved."""
        if title not in self._tasks:
            self._tasks[title] = self._progress.add_task(title, total=total, count=count, remark=remark)
            self._progress.start()
        elif title != "Step" and done == 0:
            self._progress.reset(self._tasks[title], total=total)
        self._progress.update(self._tasks[title], completed=done, total=total, count=count, remark=remark)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the bars away."""
        self._progress.stop()
        try:
            yield
        finally:
            if self._tasks:
                self._progress.start()

    def stop(self) -> None:
        """Take the bars away for good."""
        self._progress.stop()


def _beginning(event: RunStarted) -> str:
    parts = [f"{len(event.training)} images to train on", f"{len(event.validation)} to choose the best weights by"]
    if event.test:
        parts.append(f"{len(event.test)} to test")
    line = ("Going on: " if event.resumed else "") + ", ".join(parts) + "."
    if event.seconds or event.bytes:
        line += f"\nEstimate: {describe_duration(event.seconds)} and {describe_size(event.bytes)} on disk."
    return line


def _step_line(event: StepStarted, number: int, steps: int) -> str:
    going_on = f", from epoch {event.epoch} on" if event.epoch > 1 else ""
    step = STEPS[event.step]
    length = f"phase {step.phase}, {event.epochs} epochs of {event.batches} batches{going_on}"
    return f"Step {number} of {steps}: {step.title} ({length})"


def _epoch_line(event: EpochDone) -> str:
    wide = len(str(event.epochs))
    iou = "" if event.val_iou is None else f"  val IoU {event.val_iou:.4f}"
    return (
        f"  {event.step}  epoch {event.epoch:>{wide}} of {event.epochs}  loss {event.loss:<8.4g}"
        f"  val loss {event.val_loss:<8.4g}{iou}  rate {event.learning_rate:.1e}  {event.seconds:.1f} s"
        f"{'  best' if event.best else ''}"
    )


def _quality(event: StepDone) -> str:
    if event.val_iou is None:
        return f"best val loss {event.val_loss:.4g}"
    return f"best val IoU {event.val_iou:.4f} (val loss {event.val_loss:.4g})"
