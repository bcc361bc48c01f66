"""The base class of all sections (typed, frozen, no unknown keys), and rules that span several fields."""

from collections.abc import Callable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _not_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value


VALUES = ConfigDict(allow_inf_nan=False, coerce_numbers_to_str=True)
Whole = Annotated[int, BeforeValidator(_not_boolean)]
Number = Annotated[float, BeforeValidator(_not_boolean)]


class InvalidField(AttributeError):
    """Raised when a rule reads an invalid field; the rule is then skipped."""


class Section(BaseModel):
    """A group of settings.

    Defaults are in conf/, so most fields have none here. Values may be text (`no`, quoted digits) and names may be
    numbers (2024), but `seed=true` is not 1. Constraints across fields are `rule`s, which apply to all valid fields
    (`ilm.config.check`); pydantic's own model validators would be skipped once any field has failed.
    """

    model_config = ConfigDict(**VALUES, extra="forbid", frozen=True, serialize_by_alias=True, defer_build=True)

    def __getattr__(self, name: str) -> Any:
        if name in type(self).model_fields:
            raise InvalidField(name)
        return super().__getattr__(name)  # type: ignore[misc]  # pydantic hides it from type checkers


def rule(method: Callable[[Any, str], Iterator[str]]) -> Callable[[Any, str], Iterator[str]]:
    """Marks a method that yields mistakes across several fields.

    It gets the prefix of the section's keys (`data.`, or "" at the root), and is skipped if a field it reads is
    invalid: one rule, one method.
    """
    setattr(method, "is_rule", True)  # noqa: B010  for a type checker, functions have no such attribute
    return method


def broken_rules(section: Section, prefix: str = "") -> Iterator[str]:
    """The mistakes found by the rules of a section and its subsections."""
    for name, value in section.__dict__.items():
        within = value if isinstance(value, list) else [value]
        for part in within:
            if isinstance(part, Section):
                yield from broken_rules(part, f"{prefix}{name}.")
    for name in dir(type(section)):
        method = getattr(type(section), name, None)
        if callable(method) and getattr(method, "is_rule", False):
            try:
                yield from [*method(section, prefix)]
            except InvalidField:
                continue


def section_types(annotation: Any) -> list[type[Section]]:
    """The section types in a field's annotation."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else [annotation]
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]


def section_type(annotation: Any, value: Any) -> type[Section] | None:
    """The section type of a mapping given for a field; in a union, the one with its `name`."""
    if not isinstance(value, Mapping):
        return None
    kinds = section_types(annotation)
    if len(kinds) > 1:
        kinds = [kind for kind in kinds if value.get("name") in get_args(kind.model_fields["name"].annotation)]
    return kinds[0] if kinds else None


def shown(value: Any) -> str:
    """A value as typed on the command line."""
    if isinstance(value, list):
        return f"[{','.join(map(shown, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}: {shown(entry)}' for key, entry in value.items())}}}"
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
