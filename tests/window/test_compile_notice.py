"""The notice of a compilation in any thread reaches the window on the GUI thread."""

from __future__ import annotations

import threading

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QWidget

from blunet.packed.kernels import compile_notice
from blunet.packed.kernels.compile_notice import COMPILE_MESSAGE, announce_compilation
from blunet.widgets.compile_notice import CompileNotice


def test_the_sentence_arrives_in_the_window(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_notice, "_announced", False)
    before = list(compile_notice._callbacks)
    parent = QWidget()
    notice = CompileNotice(parent)
    received = []
    notice.announced.connect(lambda sentence: received.append((sentence, threading.current_thread())))
    with qtbot.waitSignal(notice.announced):
        threading.Thread(target=announce_compilation).start()
    assert received == [(COMPILE_MESSAGE, threading.main_thread())]

    with qtbot.waitSignal(notice.destroyed):
        parent.deleteLater()
    assert compile_notice._callbacks == before
