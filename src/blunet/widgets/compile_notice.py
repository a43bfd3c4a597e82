"""Telling the user that kernels are being compiled, which takes seconds, once after installing."""

from __future__ import annotations

import contextlib

from qtpy.QtCore import QObject, Qt, Signal

from blunet.packed.kernels.compile_notice import on_compile


class CompileNotice(QObject):
    """Emits a sentence, on the GUI thread, when kernels are being compiled in whichever thread.

    Parameters
    ----------
    parent : QObject
    """

    announced = Signal(str)

    _posted = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._posted.connect(self.announced, Qt.ConnectionType.QueuedConnection)
        unsubscribe = on_compile(self._post)
        self.destroyed.connect(lambda: unsubscribe())

    def _post(self, message: str) -> None:
        with contextlib.suppress(RuntimeError):  # the window has just been closed
            self._posted.emit(message)
