"""Which opcode of a pickle does what, and running them: those that build plain values, and no others.

Opcodes are those of the module `pickletools`, protocols 0 to 5. Python's own unpickler with a strict `find_class`
would not do: an index into its memo can claim gigabytes, and a deep tuple as a key overflows the C stack.
"""

import struct
from collections.abc import Callable
from pickletools import code2op
from typing import Any

from ilm.errors import UserError
from ilm.reference.machine import Machine

# Between two finished parts: each takes time, and up to 80 bytes of memory beside what it copies of the file.
MAX_OPERATIONS = 10_000_000

_UINT2, _INT4, _UINT4, _UINT8, _DOUBLE = map(struct.Struct, ("<H", "<i", "<I", "<Q", ">d"))


def run(machine: Machine) -> None:
    """Go on to the end of the pickle, or piecewise until there are finished items.

    Raises: UserError, naming what was found, for anything that is no plain data, and a damaged or oversized file.
    """
    data = machine.data
    try:
        for _ in range(MAX_OPERATIONS):
            code = data[machine.position]
            machine.position += 1
            operation = _OPERATIONS[code]
            if operation is None:
                _refuse(machine, code)
            if operation(machine):
                return
    except (IndexError, TypeError, ValueError, struct.error) as error:
        fault = "something is missing" if isinstance(error, IndexError) else error
        raise UserError(
            f"{machine.path} is damaged or no pickle: before byte {machine.position:,} of {len(data):,} {fault}. Take "
            "the file from its source again."
        ) from error
    raise UserError(
        f"{machine.path}: {MAX_OPERATIONS:,} operations before byte {machine.position:,} without a finished part; no "
        "file of documents, masks or tokens needs so many. It was not read."
    )


def _refuse(machine: Machine, code: int) -> None:
    if chr(code) not in code2op:
        raise ValueError(f"stands {code}, which is no opcode")
    machine.refuse(f"the opcode {code2op[chr(code)].name}")


def _table() -> list[Callable[[Machine], bool | None] | None]:
    """What to do by opcode, 0 to 255; None refuses it."""
    pushed: dict[bytes, Callable[[Machine], Any]] = {
        b"N": lambda m: None,
        b"\x88": lambda m: True,
        b"\x89": lambda m: False,
        b")": lambda m: (),
        b"}": lambda m: {},
        b"2": lambda m: m.stack[-1],
        b"J": lambda m: m.number(_INT4),
        b"K": lambda m: m.byte(),
        b"M": lambda m: m.number(_UINT2),
        b"\x8a": lambda m: int.from_bytes(m.take(m.byte()), "little", signed=True),
        b"L": lambda m: int(m.line().removesuffix(b"L")),
        b"F": lambda m: float(m.line()),
        b"G": lambda m: m.number(_DOUBLE),
        b"V": lambda m: m.line().decode("raw_unicode_escape"),
        b"B": lambda m: m.take(m.number(_UINT4)),
        b"C": lambda m: m.take(m.byte()),
        b"\x8e": lambda m: m.take(m.number(_UINT8)),
    }
    done: dict[bytes, Callable[[Machine], bool | None]] = {
        b"\x80": Machine.protocol,
        b"\x95": lambda m: m.take(8) is None,  # a frame only says how far to read ahead
        b".": Machine.stop,
        b"(": Machine.mark,
        b"0": Machine.pop,
        b"1": lambda m: m.after_mark() is None,
        b"I": Machine.integer_line,
        b"X": lambda m: m.text(m.number(_UINT4)),
        b"\x8c": lambda m: m.text(m.byte()),
        b"\x8d": lambda m: m.text(m.number(_UINT8)),
        b"\x8f": lambda m: m.new_set(()),
        b"]": Machine.empty_list,
        b"l": Machine.list_after_mark,
        b"a": lambda m: m.extend([m.stack.pop()]),
        b"e": lambda m: m.extend(m.after_mark()),
        b"t": Machine.tuple_after_mark,
        b"\x85": lambda m: m.tuple_of(1),
        b"\x86": lambda m: m.tuple_of(2),
        b"\x87": lambda m: m.tuple_of(3),
        b"d": Machine.dictionary_after_mark,
        b"s": lambda m: m.set_items([m.stack.pop(-2), m.stack.pop()]),
        b"u": lambda m: m.set_items(m.after_mark()),
        b"\x90": Machine.add_items,
        b"g": lambda m: m.get(int(m.line())),
        b"h": lambda m: m.get(m.byte()),
        b"j": lambda m: m.get(m.number(_UINT4)),
        b"p": lambda m: m.put(int(m.line())),
        b"q": lambda m: m.put(m.byte()),
        b"r": lambda m: m.put(m.number(_UINT4)),
        b"\x94": lambda m: m.put(m.memoized),
        b"c": lambda m: m.global_name(m.line().decode(), m.line().decode()),
        b"\x93": lambda m: m.global_name(m.stack.pop(-2), m.stack.pop()),
        b"R": Machine.call,
    }
    table: list[Any] = [None] * 256
    for code, value in pushed.items():
        table[code[0]] = lambda m, value=value: m.stack.append(value(m))
    for code, operation in done.items():
        table[code[0]] = operation
    return table


_OPERATIONS = _table()
