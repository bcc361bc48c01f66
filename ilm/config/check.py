"""From a composed configuration, or keyword values, to a typed section; every mistake is told at once."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from ilm.config.keys import suggestion
from ilm.config.section import MISSING, Section, broken_rules, from_text, section_type, section_types, shown
from ilm.config.targets import binding_mistakes
from ilm.errors import UserError

Schema = TypeVar("Schema", bound=Section)

# Pydantic's types of errors.
EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "a group of keys"),
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "more than {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "less than {lt:g}",
    "too_short": "one or more",
}


def check(cfg: DictConfig, schema: type[Schema], choices: Mapping[str, str | None] | None = None) -> Schema:
    """Check a composed configuration; returns it resolved and typed.

    `choices` are the chosen options by group (`ilm.cli.main.chosen_options`): `cefr` and `cefr_level` must not
    contradict each other. A schema with a field `cefr` gets the chosen option there.

    Raises: UserError that lists all mistakes: unknown and missing keys, wrong types, arguments that a `_target_` does
    not take, values out of range, values that make no sense together.
    """
    try:
        given = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"the configuration cannot be resolved: {str(error).splitlines()[0]}") from error
    cefr, level = (choices or {}).get("cefr"), (choices or {}).get("cefr_level")
    if "cefr" in schema.model_fields:
        given["cefr"] = cefr
    settings, mistakes = _read(schema, given)
    mistakes += binding_mistakes(given)
    if cefr and level and cefr != level:
        mistakes.append(f"cefr={cefr} and cefr_level={level} contradict each other: give one of them")
    mistakes += broken_rules(settings)
    if mistakes:
        lines = "\n".join(f"  - {mistake}" for mistake in mistakes)
        raise UserError(f"{len(mistakes)} mistake{'s' * (len(mistakes) > 1)} in the configuration:\n{lines}")
    return settings


def build(schema: type[Schema], **values: Any) -> Schema:
    """A section of keyword values, such as `build(Decoding, top_p=0.9)`; other fields have their defaults.

    Raises: UserError that lists all mistakes.
    """
    section, mistakes = _read(schema, values)
    if mistakes := [*mistakes, *broken_rules(section)]:
        raise UserError("; ".join(mistakes))
    return section


def _read(schema: type[Schema], given: Mapping[str, Any]) -> tuple[Schema, list[str]]:
    """The section and what is wrong with its fields, which are left out then: reading one raises InvalidField."""
    try:
        return schema.model_validate(given), []
    except ValidationError as error:
        known = [*_keys(schema, given)]
        return _valid_part(schema, given), [_told(fault, given, known) for fault in error.errors()]


def _valid_part(schema: type[Schema], given: Mapping[str, Any]) -> Schema:
    values = {}
    for name, field in schema.model_fields.items():
        key = field.alias or name
        if given.get(key, MISSING) == MISSING:
            if not field.is_required():
                values[name] = field.default
        elif (section := section_type(field.annotation, given[key])) is not None:
            values[name] = _valid_part(section, given[key])
        else:
            with suppress(ValidationError):
                value = from_text(given[key], field.annotation)
                values[name] = TypeAdapter(field.rebuild_annotation()).validate_python(value, strict=True)
    part = schema.model_construct(**given)
    part.__dict__.clear()  # pydantic has put defaults in place of what is left out
    part.__dict__.update(values)
    return part


def _told(fault: Mapping[str, Any], given: Mapping[str, Any], known: list[str]) -> str:
    """One of pydantic's errors in our words."""
    key, value = _found(fault["loc"], given)
    if fault["type"] == "extra_forbidden":
        return f"unknown key {key}{suggestion(key, known)}"
    if fault["type"] == "missing":
        return f"{key} has no value: type {key}=..." if value == MISSING else f"{key} is missing"
    if fault["type"] == "union_tag_not_found":
        return f"{key}.name is missing"
    if fault["type"] == "union_tag_invalid":
        key, value = f"{key}.name", value["name"]
    return f"{key}={shown(value)}: {_expected(fault, key)}"


def _expected(fault: Mapping[str, Any], key: str) -> str:
    context, value = fault.get("ctx", {}), fault["input"]
    match fault["type"]:
        case "value_error":
            return str(context["error"])
        case "literal_error" | "union_tag_invalid":
            allowed = context.get("expected") or context["expected_tags"]
            return "expected one of " + ", ".join(re.findall("'([^']*)'", allowed))
        case "list_type" if value is not None:
            return f"expected a list, in brackets: {key}=[{shown(value)}]"
        case kind:
            return f"expected {EXPECTED[kind].format(**context)}" if kind in EXPECTED else fault["msg"]


def _found(location: tuple[str | int, ...], given: Any) -> tuple[str, Any]:
    """The dotted key that pydantic's location means, which holds the tags of unions too, and the value given there."""
    key = ""
    for number, part in enumerate(location, start=1):
        if isinstance(part, int):
            # One entry may stand for a list of it.
            key, given = f"{key}[{part}]", given[part] if isinstance(given, list) else given
        elif part in given or number == len(location):
            key, given = f"{key}.{part}" if key else part, given.get(part)
    return key, given


def _keys(schema: type[Section], given: Any, prefix: str = "") -> Iterator[str]:
    """The dotted keys of a schema, of several possible sections those of the given one."""
    for name, field in schema.model_fields.items():
        key = field.alias or name
        value = given.get(key) if isinstance(given, Mapping) else None
        sections = (
            [section_type(field.annotation, value)] if isinstance(value, Mapping) else section_types(field.annotation)
        )
        for section in filter(None, sections):
            yield from _keys(section, value, f"{prefix}{key}.")
        if not any(sections):
            yield f"{prefix}{key}"
