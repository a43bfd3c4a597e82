"""The form of the Segment widget: its controls and their values, and what a state says about the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.jobs.layer_segmentation import count_bytes
from blunet.segmentation.scale import scale_factor
from blunet.segmentation.segmentation_settings import DEFAULTS, SegmentationSettings
from blunet.widgets.batch_box import BatchBox
from blunet.widgets.diameter import DiameterBox
from blunet.widgets.label_alignment import LabelAlignment
from blunet.widgets.layer_list import LayerList
from blunet.widgets.model_picker import ModelPicker
from blunet.widgets.part_choice import ALL, FRAME, VIEW, PartChoice
from blunet.widgets.preferences import read_memory
from blunet.widgets.section import Section
from blunet.widgets.segment_state import SegmentState
from blunet.widgets.settings_form import SettingsForm
from blunet.widgets.settings_state import SettingsState
from blunet.widgets.store_place import StorePlace
from blunet.widgets.text import WarningLabel, make_remark_label, make_sentence_label
from blunet.widgets.track_box import TrackBox

if TYPE_CHECKING:
    from napari.viewer import Viewer

#: Settings after whose change the labels are updated without another run of the network.
LIVE = ("threshold", "min_size", "objects", "splitting")
#: Warn where the image is enlarged to more than this many times its pixels.
COSTLY = 4.0
CHOICES = {
    "objects": {
        "watershed": "Cells, split where they touch",
        "components": "Connected areas",
        "mask": "One mask of all cells",
    }
}
#: Settings that are remembered for the next session; threshold and splitting are the model's, the diameter the
#: image's.
REMEMBERED = ("min_size", "objects")


class SegmentForm(QWidget):
    """The controls of *Segment* in a column.

    Parameters
    ----------
    viewer : Viewer
    state : SegmentState
    """

    live_changed = Signal()
    """Emitted when the labels are to be updated: a setting in `LIVE` was changed, or whether cells are measured."""
    image_changed = Signal()
    """Emitted when another image layer is chosen."""

    def __init__(self, viewer: Viewer, state: SegmentState) -> None:
        super().__init__()
        self.state = state
        self.images = LayerList(viewer, Image)
        self.images.setToolTip("The image or time-lapse whose cells are to be found.")
        self.picker = ModelPicker()
        self.settings_state = SettingsState(DEFAULTS.for_model(self.picker.model.info))
        """The settings of the segmentation."""
        self.diameter = DiameterBox(viewer, self.settings_state)
        self.parts = PartChoice()
        self.part_title = QLabel("Part")
        self.part_title.setBuddy(self.parts.kinds)
        self.store = StorePlace()
        self.store_title = QLabel("Labels in")
        self.slices_remark = make_remark_label(
            "A Z stack: its slices are segmented one by one, and a cell is not joined from slice to slice."
        )
        self.labels_form = SettingsForm(self.settings_state, LIVE, choices=CHOICES)
        self.reset_button = QPushButton("Use the model's values")
        self.reset_button.setToolTip("Go back to the values that were chosen for this model.")
        self.measure_box = QCheckBox("Measure the cells")
        self.measure_box.setToolTip("Area, position, shape and brightness, in the layer's features table.")
        self.probability_box = QCheckBox("Show the probability")
        self.probability_box.setToolTip("How sure the network is at each pixel, from 0 to 1.")
        self.start_button, self.cancel_button = QPushButton("Segment"), QPushButton("Cancel")
        self.start_button.setToolTip("Find the cells. The first time after installing takes some seconds longer.")
        self.cancel_button.setToolTip("Stop within a moment. What was found so far is kept.")
        self.save_button = QPushButton("Save labels and table…")
        self.save_button.setToolTip(
            "Write the labels as a TIFF file and, if the cells were measured, a table beside it."
        )
        self.copy_button = QToolButton()
        self.copy_button.setText("Copy as command")
        self.copy_button.setToolTip("Copy the command that does the same in a terminal, also for many files.")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(6)
        self.status, self.warning = make_sentence_label(), WarningLabel(viewer)
        self.batch = BatchBox(viewer, self._read_batch_choice, self)
        self.batch.hide()
        self.batch_section = Section("Many files: a folder or a plate", lambda: self.batch)
        self.frames: FrameSource | None = None
        """The frames of the chosen layer; None if it cannot be segmented."""
        self._stored = False
        self.track = TrackBox(viewer, self)
        self.track.hide()
        self.track_section = Section("Track the cells of a time-lapse", lambda: self.track)
        self._live = self._live_values()
        self._lay_out()
        self.images.changed.connect(self.image_changed)
        self.picker.changed.connect(self._show_state)
        self.diameter.instructed.connect(state.instruct)
        self.reset_button.clicked.connect(self.use_model_values)
        self.settings_state.changed.connect(self._on_settings_changed)
        self.measure_box.toggled.connect(self.live_changed)
        self.parts.changed.connect(self._show_state)
        state.changed.connect(self._show_state)
        self._show_state()

    @property
    def image(self) -> Image | None:
        """The chosen layer."""
        layer: Image | None = self.images.layer
        return layer

    @property
    def stored(self) -> bool:
        """Whether the labels are too large for memory, and are written to a Zarr."""
        return self._stored

    @property
    def measured(self) -> bool:
        """Whether cells are measured."""
        return bool(self.measure_box.isChecked())

    @property
    def wants_probability(self) -> bool:
        """Whether the probability becomes a layer."""
        return bool(self.probability_box.isChecked())

    @property
    def problem(self) -> str:
        """Why the settings cannot be used, by themselves or with the model; empty if they can."""
        if self.settings_state.problem:
            return self.settings_state.problem
        try:
            scale_factor(self.picker.model.info, self.settings_state.settings.diameter)
        except InputError as e:
            return str(e)
        return ""

    def settings(self) -> SegmentationSettings:
        """Return the settings of a run.

        Raises
        ------
        InputError
            If a number that was typed cannot be used.
        """
        if self.problem:
            raise InputError(self.problem)
        return self.settings_state.settings

    def use_model_values(self) -> None:
        """Set threshold and splitting to those of the chosen model."""
        info = self.picker.model.info
        self.settings_state.change("threshold", info.threshold)
        self.settings_state.change("splitting", info.splitting)

    def values(self) -> dict[str, Any]:
        """Return what is remembered for the next session."""
        return {
            **{name: getattr(self.settings_state.settings, name) for name in REMEMBERED},
            "all_frames": self.parts.wanted == ALL,
            "measure": self.measured,
            "probability": self.wants_probability,
        }

    def set_values(self, values: dict[str, Any]) -> None:
        """Set what was remembered; a value that is not allowed any more is ignored."""
        for name in REMEMBERED:
            if name in values:
                before = self.settings_state.settings
                self.settings_state.change(name, values[name])
                if self.settings_state.problem:
                    self.settings_state.replace(before)
        self.parts.choose(ALL if values.get("all_frames") else FRAME)
        self.measure_box.setChecked(bool(values.get("measure")))
        self.probability_box.setChecked(bool(values.get("probability")))

    def _show_state(self) -> None:
        state, problem = self.state, self.problem
        warnings = [problem or self._cost_warning(), state.warning]
        for label, text in (
            (self.status, state.instruction or state.status), (self.warning, "\n".join(filter(None, warnings))),
        ):  # fmt: skip
            label.setText(text)
            label.setVisible(bool(text))
        self.bar.setVisible(state.running)
        self.bar.setRange(0, state.count if state.count > 1 else 0)  # one frame has no steps
        self.bar.setValue(state.done)
        for control in (self.picker, self.diameter, self.parts, self.store):  # read at the beginning of a run alone
            control.setEnabled(not state.running)
        self.images.setEnabled(not state.running and self.images.count() > 0)
        self.start_button.setEnabled(state.can_start and not problem)
        self.cancel_button.setEnabled(state.running)
        self.copy_button.setEnabled(state.frames > 0 and not problem)
        self.save_button.setEnabled(state.can_save)
        info = self.picker.model.info
        own = {"threshold": info.threshold, "splitting": info.splitting}
        self.reset_button.setEnabled(any(self.settings_state.value(name) != value for name, value in own.items()))
        self.diameter.ruler_button.setEnabled(state.frames > 0)
        self._show_parts()
        self.labels_form.set_row_visible("splitting", self.settings_state.value("objects") == "watershed")
        self._rows.setRowVisible(self.slices_remark, state.slices and state.frames > 1)

    def _show_parts(self) -> None:
        """Offer the parts that the image has, and a place for labels that are too large for memory."""
        state = self.state
        self._rows.setRowVisible(self.parts, state.frames > 0)
        title = state.plural.capitalize() if state.frames > 1 else "Part"
        self.part_title.setText(title)
        self.parts.kinds.setAccessibleName(title)
        self.parts.set_frames(state.frames, state.plural)
        if not state.running:
            self._stored = self._fill_store()
        self._rows.setRowVisible(self.store, self._stored)

    def _fill_store(self) -> bool:
        """Return whether the chosen frames are too large for memory; suggest a folder for their labels then."""
        image, frames = self.image, self.frames
        if image is None or frames is None or self.parts.kind == VIEW:
            return False
        needed = count_bytes(frames, self.parts.count_frames())
        if needed <= read_memory():
            return False
        self.store.set_need(image, needed)
        return True

    def _cost_warning(self) -> str:
        """Warn of a diameter with which the image is enlarged so much that a run takes many times longer."""
        diameter = self.settings_state.settings.diameter
        times = scale_factor(self.picker.model.info, diameter) ** 2
        if times < COSTLY:
            return ""
        return (
            f"With cells of {diameter:g} px the image is enlarged to the model's scale, and a run takes about "
            f"{times:.0f} times as long. Check that this is the size of the cells."
        )

    def _on_settings_changed(self) -> None:
        self._show_state()
        live = self._live_values()
        if live != self._live and not self.settings_state.problem:
            self._live = live
            self.live_changed.emit()

    def _read_batch_choice(self) -> tuple[Path | None, SegmentationSettings, bool]:
        """Return the model, settings and measuring for a batch."""
        return self.picker.path, self.settings(), self.measured

    def _live_values(self) -> list[Any]:
        return [self.settings_state.value(name) for name in LIVE]

    def _lay_out(self) -> None:
        """Place what a run needs above the button, and what updates the labels below it."""
        self._rows = QFormLayout()
        self._rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._rows.addRow("Image", self.images)
        self._rows.addRow("Model", self.picker)
        self._rows.addRow(self.diameter.control.label, self.diameter)
        self._rows.addRow(self.part_title, self.parts)
        self._rows.addRow(self.store_title, self.store)
        self._rows.addRow(self.slices_remark)
        self.labels_form.rows.addRow("", self.reset_button)
        self.labels_form.rows.addRow("", self.measure_box)
        self.labels_form.rows.addRow("", self.probability_box)
        LabelAlignment(self, self._rows, self.labels_form.rows, self.batch.rows)
        LabelAlignment(self, self.track.rows, self.track.settings_form.rows)  # longer ones, beside narrower controls
        buttons, foot = QHBoxLayout(), QHBoxLayout()
        buttons.addWidget(self.start_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        foot.addWidget(self.save_button, 1)
        foot.addWidget(self.copy_button)
        layout = QVBoxLayout(self)
        layout.addLayout(self._rows)
        layout.addLayout(buttons)
        for widget in (self.bar, self.status, self.warning, self.labels_form):
            layout.addWidget(widget)
        layout.addLayout(foot)
        layout.addWidget(self.track_section)
        layout.addWidget(self.batch_section)
        layout.addStretch(1)
