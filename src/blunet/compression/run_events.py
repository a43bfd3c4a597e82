"""What a compression tells while it runs: one stream for the terminal, `events.jsonl` and the window.

Plain Python: the process that watches a compression reads these without importing Keras.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    def to_json(self) -> str:
        """Return one line of JSON that `event_from_json` reads back."""
        return json.dumps({"event": type(self).__name__, **asdict(self)}, sort_keys=True)


@dataclass(frozen=True)
class RunStarted(Event):
    """The run begins or goes on.

    Attributes
    ----------
    run : str
        The run's folder.
    steps : list of str
        Steps that will run, in order.
    training, validation, test : list of str
        Names of the files.
    resumed : bool
    seconds, bytes : float, int
        Estimated duration and disk use; 0 where not known yet.
    """

    run: str
    steps: list[str]
    training: list[str]
    validation: list[str]
    test: list[str]
    resumed: bool
    seconds: float = 0.0
    bytes: int = 0


@dataclass(frozen=True)
class Note(Event):
    """A sentence for the user: a warning about the data, or what happens next."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class StepStarted(Event):
    """A step begins, or goes on at `epoch` (counted from 1)."""

    step: str
    epoch: int
    epochs: int
    batches: int


@dataclass(frozen=True)
class BatchDone(Event):
    """A batch was trained on; told a few times a second at most.

    Attributes
    ----------
    step : str
    epoch, epochs : int
        Counted from 1.
    batch, batches : int
        Within the epoch, counted from 1.
    loss : float
    seconds_left : float or None
        Of the whole run; None while it cannot be told.
    """

    step: str
    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    seconds_left: float | None = None


@dataclass(frozen=True)
class EpochDone(Event):
    """One epoch of a step is over and its weights were validated.

    Attributes
    ----------
    step : str
        Name of the step.
    epoch, epochs : int
        The epoch, counted from 1, and how many the step has.
    loss, val_loss : float
        Mean of the training loss over the epoch, and the same loss on the validation images.
    val_iou : float or None
        Mean IoU of the validation images' foreground at p > 0.5; None while hints are learnt.
    learning_rate : float
        Of the epoch.
    best : bool
        Whether these weights are the best so far by the step's monitor.
    seconds : float
        Duration of the epoch with its validation.
    preview : str or None
        A PNG of the first validation image's mask, 0 and 255; None where the step gives no mask.
    """

    step: str
    epoch: int
    epochs: int
    loss: float
    val_loss: float
    val_iou: float | None
    learning_rate: float
    best: bool
    seconds: float
    preview: str | None = None


@dataclass(frozen=True)
class StepDone(Event):
    """A step is over.

    Attributes
    ----------
    step : str
    best_epoch : int
        Counted from 1; 0: no epoch was better than what the step began with.
    val_loss : float
    val_iou : float or None
        Of the best weights.
    seconds : float
    """

    step: str
    best_epoch: int
    val_loss: float
    val_iou: float | None
    seconds: float


@dataclass(frozen=True)
class RunDone(Event):
    """All steps are over: `model` is the packed model, `report` the report, both paths.

    `seconds` are those since the run began or was resumed.
    """

    model: str
    report: str
    seconds: float


@dataclass(frozen=True)
class RunStopped(Event):
    """The run was cancelled; its state is saved and `--resume` goes on.

    Attributes
    ----------
    step : str
        Or "report", while the stages are scored.
    epoch, batch : int
        The epoch, counted from 1, and how many of its batches are done; epoch 0: the step had not begun or not yet
        gone on.
    """

    step: str
    epoch: int
    batch: int


@dataclass(frozen=True)
class RunFailed(Event):
    """The run ended in an error: one sentence that says what was wrong and what to do."""

    sentence: str


EVENTS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (RunStarted, Note, StepStarted, BatchDone, EpochDone, StepDone, RunDone, RunStopped, RunFailed)
}


def event_from_json(line: str) -> Event:
    """Read an event written by `Event.to_json`; unknown fields of a newer version are passed over.

    Raises
    ------
    ValueError
        If the line is not an event.
    """
    data: Any = json.loads(line)
    kind = EVENTS.get(data.pop("event", "")) if isinstance(data, dict) else None
    if kind is None:
        raise ValueError(f"not an event: {line[:80]!r}")
    known = {f.name for f in fields(kind)}
    try:
        return kind(**{key: value for key, value in data.items() if key in known})
    except TypeError as e:
        raise ValueError(f"not an event: {line[:80]!r}") from e


def read_events(path: str | Path) -> Iterator[Event]:
    """Yield the events of an `events.jsonl`; a torn line is passed over."""
    for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield event_from_json(line)
        except ValueError:
            continue
