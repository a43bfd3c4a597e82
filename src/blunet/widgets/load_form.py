"""The form of the Load widget: its controls, and what it shows of the chosen files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from blunet.images.ome_zarr_plate import Plate
from blunet.images.pixel_size import PixelSize
from blunet.jobs.layer_opening import OpenSettings
from blunet.jobs.layer_plan import Plan, PlannedLayer
from blunet.widgets.load_source import SourceBox
from blunet.widgets.plane_box import PlaneBox
from blunet.widgets.plate_box import PlateBox
from blunet.widgets.settings_form import SettingsForm
from blunet.widgets.settings_state import SettingsState
from blunet.widgets.text import WarningLabel, make_sentence_label, wrap_tooltip

if TYPE_CHECKING:
    from napari.viewer import Viewer

NOTHING = "Drop your images above, or choose files, a folder or a pattern."
MISSING = "not in the file: type it"
#: Number of sentences about what was left out that are shown; the rest is counted.
MOST_SENTENCES = 4
#: What the files may not say.
ASKED = ("pixel_size", "interval")


class LoadForm(QWidget):
    """The controls of *Load* for what is opened, and how."""

    changed = Signal()
    """Emitted when other files are chosen, or another way to open them."""

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.settings_state = SettingsState(OpenSettings())
        """What the user adds to the files."""
        self.source = SourceBox()
        self.together = QComboBox()
        self.together.addItem("One time-lapse", True)
        self.together.addItem("Separate layers", False)
        self.together.setToolTip("What several images become. A file with several pages is always a time-lapse.")
        self.masks = QCheckBox("Open masks and saved labels")
        self.masks.setChecked(True)
        self.masks.setToolTip(
            wrap_tooltip(
                "Outlined cells: 'x_mask.tif' beside 'x.tif', or a folder 'masks' beside 'images'. Labels that were "
                "saved: 'x_labels.tif', with their table 'x_objects.csv'."
            )
        )
        self.planes = PlaneBox()
        self.plate = PlateBox()
        self.found = make_sentence_label()
        self.asked = SettingsForm(self.settings_state, ASKED, unset=dict.fromkeys(ASKED, MISSING))
        self.open_button = QPushButton("Open")
        self.open_button.setToolTip("Open the images as layers. A frame of a time-lapse is read when it is shown.")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop. Layers that are open already are kept.")
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(6)
        self.status, self.warning = make_sentence_label(), WarningLabel(viewer)
        self._plan: Plan | None = None
        self._warnings: tuple[str, ...] = ()
        self._busy = False
        self._lay_out()
        self.source.changed.connect(self.changed)
        self.together.currentIndexChanged.connect(self.changed)
        self.masks.toggled.connect(self.changed)
        self.planes.changed.connect(self.changed)
        self.settings_state.changed.connect(self._show_state)
        self.show_plan(None)

    def show_plan(self, plan: Plan | None) -> None:
        """Show what would be opened, and ask for what the files do not say."""
        self._plan = plan
        layers = plan.layers if plan is not None else ()
        self.found.setText(_described(layers))
        self.found.setVisible(bool(layers))
        stacks = [layer for layer in layers if layer.frames.stack]
        self.asked.set_row_visible("pixel_size", bool(layers))
        self.asked.set_row_visible("interval", bool(stacks))
        self._ask("pixel_size", [_in_words(size) for size in {layer.pixel_size for layer in layers}])
        self._ask("interval", [f"{s:g} s" if s else "" for s in {layer.interval for layer in stacks}])
        self.plate.set_plate(None)
        self.note("" if layers else NOTHING)
        self._show_state()

    def show_plate(self, plate: Plate) -> None:
        """Show the wells of a plate, of which a click opens one."""
        self.plate.set_plate(plate)
        self.asked.set_row_visible("pixel_size", True)
        self.note("")

    def set_busy(self, busy: bool) -> None:
        """Show whether images are being opened."""
        self._busy = busy
        self._show_state()

    def note(self, text: str) -> None:
        """Show what goes on; empty: nothing."""
        self.status.setText(text)
        self.status.setVisible(bool(text))

    def warn(self, sentences: Sequence[str]) -> None:
        """Show what the user should know; empty: nothing."""
        self._warnings = tuple(sentences)
        self._show_state()

    def _show_state(self) -> None:
        problem = self.settings_state.problem
        self.bar.setVisible(self._busy)
        self.cancel_button.setEnabled(self._busy)
        for control in (self.source, self.planes):
            control.setEnabled(not self._busy)
        self.open_button.setEnabled(bool(self._plan and self._plan.layers) and not self._busy and not problem)
        more = len(self._warnings) - MOST_SENTENCES
        shown = [*self._warnings[:MOST_SENTENCES], *[f"… and {more} more."] * (more > 0), *[problem] * bool(problem)]
        self.warning.setText("\n".join(shown))
        self.warning.setVisible(bool(shown))

    def _ask(self, name: str, said: list[str]) -> None:
        """Show what the files say; what was typed is kept only where they say nothing."""
        if any(said):
            self.settings_state.change(name, None)
            self.asked.set_unset(name, f"{said[0]}, from the file" if len(said) == 1 else "from each file")
        else:
            self.asked.set_unset(name, MISSING)

    def _lay_out(self) -> None:
        self.rows = rows = QFormLayout()
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows.addRow("Several images", self.together)
        rows.addRow("", self.masks)
        buttons = QHBoxLayout()
        buttons.addWidget(self.open_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.source)
        layout.addLayout(rows)
        layout.addWidget(self.planes)
        layout.addWidget(self.plate)
        layout.addWidget(self.found)
        layout.addWidget(self.asked)
        layout.addLayout(buttons)
        for widget in (self.bar, self.status, self.warning):
            layout.addWidget(widget)


def _described(layers: Sequence[PlannedLayer]) -> str:
    if not layers:
        return ""
    masks = sum(len(layer.masks) for layer in layers)
    labels = sum(len(layer.labels) for layer in layers if layer.kind == "image")
    with_masks = f", {masks} mask{'s' * (masks != 1)}" if masks else ""
    with_masks += ", with saved labels" if labels else ""
    with_masks += ", with annotations" if any(layer.annotations for layer in layers) else ""
    if len(layers) > 1:
        return f"{len(layers)} layers{with_masks}"
    source = layers[0].frames
    frames = f"{source.count} frames of " if source.stack else ""
    return f"{layers[0].name}: {frames}{source.shape[1]} × {source.shape[0]} pixels ({source.dtype}){with_masks}"


def _in_words(size: PixelSize | None) -> str:
    if size is None:
        return ""
    if abs(size.x - size.y) <= 1e-6 * size.x:
        return f"{size.x:.4g} {size.unit}"
    return f"{size.x:.4g} × {size.y:.4g} {size.unit}"
