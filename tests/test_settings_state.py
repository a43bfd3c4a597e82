"""Settings while they are edited, without any form."""

from __future__ import annotations

import pytest

from blunet.compression.presets import preset
from blunet.errors import InputError
from blunet.widgets.settings_state import SettingsState


@pytest.fixture
def state():
    return SettingsState(preset("quick"))


@pytest.fixture
def problems(state):
    problems = []
    state.changed.connect(lambda: problems.append(state.problem))
    return problems


def test_a_setting_of_a_nested_table_is_changed(state, problems):
    state.change("transfer.epochs", 7)
    state.change("levels", 4)
    assert state.checked() == preset("quick").changed(levels=4, transfer=preset("quick").transfer.changed(epochs=7))
    assert state.value("transfer.epochs") == 7
    assert problems == ["", ""]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("levels", 0, "Levels is 0; give a whole number, 1 to 8."),
        ("transfer.epochs", 0, "Transfer learning: Epochs is 0; give a whole number, 1 or more."),
        (
            "transfer.learning_rate",
            "fast",
            "Transfer learning: Learning rate is 'fast'; give a number, above 0 and below 1.",
        ),
        ("transfer.crop", 100, "Transfer learning: Crop is 100; 5 levels take multiples of 16 pixels."),
    ],
)
def test_a_refused_change_is_kept_and_explained(state, problems, name, value, sentence):
    before = state.settings
    state.change(name, value)
    assert state.problem == sentence
    assert state.value(name) == value
    assert state.settings == before
    assert problems == [sentence]
    with pytest.raises(InputError, match=r"give|take"):
        state.checked()
    state.replace(before)
    assert (state.problem, state.checked()) == ("", before)
    assert state.value(name) != value


def test_a_refused_change_is_accepted_with_the_one_that_it_needs(state):
    state.change("transfer.ignored_epochs", 9)  # of 4 epochs
    assert "give less than the 4 epochs" in state.problem
    state.change("transfer.epochs", 12)
    assert state.problem == ""
    assert (state.checked().transfer.epochs, state.checked().transfer.ignored_epochs) == (12, 9)


def test_the_facts_are_those_of_the_model(state):
    assert state.facts("transfer.crop").unit == "px"
    assert state.facts("normalisation.shading").optional
    assert state.facts("normalisation.shading").kind is float
    assert not state.facts("levels").optional
