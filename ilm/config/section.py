"""The base class of all sections: strict, frozen, without unknown keys; and the rules that span several fields."""

from collections.abc import Callable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator

MISSING = "???"  # Hydra's word for a value that files leave to the user
BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "y", "1"), True),
    **dict.fromkeys(("false", "no", "off", "n", "0"), False),
}


class InvalidField(AttributeError):
    """A rule read a field whose value was refused; it cannot be judged."""


class Section(BaseModel):
    """A group of settings.

    Defaults stand in conf/, so most fields have none here. Types are strict: `seed=true` is not 1. Pydantic skips a
    model's own validators once a field has failed; what concerns several fields is a `rule` instead, which is
    applied to whatever fields are valid (`ilm.config.check`).
    """

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        kinds = {field.alias or name: field.annotation for name, field in cls.model_fields.items()}
        return {key: from_text(value, kinds.get(key, Any)) for key, value in given.items() if value != MISSING}

    def __getattr__(self, name: str) -> Any:
        if name in type(self).model_fields:
            raise InvalidField(name)
        return super().__getattr__(name)


def rule(method: Callable[[Any, str], Iterator[str]]) -> Callable[[Any, str], Iterator[str]]:
    """Marks a method that yields what is wrong with several fields together.

    It is given the prefix of the section's keys (`data.`, or nothing at the root), and is skipped where a field that it
    reads is invalid: one rule, one method.
    """
    method.is_rule = True
    return method


def broken_rules(section: Section, prefix: str = "") -> Iterator[str]:
    """What the rules of a section and those within it say."""
    for name, value in section.__dict__.items():
        within = value if isinstance(value, list) else [value]
        for part in within:
            if isinstance(part, Section):
                yield from broken_rules(part, f"{prefix}{name}.")
    for name in dir(type(section)):
        method = getattr(type(section), name, None)
        if getattr(method, "is_rule", False):
            try:
                yield from [*method(section, prefix)]
            except InvalidField:
                continue


def alternatives(annotation: Any) -> list[Any]:
    """The types that a field's type is a union of, without what `Annotated` adds."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in alternatives(part)]
    return [annotation]


def section_types(annotation: Any) -> list[type[Section]]:
    """The sections that a field of this type can be."""
    return [kind for kind in alternatives(annotation) if isinstance(kind, type) and issubclass(kind, Section)]


def section_type(annotation: Any, value: Any) -> type[Section] | None:
    """The section that a mapping given for a field of this type is; of several the one with its `name`."""
    if not isinstance(value, Mapping):
        return None
    kinds = section_types(annotation)
    if len(kinds) > 1:
        kinds = [kind for kind in kinds if value.get("name") in get_args(kind.model_fields["name"].annotation)]
    return kinds[0] if kinds else None


def from_text(value: Any, annotation: Any) -> Any:
    """A value in the field's type where YAML or the command line gives another: `no`, digits in quotes, 2024 as a name.

    Whatever else does not fit is left to pydantic to refuse.
    """
    kinds = alternatives(annotation)
    if isinstance(value, list):
        element = next((get_args(kind)[0] for kind in kinds if get_origin(kind) is list), Any)
        return [from_text(part, element) for part in value]
    if isinstance(value, bool) or any(isinstance(kind, type) and type(value) is kind for kind in kinds):
        return value
    if bool in kinds and isinstance(value, str | int):
        return BOOLEANS.get(str(value).lower(), value)
    if str in kinds and isinstance(value, int | float):
        return str(value)
    for kind in (int, float):
        if kind in kinds and isinstance(value, str):
            try:
                return kind(value)
            except ValueError:
                continue
    return value


def shown(value: Any) -> str:
    """A value as one would type it."""
    if isinstance(value, list):
        return f"[{','.join(map(shown, value))}]"
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
