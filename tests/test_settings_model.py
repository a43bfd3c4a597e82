"""Settings objects: what they refuse, in which words, and what they say about themselves."""

from __future__ import annotations

import pickle
from typing import Literal, Self

import pytest
from pydantic import ValidationError, model_validator

from blunet.errors import InputError
from blunet.settings_model import SettingError, SettingsModel, facts_of, setting, setting_table


class Lens(SettingsModel):
    aperture: float = setting(1.4, title="Aperture", description="Numerical aperture.", gt=0, lt=2)
    magnification: int = setting(title="Magnification", description="Magnification of the objective.", ge=1, le=150)
    immersion: Literal["air", "water", "oil"] = setting("air", title="Immersion", description="Immersion medium.")
    notes: dict[str, float] = setting(default_factory=dict, title="Notes", description="Measured values.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.aperture > 1 and self.immersion == "air":
            raise SettingError("aperture", f"is {self.aperture:g}; give at most 1 in air")
        return self


class Microscope(SettingsModel):
    name: str = setting("", title="Name", description="What it is called.")
    lens: Lens = setting(title="Lens", description="The objective.")
    exposure: float | None = setting(None, title="Exposure", description="Exposure time.", unit="ms", ge=0.5)


LENS = {"magnification": 60, "immersion": "oil"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lens": None}, "'lens' is None; give a table of aperture, magnification, immersion, notes."),
        ({"lens": {}}, "'lens.magnification' is missing; give a whole number, 1 to 150."),
        ({"lens": LENS | {"magnification": 60.5}}, "'lens.magnification' is 60.5; give a whole number, 1 to 150."),
        ({"lens": LENS | {"magnification": True}}, "'lens.magnification' is True; give a whole number, 1 to 150."),
        ({"lens": LENS | {"aperture": 2}}, "'lens.aperture' is 2; give a number, above 0 and below 2."),
        ({"lens": LENS | {"immersion": "beer"}}, "'lens.immersion' is 'beer'; give one of air, water, oil."),
        ({"lens": LENS | {"immersion": "air"}}, "'lens.aperture' is 1.4; give at most 1 in air."),
        ({"lens": LENS | {"notes": {"na": "high"}}}, "'lens.notes.na' is 'high'; give a number."),
        (
            {"lens": LENS | {"focus": 1}},
            "'lens.focus' is not a setting; known are aperture, magnification, immersion, notes.",
        ),
        ({"exposure": 0}, "'exposure' is 0; give a number, 0.5 or more."),
        ({"exposure": float("inf")}, "'exposure' is inf; give a number, 0.5 or more."),
        ({"name": 7}, "'name' is 7; give a text."),
        ({"stage": 7}, "'stage' is not a setting; known are name, lens, exposure."),
    ],
)
def test_a_wrong_setting_is_named_with_its_tables_its_value_and_what_is_allowed(change, sentence):
    with pytest.raises(InputError) as caught:
        Microscope.from_dict({"lens": LENS} | change)
    assert str(caught.value) == sentence
    assert str(pickle.loads(pickle.dumps(caught.value))) == sentence  # as it comes from another process


def test_what_is_no_table_is_refused():
    for wrong in ([], None, {1: 2}):
        with pytest.raises(InputError, match="Microscope"):
            Microscope.from_dict(wrong)


def test_settings_survive_plain_values_and_change_only_into_a_checked_copy():
    microscope = Microscope.from_dict({"lens": LENS, "exposure": 3})
    assert Microscope.from_dict(microscope.to_dict()) == microscope
    assert microscope.to_dict()["exposure"] == 3.0
    other = microscope.changed(exposure=10.0)
    assert (other.exposure, other.lens, microscope.exposure) == (10.0, microscope.lens, 3.0)
    with pytest.raises(InputError, match=r"^'exposure' is 0\.1;"):
        microscope.changed(exposure=0.1)
    with pytest.raises(ValidationError):
        microscope.exposure = 1.0


def test_settings_describe_themselves():
    assert facts_of(Microscope, "exposure").help == "Exposure time. (in ms; 0.5 or more)"
    assert facts_of(Lens, "immersion").help == "Immersion medium. (air, water, oil)"
    assert [facts.name for facts in setting_table(Microscope)] == [
        "name", "lens.aperture", "lens.magnification", "lens.immersion", "lens.notes", "exposure",
    ]  # fmt: skip
