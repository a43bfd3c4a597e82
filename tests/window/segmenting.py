"""A run of the Segment widget, waited for."""

from __future__ import annotations


def wait(qtbot, widget):
    qtbot.waitUntil(lambda: not widget.busy and not widget._timer.isActive() and not widget._waiting, timeout=60_000)


def run(qtbot, widget):
    widget.start()
    assert widget.busy
    wait(qtbot, widget)
