"""Pickles of other programs read as data: what is no plain value is refused by its name, and nothing runs.

A file may hold None, bool, int, float, str, bytes, list, tuple, dict and set, and members of the enumerations that the
caller names, which become `Member`. `load_plain` reads a small file, `iter_plain` a list of any length piece by piece.
"""

import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ilm.errors import UserError
from ilm.reference.machine import ATOMS, Machine, Member
from ilm.reference.opcodes import run

__all__ = ["Member", "iter_plain", "load_plain"]

# A value in memory takes up to 216 times the bytes of its pickle: an empty set is one opcode.
MAX_BYTES = 2**20
MAX_DEPTH = 50
MAX_VALUES = 10_000_000


def load_plain(path: str | Path, enumerations: Iterable[str] = ()) -> Any:
    """The value of a pickle of at most `MAX_BYTES` that holds plain data only.

    `enumerations` are dotted names of classes whose members may stand in it.

    Raises: UserError, naming what was found, for anything that is no plain data or might run code; for a damaged or
    oversized file; for values nested in themselves, more than `MAX_DEPTH` deep, or so shared that written out they
    are more than `MAX_VALUES`.
    """
    with _mapped(path) as data:
        if len(data) > MAX_BYTES:
            raise UserError(f"{path} has {len(data):,} bytes, expected a small pickle of at most {MAX_BYTES:,}.")
        machine = Machine(path, data, enumerations, piecewise=False)
        run(machine)
    fault = _fault(machine.result)
    if fault:
        raise UserError(f"{path} holds {fault}, expected plain data of numbers, text and containers. It was not read.")
    return machine.result


def iter_plain(path: str | Path, enumerations: Iterable[str] = ()) -> Iterator[Any]:
    """The items of a pickled list one by one, in memory that does not grow with their number.

    Items may share nothing with earlier ones but members of enumerations and text of one character, and hold no sets.
    What they do hold is plain or an empty name of a class, of any shape and nested without end: check the types before
    going into it.

    Raises: UserError as `load_plain`, and for a pickle of something else than a list.
    """
    with _mapped(path) as data:
        machine = Machine(path, data, enumerations, piecewise=True)
        while not machine.stopped:
            run(machine)
            yield from machine.finished
            machine.forget()
    if machine.root is None or machine.result is not machine.root:
        raise UserError(f"{path} holds a pickled {type(machine.result).__name__}, expected one list.")


@contextmanager
def _mapped(path: str | Path) -> Iterator[mmap.mmap]:
    """The bytes of a file, mapped from disk."""
    try:
        if not os.path.getsize(path):
            raise UserError(f"{path} is empty, expected a pickle.")
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def _fault(value: Any) -> str | None:
    """Why `value` is no tree of plain values that is safe to walk. Iterative: a recursion could overflow."""
    # (values written out, depth) of each finished container, by identity; None while it is on the way.
    measured: dict[int, tuple[int, int] | None] = {}
    waiting: list[tuple[Any, bool]] = [(value, False)]
    while waiting:
        found, seen = waiting.pop()
        if type(found) in ATOMS or type(found) is Member:
            continue
        if type(found) not in (list, tuple, dict, set):
            return "something that stands for a class"
        if not seen:
            if id(found) in measured:
                if measured[id(found)] is None:
                    return "a value that contains itself"
                continue
            measured[id(found)] = None
            waiting.append((found, True))
            waiting += [(item, False) for item in _items(found)]
            continue
        below = [measured[id(item)] for item in _items(found) if id(item) in measured]
        count = 1 + len(found) + sum(n for n, _ in below)
        depth = 1 + max((d for _, d in below), default=0)
        if depth > MAX_DEPTH or count > MAX_VALUES:
            return f"values nested {depth} deep" if depth > MAX_DEPTH else f"more than {MAX_VALUES:,} values"
        measured[id(found)] = (count, depth)
    return None


def _items(container: list | tuple | dict | set) -> Iterable[Any]:
    return container.values() if type(container) is dict else container
