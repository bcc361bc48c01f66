"""Nodes that Hydra instantiates: their arguments, bound to the signature without a call."""

import difflib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.utils import get_object


def binding_mistakes(node: Any, path: str = "") -> Iterator[str]:
    """What is wrong with the arguments of every `_target_` in nested mappings."""
    if not isinstance(node, Mapping):
        return
    if "_target_" in node:
        yield from _binding(node, path)
    for key, value in node.items():
        yield from binding_mistakes(value, f"{path}.{key}" if path else str(key))


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
