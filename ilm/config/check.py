"""Turns a composed configuration, or keyword values, into a typed section; reports all mistakes at once."""

import difflib
import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from ilm.config.keys import suggestion
from ilm.config.section import VALUES, Section, broken_rules, section_type, section_types, shown
from ilm.errors import UserError

Schema = TypeVar("Schema", bound=Section)

MISSING = "???"  # Hydra's marker for a mandatory value
# By pydantic's error types.
EXPECTED = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
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

    `choices`: the chosen options by group (`ilm.cli.help.chosen_options`); `cefr` and `cefr_level` must agree. A schema
    with a field `cefr` gets the chosen option there.

    Raises: UserError that lists all mistakes: unknown and missing keys, wrong types, arguments that a `_target_` does
    not accept, values out of range, contradictory values.
    """
    try:
        given: Any = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"the configuration cannot be resolved: {str(error).splitlines()[0]}") from error
    cefr, level = (choices or {}).get("cefr"), (choices or {}).get("cefr_level")
    if "cefr" in schema.model_fields:
        given["cefr"] = cefr
    settings, mistakes = _read(schema, given)
    mistakes += _binding_mistakes(given)
    if cefr and level and cefr != level:
        mistakes.append(f"cefr={cefr} and cefr_level={level} contradict each other: give one of them")
    mistakes += broken_rules(settings)
    if mistakes:
        lines = "\n".join(f"  - {mistake}" for mistake in mistakes)
        raise UserError(f"{len(mistakes)} mistake{'s' * (len(mistakes) > 1)} in the configuration:\n{lines}")
    return settings


def build(schema: type[Schema], /, **values: Any) -> Schema:
    """Build a section from keyword values, such as `build(Decoding, top_p=0.9)`; other fields have defaults.

    Raises: UserError that lists all mistakes.
    """
    section, mistakes = _read(schema, values)
    if mistakes := [*mistakes, *broken_rules(section)]:
        raise UserError("; ".join(mistakes))
    return section


def read_back(schema: type[Schema], given: Mapping[str, Any]) -> Schema:
    """Read a stored section, without applying rules: they held for user input, but the run may have set values since.

    Raises: UserError that lists all mistakes.
    """
    section, mistakes = _read(schema, given)
    if mistakes:
        raise UserError("; ".join(mistakes))
    return section


def _read(schema: type[Schema], given: Mapping[str, Any]) -> tuple[Schema, list[str]]:
    """The section and the mistakes in its fields; invalid fields are absent, and reading one raises InvalidField."""
    try:
        return schema.model_validate(_without_missing(given)), []
    except ValidationError as error:
        known = [*_keys(schema, given)]
        return _valid_part(schema, given), [_message(fault, given, known) for fault in error.errors()]


def _without_missing(node: Any) -> Any:
    if not isinstance(node, Mapping):
        return node
    return {key: _without_missing(value) for key, value in node.items() if value != MISSING}


def _valid_part(schema: type[Schema], given: Mapping[str, Any]) -> Schema:
    values = {}
    for name, field in schema.model_fields.items():
        value = given.get(field.alias or name, field.default)
        if (section := section_type(field.annotation, value)) is not None:
            values[name] = _valid_part(section, value)
        elif field.annotation not in section_types(field.annotation):
            with suppress(ValidationError):
                values[name] = TypeAdapter(field.rebuild_annotation(), config=VALUES).validate_python(value)
    part = schema.model_construct(**given)
    part.__dict__.clear()  # pydantic filled absent fields with defaults
    part.__dict__.update(values)
    return part


def _message(fault: Mapping[str, Any], given: Mapping[str, Any], known: list[str]) -> str:
    """The message for one of pydantic's errors."""
    key, value = _key_and_value(fault["loc"], given)
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


def _key_and_value(location: tuple[str | int, ...], given: Any) -> tuple[str, Any]:
    """The dotted key and value at a location of pydantic, which also contains union tags."""
    key = ""
    for number, part in enumerate(location, start=1):
        if isinstance(part, int):
            # A single entry may stand for a list.
            key, given = f"{key}[{part}]", given[part] if isinstance(given, list) else given
        elif part in given or number == len(location):
            key, given = f"{key}.{part}" if key else part, given.get(part)
    return key, given


def _keys(schema: type[Section], given: Any, prefix: str = "") -> Iterator[str]:
    """The dotted keys of a schema; for a union of sections, those of the given one."""
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


def _binding_mistakes(node: Any, path: str = "") -> Iterator[str]:
    """Mistakes in the arguments of every `_target_` in nested mappings."""
    if not isinstance(node, Mapping):
        return
    if "_target_" in node:
        yield from _binding(node, path)
    for key, value in node.items():
        yield from _binding_mistakes(value, f"{path}.{key}" if path else str(key))


def _binding(node: Mapping[str, Any], path: str) -> Iterator[str]:
    target = node["_target_"]
    try:
        signature = inspect.signature(get_object(target))
    except Exception as error:  # whatever importing a user's module raises
        reason = " ".join(str(error).split())[:300]
        yield f"{path}._target_={target} cannot be imported: {reason}"
        return
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    given = {key for key in node if key not in ("_target_", "_partial_", "_recursive_", "_convert_", "_args_")}
    for key in sorted(given - set(signature.parameters)):
        if not takes_any:
            close = difflib.get_close_matches(key, signature.parameters, n=1)
            hint = f"; did you mean {path}.{close[0]}?" if close else f"; it takes {', '.join(signature.parameters)}"
            yield f"unknown key {path}.{key}: {target} takes no such argument{hint}"
    if not node.get("_partial_"):
        for name, parameter in signature.parameters.items():
            needed = parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            if needed and name not in given:
                yield f"{path}.{name} has no value, and {target} needs one"
