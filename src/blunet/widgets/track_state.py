"""The state of *Track* in Segment: the tracks, the selected one, the corrections, and what is said. No Qt here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from psygnal import Signal

from blunet.errors import InputError
from blunet.quantities import describe_duration
from blunet.tracking.corrections import (
    Correction,
    apply_correction,
    cut,
    join,
    mark_division,
    swap,
)
from blunet.tracking.tracker import FrameRead, FrameTracked, Linked
from blunet.tracking.tracks import Tracks

NO_LABELS = "Segment a time-lapse, or open a Labels layer with a time axis."
HINT = "Click a cell in the image to see its lineage."

#: A correction for which cells are to be clicked.
Task = Literal["join", "swap", "divide"]
_ASKS = {
    "join": "Click the cell that is the same as track {}, in any frame.",
    "swap": "Click the cell that track {} is to be swapped with, from this frame on.",
    "divide": "Go to the first frame after the division of track {} and click a daughter.",
}


@dataclass(frozen=True)
class Done:
    """A correction and the tracks it was made on."""

    correction: Correction
    before: Tracks


class TrackState:
    """What the part *Track* shows; views watch it."""

    changed = Signal()
    """Emitted after every change of what is said or what can be done."""
    tracks_changed = Signal()
    """Emitted when there are other tracks, or none."""
    corrected = Signal(object)
    """Emitted with a `Done` whose correction the labels have to follow; `tracks_changed` comes next."""
    selected_changed = Signal()
    """Emitted when another track is selected, or none."""

    def __init__(self) -> None:
        self.running = False
        self.saving = False
        """Whether the tracks are being written into files: they cannot be corrected meanwhile."""
        self.done = 0
        """Steps of the job: every frame is read, and then relabelled."""
        self.total = 0
        self.refusal = NO_LABELS
        """Why the chosen layer cannot be tracked; empty if it can."""
        self.tracks: Tracks | None = None
        self.selected: int | None = None
        self.task: Task | None = None
        """The correction for which cells are to be clicked."""
        self.warning = ""
        self._news = ""
        self._asked = ""
        self._chosen: list[int] = []
        self._undo: list[Correction] = []
        self._redo: list[Correction] = []
        self._began = 0.0

    # What is shown ---------------------------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """One sentence about what goes on, or what was found."""
        if self.running:
            if not self.total:
                return "Looking at the labels…"
            text = f"Linking: frame {min(self.done + 1, self.total // 2)} of {self.total // 2}"
            if self.done >= self.total // 2:
                text = f"Writing tracks: frame {self.done - self.total // 2} of {self.total // 2}"
            if self.done > 1:
                left = (time.monotonic() - self._began) / self.done * (self.total - self.done)
                text += f", about {describe_duration(left)} left"
            return f"{text}."
        return self._news or self.refusal

    @property
    def hint(self) -> str:
        """What is said about the selected track, or what the user is to click."""
        if self.tracks is None:
            return ""
        if self.task is not None:
            return f"{self._asked} The button once more stops."
        return HINT if self.selected is None else describe_track(self.tracks, self.selected)

    @property
    def can_start(self) -> bool:
        """Whether the chosen layer can be tracked now."""
        return not self.running and not self.saving and not self.refusal

    @property
    def can_undo(self) -> str:
        """Title of the correction that can be taken back; empty: none."""
        return self._undo[-1].title if self._undo else ""

    @property
    def can_redo(self) -> str:
        """Title of the correction that can be made again; empty: none."""
        return self._redo[-1].title if self._redo else ""

    # A run -----------------------------------------------------------------------------------------------------------

    def accept(self, refusal: str = "") -> None:
        """Another layer was chosen; `refusal` says why it cannot be tracked."""
        self.refusal = refusal
        self.changed()

    def start(self) -> None:
        """Begin a run."""
        self.running, self.done, self.total = True, 0, 0
        self.warning, self._news = "", ""
        self._began = time.monotonic()
        self.changed()

    def add(self, event: object) -> None:
        """Count an event of the run."""
        if isinstance(event, FrameRead):
            self.done, self.total = event.frame, 2 * event.frames
        elif isinstance(event, FrameTracked):
            self.done = self.total // 2 + event.t + 1
        elif isinstance(event, Linked):
            self.warning = event.warning
        else:
            return
        self.changed()

    def finish(self, tracks: Tracks, *, edited: str = "") -> None:
        """The run went through.

        Parameters
        ----------
        tracks : Tracks
        edited : str
            Name of the layer of labels if it was painted on meanwhile.
        """
        self._end(describe_tracks(tracks))
        if edited:
            painted = (
                f"'{edited}' was painted on while it was linked: it keeps these changes, the tracks may lack them. "
                "Track again to take them over."
            )
            self.warning = "\n".join(filter(None, (self.warning, painted)))
        self.show(tracks)

    def stop(self) -> None:
        """The run was cancelled."""
        self._end("Stopped. The labels are as they were.")
        self.changed()

    def fail(self, sentence: str) -> None:
        """The run ended by an error."""
        self.warning = sentence
        self._end("The labels could not be tracked; they are as they were.")
        self.changed()

    def start_saving(self) -> None:
        """Begin to write the tracks into files."""
        self.saving, self.task, self.warning = True, None, ""
        self._news = "Saving the tracks…"
        self.changed()

    def end_saving(self, sentence: str) -> None:
        """The tracks were written, or not; the sentence says which."""
        self.saving, self._news = False, sentence
        self.changed()

    def show(self, tracks: Tracks | None) -> None:
        """Show other tracks, which have no corrections yet; None: there are none any more."""
        self.tracks, self.selected, self.task = tracks, None, None
        self._undo, self._redo = [], []
        if tracks is None:
            self._news = ""
        self.tracks_changed()
        self.selected_changed()
        self.changed()

    def warn(self, sentence: str) -> None:
        """Show a warning."""
        self.warning = sentence
        self.changed()

    # The selection ---------------------------------------------------------------------------------------------------

    def select(self, track: int | None) -> None:
        """Select a track; None, or one that does not exist: select none."""
        known = self.tracks is not None and track is not None and track in self.tracks.spans
        self.selected = track if known else None
        self.selected_changed()
        self.changed()

    def click(self, track: int, frame: int) -> None:
        """Take a click on a cell (0: the background) in a frame: select it, or use it for a correction."""
        if self.task is None:
            self.select(track or None)
        elif track:
            self._take(track, frame)

    # Corrections -----------------------------------------------------------------------------------------------------

    def ask(self, task: Task) -> None:
        """Begin a correction of the selected track for which other cells are clicked."""
        if self.selected is None:
            return
        self.task, self._chosen, self.warning = task, [], ""
        self._asked = _ASKS[task].format(self.selected)
        self.changed()

    def stop_asking(self) -> None:
        """Give up the correction that was begun."""
        self.task = None
        self.changed()

    def cut(self, frame: int) -> None:
        """Cut the selected track at a frame."""
        tracks, selected = self.tracks, self.selected
        if tracks is not None and selected is not None:
            self._try(lambda: cut(tracks, selected, frame))

    def undo(self) -> None:
        """Take the latest correction back."""
        if self._undo:
            correction = self._undo.pop()
            self._redo.append(correction)
            self._apply(correction.reversed, f"Taken back: {correction.title}.")

    def redo(self) -> None:
        """Make the correction again that was taken back last."""
        if self._redo:
            correction = self._redo.pop()
            self._undo.append(correction)
            self._apply(correction, f"{correction.title}.")

    def replace(self, tracks: Tracks) -> None:
        """Show the tracks of labels that were painted on; the selection stays."""
        self.tracks = tracks
        self._news = describe_tracks(tracks)
        self.tracks_changed()
        self.select(self.selected)

    def _take(self, track: int, frame: int) -> None:
        tracks, selected, task = self.tracks, self.selected, self.task
        if tracks is None or selected is None:
            return
        if task == "divide":
            self._chosen.append(track)
            if len(self._chosen) < 2:
                self._asked = f"Now click the other daughter in this frame ({frame})."
                self.changed()
                return
            chosen = tuple(self._chosen)
            self._try(lambda: mark_division(tracks, selected, chosen, frame))
        elif task == "join":
            self._try(lambda: join(tracks, selected, track))
        else:
            self._try(lambda: swap(tracks, selected, track, frame))

    def _try(self, make: Callable[[], Correction]) -> None:
        self.task, self.warning = None, ""
        try:
            correction = make()
        except InputError as e:
            self.warn(str(e))
            return
        self._undo.append(correction)
        self._redo.clear()
        self._apply(correction, f"{correction.title}.")

    def _apply(self, correction: Correction, news: str) -> None:
        assert self.tracks is not None
        before, selected = self.tracks, self.selected
        self.tracks = apply_correction(before, correction)
        self.task, self.warning, self._news = None, "", news
        self.corrected(Done(correction, before))
        self.tracks_changed()
        if selected is not None and selected not in self.tracks.spans:
            renamed = (r.numbers[selected] for r in correction.renamings if selected in r.numbers)
            selected = next(renamed, None)
        self.select(selected)

    def _end(self, sentence: str) -> None:
        self.running, self._news = False, sentence


def describe_tracks(tracks: Tracks) -> str:
    """Return a sentence about all tracks."""
    count, divisions = tracks.numbers.size, tracks.divisions
    text = f"{count:,} track{'s' * (count != 1)} in {tracks.frames:,} frames"
    return f"{text}, {divisions:,} division{'s' * (divisions != 1)}."


def describe_track(tracks: Tracks, track: int) -> str:
    """Return a sentence about one track: when it is there, where it comes from and what becomes of it."""
    start, end = tracks.spans[track]
    text = f"Track {track}: frame {start}" if start == end else f"Track {track}: frames {start} to {end}"
    missing = end - start + 1 - np.unique(tracks.frame[tracks.rows_of(track)]).size
    if missing:
        text += f", missing in {missing}"
    if track in tracks.parents:
        text += f", daughter of {tracks.parents[track]}"
    daughters = tracks.children.get(track, [])
    if daughters:
        text += f", {'divides into' if len(daughters) > 1 else 'becomes'} {' and '.join(map(str, daughters))}"
    return f"{text}."
