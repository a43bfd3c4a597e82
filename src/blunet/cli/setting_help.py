"""The help of options that are settings, from the description of the settings themselves."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperOption

if TYPE_CHECKING:
    from blunet.settings_model import SettingFacts, SettingsModel


def make_settings_command(module: str, name: str) -> type[TyperCommand]:
    """Return a class of commands whose options without help are settings of a model.

    Parameters
    ----------
    module, name : str
        Where the `SettingsModel` is found. It is imported when such a command runs or shows its help, so that the
        help of all others loads no library.
    """

    class CommandWithSettings(TyperCommand):
        def get_params(self, ctx: typer.Context) -> Any:  # type: ignore[override]
            params = super().get_params(ctx)
            settings: type[SettingsModel] = getattr(import_module(module), name)
            for param in params:
                if isinstance(param, TyperOption) and not param.help and param.name in settings.model_fields:
                    param.help = _help(settings, param.name)
            return params

    return CommandWithSettings


def _help(settings: type[SettingsModel], name: str) -> str:
    from blunet.settings_model import facts_of

    facts: SettingFacts = facts_of(settings, name)
    shown = "" if facts.default is None or facts.default is False else f"  [default: {facts.default}]"
    return facts.help + shown


def select_given(**options: Any) -> dict[str, Any]:
    """Return the options that were given; the settings have their own defaults for the others."""
    return {name: value for name, value in options.items() if value is not None}
