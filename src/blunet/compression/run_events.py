"""The events of a compression, for the terminal, the window and `events.jsonl`. No Keras here."""

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
    """The run is started or resumed.

    Attributes
    ----------
    run : str
        The run's folder.
    steps : list of str
        The steps of the run, in order.
    training, validation, test : list of str
        Names of the files.
    resumed : bool
    seconds, bytes : float, int
        Estimated duration and disk space; 0 if they are not known.
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
    """A step starts, or continues at `epoch`, counted from 1."""

    step: str
    epoch: int
    epochs: int
    batches: int


@dataclass(frozen=True)
class BatchDone(Event):
    """A batch was trained on. There are a few of these events a second at most.

    Attributes
    ----------
    step : str
    epoch, epochs : int
        Counted from 1.
    batch, batches : int
        Within the epoch, counted from 1.
    loss : float
    seconds_left : float or None
        For the whole run; None as long as it cannot be estimated.
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
    """An epoch of a step has ended, and its weights were validated.

    Attributes
    ----------
    step : str
        Name of the step.
    epoch, epochs : int
        The epoch, counted from 1, and the number of epochs of the step.
    loss, val_loss : float
        Mean of the training loss over the epoch, and the same loss on the validation images.
    val_iou : float or None
        Mean IoU of the validation images' foreground; None for hints. At p > 0.5 in the published form, else at the
        best threshold.
    learning_rate : float
        Learning rate of the epoch's last batch.
    best : bool
        Whether these weights are the best so far by the step's monitor.
    seconds : float
        Duration of the epoch with its validation.
    preview : str or None
        PNG file of the first validation image's mask, 0 and 255; None for hints.
    val_map : float or None
        Mean average precision of the validation images' objects, where it is measured.
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
    val_map: float | None = None


@dataclass(frozen=True)
class StepDone(Event):
    """A step has ended.

    Attributes
    ----------
    step : str
    best_epoch : int
        Counted from 1; 0: no epoch was better than the weights that the step started with.
    val_loss : float
    val_iou : float or None
        Of the best weights.
    seconds : float
        Training time.
    val_map : float or None
        Of the best weights, where it is measured.
    """

    step: str
    best_epoch: int
    val_loss: float
    val_iou: float | None
    seconds: float
    val_map: float | None = None


@dataclass(frozen=True)
class RunDone(Event):
    """All steps have ended.

    Attributes
    ----------
    model, report : str
        Files of the packed model and of the report.
    seconds : float
        Time since the run was started or resumed.
    """

    model: str
    report: str
    seconds: float


@dataclass(frozen=True)
class RunStopped(Event):
    """The run was cancelled, and its state is saved: it can be resumed.

    Attributes
    ----------
    step : str
        Name of the step; "report" while the stages are scored.
    epoch, batch : int
        The epoch, counted from 1, and the number of its batches that are done. Epoch 0: the step was not started or
        resumed yet.
    """

    step: str
    epoch: int
    batch: int


@dataclass(frozen=True)
class RunFailed(Event):
    """The run ended with an error; the sentence says what is wrong and what to do."""

    sentence: str


EVENTS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (RunStarted, Note, StepStarted, BatchDone, EpochDone, StepDone, RunDone, RunStopped, RunFailed)
}


def event_from_json(line: str) -> Event:
    """Read an event written by `Event.to_json`; unknown fields of a newer version are ignored.

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
    """Yield the events of an `events.jsonl`; incomplete lines are skipped."""
    for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield event_from_json(line)
        except ValueError:
            continue
