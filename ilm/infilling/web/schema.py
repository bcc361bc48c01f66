"""What a request may say, checked: the names, types and largest values of its fields."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ilm.errors import UserError

Fields = Mapping[str, tuple[type, bool]]  # by name: its type, and whether null is a value

SETTINGS: Fields = {  # of ilm.config.infill.Decoding
    "method": (str, False),
    "candidates": (int, False),
    "temperature": (float, False),
    "top_p": (float, True),
    "top_k": (int, True),
    "distinct": (bool, False),
    "cut": (bool, False),
    "max_answer_tokens": (int, False),
    "max_answer_words": (int, True),
    "seed": (int, False),
}
INFILL: Fields = {"model": (str, False), "text": (str, False), "request": (str, True), **SETTINGS}
LEVELS: Fields = {
    "models": (list, False),
    "text": (str, False),
    "answers": (list, True),
    "cut": (bool, False),
    "request": (str, True),
}
# What a request may ask for at most: one must not keep all others waiting for minutes.
MAXIMA = {"candidates": 20, "max_answer_tokens": 512, "seed": 2**53}
MAX_REQUEST_NAME = 64  # characters of a request's own name
_SPOKEN = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", list: "a list"}


def read_fields(request: Mapping[str, Any], fields: Fields, needed: Sequence[str]) -> dict[str, Any]:
    """The fields of a request in their types.

    Raises: UserError that lists all faults.
    """
    faults = [f"{name} is missing" for name in needed if name not in request]
    values: dict[str, Any] = {}
    for name, value in request.items():
        if name not in fields:
            faults.append(f"unknown field {name[:100]!r}")
            continue
        kind, optional = fields[name]
        if (value is None and optional) or _is(kind, value):
            values[name] = value
        else:
            faults.append(f"{name}: expected {_SPOKEN[kind]}{' or null' if optional else ''}")
    faults += [f"{n}={values[n]}: expected at most {most}" for n, most in MAXIMA.items() if values.get(n, 0) > most]
    if len(values.get("request") or "") > MAX_REQUEST_NAME:
        faults.append(f"request: expected at most {MAX_REQUEST_NAME} characters")
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # JSON may spell half of a character, which no tokenizer takes
        faults.append("a text of the request is not valid UTF-8")
    if faults:
        raise UserError("; ".join(faults))
    return values


def _is(kind: type, value: Any) -> bool:
    if kind not in (int, float):
        return isinstance(value, kind)
    kinds = (int, float) if kind is float else int
    # JSON's numbers have no size; Python's floats do.
    return isinstance(value, kinds) and not isinstance(value, bool) and abs(value) < 1e300
