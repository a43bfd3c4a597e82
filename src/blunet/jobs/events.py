"""The events that jobs yield, and the token by which a job is stopped."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from blunet.errors import Stopped


class Cancelled(Stopped):
    """The job was stopped; all files that it has announced are complete."""


class CancelToken:
    """Stops a job from any thread: the job checks the token often."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to stop."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise Cancelled if the job was asked to stop."""
        if self.cancelled:
            raise Cancelled


@dataclass(frozen=True)
class Started:
    """The settings and inputs were checked; the work on these images begins."""

    images: tuple[Path, ...]


@dataclass(frozen=True)
class FrameDone:
    """The frame `frame` (counted from 1) of `frames` of a stack was segmented."""

    image: Path
    frame: int
    frames: int


@dataclass(frozen=True)
class PieceDone:
    """A piece of a large image was worked on: `done` is the share of the work on the image, 0 to 1."""

    image: Path
    done: float


@dataclass(frozen=True)
class Warned:
    """A warning about an image, which the message names."""

    image: Path
    message: str


@dataclass(frozen=True)
class Skipped:
    """An input could not be used; the reason is a sentence."""

    image: Path
    reason: str


@dataclass(frozen=True)
class Segmented:
    """An image was segmented and its files are written.

    Attributes
    ----------
    image, labels : Path
        Input and output.
    objects : int
        Number of objects in all frames.
    foreground : float
        Fraction of the pixels whose probability is above the threshold.
    seconds : float
        Duration from reading to the last file written; 0 if an earlier run did it.
    earlier : bool
        Whether an earlier run of the batch had finished the image.
    """

    image: Path
    labels: Path
    objects: int
    foreground: float
    seconds: float
    earlier: bool = False
