"""The state of *Compress*: the training data, the run folder and the run. No Qt here; the view watches the state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from psygnal import Signal

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.run_events import (
    BatchDone,
    Event,
    Note,
    RunDone,
    RunFailed,
    RunStarted,
    RunStopped,
    StepStarted,
)
from blunet.compression.steps import STEPS
from blunet.jobs.earlier_run import RunFolder
from blunet.jobs.run_cost import RunCost
from blunet.jobs.training_data import Checked, Written
from blunet.quantities import describe_duration, describe_size

#: Begins a line about data that look odd.
WARNING = "Warning: "
NO_DATA = "Choose the training data: a folder with images and masks, or layers with labels."
CHECKING = "Checking the data…"
NO_FOLDER = "Choose a folder for the run."
STOPPING = "Stopping at the next batch and saving… Press Cancel again to stop at once."
STOPPED = "Stopped and saved. Resume continues from there."
STOPPED_LATE = "Stopped. The state that was saved last is kept; Resume continues from there."
STOPPED_AT_ONCE = "Stopped at once. Resume continues from what was saved before."
STOPPED_EARLY = "Stopped before anything was trained."


class Phase(Enum):
    """What *Compress* is doing, or how its latest run ended."""

    IDLE = auto()
    """No training data have been chosen."""
    CHECKING = auto()
    """The data or the run folder are being checked."""
    READY = auto()
    REFUSED = auto()
    """The data cannot be trained on, or the folder cannot be used."""
    RUNNING = auto()
    STOPPING = auto()
    """The run was cancelled and is being saved."""
    STOPPED = auto()
    FINISHED = auto()
    FAILED = auto()


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes
    ----------
    step : str
        Name of the step that runs.
    number, steps : int
        The step, counted from 1, and how many the run has.
    epoch, epochs : int
        The epoch that runs, counted from 1, and how many the step has.
    batch, batches : int
        Batches of this epoch that are done, and how many an epoch has.
    seconds_left : float or None
        Of the whole run; None while it is not known.
    """

    step: str
    number: int
    steps: int
    epoch: int
    epochs: int
    batch: int
    batches: int
    seconds_left: float | None = None

    @property
    def share(self) -> float:
        """The fraction of the run that is done, 0 to 1; all steps have equal weight."""
        return (self.number - 1 + (self.epoch - 1 + self.batch / self.batches) / self.epochs) / self.steps

    @property
    def sentence(self) -> str:
        """The time left, or what is being done."""
        if self.seconds_left is None:
            return f"{STEPS[self.step].title}…"
        return f"About {describe_duration(self.seconds_left)} left."

    @property
    def line(self) -> str:
        """Step, epoch and time left in one short line."""
        left = [] if self.seconds_left is None else [f"about {describe_duration(self.seconds_left)} left"]
        return ", ".join([STEPS[self.step].short_title, f"epoch {self.epoch} of {self.epochs}", *left])


