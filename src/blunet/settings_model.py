"""The one kind of settings object: a pydantic model whose fields are described once.

Each field is made by `setting`, with a title, a description, and a unit and limits where it has them. The command
line's help, the tooltips, the comments in a settings file and the settings page of the docs come from there.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from blunet.errors import InputError


class SettingError(InputError):
    """A wrong setting: a sentence that begins with its name.

    Validators of a `SettingsModel` raise it; the model puts the names of the tables around it in front.

    Parameters
    ----------
    name : str
        Of the setting, as seen from the validator: empty in a validator of this very field.
    problem : str
        The rest of the sentence, without the full stop: "is 3; give less than the 2 epochs".
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)
        self.name, self.problem = name, problem

    def __str__(self) -> str:
        return f"'{self.name}' {self.problem}."


class SettingsModel(BaseModel):
    """Settings that are checked when they are made, and cannot be changed afterwards.

    An unknown name, a value of another type and a value out of range raise `InputError`: a sentence with the name of
    the setting and of the tables around it, its value, and what is allowed.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, populate_by_name=True, defer_build=True
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as e:
            raise _first_error(e, type(self)) from e

    def changed(self, **values: Any) -> Self:
        """Return a copy with other values for some settings, checked again.

        Raises
        ------
        InputError
            If a value is of another type or out of range.
        """
        return type(self)(**{name: getattr(self, name) for name in type(self).model_fields} | values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; `from_dict` reads them back."""
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote; what is missing gets its default.

        Raises
        ------
        InputError
            If a name is unknown, or a value is of another type or out of range.
        """
        if not isinstance(data, Mapping):
            raise InputError(f"{cls.__name__} is {data!r:.80}; give {_in_words(cls)}.")
        for name in data:
            if not isinstance(name, str):
                raise InputError(f"{cls.__name__} has no setting {name!r:.80}; known are {_names(cls)}.")
        return cls(**data)


def setting(
    default: Any = ...,
    *,
    title: str,
    description: str,
    unit: str | None = None,
    default_factory: Any = None,
    **limits: Any,
) -> Any:
    """Describe one field of a `SettingsModel`.

    Parameters
    ----------
    default : any
        Left out: the value has to be given.
    title : str
        A few words, as a form shows them.
    description : str
        One or two plain sentences: what the setting does, and how to choose it.
    unit : str, optional
        Such as "px".
    default_factory : callable, optional
        Makes the default, in place of `default`.
    **limits
        `ge`, `gt`, `le`, `lt` and others of `pydantic.Field`.
    """
    extra: Any = {} if unit is None else {"unit": unit}
    chosen: dict[str, Any] = {"default_factory": default_factory} if default_factory else {"default": default}
    return Field(**chosen, title=title, description=description, json_schema_extra=extra, **limits)


def setting_of(model: type[SettingsModel], name: str) -> Any:
    """Describe one field of a `SettingsModel` as another model does, with the same default, unit and limits."""
    return copy(model.model_fields[name])


@dataclass(frozen=True)
class SettingFacts:
    """The description of one setting, for help, tooltips, comments and docs.

    Attributes
    ----------
    name : str
        With the names of the tables around it, such as "normalisation.low".
    title, description : str
    unit : str or None
    default : any
        None if there is none, or if the value has to be given.
    minimum, maximum : float or None
        Limits of the value. None: no limit.
    minimum_allowed, maximum_allowed : bool
        Whether the limit itself is allowed.
    choices : tuple of str
        The allowed words; empty if the setting is not a choice of words.
    annotation : any
        The setting's type.
    """

    name: str
    title: str
    description: str
    unit: str | None
    default: Any
    minimum: float | None
    maximum: float | None
    minimum_allowed: bool
    maximum_allowed: bool
    choices: tuple[str, ...]
    annotation: Any

    @property
    def kind(self) -> Any:
        """The setting's type; if it may be None, the other one."""
        return _without_none(self.annotation)

    @property
    def optional(self) -> bool:
        """Whether the setting may be None."""
        return self.kind is not self.annotation

    @property
    def allowed(self) -> str:
        """The allowed values in words; empty if there are no limits."""
        if self.choices:
            return ", ".join(self.choices)
        low, high = _number(self.minimum), _number(self.maximum)
        if low and high and self.minimum_allowed and self.maximum_allowed:
            return f"{low} to {high}"
        parts = [f"{low} or more" if self.minimum_allowed else f"above {low}"] * bool(low)
        parts += [f"at most {high}" if self.maximum_allowed else f"below {high}"] * bool(high)
        return " and ".join(parts)

    @property
    def wanted(self) -> str:
        """The type and the allowed values in words, as in the sentence about a wrong value."""
        kind = _in_words(self.annotation)
        return f"{kind}, {self.allowed}" if self.allowed and not self.choices else kind

    @property
    def help(self) -> str:
        """Description, unit and allowed values on one line."""
        notes = [f"in {self.unit}"] * (self.unit is not None) + [self.allowed] * bool(self.allowed)
        return f"{self.description} ({'; '.join(notes)})" if notes else self.description


