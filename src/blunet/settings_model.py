"""The one kind of settings object: a pydantic model whose fields are described once.

Each field is made by `setting`, with a title, a description, and a unit and limits where it has them. The command
line's help, the tooltips, the comments in a settings file and the settings page of the docs come from there.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from blunet.errors import InputError


class SettingsModel(BaseModel):
    """Settings that cannot be changed after they were checked.

    Unknown names, values of another type and values out of range raise `InputError`: one sentence that names the
    setting, its value and what is allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as e:
            raise InputError(sentence_about(e, type(self))) from e

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
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote; what is missing gets its default.

        Raises
        ------
        InputError
            If a name is unknown, or a value is of another type or out of range.
        """
        if not isinstance(data, Mapping):
            raise InputError(
                f"{cls.__name__}: {data!r:.80} is no table; its entries are {', '.join(cls.model_fields)}."
            )
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


@dataclass(frozen=True)
class SettingFacts:
    """What is known of one setting, for help, tooltips, comments and docs.

    Attributes
    ----------
    name : str
        Dotted where it lies in a table of its own, such as "normalisation.low".
    title, description : str
    unit : str or None
    default : any
        Of plain type; None where there is none, or where the value has to be given.
    minimum, maximum : float or None
        Smallest and largest value. None: no limit.
    minimum_allowed, maximum_allowed : bool
        Whether the limit itself may be given.
    choices : tuple of str
        The values of a setting of words; else empty.
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
    def allowed(self) -> str:
        """The values that can be given, in words; empty where any can."""
        if self.choices:
            return ", ".join(self.choices)
        if self.minimum is not None and self.maximum is not None and self.minimum_allowed and self.maximum_allowed:
            return f"{self.minimum:g} to {self.maximum:g}"
        parts = []
        if self.minimum is not None:
            parts.append(f"{self.minimum:g} or more" if self.minimum_allowed else f"above {self.minimum:g}")
        if self.maximum is not None:
            parts.append(f"at most {self.maximum:g}" if self.maximum_allowed else f"below {self.maximum:g}")
        return " and ".join(parts)

    @property
    def help(self) -> str:
        """Description, unit and allowed values on one line."""
        told = [f"in {self.unit}"] * (self.unit is not None) + [self.allowed] * bool(self.allowed)
        return f"{self.description} ({'; '.join(told)})" if told else self.description


def facts_of(model: type[SettingsModel], name: str) -> SettingFacts:
    """Return what is known of the setting `name` of a model."""
    return _facts(name, model.model_fields[name])


def setting_table(model: type[SettingsModel], prefix: str = "") -> Iterator[SettingFacts]:
    """Yield the facts of all settings of a model, those of nested tables behind each other with dotted names."""
    for name, field in model.model_fields.items():
        inner = _nested(field.annotation)
        if inner is None:
            yield _facts(prefix + name, field)
        else:
            yield from setting_table(inner, f"{prefix}{name}.")


def sentence_about(error: ValidationError, model: type[BaseModel]) -> str:
    """Return one sentence about the first thing that is wrong."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    reason = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    kind, value = first["type"], first["input"]
    if kind == "value_error":  # a sentence of our own, which names the value
        return f"Setting in '{place}': {reason}." if place and "'" not in reason else f"{reason}."
    if kind == "extra_forbidden":
        return f"There is no setting '{place}'; known are {', '.join(model.model_fields)}."
    if kind == "missing":
        return f"The setting '{place}' is missing."
    return f"Setting '{place or model.__name__}': {reason}; it is {value!r:.80}."


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


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        others = [kind for kind in get_args(annotation) if kind is not type(None)]
        return others[0] if len(others) == 1 else annotation
    return annotation


def _choices(annotation: Any) -> tuple[str, ...]:
    kind = _without_none(annotation)
    return tuple(str(value) for value in get_args(kind)) if get_origin(kind) is Literal else ()


def _nested(annotation: Any) -> type[SettingsModel] | None:
    kind = _without_none(annotation)
    return kind if isinstance(kind, type) and issubclass(kind, SettingsModel) else None
