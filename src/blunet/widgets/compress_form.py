"""The form of the Compress widget: controls and what they say, without what they do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.presets import preset
from blunet.compression.settings_file import read_settings
from blunet.compression.steps import STEPS
from blunet.errors import InputError
from blunet.jobs.earlier_run import EarlierRun
from blunet.widgets.layer_facts import frames_of
from blunet.widgets.layer_list import LayerList
from blunet.widgets.path_box import PathBox
from blunet.widgets.preferences import new_run_folder

if TYPE_CHECKING:
    from napari.viewer import Viewer

FOLDER, LAYERS = "A folder of images and masks", "Layers of this viewer"
SIMULATED, SCRATCH, FILE = "Learn from simulated images first", "From scratch", "A U-Net from a file"


class CompressForm(QWidget):
    """Where the data are, who teaches, and how long it takes."""

    data_changed = Signal()
    """Data, teacher or settings were changed."""
    run_changed = Signal()
    """Another run folder was chosen."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.source = QComboBox()
        self.source.addItems([FOLDER, LAYERS])
        self.source.setToolTip("Images with outlined cells: thirty fields are good, two are the least.")
        self.folder = PathBox("Folder with 'images' and 'masks'")
        self.folder.setToolTip("It holds 'images' and 'masks' with files of equal names, or x.tif beside x_mask.tif.")
        self.image, self.labels = LayerList(viewer, Image), LayerList(viewer, Labels, own=True)
        self.image.setToolTip("A time-lapse (T, Y, X), or single images opened as one.")
        self.labels.setToolTip("Labels of the same shape; frames without any are left out.")
        self.teacher = QComboBox()
        self.teacher.addItems([SIMULATED, SCRATCH, FILE])
        self.teacher.setToolTip("The U-Net that teaches the small network: one that knows cells already learns faster.")
        self.teacher_file = PathBox("A .keras or published .h5 file", file="U-Nets (*.keras *.h5)")
        self.preset = QComboBox()
        self.preset.addItem("Quick: minutes to an hour", "quick")
        self.preset.addItem("As in the study: days", "study")
        self.preset.setToolTip("How large the networks are and how long they train.")
        self.run = PathBox("Folder of the run", new=new_run_folder)
        self.run.setToolTip(
            "Checkpoints, the report and the model go there. A run that was stopped goes on from there."
        )
        self.preview = QCheckBox("Show a validation image and its mask")
        self.preview.setChecked(True)
        self.steps = _steps_table()
        self.base = preset("quick")
        """What the table changes."""
        self._filling = False
        self._lay_out()
        self._fill_steps()
        self.source.currentIndexChanged.connect(self._on_choice)
        self.teacher.currentIndexChanged.connect(self._on_choice)
        self.preset.currentIndexChanged.connect(self._on_preset)
        self.steps.cellChanged.connect(lambda *_: None if self._filling else self.data_changed.emit())
        for box in (self.folder, self.image, self.labels, self.teacher_file):
            box.changed.connect(self.data_changed)
        self.run.changed.connect(self.run_changed)
        self._on_choice()

    @property
    def from_layers(self) -> bool:
        """Whether the data are layers."""
        return bool(self.source.currentText() == LAYERS)

    def layers(self) -> tuple[Any, Any]:
        """Return the values of the chosen image and of its labels, both (T, Y, X).

        Raises
        ------
        InputError
            If one is missing, or they do not fit.
        """
        image, labels = self.image.layer, self.labels.layer
        if image is None or labels is None:
            raise InputError("Open an image and label some of its frames first, or choose a folder.")
        frames_of(image)  # refuses colour, and other axes than (Y, X) and (T, Y, X)
        data, truth = (layer.data[0] if layer.multiscale else layer.data for layer in (image, labels))
        if tuple(data.shape) != tuple(truth.shape):
            raise InputError(
                f"'{labels.name}' has the shape {tuple(truth.shape)} and '{image.name}' {tuple(data.shape)}: choose "
                "labels that were made on this image."
            )
        if len(data.shape) == 2 or len(data) == 1:
            raise InputError("One image is too few: give a stack with at least two labelled frames, or a folder.")
        return data, truth

    def teacher_name(self) -> str:
        """Return the teacher as a request names it.

        Raises
        ------
        InputError
            If a file is wanted and none is chosen.
        """
        if self.teacher.currentText() == FILE:
            if not Path(self.teacher_file.text).is_file():
                raise InputError("Choose the file of the U-Net that is to teach.")
            return self.teacher_file.text
        return "simulated" if self.teacher.currentText() == SIMULATED else "scratch"

    def settings(self) -> CompressionSettings:
        """Return the settings: the preset's, or the file's, with what the table says.

        Raises
        ------
        InputError
            If a number of the table is none, or out of range.
        """
        settings = self.base
        steps: dict[str, Any] = {}
        for row, name in enumerate(STEPS):
            texts = [self.steps.item(row, column).text().strip() for column in (1, 2, 3)]  # type: ignore[union-attr]
            box = self.steps.cellWidget(row, 0)
            assert isinstance(box, QCheckBox)
            try:
                epochs, batches, rate = int(texts[0]), int(texts[1]), float(texts[2])
            except ValueError as e:
                raise InputError(f"{STEPS[name].title}: '{' / '.join(texts)}' are not all numbers.") from e
            step = settings.step(name)
            try:
                step = step.changed(epochs=epochs, batches=batches, learning_rate=rate, run=box.isChecked(),
                    ignored_epochs=min(step.ignored_epochs, max(0, epochs - 1)),
                )  # fmt: skip
            except InputError as e:
                raise InputError(f"{STEPS[name].title}: {e}") from e
            steps[name] = step
        return settings.changed(**steps)

    def use_settings(self, settings: CompressionSettings) -> None:
        """Show other settings."""
        self.base = settings
        self._fill_steps()
        self.data_changed.emit()

    def show_run(self, run: EarlierRun) -> None:
        """Show what an earlier run was begun with."""
        self.source.setCurrentText(FOLDER)
        self.folder.set_text(str(run.data))
        known = {"simulated": SIMULATED, "scratch": SCRATCH}
        self.teacher.setCurrentText(known.get(run.teacher, FILE))
        if run.teacher not in known:
            self.teacher_file.set_text(run.teacher)
        self.use_settings(run.settings)

    def values(self) -> dict[str, Any]:
        """Return what is worth remembering."""
        return {
            "source": self.source.currentText(),
            "folder": self.folder.text,
            "teacher": self.teacher.currentText(),
            "teacher_file": self.teacher_file.text,
            "preset": self.preset.currentData(),
            "preview": self.preview.isChecked(),
        }

    def set_values(self, values: dict[str, Any]) -> None:
        """Set what was remembered, as far as it is there."""
        self.source.setCurrentText(str(values.get("source", FOLDER)))
        self.folder.set_text(str(values.get("folder", "")))
        self.teacher.setCurrentText(str(values.get("teacher", SIMULATED)))
        self.teacher_file.set_text(str(values.get("teacher_file", "")))
        self.preset.setCurrentIndex(max(0, self.preset.findData(values.get("preset"))))
        self.preview.setChecked(bool(values.get("preview", True)))

    def set_busy(self, busy: bool) -> None:
        """Disable what a running run cannot take."""
        for widget in (
            self.source, self.folder, self.image, self.labels, self.teacher, self.teacher_file, self.preset, self.run,
            self.steps,
        ):  # fmt: skip
            widget.setEnabled(not busy)

    def load(self, path: str) -> None:
        """Take the settings of a TOML file.

        Raises
        ------
        InputError
            If it is none.
        """
        self.use_settings(read_settings(path, self.base))

    def _on_choice(self) -> None:
        layers = self.from_layers
        for field, wanted in (
            (self.folder, not layers),
            (self.image, layers),
            (self.labels, layers),
            (self.teacher_file, self.teacher.currentText() == FILE),
        ):
            field.setVisible(wanted)
            label = self._form.labelForField(field)
            if label is not None:
                label.setVisible(wanted)
        self.data_changed.emit()

    def _on_preset(self) -> None:
        self.use_settings(preset(self.preset.currentData()))

    def _fill_steps(self) -> None:
        self._filling = True
        for row, name in enumerate(STEPS):
            step = self.base.step(name)
            box = self.steps.cellWidget(row, 0)
            assert isinstance(box, QCheckBox)
            box.setChecked(step.run)
            for column, text in ((1, step.epochs), (2, step.batches), (3, f"{step.learning_rate:g}")):
                self.steps.setItem(row, column, QTableWidgetItem(str(text)))
        self._filling = False

    def _lay_out(self) -> None:
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for title, field in (
            ("Training data", self.source),
            ("Folder", self.folder),
            ("Image", self.image),
            ("Labels", self.labels),
            ("Teacher", self.teacher),
            ("File", self.teacher_file),
            ("Preset", self.preset),
            ("Run folder", self.run),
            ("", self.preview),
        ):
            self._form.addRow(title, field)
        for row in range(len(STEPS)):
            box = self.steps.cellWidget(row, 0)
            assert isinstance(box, QCheckBox)
            box.toggled.connect(lambda *_: None if self._filling else self.data_changed.emit())
        details = QCollapsible("Steps in detail")
        frame = details.layout()
        assert frame is not None
        frame.setContentsMargins(0, 0, 0, 0)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.steps)
        self.load_button, self.save_button = QToolButton(), QToolButton()
        self.load_button.setText("Load settings…")
        self.save_button.setText("Save settings…")
        row_ = QHBoxLayout()
        row_.addStretch(1)
        row_.addWidget(self.load_button)
        row_.addWidget(self.save_button)
        column.addLayout(row_)
        details.setContent(inner)
        details.collapse(animate=False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._form)
        layout.addWidget(details)


def _steps_table() -> QTableWidget:
    table = QTableWidget(len(STEPS), 4)
    table.setHorizontalHeaderLabels(["Step", "Epochs", "Batches", "Rate"])
    side, top = table.verticalHeader(), table.horizontalHeader()
    assert side is not None
    assert top is not None
    side.hide()
    for row, name in enumerate(STEPS):
        box = QCheckBox(STEPS[name].title)
        box.setToolTip("Whether this step is run; a step that is not hands on what it was given.")
        table.setCellWidget(row, 0, box)
    top.setSectionResizeMode(0, top.ResizeMode.Stretch)
    for column in (1, 2, 3):
        table.setColumnWidth(column, 64)
    table.setFixedHeight(top.sizeHint().height() + len(STEPS) * table.rowHeight(0) + 4)
    return table
