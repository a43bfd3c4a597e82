"""How far a compression has come: three bars for its steps, the epochs of one, and the batches of an epoch."""

from __future__ import annotations

from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from blunet.compression.steps import STEPS
from blunet.widgets.compress_state import Progress

#: Units of the bar of the whole run.
UNITS = 1000


class RunBars(QWidget):
    """Three bars; they are empty before the first step."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.whole, self.epochs, self.batches = (QProgressBar() for _ in range(3))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for bar in (self.whole, self.epochs, self.batches):
            layout.addWidget(bar)
        self.show_progress(None)

    def show_progress(self, progress: Progress | None) -> None:
        """Show how far the run has come; None: its first step has not begun."""
        if progress is None:
            for bar in (self.whole, self.epochs, self.batches):
                bar.reset()
                bar.setFormat("")
            return
        p = progress
        for bar, value, most, text in (
            (self.whole, int(UNITS * p.share), UNITS, f"Step {p.number} of {p.steps}: {STEPS[p.step].title}"),
            (self.epochs, p.epoch - 1, p.epochs, f"Epoch {p.epoch} of {p.epochs}"),
            (self.batches, p.batch, p.batches, f"Batch {p.batch} of {p.batches}"),
        ):
            bar.setRange(0, most)
            bar.setValue(value)
            bar.setFormat(text)
