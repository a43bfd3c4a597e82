"""The Segment widget as a user works with it: a run that is waited for, and values in its controls."""

from __future__ import annotations


def wait(qtbot, widget):
    qtbot.waitUntil(lambda: not widget.busy, timeout=60_000)


def run(qtbot, widget):
    widget.start()
    assert widget.busy
    wait(qtbot, widget)


def enter(widget, name, value):
    """Enter a value into the control of a setting."""
    if name == "diameter":
        control = widget.form.diameter.control.widget
        control.value = f"{value}"
        control.native.editingFinished.emit()
    else:
        widget.form.labels_form.control(name).value = value


def entered(widget, name):
    """Return the value of a setting that was entered."""
    return getattr(widget.settings(), name)
