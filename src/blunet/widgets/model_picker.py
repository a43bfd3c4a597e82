"""Choosing a model: the bundled one, a recent one, or a file; its card is shown."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QVBoxLayout, QWidget

from blunet.errors import InputError
from blunet.jobs.model_files import ModelFile, inspect_model, resolve_model_path
from blunet.quantities import describe_size
from blunet.widgets.layer_list import keep_narrow
from blunet.widgets.preferences import add_recent_model, read_preference, read_recent_models, recall, remember
from blunet.widgets.text import make_remark_label

BUNDLED, OTHER = "Bundled model", "Choose a file…"
#: Filter of file dialogs.
MODEL_FILES = "BLU-Net models (*.blunet)"


class ModelPicker(QWidget):
    """A list of models and the card of the chosen one."""

    changed = Signal()
    """Emitted when another model is chosen."""
    refused = Signal(str)
    """Emitted with the reason, in one sentence, when a file cannot be used. The choice before is kept."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.path: Path | None = None
        """The chosen file; None: the bundled model."""
        self.model: ModelFile = inspect_model(resolve_model_path(None))
        """What the chosen file says about itself."""
        self._list = QComboBox()
        self._list.setToolTip(
            "The network that finds the cells. Models of your own are listed once you have used them."
        )
        keep_narrow(self._list)
        self._list.activated.connect(self._on_activated)
        self._card = make_remark_label()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._list)
        layout.addWidget(self._card)
        self._fill()

    def use(self, path: str | Path | None) -> bool:
        """Choose a model file, None for the bundled one; return whether it could be used."""
        try:
            found = inspect_model(resolve_model_path(path))
            if found.network.network != "blunet" or found.path.suffix.lower() == ".keras":
                raise InputError(
                    f"'{found.path.name}' is a network for Keras, which does not run inside napari; choose a .blunet "
                    "file, or use `blunet segment --model` in a terminal."
                )
        except InputError as e:
            self._fill()
            self.refused.emit(str(e))
            return False
        self.path = None if path is None else Path(path)
        self.model = found
        if self.path is not None:
            add_recent_model(self.path)
        remember("model", None if self.path is None else str(self.path))
        self._fill()
        self.changed.emit()
        return True

    def restore(self) -> None:
        """Choose the model of the preferences, or else the one that was used last, if its file still exists."""
        if wanted := read_preference("default_model", None):
            self.use(str(wanted))
        elif (last := recall("model")) and Path(str(last)).is_file():
            self.use(str(last))

    def _fill(self) -> None:
        self._list.clear()
        self._list.addItem(BUNDLED, None)
        for path in read_recent_models():
            self._list.addItem(path.name if path.stem != "model" else f"{path.parent.name}/{path.name}", str(path))
            self._list.setItemData(self._list.count() - 1, str(path), Qt.ItemDataRole.ToolTipRole)
        self._list.addItem(OTHER, OTHER)
        self._list.setCurrentIndex(max(0, self._list.findData(None if self.path is None else str(self.path))))
        self._card.setText(describe_card(self.model))

    def _on_activated(self, index: int) -> None:
        chosen = self._list.itemData(index)
        if chosen != OTHER:
            self.use(chosen)
            return
        folder = str(self.path.parent) if self.path else ""
        name, _ = QFileDialog.getOpenFileName(self, "Choose a model", folder, MODEL_FILES)
        if not name or not self.use(name):
            self._fill()


def describe_card(model: ModelFile) -> str:
    """Return what a user wants to know about a model, in two lines."""
    card = model.info.card
    size = model.path.stat().st_size
    facts = [describe_size(size)]
    if card.object_diameter is not None:
        facts.append(f"cells of about {card.object_diameter:.0f} px")
    if "validation_iou" in card.figures:
        facts.append(f"IoU {card.figures['validation_iou']:.2f} on images of its own kind")
    return "\n".join(filter(None, [card.data or card.name, ", ".join(facts)]))
