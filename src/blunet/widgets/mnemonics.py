"""Keys with Alt for the controls of a dock."""

from __future__ import annotations

from collections.abc import Iterator

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QCheckBox, QFormLayout, QLabel, QPushButton, QWidget

#: Letters of napari's own menus: File, View, Layers, Plugins, Debug, Window and Help.
MENU_LETTERS = frozenset("fvlpdwh")


def add_mnemonics(dock: QWidget) -> None:
    """Underline one letter of every button, box and label of a form: with Alt it presses or reaches the control.

    Controls that are shown choose before hidden ones, and buttons first. A letter is used once in a dock; controls for
    which none is left have none. A button that has a key with Alt already keeps it.

    Parameters
    ----------
    dock : QWidget
        Labels in its form layouts become buddies of the controls beside them.
    """
    controls = sorted(_texts(dock), key=lambda control: not control.isVisibleTo(dock))
    kept = {id(control): letter for control in controls if (letter := _letter_of(control))}
    taken = MENU_LETTERS | set(kept.values())
    for control in controls:
        text = control.text()
        place = None if id(control) in kept else _choose_letter(text, taken)
        if place is not None:
            control.setText(f"{text[:place]}&{text[place:]}")
            taken |= {text[place].casefold()}


def _letter_of(control: QPushButton | QCheckBox | QLabel) -> str:
    """Return the letter by which Alt presses a button; "" if there is none."""
    keys = "" if isinstance(control, QLabel) else control.shortcut().toString(QKeySequence.SequenceFormat.PortableText)
    return str(keys).removeprefix("Alt+").casefold() if str(keys).startswith("Alt+") else ""


def _texts(dock: QWidget) -> Iterator[QPushButton | QCheckBox | QLabel]:
    """Yield what can have a letter: buttons, boxes, then labels, of which each gets its buddy."""
    yield from (button for button in dock.findChildren(QPushButton) if button.text())
    yield from (box for box in dock.findChildren(QCheckBox) if box.text())
    for rows in dock.findChildren(QFormLayout):
        for row in range(rows.rowCount()):
            label = rows.itemAt(row, QFormLayout.ItemRole.LabelRole)
            field = rows.itemAt(row, QFormLayout.ItemRole.FieldRole)
            title, control = (None if item is None else item.widget() for item in (label, field))
            if isinstance(title, QLabel) and control is not None and title.text():
                if title.buddy() is None:
                    title.setBuddy(_first_focus(control))
                yield title


def _first_focus(control: QWidget) -> QWidget:
    """Return the control, or the first widget in it that takes the focus of the keyboard."""
    inner = (control, *control.findChildren(QWidget))
    return next((each for each in inner if each.focusPolicy() & Qt.FocusPolicy.TabFocus), control)


def _choose_letter(text: str, taken: frozenset[str]) -> int | None:
    """Return the place of the first free letter: of a word's beginning if there is one, else of any."""
    letters = [i for i, letter in enumerate(text) if letter.isascii() and letter.isalpha()]
    beginnings = [i for i in letters if i == 0 or not text[i - 1].isalpha()]
    return next((i for i in (*beginnings, *letters) if text[i].casefold() not in taken), None)
