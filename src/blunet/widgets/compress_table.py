"""The report of a run as a table: what each stage reaches, its size and its speed."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from blunet.compression.report import read_report
from blunet.errors import InputError
from blunet.quantities import describe_size

ALIGN = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
COLUMNS = ("", "Cells", "IoU", "F1", "AP50", "mAP", "Size", "ms")
HINTS = (
    "The stages of the run",
    "Cells that were found singly, of all cells",
    "Overlap of found and true area, 0 to 1, mean over the images",
    "Balance of missed and of wrongly found area, 0 to 1",
    "Cells found as single objects, as a fraction of those found or missed, 0 to 1",
    "The same with ever stricter outlines, mean over overlaps of 0.5 to 0.95",
    "On disk",
    "Milliseconds per image, on this computer",
)


class ReportTable(QTableWidget):
    """A table with a row for each stage."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(COLUMNS), parent)
        self.setHorizontalHeaderLabels(COLUMNS)
        for column, hint in enumerate(HINTS):
            item = self.horizontalHeaderItem(column)
            assert item is not None
            item.setToolTip(hint)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setShowGrid(False)
        side, top = self.verticalHeader(), self.horizontalHeader()
        assert side is not None
        assert top is not None
        side.hide()
        top.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        top.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def show_report(self, path: Path) -> str:
        """Fill the table from a `report.json`; return what BLU-Net found in a sentence or two, or why it is empty."""
        try:
            report = read_report(path)
        except InputError as e:
            self.setRowCount(0)
            return str(e)
        self.setRowCount(len(report.models))
        for row, model in enumerate(report.models):
            scores = (model.iou, model.f1, model.ap50, model.map)
            cells = ["–" if model.cells is None else f"{model.cells.found}/{model.cells.cells}"]
            cells += ["–" if score is None else f"{score:.3f}" for score in scores]
            cells += [describe_size(model.size_mib * 2**20), f"{1000 * model.seconds:,.0f}"]
            for column, text in enumerate([model.name, *cells]):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(ALIGN)
                self.setItem(row, column, item)
        self.resizeRowsToContents()
        self.setFixedHeight(
            self.horizontalHeader().height() + 2 + sum(self.rowHeight(r) for r in range(self.rowCount()))
        )
        return "\n".join(line for line in (f"BLU-Net: {report.summary}", report.warning) if line)
