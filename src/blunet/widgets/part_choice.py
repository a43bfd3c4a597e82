"""Which part of an image is segmented: what is seen, one frame, all, or some."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from blunet.errors import InputError

FRAME, ALL, SOME, VIEW = "frame", "all", "some", "view"


class PartChoice(QWidget):
    """A list of what can be segmented, and fields for a range of frames.

    Parameters
    ----------
    parent : QWidget, optional
    """

    changed = Signal()
    """Emitted when something else is chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._count = 0
        self.wanted = FRAME
        """The kind that was chosen last; it comes back with an image that has it."""
        self.kinds = QComboBox()
        self.kinds.setToolTip(
            "This view only: what the canvas shows, at full resolution. Some frames: a range of them, or every n-th."
        )
        self.first, self.last, self.step = QSpinBox(), QSpinBox(), QSpinBox()
        for box, tip in (
            (self.first, "The first frame, as the slider below the image counts them: from 0."),
            (self.last, "The last frame, as the slider below the image counts them: from 0."),
            (self.step, "1: every frame. 10: every tenth."),
        ):
            box.setToolTip(tip)
            box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
            box.setStyleSheet("QSpinBox { min-width: 36px; max-width: 60px; padding: 0px 2px; }")
            box.setAccessibleName(tip.split(",")[0].split(":")[0])
            box.valueChanged.connect(self.changed)
        self.step.setMinimum(1)
        self.fields = QWidget()
        row = QHBoxLayout(self.fields)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for text, box in (("From", self.first), ("to", self.last), ("every", self.step)):
            row.addWidget(QLabel(text))
            row.addWidget(box)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.kinds)
        layout.addWidget(self.fields)
        self.fields.hide()
        self.kinds.currentIndexChanged.connect(self._on_chosen)

    @property
    def kind(self) -> str:
        """`FRAME`, `ALL`, `SOME` or `VIEW`."""
        return str(self.kinds.currentData() or FRAME)

    def choose(self, kind: str) -> None:
        """Choose a kind, at once or as soon as there is an image that has it."""
        self.wanted = kind
        index = self.kinds.findData(kind)
        if index >= 0:
            self.kinds.setCurrentIndex(index)

    def set_frames(self, count: int, plural: str) -> None:
        """Offer what an image has.

        Parameters
        ----------
        count : int
            Number of frames; 1 or 0: a single image.
        plural : str
            What several frames are called.
        """
        texts = {FRAME: "Whole image", VIEW: "This view only"}
        if count > 1:
            texts = {
                FRAME: f"This {plural.removesuffix('s')}", ALL: f"All {count} {plural}", SOME: f"Some {plural}",
                VIEW: "This view only",
            }  # fmt: skip
        if [self.kinds.itemText(i) for i in range(self.kinds.count())] == list(texts.values()) and count == self._count:
            return
        with self._silent():
            self.kinds.clear()
            for each, text in texts.items():
                self.kinds.addItem(text, each)
            self.kinds.setCurrentIndex(self.kinds.findData(self.wanted if self.wanted in texts else FRAME))
            if count != self._count:
                for box in (self.first, self.last):
                    box.setMaximum(max(count - 1, 0))
                self.step.setMaximum(max(count, 1))
                self.first.setValue(0)
                self.last.setValue(max(count - 1, 0))
            self._count = count
        self._on_kind()

    def list_frames(self, shown: int) -> list[int]:
        """Return the frames, the one that is shown first, if it is one of them.

        Raises
        ------
        InputError
            If the range is empty.
        """
        if self.kind == ALL:
            chosen = list(range(self._count))
        elif self.kind == SOME:
            chosen = list(range(self.first.value(), self.last.value() + 1, self.step.value()))
            if not chosen:
                raise InputError(
                    f"No frame lies from {self.first.value()} to {self.last.value()}; give a first one before the last."
                )
        else:
            return [shown]
        return [shown, *(t for t in chosen if t != shown)] if shown in chosen else chosen

    def count_frames(self) -> int:
        """Return the number of frames that are chosen."""
        if self.kind == ALL:
            return self._count
        if self.kind == SOME:
            return len(range(self.first.value(), self.last.value() + 1, self.step.value()))
        return 1

    @contextmanager
    def _silent(self) -> Iterator[None]:
        """Emit nothing while the lists are filled."""
        blockers = [QSignalBlocker(each) for each in (self.kinds, self.first, self.last, self.step)]
        yield
        for blocker in blockers:
            blocker.unblock()

    def _on_chosen(self) -> None:
        self.wanted = self.kind
        self._on_kind()

    def _on_kind(self) -> None:
        self.fields.setVisible(self.kind == SOME)
        self.changed.emit()
