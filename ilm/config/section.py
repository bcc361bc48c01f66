"""The base class of all sections: typed, frozen, without unknown keys; and the rules that span several fields."""

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
    """A rule read a field whose value was refused; it cannot be judged."""


class Section(BaseModel):
    """A group of settings.

    Defaults stand in conf/, so most fields have none here. Values may be text (`no`, digits in quotes) and names may be
    numbers (2024), but `seed=true` is not 1. Pydantic skips a model's own validators once a field has failed; what
    concerns several fields is a `rule` instead, which is applied to whatever fields are valid (`ilm.config.check`).
    """

    model_config = ConfigDict(**VALUES, extra="forbid", frozen=True, serialize_by_alias=True, defer_build=True)

    def __getattr__(self, name: str) -> Any:
        if name in type(self).model_fields:
            raise InvalidField(name)
        return super().__getattr__(name)  # type: ignore[misc]  # pydantic hides it from type checkers


def rule(method: Callable[[Any, str], Iterator[str]]) -> Callable[[Any, str], Iterator[str]]:
    """Marks a method that yields what is wrong with several fields together.

    It is given the prefix of the section's keys (`data.`, or nothing at the root), and is skipped where a field that it
    reads is invalid: one rule, one method.
    """
    setattr(method, "is_rule", True)  # noqa: B010  for a type checker, functions have no such attribute
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
        if callable(method) and getattr(method, "is_rule", False):
            try:
                yield from [*method(section, prefix)]
            except InvalidField:
                continue


def section_types(annotation: Any) -> list[type[Section]]:
    """The sections that a field of this type can be."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else [annotation]
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]


def section_type(annotation: Any, value: Any) -> type[Section] | None:
    """The section that a mapping given for a field of this type is; of several the one with its `name`."""
    if not isinstance(value, Mapping):
        return None
    kinds = section_types(annotation)
    if len(kinds) > 1:
        kinds = [kind for kind in kinds if value.get("name") in get_args(kind.model_fields["name"].annotation)]
    return kinds[0] if kinds else None


def shown(value: Any) -> str:
    """A value as one would type it."""
    if isinstance(value, list):
        return f"[{','.join(map(shown, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}: {shown(entry)}' for key, entry in value.items())}}}"
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
