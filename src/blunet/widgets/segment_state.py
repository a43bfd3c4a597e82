"""The state of *Segment*: the image, the run and its labels. No Qt here; the form watches the state."""

from __future__ import annotations

from enum import Enum, auto

from psygnal import Signal

from blunet.quantities import describe_duration

NO_IMAGE = "Open an image first: with File > Open, the Load widget, or File > Open Sample > BLU-Net."
SEGMENTING = "Segmenting…"
FAILED = "Segmenting has failed."
EDITED = "The labels that you have edited are kept; the new settings give a layer of their own."
OTHER_MODEL = "The labels are those of another model; press Segment to find the cells with this one."


class Phase(Enum):
    """What *Segment* is doing with the labels."""

    IDLE = auto()
    RUNNING = auto()
    """The network runs."""
    UPDATING = auto()
    """The labels are made again from maps that were kept."""
    WAITING = auto()
    """A setting was changed meanwhile: the labels are made once more when what goes on has ended."""
    EDITED = auto()
    """Nothing goes on, and the user has painted on the labels: they are not changed any more."""


class SegmentState:
    """The image, the run and the labels of *Segment*, and what the user may do with them."""

    changed = Signal()
    """Emitted after every change."""

    def __init__(self) -> None:
        self.instruction = ""
        """What the user is to do now, in place of the status; empty: nothing."""
        self.frames = 0
        """Number of frames of the chosen image; 0 if no image can be segmented."""
        self.slices = False
        """Whether the frames are slices of a Z stack."""
        self.done, self.count = 0, 0
        """How many frames of the run are done, of how many."""
        self.edited = False
        """Whether the user has painted on the latest labels."""
        self.labelled = False
        """Whether the latest labels are in the viewer."""
        self._news = NO_IMAGE
        self._kept_edited = self._other_model = False
        self._note = ""
        self._warnings: dict[str, str] = {}
        self._refusal = NO_IMAGE
        self._concluded = False
        self._running = self._updating = self._waiting = False

    @property
    def status(self) -> str:
        """What goes on, or what was found; what still holds about the labels; and the latest remark."""
        lasting = [EDITED] * self._kept_edited + [OTHER_MODEL] * self._other_model
        return " ".join(filter(None, [self._news, *lasting, self._note]))

    @property
    def warning(self) -> str:
        """What the user should know, a line for each subject; empty: nothing."""
        return "\n".join(filter(None, self._warnings.values()))

    @property
    def phase(self) -> Phase:
        """What goes on."""
        if self._running or self._updating:
            return Phase.WAITING if self._waiting else Phase.RUNNING if self._running else Phase.UPDATING
        return Phase.EDITED if self.edited else Phase.IDLE

    @property
    def running(self) -> bool:
        """Whether the network runs."""
        return self._running

    @property
    def busy(self) -> bool:
        """Whether the network runs or labels are made again."""
        return self._running or self._updating

    @property
    def can_start(self) -> bool:
        """Whether the chosen image can be segmented now."""
        return self.frames > 0 and not self._running

    @property
    def can_save(self) -> bool:
        """Whether there are labels that can be saved now."""
        return self.labelled and not self.busy

    # The image -------------------------------------------------------------------------------------------------------

    @property
    def plural(self) -> str:
        """What several frames are called."""
        return "slices" if self.slices else "frames"

    def accept_image(self, frames: int, *, slices: bool = False) -> None:
        """An image with this number of frames, or of slices, is chosen, and can be segmented."""
        self.frames, self.slices = frames, slices
        self._replace_refusal("")

    def refuse_image(self, reason: str = NO_IMAGE) -> None:
        """The chosen image cannot be segmented, or there is none."""
        self.frames = 0
        self._replace_refusal(reason)

    # The run and the labels ------------------------------------------------------------------------------------------

    def start(self, count: int) -> None:
        """The network begins to run on `count` frames."""
        self._running, self._waiting, self.edited = True, False, False
        self._concluded = False
        self.done, self.count = 0, count
        self._kept_edited = self._other_model = False
        self._news, self._note = SEGMENTING, ""
        self._warnings.clear()
        self.changed.emit()

    def advance(self, done: int, seconds_left: float | None = None) -> None:
        """`done` frames of the run are done; the others take so long, if this is known."""
        self.done = done
        if self.count > 1 and done < self.count:
            left = "" if seconds_left is None else f", about {describe_duration(seconds_left)} left"
            self._news = f"{SEGMENTING} {done} of {self.count} {self.plural} are done{left}."
        self.changed.emit()

    def show_labels(self, shown: bool) -> None:
        """The latest labels are in the viewer now, or are not any more."""
        if shown != self.labelled:
            self.labelled = shown
            self.changed.emit()

    def edit(self) -> None:
        """The user has painted on the labels."""
        self.edited = True
        self.changed.emit()

    def hold_back(self) -> None:
        """Labels of a frame were not shown because the user has edited the layer: they are made once more."""
        self._waiting = True
        self.changed.emit()

    def change(self) -> bool:
        """A setting of the labels was changed; return whether they can be made again at once."""
        self._waiting = self.busy
        self.changed.emit()
        return not self._waiting

    def update(self) -> None:
        """Labels begin to be made again. Edited ones are kept: the new ones get a layer of their own."""
        self._kept_edited = self._kept_edited or self.edited
        self._updating, self._waiting, self.edited = True, False, False
        self.changed.emit()

    def find(self, objects: int, frames: int, *, mask: bool = False, dropped: int = 0, min_size: int = 0) -> None:
        """All labels were made; show the number of objects.

        Parameters
        ----------
        objects, frames : int
        mask : bool
            Whether all objects are one area.
        dropped : int
            Number of objects that are smaller than `min_size`.
        min_size : int
            In pixels.
        """
        self._note = ""
        cells = "area of cells" if mask else f"{objects} cell{'s' * (objects != 1)}"
        where = f" in {frames} {self.plural}" if frames > 1 else ""
        if objects:
            self._news = f"Found {cells}{where}."
        elif dropped:
            self._news = (
                f"No cells found: all {dropped} objects are smaller than the smallest area of {min_size} px."
                if dropped > 1
                else f"No cells found: the only object is smaller than the smallest area of {min_size} px."
            )
        else:
            self._news = "No cells found: try a lower threshold."
        self._concluded = True
        self.changed.emit()

    def stop(self, labelled: int = 0) -> None:
        """The run was cancelled after `labelled` of its frames had got labels."""
        self._waiting, self._concluded, self._note = False, True, ""
        if not labelled:
            self._news = "Stopped before any labels were made."
        elif self.count > 1:
            self._news = f"Stopped. The labels of {labelled} of {self.count} {self.plural} are kept."
        else:
            self._news = "Stopped. The labels are kept."
        self.changed.emit()

    def end_run(self) -> bool:
        """The run has ended, whichever way; return whether the labels are to be made again."""
        self._running = False
        if not self._concluded:  # whatever was shown while it went on
            self._news, self._note = FAILED, ""
        return self._end()

    def end_update(self) -> bool:
        """The update has ended, whichever way; return whether the labels are to be made again."""
        self._updating = False
        return self._end()

    # Sentences -------------------------------------------------------------------------------------------------------

    def note(self, sentence: str) -> None:
        """Show a remark behind the status, in place of the latest one."""
        self._note = sentence
        self.changed.emit()

    def note_model(self, other: bool) -> None:
        """The labels are, or are not, those of another model than the chosen one."""
        self._other_model = other
        self.changed.emit()

    def instruct(self, sentence: str) -> None:
        """Show what the user is to do now; an empty sentence: nothing any more."""
        self.instruction = sentence
        self.changed.emit()

    def warn(self, sentence: str, subject: str = "") -> None:
        """Show a warning in place of the one about the same subject, beside those about others."""
        self._warnings[subject] = sentence
        self.changed.emit()

    def clear_warnings(self, *subjects: str) -> None:
        """Remove the warnings about some subjects; without any, all of them."""
        for subject in subjects or tuple(self._warnings):
            self._warnings.pop(subject, None)
        self.changed.emit()

    def _end(self) -> bool:
        again = self._waiting and not self.busy
        self._waiting = self._waiting and self.busy
        self.changed.emit()
        return again

    def _replace_refusal(self, refusal: str) -> None:
        """Show why an image is refused; otherwise remove the refusal, and leave any other sentence."""
        if refusal or self._news == self._refusal:
            self._news = refusal
        self._refusal = refusal
        self.changed.emit()
