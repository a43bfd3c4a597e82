"""Which channel and which slice of a file are opened."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QWidget

from blunet.images.plane_choice import BEST_FOCUS, PlaneChoice
from blunet.jobs.plane_options import PlaneOptions
from blunet.widgets.layer_list import keep_narrow


class PlaneBox(QWidget):
    """Lists of the channels and slices that files have; what they do not have is hidden."""

    changed = Signal()
    """Emitted when another channel or slice is chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._options = PlaneOptions()
        self.channel, self.slice = QComboBox(), QComboBox()
        self.channel.setToolTip("Which channel is opened; the one of DIC is known by its name or contrast method.")
        self.slice.setToolTip("Which slice of the Z stack is opened; the sharpest is sought in each frame.")
        self.rows = QFormLayout(self)
        self.rows.setContentsMargins(0, 0, 0, 0)
        self.rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.rows.addRow("Channel", self.channel)
        self.rows.addRow("Slice", self.slice)
        for box in (self.channel, self.slice):
            keep_narrow(box)
            box.activated.connect(lambda _: self.changed.emit())
        self.set_options(PlaneOptions())

    @property
    def planes(self) -> PlaneChoice:
        """The channel and slice that are chosen."""
        channel, z = self.channel.currentData(), self.slice.currentData()
        return PlaneChoice(channel, z)

    def set_options(self, options: PlaneOptions) -> None:
        """Offer the channels and slices of files; a choice stays while files of the same kind are chosen."""
        self.setVisible(len(options.channels) > 1 or options.slices > 1)
        self.rows.setRowVisible(self.channel, len(options.channels) > 1)
        self.rows.setRowVisible(self.slice, options.slices > 1)
        if options == self._options and self.channel.count():
            return
        self._options = options
        with QSignalBlocker(self.channel), QSignalBlocker(self.slice):
            self.channel.clear()
            self.channel.addItem("Choose one" if options.dic is None else f"{options.dic}, by its name", None)
            for number, name in enumerate(options.channels):
                self.channel.addItem(name or f"Channel {number}", str(number))
            self.slice.clear()
            self.slice.addItem("Choose one" if options.frames > 1 else f"All {options.slices}, one by one", None)
            self.slice.addItem("The sharpest", BEST_FOCUS)
            for z in range(options.slices):
                self.slice.addItem(f"Slice {z}", z)