class CompressState:
    """The data, the folder and the run of *Compress*, and what the user may do with them."""

    changed = Signal()
    """Emitted after every change."""

    def __init__(self) -> None:
        self.data_text = NO_DATA
        """What was found about the training data."""
        self.data_warning = ""
        """What looks odd in the training data, or why they cannot be used."""
        self.folder: RunFolder | None = None
        """The chosen run folder; None until it has been inspected."""
        self.change = ""
        """What was changed so that the run in the folder cannot be resumed; empty if it can."""
        self.status = ""
        """The latest sentence about the run."""
        self.progress: Progress | None = None
        """None before the first step of the run."""
        self.model: Path | None = None
        """The model that the run has made."""
        self.report: Path | None = None
        self._data = Phase.IDLE
        self._run: Phase | None = None
        self._end: Phase | None = None
        self._steps: list[str] = []
        self._at_once = False

    @property
    def phase(self) -> Phase:
        """The run's phase if there is a run, else that of the data and the folder."""
        if self._run is not None:
            return self._run
        if self._data is not Phase.READY:
            return self._data
        if self.folder is None:
            return Phase.CHECKING
        return Phase.REFUSED if self.folder.problem else Phase.READY

    @property
    def busy(self) -> bool:
        """Whether a run goes on; then nothing can be changed."""
        return self._run in (Phase.RUNNING, Phase.STOPPING)

    @property
    def has_ended(self) -> bool:
        """Whether a run has ended and nothing else was chosen since."""
        return self._run is not None and not self.busy

    @property
    def can_start(self) -> bool:
        """Whether a run can begin or go on."""
        folder_ready = self.folder is not None and not self.folder.problem
        return self._data is Phase.READY and folder_ready and not self.change and not self.busy

    @property
    def resuming(self) -> bool:
        """Whether starting goes on with the run in the folder."""
        return self.folder is not None and self.folder.earlier is not None

    @property
    def start_title(self) -> str:
        """What starting is called."""
        if self.folder is not None and self.folder.finished:
            return "Continue"
        return "Resume" if self.resuming else "Start"

    @property
    def start_hint(self) -> str:
        """What starting does."""
        if self.folder is not None and self.folder.finished:
            return "This run is finished. Give its last step more epochs in 'Steps in detail' to train it further."
        return "Train in the background. You can go on working in napari."

    @property
    def warning(self) -> str:
        """Why no run can begin or go on in the folder; empty if one can, or while a run uses it."""
        return "" if self.folder is None or self.busy else self.folder.problem or self.change

    def note(self, sentence: str) -> None:
        """Show a sentence in place of the latest about the run."""
        self.status = sentence
        self.changed.emit()

    # The data and the folder -----------------------------------------------------------------------------------------

    def miss_data(self) -> None:
        """No training data are chosen."""
        self._set_data(Phase.IDLE, NO_DATA)

    def check_data(self) -> None:
        """The data are being checked."""
        self._set_data(Phase.CHECKING, CHECKING)

    def accept_data(self, found: Checked, cost: RunCost) -> None:
        """The data can be trained on."""
        needed = f"A run takes about {describe_duration(cost.seconds)} and {describe_size(cost.bytes)}."
        warnings = [line for line in found.lines if line.startswith(WARNING)]
        facts = [line for line in found.lines if line not in warnings]
        self._set_data(Phase.READY, "\n".join([*facts, needed]), "\n".join(warnings))

    def refuse_data(self, reason: str) -> None:
        """The data, or the settings of the run, cannot be used."""
        self._set_data(Phase.REFUSED, "", reason)

    def choose_folder(self) -> None:
        """Another run folder was chosen and is being inspected; the results of the run before are dropped."""
        self._forget_run()
        self.folder = self.model = self.report = None
        self.status = self.change = ""
        self.changed.emit()

    def accept_folder(self, folder: RunFolder | None) -> None:
        """The chosen run folder was inspected; None: no folder is chosen."""
        self.folder = folder or RunFolder(Path(), NO_FOLDER)
        if self._run is None and self.folder.earlier is not None:
            self.model, self.report = self.folder.earlier.model, self.folder.earlier.report
            self.status = "A finished run." if self.folder.finished else "A run that was stopped. Resume continues it."
        self.changed.emit()

    def compare(self, teacher: str, settings: CompressionSettings) -> None:
        """A teacher and settings were chosen: compare them with those of the run in the folder."""
        earlier = None if self.folder is None else self.folder.earlier
        change = "" if earlier is None else earlier.describe_change(teacher, settings)
        if change != self.change:
            self.change = change
            self.changed.emit()

    # The run ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A run begins or goes on."""
        self._run, self._end, self._at_once = Phase.RUNNING, None, False
        self.progress = self.model = self.report = None
        self._steps = []
        self.status = "Starting a process of its own: this takes some seconds…"
        self.changed.emit()

    def cancel(self) -> None:
        """The run is to stop at its next batch; if this is called again, at once."""
        if not self.busy:
            return
        self._at_once = self._run is Phase.STOPPING
        self._run = Phase.STOPPING
        self.status = "Stopping at once…" if self._at_once else STOPPING
        self.changed.emit()

    def handle(self, event: Event | Written) -> None:
        """Follow an event of the run."""
        stopping = self._run is Phase.STOPPING
        match event:
            case Written():
                if not stopping:
                    self.status = f"Writing the training data: frame {event.done} of {event.frames}."
            case RunStarted():
                self._steps = event.steps
            case Note(text, warning):
                if not warning and not stopping:  # warnings were shown by the check of the data
                    self.status = text
            case StepStarted():
                self._move(event, 0, None)
            case BatchDone():
                self._move(event, event.batch, event.seconds_left)
            case RunDone():
                self._end, self.status = Phase.FINISHED, f"Finished in {describe_duration(event.seconds)}."
                self.model, self.report = Path(event.model), Path(event.report)
            case RunStopped():
                self._end, self.status = Phase.STOPPED, STOPPED
            case RunFailed(sentence):
                self.fail(sentence)
        self.changed.emit()

    def fail(self, sentence: str) -> None:
        """The run has failed, for this reason."""
        self._end, self.status = Phase.FAILED, sentence
        self.changed.emit()

    def kill(self) -> None:
        """The run was ended before it could say that it has stopped."""
        if self._end is None:
            self._end = Phase.STOPPED
            self.status = STOPPED_EARLY if self.progress is None else STOPPED_AT_ONCE if self._at_once else STOPPED_LATE
        self.changed.emit()

    def end(self) -> None:
        """The run has ended; the folder is to be inspected again."""
        self._run = self._end or Phase.FAILED
        self.progress, self.folder = None, None
        self.changed.emit()

    def _move(self, event: StepStarted | BatchDone, batch: int, seconds_left: float | None) -> None:
        number = self._steps.index(event.step) + 1 if event.step in self._steps else 1
        self.progress = Progress(
            event.step, number, max(1, len(self._steps)), event.epoch, event.epochs, batch, event.batches, seconds_left
        )
        if self._run is not Phase.STOPPING:
            self.status = self.progress.sentence

    def _set_data(self, phase: Phase, text: str, warning: str = "") -> None:
        self._forget_run()
        self._data, self.data_text, self.data_warning = phase, text, warning
        self.changed.emit()

    def _forget_run(self) -> None:
        """Forget how the run before ended, because something else was chosen."""
        if not self.busy:
            self._run = None
