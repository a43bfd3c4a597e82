"""The wells of a plate as a grid: a click opens one."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from blunet.images.ome_zarr_plate import Plate, Well
from blunet.widgets.text import make_sentence_label

#: Width and height of a cell in pixels.
CELL = 26, 22
#: Number of rows that are seen without scrolling.
MOST_ROWS = 8
FILLED, EMPTY = "●", "○"


class PlateBox(QWidget):
    """A grid of wells, and the fields of the one that is chosen."""

    chosen = Signal(object)
    """Emitted with the path of the image that is to be opened."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._wells: dict[tuple[int, int], Well] = {}
        self._well: Well | None = None
        self.summary = make_sentence_label()
        self.grid = QTableWidget()
        self.grid.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.grid.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.grid.setAccessibleName("Wells")
        for header in (self.grid.horizontalHeader(), self.grid.verticalHeader()):
            assert header is not None
            header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
            header.setMinimumSectionSize(10)
            header.setHighlightSections(False)
        self.fields = QComboBox()
        self.fields.setToolTip("The images of the well that is chosen.")
        self.replace_box = QCheckBox("Close the previous well")
        self.replace_box.setToolTip("Its image is closed when another well is opened, unless labels were made of it.")
        self.replace_box.setChecked(True)
        self.rows = QFormLayout()
        self.rows.addRow("Field", self.fields)
        self.rows.addRow("", self.replace_box)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.summary)
        layout.addWidget(self.grid)
        layout.addLayout(self.rows)
        self.grid.cellClicked.connect(self._on_cell)
        self.grid.cellActivated.connect(self._on_activated)
        self.fields.activated.connect(lambda _: self._emit())
        self.set_plate(None)

    def set_plate(self, plate: Plate | None) -> None:
        """Show the wells of a plate; None: hide the grid."""
        self.setVisible(plate is not None)
        self.fields.clear()
        self.fields.setEnabled(False)
        self._wells, self._well = {}, None
        if plate is None:
            return
        place = {name: i for i, name in enumerate(plate.rows)}, {name: i for i, name in enumerate(plate.columns)}
        self._wells = {(place[0][well.row], place[1][well.column]): well for well in plate.wells}
        filled = sum(bool(well.fields) for well in plate.wells)
        self.summary.setText(
            f"{plate.path.name}: a plate, {filled} of {len(plate.wells)} wells with images. Click a well to open it."
        )
        with QSignalBlocker(self.grid):
            self._fill(plate)

    def _fill(self, plate: Plate) -> None:
        grid = self.grid
        grid.clear()
        grid.setRowCount(len(plate.rows))
        grid.setColumnCount(len(plate.columns))
        grid.setVerticalHeaderLabels(plate.rows)
        grid.setHorizontalHeaderLabels(plate.columns)
        for row in range(len(plate.rows)):
            for column in range(len(plate.columns)):
                grid.setItem(row, column, _make_item(self._wells.get((row, column))))
        grid.setCurrentCell(-1, -1)
        across, down = grid.horizontalHeader(), grid.verticalHeader()
        assert across is not None
        assert down is not None
        across.setDefaultSectionSize(CELL[0])
        down.setDefaultSectionSize(CELL[1])
        shown = min(len(plate.rows), MOST_ROWS)
        grid.setFixedHeight(across.sizeHint().height() + shown * CELL[1] + 20)

    def _on_cell(self, row: int, column: int) -> None:
        well = self._wells.get((row, column))
        if well is None or not well.fields:
            return
        field = self.fields.currentText()
        self._well = well
        self.fields.clear()
        self.fields.addItems(well.fields)
        self.fields.setEnabled(len(well.fields) > 1)
        if field in well.fields:
            self.fields.setCurrentText(field)
        self._emit()

    def _on_activated(self, row: int, column: int) -> None:
        """Open with the Enter key; a double click has opened the well with its first click."""
        if self._wells.get((row, column)) is not self._well:
            self._on_cell(row, column)

    def _emit(self) -> None:
        if self._well is not None:
            path: Path = self._well.image(self.fields.currentText())
            self.chosen.emit(path)


def _make_item(well: Well | None) -> QTableWidgetItem:
    item = QTableWidgetItem("" if well is None else FILLED if well.fields else EMPTY)
    item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
    if well is None or not well.fields:
        item.setFlags(Qt.ItemFlag.NoItemFlags)
    if well is None:
        item.setToolTip("The plate lists no well here.")
    elif well.fields:
        item.setToolTip(f"{well.name}: {len(well.fields)} field{'s' * (len(well.fields) > 1)}")
    else:
        item.setToolTip(f"{well.name}: {well.reason}")
    return item
