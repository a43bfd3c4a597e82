"""Settings while a user edits them: the values, and what is wrong with them. No Qt here; forms watch the state."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from psygnal import Signal

from blunet.errors import InputError
from blunet.settings_model import SettingError, SettingFacts, SettingsModel, facts_of, nested_model

M = TypeVar("M", bound=SettingsModel)


class SettingsState(Generic[M]):
    """One settings object and the changes that it does not accept yet.

    A change that the model refuses is kept: the user sees it and can correct it, or change another setting that it
    depends on, such as the number of epochs before that of ignored epochs. Settings of nested tables have dotted
    names, such as "transfer.epochs".

    Parameters
    ----------
    settings : SettingsModel
    """

    changed = Signal()
    """Emitted after every change, accepted or refused."""

    def __init__(self, settings: M) -> None:
        self.settings: M = settings
        """The latest settings that were accepted."""
        self.problem = ""
        """Why the latest changes are refused, in one sentence; empty if they were accepted."""
        self._refused: dict[str, Any] = {}

    def checked(self) -> M:
        """Return the settings as they were edited.

        Raises
        ------
        InputError
            If a change was refused.
        """
        if self.problem:
            raise InputError(self.problem)
        return self.settings

    def value(self, name: str) -> Any:
        """Return the value of a setting as it was edited, accepted or not."""
        if name in self._refused:
            return self._refused[name]
        value: Any = self.settings
        for part in name.split("."):
            value = getattr(value, part)
        return value

    def change(self, name: str, value: Any) -> None:
        """Change one setting, together with the changes that were refused before."""
        wanted = {**self._refused, name: value}
        try:
            self.settings = _changed(self.settings, wanted)
        except InputError as e:
            self.problem, self._refused = self._sentence(e), wanted
        else:
            self.problem, self._refused = "", {}
        self.changed.emit()

    def replace(self, settings: M) -> None:
        """Edit other settings; refused changes are dropped."""
        self.settings, self.problem, self._refused = settings, "", {}
        self.changed.emit()

    def facts(self, name: str) -> SettingFacts:
        """Return the description of a setting."""
        *tables, last = name.split(".")
        model: type[SettingsModel] = type(self.settings)
        for table in tables:
            inner = nested_model(model.model_fields[table].annotation)
            assert inner is not None
            model = inner
        return facts_of(model, last)

    def _sentence(self, error: InputError) -> str:
        """Name a setting by the titles that the user sees."""
        if not isinstance(error, SettingError):
            return str(error)
        parts = error.name.split(".")
        try:
            titles = [self.facts(".".join(parts[: n + 1])).title for n in range(len(parts))]
        except KeyError:
            return str(error)
        return f"{': '.join(titles)} {error.problem}."


def _changed(settings: M, values: dict[str, Any]) -> M:
    """Return a copy with other values, given by dotted names; all are checked together."""
    own: dict[str, Any] = {}
    tables: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        table, _, rest = name.partition(".")
        if rest:
            tables.setdefault(table, {})[rest] = value
        else:
            own[name] = value
    nested = {table: _as_table(getattr(settings, table), inner) for table, inner in tables.items()}
    return settings.changed(**own, **nested)


def _as_table(settings: SettingsModel, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a nested table, unchecked: the outer model checks them, and names the table in an error."""
    table = dict(settings)
    for name, value in values.items():
        inner, _, rest = name.partition(".")
        table[inner] = _as_table(table[inner], {rest: value}) if rest else value
    return table