def facts_of(model: type[SettingsModel], name: str) -> SettingFacts:
    """Return the description of a setting of a model."""
    return _facts(name, model.model_fields[name])


def setting_table(model: type[SettingsModel], prefix: str = "") -> Iterator[SettingFacts]:
    """Yield the descriptions of all settings of a model in their order; those of nested tables have dotted names."""
    for name, field in model.model_fields.items():
        inner = nested_model(field.annotation)
        if inner is None:
            yield _facts(prefix + name, field)
        else:
            yield from setting_table(inner, f"{prefix}{name}.")


def nested_model(annotation: Any) -> type[SettingsModel] | None:
    """Return the model of a setting that is a table of settings, else None."""
    kind = _without_none(annotation)
    return kind if isinstance(kind, type) and issubclass(kind, SettingsModel) else None


def _first_error(error: ValidationError, model: type[BaseModel]) -> InputError:
    """Return the first error as a sentence."""
    first = error.errors()[0]
    places = [str(part) for part in first["loc"]]
    place, value = ".".join(places), first["input"]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, SettingError):
        return SettingError(".".join([*places, cause.name] if cause.name else places), cause.problem)
    if first["type"] == "value_error":
        reason = str(cause).rstrip(".")
        return InputError(f"In '{place}': {reason}." if place else f"{reason}.")
    if first["type"] == "extra_forbidden":
        return SettingError(place, f"is not a setting; known are {_names(model)}")
    field = next((f for name, f in model.model_fields.items() if places[0] in (name, f.alias)), None)
    wanted = "another value" if field is None else _wanted(places, field)
    if first["type"] == "missing":
        return SettingError(place, f"is missing; give {wanted}")
    return SettingError(place, f"is {value!r:.80}; give {wanted}")


def _wanted(places: list[str], field: FieldInfo) -> str:
    """Return in words what is allowed at a place within a field; the first of `places` is the field's name."""
    if len(places) == 1:
        return _facts(places[0], field).wanted
    kind = field.annotation
    for _ in places[1:]:  # an entry of a table or of a list
        kind = (get_args(_without_none(kind)) or (kind,))[-1 if get_origin(_without_none(kind)) is dict else 0]
    return _in_words(kind)


def _facts(name: str, field: FieldInfo) -> SettingFacts:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    limits = {key: getattr(m, key) for m in field.metadata for key in ("ge", "gt", "le", "lt") if hasattr(m, key)}
    unit = extra.get("unit")
    return SettingFacts(
        name=name,
        title=field.title or name,
        description=field.description or "",
        unit=None if unit is None else str(unit),
        default=None if field.is_required() else field.get_default(call_default_factory=True, validated_data={}),
        minimum=limits.get("ge", limits.get("gt")),
        maximum=limits.get("le", limits.get("lt")),
        minimum_allowed="gt" not in limits,
        maximum_allowed="lt" not in limits,
        choices=_choices(field.annotation),
        annotation=field.annotation,
    )


def _in_words(annotation: Any) -> str:
    """Return the name of a type, as in "give a whole number"."""
    kind = _without_none(annotation)
    if choices := _choices(kind):
        return f"one of {', '.join(choices)}"
    if inner := nested_model(kind):
        return f"a table of {_names(inner)}"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    words |= {dict: "a table", list: "a list", tuple: "a list"}
    return words.get(get_origin(kind) or kind, "another value")


def _names(model: type[BaseModel]) -> str:
    return ", ".join(field.alias or name for name, field in model.model_fields.items())


def _number(value: float | None) -> str:
    """Write a limit, an integer in full; empty if there is none."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:g}"


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        others = [kind for kind in get_args(annotation) if kind is not type(None)]
        return others[0] if len(others) == 1 else annotation
    return annotation


def _choices(annotation: Any) -> tuple[str, ...]:
    kind = _without_none(annotation)
    return tuple(str(value) for value in get_args(kind)) if get_origin(kind) is Literal else ()
