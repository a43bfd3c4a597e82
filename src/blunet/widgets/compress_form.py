"""The form of the Compress widget: its controls and their values, without what a run does with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QHBoxLayout, QLineEdit, QToolButton, QVBoxLayout, QWidget

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.presets import preset
from blunet.compression.run_directory import RunDirectory
from blunet.errors import InputError
from blunet.files import expand_user
from blunet.jobs.earlier_run import EarlierRun
from blunet.widgets.annotation_box import AnnotationBox
from blunet.widgets.compress_details import make_details_form
from blunet.widgets.compress_steps import StepsEditor
from blunet.widgets.layer_facts import frames_of
from blunet.widgets.layer_list import LayerList, keep_narrow
from blunet.widgets.path_box import PathBox
from blunet.widgets.preferences import name_run_folder, read_recent_runs
from blunet.widgets.reviewed_box import ReviewedBox, marks_reviewed
from blunet.widgets.section import Section
from blunet.widgets.settings_state import SettingsState
from blunet.widgets.text import make_remark_label

if TYPE_CHECKING:
    from napari.viewer import Viewer

FOLDER, LAYERS = "A folder of images and masks", "Layers of this viewer"
SIMULATED, SCRATCH, FILE = "Learn from simulated images first", "Start from scratch", "Use a U-Net from a file"
PRESET_TITLES = {"quick": "Quick: minutes to an hour", "full": "Full: some hours", "study": "As published: days"}
OWN_SETTINGS = "Your own settings"
TEACHER_REMARKS = {
    SIMULATED: "A large network learns from simulated cells, then from yours, and teaches the small one.",
    SCRATCH: "The large network sees your images only. Better with a hundred outlined cells or more.",
    FILE: "A large network that has learnt already: your own, or the published one.",
}
PRESET_REMARKS = {
    PRESET_TITLES["quick"]: "A small network, trained until it is useful. Begin with this one.",
    PRESET_TITLES["full"]: "A larger network, trained much longer: finds more cells.",
    PRESET_TITLES["study"]: "To repeat the study; it does not separate cells that touch.",
    OWN_SETTINGS: "Changed below, or read from a file.",
}
#: The teachers that are no file, as a request names them.
TEACHERS = {SIMULATED: "simulated", SCRATCH: "scratch"}


class CompressForm(QWidget):
    """The training data, the teacher, the settings and the folder of a run."""

    data_changed = Signal()
    """Emitted when the data, the teacher or the settings were changed."""
    run_changed = Signal()
    """Emitted when another run folder was entered."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.state = SettingsState(preset("quick"))
        """The settings of the run."""
        self.source = QComboBox()
        self.source.addItems([FOLDER, LAYERS])
        self.source.setToolTip(
            "Images whose cells are outlined: better thirty than two. One large image is enough for a beginning: it is "
            "cut into a part to learn from and a part to judge by."
        )
        self.folder = PathBox("Folder with 'images' and 'masks'")
        self.folder.setToolTip(
            "The folder holds 'images' and 'masks' with files of equal names, or files x.tif beside files x_mask.tif."
        )
        self.annotations = Section("Import annotations of another program", lambda: self._make_annotation_box(viewer))
        self.image = LayerList(viewer, Image)
        self.labels = LayerList(viewer, Labels, own=True, wanted=lambda layer: not marks_reviewed(layer))
        self.reviewed = ReviewedBox(viewer)
        self.image.setToolTip("A time-lapse (T, Y, X), or single images that were opened as one.")
        self.labels.setToolTip("Labels of the same shape. Frames without labels are not used.")
        self.labels.changed.connect(lambda: self.reviewed.offer(self.labels.layer))
        self.reviewed.offer(self.labels.layer)
        self.teacher = QComboBox()
        self.teacher.addItems([SIMULATED, SCRATCH, FILE])
        self.teacher.setToolTip("The U-Net that the small network learns from. It learns faster if it has seen cells.")
        self.teacher_file = PathBox("A .keras or published .h5 file", files="U-Nets (*.keras *.h5)")
        self._presets = {name: preset(name) for name in PRESET_TITLES}
        self.preset = QComboBox()
        for name, title in PRESET_TITLES.items():
            self.preset.addItem(title, name)
        self.preset.addItem(OWN_SETTINGS)
        self.preset.setToolTip("How large the networks are and how long they are trained.")
        self.run = PathBox("Folder of the run", new=name_run_folder, earlier=_list_earlier_runs)
        self.run.setToolTip(
            "The folder for the checkpoints, the report and the model. Choose the folder of a stopped run to resume it."
        )
        self.name = QLineEdit()
        self.name.setPlaceholderText("after the data")
        self.name.setToolTip("What the model is called where models are chosen, and on its card.")
        self.teacher_remark, self.preset_remark = make_remark_label(), make_remark_label()
        self.preview = QCheckBox("Show a validation image and its mask")
        self.preview.setToolTip(
            "Two layers that show, after every epoch, what the network finds in a validation image."
        )
        self.preview.setChecked(True)
        self.steps = StepsEditor(self.state)
        self.sections = (
            Section("Steps in detail", lambda: self.steps),
            Section("Network and data in detail", lambda: make_details_form(self.state)),
        )
        self.load_button, self.save_button = QToolButton(), QToolButton()
        self.load_button.setText("Load settings…")
        self.load_button.setToolTip("Read settings from a TOML file, as the command 'blunet compress' does.")
        self.save_button.setText("Save settings…")
        self.save_button.setToolTip("Write the settings to a TOML file, for 'blunet compress --settings'.")
        self._lay_out()
        self.source.currentIndexChanged.connect(self._on_choice)
        self.teacher.currentIndexChanged.connect(self._on_choice)
        self.preset.activated.connect(self._on_preset)
        self.state.changed.connect(self._on_settings)
        for box in (self.folder, self.image, self.labels, self.reviewed, self.teacher_file):
            box.changed.connect(self.data_changed)
        self.run.changed.connect(self.run_changed)
        self._on_choice()

    @property
    def from_layers(self) -> bool:
        """Whether the data are layers."""
        return bool(self.source.currentText() == LAYERS)

    def layers(self) -> tuple[Any, Any, Any | None]:
        """Return the values of the chosen image, of its labels and of what was reviewed, all (T, Y, X).

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
        return data, truth, self.reviewed.values()

    def teacher_name(self) -> str:
        """Return the teacher as a request names it.

        Raises
        ------
        InputError
            If a file is wanted and none is chosen.
        """
        if self.teacher.currentText() in TEACHERS:
            return TEACHERS[self.teacher.currentText()]
        if not expand_user(self.teacher_file.text).is_file():
            raise InputError("Choose the file of the U-Net that is to be the teacher.")
        return str(expand_user(self.teacher_file.text))

    def model_name(self) -> str:
        """Return what the model is to be called; empty: after the data's folder."""
        name = self.name.text().strip()
        layer = self.image.layer if self.from_layers else None
        return name if name or layer is None else f"BLU-Net of {layer.name}"

    def settings(self) -> CompressionSettings:
        """Return the settings of the run.

        Raises
        ------
        InputError
            If a change cannot be used.
        """
        return self.state.checked()

    def show_run(self, run: EarlierRun) -> None:
        """Show what an earlier run was begun with."""
        self.source.setCurrentText(FOLDER)
        self.folder.set_text(str(run.data))
        titles = {name: title for title, name in TEACHERS.items()}
        self.teacher.setCurrentText(titles.get(run.teacher, FILE))
        if run.teacher not in titles:
            self.teacher_file.set_text(run.teacher)
        self.state.replace(run.settings)

    def values(self) -> dict[str, Any]:
        """Return what is remembered for the next session."""
        return {
            "source": self.source.currentText(),
            "folder": self.folder.text,
            "teacher": self.teacher.currentText(),
            "teacher_file": self.teacher_file.text,
            "preset": self.preset.currentData(),
            "preview": self.preview.isChecked(),
        }

    def set_values(self, values: dict[str, Any]) -> None:
        """Set what was remembered."""
        self.source.setCurrentText(str(values.get("source", FOLDER)))
        self.folder.set_text(str(values.get("folder", "")))
        self.teacher.setCurrentText(str(values.get("teacher", SIMULATED)))
        self.teacher_file.set_text(str(values.get("teacher_file", "")))
        self.state.replace(self._presets.get(str(values.get("preset")), self.state.settings))
        self.preview.setChecked(bool(values.get("preview", True)))

    def set_editable(self, editable: bool) -> None:
        """Enable or disable what cannot be changed while a run goes on."""
        for widget in (
            self.source, self.folder, self.image, self.labels, self.reviewed, self.teacher, self.teacher_file,
            self.preset, self.run, self.name, self.load_button,
        ):  # fmt: skip
            widget.setEnabled(editable)
        for section in (self.annotations, *self.sections):
            section.set_editable(editable)

    def _on_choice(self) -> None:
        layers = self.from_layers
        for field, shown in (
            (self.folder, not layers),
            (self.annotations, not layers),
            (self.image, layers),
            (self.labels, layers),
            (self.reviewed, layers),
            (self.teacher_file, self.teacher.currentText() == FILE),
        ):
            self._rows.setRowVisible(field, shown)
        self.teacher_remark.setText(TEACHER_REMARKS[self.teacher.currentText()])
        self.steps.set_pretraining(self.teacher.currentText() == SIMULATED)
        self.data_changed.emit()

    def _make_annotation_box(self, viewer: Viewer) -> AnnotationBox:
        box = AnnotationBox(viewer)
        box.imported.connect(self.folder.set_text)
        return box

    def _on_preset(self) -> None:
        self.state.replace(self._presets.get(self.preset.currentData(), self.state.settings))

    def _on_settings(self) -> None:
        """Show which preset the settings are."""
        names = [name for name, settings in self._presets.items() if settings == self.state.settings]
        title = PRESET_TITLES[names[0]] if names and not self.state.problem else OWN_SETTINGS
        self.preset.setCurrentIndex(self.preset.findText(title))
        self.preset_remark.setText(PRESET_REMARKS[title])
        self.data_changed.emit()

    def _lay_out(self) -> None:
        self._rows = QFormLayout()
        self._rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for title, field in (
            ("Training data", self.source),
            ("Folder", self.folder),
            (None, self.annotations),
            ("Image", self.image),
            ("Labels", self.labels),
            ("Reviewed", self.reviewed),
            ("Teacher", self.teacher),
            ("File", self.teacher_file),
            (None, self.teacher_remark),
            ("Preset", self.preset),
            (None, self.preset_remark),
            ("Run folder", self.run),
            ("Model name", self.name),
            ("", self.preview),
        ):
            if title is None:
                self._rows.addRow(field)
            else:
                self._rows.addRow(title, field)
        for box in (self.source, self.teacher, self.preset):
            keep_narrow(box)
        files = QHBoxLayout()
        files.addStretch(1)
        files.addWidget(self.load_button)
        files.addWidget(self.save_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._rows)
        for section in self.sections:
            layout.addWidget(section)
        layout.addLayout(files)


def _list_earlier_runs() -> list[tuple[str, str]]:
    """Return a title and the path of each run folder that was used last."""
    runs = [RunDirectory(path) for path in read_recent_runs()]
    return [(f"{run.path.name}: {'finished' if run.model.is_file() else 'stopped'}", str(run.path)) for run in runs]
