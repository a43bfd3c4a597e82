"""Telling that the network's kernels are being compiled, which takes seconds once after installing."""

from __future__ import annotations

import contextlib
import logging

from qtpy.QtCore import QObject, Signal


class Compiling(QObject):
    """Hands on that kernels are being compiled, from whichever thread it is logged in."""

    told = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        logger = logging.getLogger("blunet.packed.kernels.compiled")
        logger.setLevel(logging.INFO)
        handler = _Handler(self)
        logger.addHandler(handler)
        parent.destroyed.connect(lambda: logger.removeHandler(handler))


class _Handler(logging.Handler):
    def __init__(self, owner: Compiling) -> None:
        super().__init__(logging.INFO)
        self._owner = owner

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(RuntimeError):  # the widget is gone
            self._owner.told.emit(record.getMessage())
