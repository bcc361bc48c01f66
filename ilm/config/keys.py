"""Dotted keys of nested settings, suggestions for mistyped keys, and shell quoting of values."""

import difflib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every leaf of nested mappings; lists are leaves."""
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node


def suggestion(key: str, known: Sequence[str]) -> str:
    """A hint for a mistyped dotted key: the closest of the `known` ones; empty if none is close."""
    # Compare a short key with last parts, and a typo in a section with whole keys.
    last = {k.rsplit(".", 1)[-1]: k for k in known}
    close = difflib.get_close_matches(key, known, n=1) or [
        last[match] for match in difflib.get_close_matches(key.rsplit(".", 1)[-1], last, n=1)
    ]
    return f"; did you mean {close[0]}?" if close else ""


def as_typed(before: str, value: str, after: str = "") -> str:
    """An override quoted for the shell, and inside that, if `value` needs it, for Hydra."""
    if not re.fullmatch(r"[A-Za-z0-9_./+-]+", value):
        value = "'" + re.sub(r"(\\*)'", r"\1\1\'", value) + "'"
    override = before + value + after
    if re.fullmatch(r"[A-Za-z0-9_./+=-]+", override):
        return override
    return shlex.quote(override) if re.search(r"[\"$`\\!]", override) else f'"{override}"'
