"""How far a compression has come: its steps, the epochs of one, the batches of an epoch."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from blunet.compression.steps import STEPS

#: Parts of a step that the bar of the whole run tells apart.
PARTS = 1000


class RunBars(QWidget):
    """Three bars, one within the other."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.steps: list[str] = []
        """Names of the steps of the run."""
        self.whole, self.epochs, self.batches = (QProgressBar() for _ in range(3))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for bar in (self.whole, self.epochs, self.batches):
            layout.addWidget(bar)
        self.hide()

    @property
    def share(self) -> float:
        """How much of the run is done, 0 to 1."""
        return max(0, self.whole.value()) / max(1, self.whole.maximum())

    def reset(self) -> None:
        """Show nothing done yet."""
        for bar in (self.whole, self.epochs, self.batches):
            bar.reset()
            bar.setFormat("")

    def show_progress(self, event: Any, epochs: int, batch: int) -> None:
        """Show that so many epochs of the event's step are done, and so many batches of the next."""
        number = self.steps.index(event.step) if event.step in self.steps else 0
        share = (epochs + batch / event.batches) / event.epochs
        for bar, value, most, text in (
            (self.whole, int(PARTS * (number + share)), PARTS * max(1, len(self.steps)),
             f"Step {number + 1} of {len(self.steps)}: {STEPS[event.step].title}"),
            (self.epochs, epochs, event.epochs, f"Epoch {epochs + 1} of {event.epochs}"),
            (self.batches, batch, event.batches, f"Batch {batch} of {event.batches}"),
        ):  # fmt: skip
            bar.setRange(0, most)
            bar.setValue(value)
            bar.setFormat(text)
