"""*Steps in detail*: an overview of the steps, and all settings of the one that is selected."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from blunet.compression.compression_settings import CompressionSettings, StepSettings
from blunet.compression.steps import STEPS
from blunet.widgets.settings_form import SettingsForm
from blunet.widgets.settings_state import SettingsState
from blunet.widgets.text import wrap_tooltip

COLUMNS = ("Step", "epochs", "batches", "learning_rate")
HINTS = (
    "The steps of the compression, in the order in which they run",
    "After every epoch the network is tried on the validation images, and the best one so far is kept.",
    "An epoch is this number of batches: a few pieces of your images, turned and changed in size and brightness.",
    "Learning rate: how much a batch may change the network. Too large a rate fails, too small a one takes long.",
)
CHOICES = {
    "monitor": {
        "val_loss": "Loss of the validation images",
        "val_iou": "IoU of the validation images",
        "val_map": "Objects of the validation images",
    },
    "schedule": {"falling": "Constant, then falling", "cosine": "Along a cosine"},
    "loss": {"bce": "Cross-entropy", "bce+dice": "Cross-entropy and Dice"},
}
CHECKABLE = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable
UNSET = {"decay": "to a hundredth at the end"}


class StepsEditor(QWidget):
    """A table with a row per step, and below it the form of the selected row.

    Parameters
    ----------
    state : SettingsState of CompressionSettings
        Holds the values; table and forms show them.
    """

    def __init__(self, state: SettingsState[CompressionSettings], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.state = state
        self.table = _table()
        self._forms: dict[str, SettingsForm] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        self._filling, self._pretraining = False, True
        self.table.itemChanged.connect(self._on_item_changed)
        self.table.currentCellChanged.connect(self._show_form)
        state.changed.connect(self._fill)
        self._fill()
        self.table.setCurrentCell(list(STEPS).index("transfer"), 0)

    def form(self, step: str) -> SettingsForm:
        """Return the form of a step, which is made when it is needed."""
        if step not in self._forms:
            form = self._forms[step] = _step_form(self.state, step)
            form.hide()
            layout = self.layout()
            assert layout is not None
            layout.addWidget(form)
        return self._forms[step]

    def control(self, step: str, name: str) -> Any:
        """Return magicgui's widget of a setting of a step."""
        return self.form(step).control(f"{step}.{name}")

    def set_pretraining(self, possible: bool) -> None:
        """Set whether the teacher is pretrained; if not, that step is shown as one that is not run."""
        self._pretraining = possible
        self._fill()

    def _fill(self) -> None:
        self._filling = True
        for row, name in enumerate(STEPS):
            possible = self._pretraining or name != "pretrain"
            run = possible and bool(self.state.value(f"{name}.run"))
            first = self._item(row, 0)
            first.setFlags(CHECKABLE if possible else Qt.ItemFlag.ItemIsSelectable)
            first.setCheckState(Qt.CheckState.Checked if run else Qt.CheckState.Unchecked)
            for column, field in enumerate(COLUMNS[1:], start=1):
                value = self.state.value(f"{name}.{field}")
                text = f"{value:.6g}" if isinstance(value, float) else str(value)
                self._item(row, column).setText(text if run else "")
        self._filling = False

    def _item(self, row: int, column: int) -> QTableWidgetItem:
        item = self.table.item(row, column)
        assert item is not None
        return item

    def _on_item_changed(self, item: QTableWidgetItem) -> None:
        if not self._filling and item.column() == 0:
            name = list(STEPS)[item.row()]
            self.state.change(f"{name}.run", item.checkState() == Qt.CheckState.Checked)

    def _show_form(self, row: int, *_: int) -> None:
        selected = self.form(list(STEPS)[row]) if row >= 0 else None
        for form in self._forms.values():
            form.setVisible(form is selected)


def _step_form(state: SettingsState[CompressionSettings], step: str) -> SettingsForm:
    """Return a form with the settings that the step uses; the table shows whether it runs."""
    unused = {"run"}
    if not STEPS[step].learns_masks:
        unused |= {"monitor", "loss", "border_weights"}
    if not STEPS[step].takes_l2:
        unused |= {"l2"}
    names = [f"{step}.{name}" for name in StepSettings.model_fields if name not in unused]
    choices = {f"{step}.{name}": titles for name, titles in CHOICES.items()}
    unset = {f"{step}.{name}": text for name, text in UNSET.items()}
    headings = {names[0]: (STEPS[step].title, STEPS[step].purpose)}
    return SettingsForm(state, names, headings=headings, choices=choices, unset=unset)


def _table() -> QTableWidget:
    table = QTableWidget(len(STEPS), len(COLUMNS))
    table.setHorizontalHeaderLabels(["Step", "Epochs", "Batches", "Rate"])
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    for column, hint in enumerate(HINTS):
        heading = table.horizontalHeaderItem(column)
        assert heading is not None
        heading.setToolTip(wrap_tooltip(hint))
    table.setToolTip("The steps that are ticked are run. Select a step to see and change all its settings below.")
    side, top = table.verticalHeader(), table.horizontalHeader()
    assert side is not None
    assert top is not None
    side.hide()
    top.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    top.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for row, step in enumerate(STEPS.values()):
        title = QTableWidgetItem(step.title)
        title.setToolTip(wrap_tooltip(step.purpose))
        table.setItem(row, 0, title)
        for column in range(1, len(COLUMNS)):
            number = QTableWidgetItem()
            number.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            table.setItem(row, column, number)
    table.setSizeAdjustPolicy(QAbstractItemView.SizeAdjustPolicy.AdjustToContents)
    table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return table
