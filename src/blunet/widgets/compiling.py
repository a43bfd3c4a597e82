"""Telling that the network's kernels are being compiled, which takes seconds once after installing."""

from __future__ import annotations

import contextlib
import logging
import weakref

from qtpy.QtCore import QObject, Signal


class Compiling(QObject):
    """Hands on that kernels are being compiled, from whichever thread it is logged in."""

    told = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        logger = logging.getLogger("blunet.packed.kernels.compiled")
        logger.setLevel(logging.INFO)
        logger.addHandler(_Handler(self, logger))


class _Handler(logging.Handler):
    """Lets its owner tell; goes when that has gone."""

    def __init__(self, owner: Compiling, logger: logging.Logger) -> None:
        super().__init__(logging.INFO)
        self._owner, self._logger = weakref.ref(owner), logger

    def emit(self, record: logging.LogRecord) -> None:
        owner = self._owner()
        if owner is None:
            self._logger.removeHandler(self)
            return
        with contextlib.suppress(RuntimeError):  # its window has just closed
            owner.told.emit(record.getMessage())
