"""*Network and data in detail*: the settings of a compression that belong to no single step."""

from __future__ import annotations

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.steps import STEPS
from blunet.settings_model import nested_model, setting_table
from blunet.widgets.settings_form import SettingsForm
from blunet.widgets.settings_state import SettingsState

CHOICES = {
    "start": {"calibrated": "Calibrated", "least_squares": "Least squares", "published": "As published"},
    "validation_order": {"random": "Random", "consecutive": "Neighbours", "auto": "Neighbours if alike"},
    "normalisation.method": {"range": "Range of the type", "percentile": "Percentiles"},
}
UNSET = {"normalisation.shading": "not removed"}


def make_details_form(state: SettingsState[CompressionSettings]) -> SettingsForm:
    """Return a form of the plain settings, and below them those of each table of settings under its title."""
    names: list[str] = []
    nested: list[str] = []
    headings: dict[str, tuple[str, str]] = {}
    for name, field in CompressionSettings.model_fields.items():
        table = nested_model(field.annotation)
        if table is None:
            names.append(name)
        elif name not in STEPS:
            inner = [facts.name for facts in setting_table(table, f"{name}.")]
            headings[inner[0]] = str(field.title), ""
            nested += inner
    return SettingsForm(state, [*names, *nested], headings=headings, choices=CHOICES, unset=UNSET)
