"""The state of a batch in *Segment*: what is done, what is left out, what is left to do. No Qt here."""

from __future__ import annotations

import time

from psygnal import Signal

from blunet.jobs.events import FrameDone, PieceDone, Segmented, Skipped, Started, Warned
from blunet.quantities import describe_duration

NOTHING = "Choose a folder of images, or an OME-Zarr."


class BatchState:
    """Counts the images of a batch."""

    changed = Signal()
    """Emitted after every change."""

    def __init__(self) -> None:
        self.running = False
        self.total = 0
        """Number of images; 0 before they are known."""
        self.done = 0.0
        """Number of images that are done or left out, with a part of the one that goes on."""
        self.objects = 0
        """Number of objects in all images."""
        self.warning = ""
        """What went wrong with images, or with the whole batch."""
        self._ending = NOTHING
        self._began = 0.0
        self._segmented = self._earlier = 0
        self._skipped: list[str] = []
        self._warned: list[str] = []

    @property
    def status(self) -> str:
        """One sentence about the batch."""
        if not self.running:
            return self._ending
        if not self.total:
            return "Looking for images…"
        text = f"{int(self.done)} of {self.total} images"
        worked = self.done - self._earlier - len(self._skipped)
        if worked > 0:
            left = (time.monotonic() - self._began) / worked * (self.total - self.done)
            text += f", about {describe_duration(left)} left"
        return f"{text}."

    def start(self) -> None:
        """Begin a batch."""
        self.running = True
        self.total, self.done, self.objects, self.warning = 0, 0.0, 0, ""
        self._segmented = self._earlier = 0
        self._skipped, self._warned = [], []
        self._began = time.monotonic()
        self.changed()

    def add(self, event: object) -> None:
        """Count an event of the job."""
        match event:
            case Started(images):
                self.total = len(images) + len(self._skipped)
                self._began = time.monotonic()
            case FrameDone(frame=frame, frames=frames):
                self.done = self._seen() + frame / frames
            case PieceDone(done=done):
                self.done = self._seen() + done
            case Warned(message=message):
                self._warned.append(message)
            case Skipped(reason=reason):
                self._skipped.append(reason)
                self.done = self._seen()
            case Segmented():
                self.objects += event.objects
                self._segmented += not event.earlier
                self._earlier += event.earlier
                self.done = self._seen()
        self.warning = self._describe_problems()
        self.changed()

    def finish(self, folder: str) -> None:
        """End a batch that went through."""
        found = f"{self.objects:,} {'cell' if self.objects == 1 else 'cells'} in {_images(self._seen(skipped=False))}"
        before = f", {self._earlier:,} of them finished before" if self._earlier else ""
        self._end(f"Found {found}{before}. Labels and tables are in '{folder}'.")

    def stop(self, folder: str) -> None:
        """End a batch that was cancelled."""
        kept = self._seen(skipped=False)
        self._end(
            f"Stopped. What was found in {_images(kept)} is kept in '{folder}'; Start goes on."
            if kept
            else "Stopped. No image was finished."
        )

    def fail(self, sentence: str) -> None:
        """End a batch by an error."""
        self.warning = sentence
        self._end("The batch was not started." if not self._seen() else "The batch has ended early.")

    def _end(self, sentence: str) -> None:
        self.running = False
        self._ending = sentence
        self.changed()

    def _seen(self, *, skipped: bool = True) -> int:
        return self._segmented + self._earlier + (len(self._skipped) if skipped else 0)

    def _describe_problems(self) -> str:
        parts = []
        if self._skipped:
            more = f" ({len(self._skipped)} images were left out; the table of images has all reasons.)"
            parts.append(self._skipped[0] + (more if len(self._skipped) > 1 else ""))
        if self._warned:
            more = f" ({len(self._warned)} warnings; the table of images has all.)"
            parts.append(self._warned[0] + (more if len(self._warned) > 1 else ""))
        return "\n".join(parts)


def _images(count: int) -> str:
    return f"{count:,} image" if count == 1 else f"{count:,} images"
