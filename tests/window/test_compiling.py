"""The window learns from any thread that kernels are being compiled."""

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
    compiling = CompileNotice(parent)
    with qtbot.waitSignal(compiling.announced) as signal:
        threading.Thread(target=announce_compilation).start()
    assert signal.args == [COMPILE_MESSAGE]

    with qtbot.waitSignal(compiling.destroyed):
        parent.deleteLater()
    assert compile_notice._callbacks == before
