"""Showing that the network's kernels are being compiled, which takes seconds once after installing."""

from __future__ import annotations

import contextlib

from qtpy.QtCore import QObject, Signal

from blunet.packed.kernels.compile_notice import on_compile


class Compiling(QObject):
    """Emits `told` when kernels are being compiled, from whichever thread compiles them."""

    told = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        unsubscribe = on_compile(self._tell)
        self.destroyed.connect(lambda: unsubscribe())

    def _tell(self, message: str) -> None:
        with contextlib.suppress(RuntimeError):  # the window has just closed
            self.told.emit(message)
