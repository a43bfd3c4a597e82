"""The progress of a compression on stderr: bars in a terminal, one line per epoch elsewhere."""

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


class StepProgress:
    """Shows the events of a compression; use it in a `with` statement.

    In a terminal it shows one bar until the first step begins, then a bar each for the run, the step and the epoch, and
    a line for every finished step. Elsewhere, such as in a log file, it prints a line for every epoch.
    """

    def __init__(self) -> None:
        self._steps: list[str] = []
        self._best = ""
        self._bars = _Bars() if sys.stderr.isatty() else None
        self._waiting = Bar("Preparing")

    def __enter__(self) -> StepProgress:
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
                self._print(_describe_run(event))
            case Note(text, warning):
                self._print(text, warning=warning)
            case StepStarted():
                self._waiting.__exit__()
                self._best = ""
                self._print(_describe_step(event, self._number(event.step), len(self._steps)))
                self._move_bars(event, 0)
            case BatchDone():
                self._move_bars(event, event.batch)
            case EpochDone():
                if event.best and event.val_map is not None:
                    self._best = f"best val mAP {event.val_map:.3f}"
                elif event.best and event.val_iou is not None:
                    self._best = f"best val IoU {event.val_iou:.3f}"
                elif event.best:
                    self._best = f"best val loss {event.val_loss:.4g}"
                if self._bars is None:
                    note(_describe_epoch(event))
            case StepDone():
                when = f"in epoch {event.best_epoch}" if event.best_epoch else "before the first epoch"
                self._print(f"  {_describe_best(event)} {when}, {describe_duration(event.seconds)}")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hide the bars while lines are printed."""
        with self._waiting.paused(), nullcontext() if self._bars is None else self._bars.paused():
            yield

    def _print(self, text: str, *, warning: bool = False) -> None:
        with self.paused():
            (warn if warning else note)(text)

    def _number(self, step: str) -> int:
        return self._steps.index(step) + 1 if step in self._steps else 1

    def _move_bars(self, event: StepStarted | BatchDone, batch: int) -> None:
        if self._bars is None:
            return
        epochs, batches = max(1, event.epochs), max(1, event.batches)
        number, steps = self._number(event.step), max(1, len(self._steps))
        epochs_done = event.epoch - 1 + batch / batches
        loss = time_left = ""
        if isinstance(event, BatchDone):
            loss = f"loss {event.loss:.4g}"
            time_left = "" if event.seconds_left is None else f"about {describe_duration(event.seconds_left)} left"
        self._bars.update("Step", number - 1 + epochs_done / epochs, steps, f"{number} of {steps}", time_left)
        self._bars.update("Epoch", epochs_done, epochs, f"{event.epoch} of {epochs}", self._best)
        self._bars.update("Batch", batch, batches, f"{batch} of {batches}", loss)


class _Bars:
    """Three bars below each other, which vanish at the end."""

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
        """Move a bar, which appears with its first update."""
        if title not in self._tasks:
            self._tasks[title] = self._progress.add_task(title, total=total, count=count, remark=remark)
            self._progress.start()
        elif title != "Step" and done == 0:
            self._progress.reset(self._tasks[title], total=total)
        self._progress.update(self._tasks[title], completed=done, total=total, count=count, remark=remark)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hide the bars."""
        self._progress.stop()
        try:
            yield
        finally:
            if self._tasks:
                self._progress.start()

    def stop(self) -> None:
        """Hide the bars for good."""
        self._progress.stop()


def _describe_run(event: RunStarted) -> str:
    parts = [f"{len(event.training)} images to train on", f"{len(event.validation)} to choose the best weights by"]
    if event.test:
        parts.append(f"{len(event.test)} to test")
    line = ("Resuming: " if event.resumed else "") + ", ".join(parts) + "."
    if event.seconds or event.bytes:
        line += f"\nEstimate: {describe_duration(event.seconds)} and {describe_size(event.bytes)} on disk."
    return line


def _describe_step(event: StepStarted, number: int, steps: int) -> str:
    step = STEPS[event.step]
    start = f", from epoch {event.epoch} on" if event.epoch > 1 else ""
    length = f"phase {step.phase}, {event.epochs} epochs of {event.batches} batches{start}"
    return f"Step {number} of {steps}: {step.title} ({length})"


def _describe_epoch(event: EpochDone) -> str:
    width = len(str(event.epochs))
    iou = "" if event.val_iou is None else f"  val IoU {event.val_iou:.4f}"
    iou += "" if event.val_map is None else f"  val mAP {event.val_map:.4f}"
    return (
        f"  {event.step}  epoch {event.epoch:>{width}} of {event.epochs}  loss {event.loss:<8.4g}"
        f"  val loss {event.val_loss:<8.4g}{iou}  rate {event.learning_rate:.1e}  {event.seconds:.1f} s"
        f"{'  best' if event.best else ''}"
    )


def _describe_best(event: StepDone) -> str:
    if event.val_iou is None:
        return f"best val loss {event.val_loss:.4g}"
    precision = "" if event.val_map is None else f", val mAP {event.val_map:.4f}"
    return f"best val IoU {event.val_iou:.4f}{precision} (val loss {event.val_loss:.4g})"
