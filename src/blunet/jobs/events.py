"""What jobs tell whoever runs them, and how they are told to stop."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from blunet.evaluation.scores import Scores


class Cancelled(Exception):
    """The job was told to stop; every file that it has announced is complete."""


class CancelToken:
    """Tells a job, from any thread, to stop at its next step."""

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
    """Everything was checked; work begins on these images."""

    images: tuple[Path, ...]


@dataclass(frozen=True)
class FrameDone:
    """The frame `frame` (counted from 1) of `frames` of a stack was segmented."""

    image: Path
    frame: int
    frames: int


@dataclass(frozen=True)
class Warned:
    """Something about an image that its owner should know."""

    image: Path
    message: str


@dataclass(frozen=True)
class Skipped:
    """An input could not be used, for this reason."""

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
        Number of objects; of a stack the sum over its frames.
    foreground : float
        Part of the pixels whose probability is above the threshold, 0 to 1.
    seconds : float
        From reading to the last file written.
    """

    image: Path
    labels: Path
    objects: int
    foreground: float
    seconds: float


@dataclass(frozen=True)
class Scored:
    """An image was compared with its truth mask."""

    image: Path
    scores: Scores


@dataclass(frozen=True)
class Evaluated:
    """All images were scored: their averages and the threshold used."""

    scores: Scores
    threshold: float
