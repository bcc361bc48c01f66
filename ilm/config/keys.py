"""Dotted keys of nested settings, suggestions for mistyped keys, and shell quoting of values."""

import difflib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# cerf and cefr have 0.75, resample and name 0.5.
_CLOSE = 0.75


def flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every leaf of nested mappings; lists are leaves."""
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node


def suggestion(key: str, known: Sequence[str]) -> str:
    """A hint for a mistyped dotted key: the closest of the `known` ones; empty if none is close.

    Last parts must be close by themselves: a section that keys share, or that is left out, says nothing.
    """
    near = [other for other in known if _likeness(key.rsplit(".", 1)[-1], other.rsplit(".", 1)[-1]) >= _CLOSE]
    return f"; did you mean {max(near, key=lambda other: _likeness(key, other))}?" if near else ""


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def as_typed(before: str, value: str, after: str = "") -> str:
    """An override quoted for the shell, and inside that, if `value` needs it, for Hydra."""
    if not re.fullmatch(r"[A-Za-z0-9_./+-]+", value):
        value = "'" + re.sub(r"(\\*)'", r"\1\1\'", value) + "'"
    override = before + value + after
    if re.fullmatch(r"[A-Za-z0-9_./+=-]+", override):
        return override
    return shlex.quote(override) if re.search(r"[\"$`\\!]", override) else f'"{override}"'
