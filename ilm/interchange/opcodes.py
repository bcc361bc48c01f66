"""A pickle machine that builds plain values and can do nothing else: nothing is imported, nothing called.

Opcodes are those of the module `pickletools`, protocols 0 to 5. Python's own unpickler with a strict `find_class`
would not do: an index into its memo can claim gigabytes, and a deep tuple as a key overflows the C stack.
"""

import mmap
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from pickletools import code2op
from typing import Any, NamedTuple

from ilm.errors import UserError

# Between two finished parts: each takes time, and at most some 60 bytes of memory beside what it copies of the file.
MAX_OPERATIONS = 20_000_000
# Text of up to this many characters may be shared between the items of a list that is read piecewise.
_SHARED_TEXT = 100

ATOMS = (type(None), bool, int, float, str, bytes)


class Member(NamedTuple):
    """A member of an enumeration: the dotted name of its class, and its value or name, whichever the file has."""

    enumeration: str
    value: int | str


class _Enumeration(NamedTuple):
    """A class that the caller allows, until it is called with a value."""

    name: str


class _Call(NamedTuple):
    """The name of a function, until what it is called with is known."""

    name: str


# The two calls that plain data is written with: getattr(class, name) for a member (Python 3.11.0 to 3.11.3), set(items).
_CALLS = {(module, name): name for module in ("builtins", "__builtin__") for name in ("getattr", "set")}


class Machine:
    """The stack, marks and memo of a pickle that is being read.

    `run` goes on to the end, or `piecewise` until it has `finished` items of the list that the whole pickle is.
    `enumerations` are the dotted names of classes whose members may stand in the file.

    Raises: UserError, naming what was found, for anything that is no plain data, and a damaged or oversized file.
    """

    def __init__(self, path: str | Path, data: mmap.mmap, enumerations: Iterable[str], piecewise: bool):
        self.path, self.data, self.piecewise = path, data, piecewise
        self.allowed = {tuple(name.rpartition(".")[::2]): _Enumeration(name) for name in enumerations}
        self.position = 0
        self.stack: list[Any] = []
        self.below_marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.shared: dict[int, Any] = {}  # what stays of the memo when items are finished
        self.memoized = 0
        self.root: list[Any] | None = None
        self.finished: list[Any] = []
        self.stopped = False
        self.result: Any = None

    def run(self) -> None:
        operations, data = _OPERATIONS, self.data
        try:
            for _ in range(MAX_OPERATIONS):
                code = data[self.position]
                self.position += 1
                operation = operations[code]
                if operation is None:
                    self._refuse_opcode(code)
                if operation(self):
                    return
        except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
            raise UserError(
                f"{self.path} is damaged or no pickle: at byte {self.position:,} of {len(data):,} {_reason(error)}. "
                "Take the file from its source again."
            ) from error
        raise UserError(
            f"{self.path}: {MAX_OPERATIONS:,} operations before byte {self.position:,} without a finished part; "
            "no file of documents, masks or tokens needs so many. It was not read."
        )

    def forget(self) -> None:
        """Drop the finished items, and of the memo all but what later ones may share."""
        self.finished = []
        for index, value in self.memo.items():
            if isinstance(value, Member | _Enumeration) or (isinstance(value, str) and len(value) <= _SHARED_TEXT):
                self.shared[index] = value
        self.memo = {}

    def refuse(self, found: str) -> None:
        raise UserError(
            f"{self.path}: found {found} before byte {self.position:,}, expected plain data (numbers, text, lists, "
            "tuples, dictionaries, sets). Unpickling it could run a program, so it was not read. Take the file from a "
            "source that you trust."
        )

    def _refuse_opcode(self, code: int) -> None:
        if chr(code) not in code2op:
            raise ValueError(f"stands {code}, which is no opcode")
        self.refuse(f"the opcode {code2op[chr(code)].name}")

    # Arguments of opcodes

    def take(self, n: int) -> bytes:
        begin, end = self.position, self.position + n
        if end > len(self.data):
            raise ValueError(f"{n:,} bytes should follow")
        self.position = end
        return self.data[begin:end]

    def number(self, form: str, n: int) -> Any:
        return struct.unpack(form, self.take(n))[0]

    def line(self) -> bytes:
        begin, end = self.position, self.data.find(b"\n", self.position)
        if end < 0:
            raise ValueError("a line has no end")
        self.position = end + 1
        return self.data[begin:end]

    def after_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below_marks.pop()
        return items

    # What opcodes do, where it takes more than an expression; a true result ends `run`.

    def protocol(self) -> None:
        if self.take(1)[0] > 5:
            raise ValueError("the protocol is unknown")

    def stop(self) -> bool:
        if len(self.stack) != 1 or self.below_marks or self.position != len(self.data):
            raise ValueError("the pickle ends, but the file or a value does not")
        self.result, self.stopped = self.stack.pop(), True
        return True

    def mark(self) -> None:
        self.below_marks.append(self.stack)
        self.stack = []

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.after_mark()

    def empty_list(self) -> None:
        value: list[Any] = []
        if self.root is None and not self.stack and not self.below_marks:
            self.root = value
        self.stack.append(value)

    def list_after_mark(self) -> bool:
        items = self.after_mark()
        self.empty_list()
        return self.extend(items)

    def extend(self, items: list[Any]) -> bool:
        target = self.stack[-1]
        if self.piecewise and target is self.root:
            self.finished = items
            return True
        if type(target) is not list:
            raise TypeError("stand items for something else than a list")
        target.extend(items)
        return False

    def tuple_of(self, n: int) -> None:
        if len(self.stack) < n:
            raise IndexError
        items = tuple(self.stack[-n:])
        del self.stack[-n:]
        self.stack.append(items)

    def tuple_after_mark(self) -> None:
        items = tuple(self.after_mark())
        self.stack.append(items)

    def dictionary_after_mark(self) -> None:
        items = self.after_mark()
        self.stack.append({})
        self.set_items(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise TypeError("stand items for something else than a dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[self.key(key)] = value

    def add_items(self) -> None:
        items, target = self.after_mark(), self.stack[-1]
        if type(target) is not set:
            raise TypeError("stand items for something else than a set")
        target.update(map(self.key, items))

    def key(self, value: Any) -> Any:
        # Only what is hashed at once: the hash of a deep tuple would overflow the stack.
        if type(value) not in ATOMS:
            self.refuse(f"a {type(value).__name__} as a key")
        return value

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]
        self.memoized += 1

    def get(self, index: int) -> None:
        if index in self.memo:
            self.stack.append(self.memo[index])
        elif index in self.shared:
            self.stack.append(self.shared[index])
        elif self.piecewise and index < self.memoized:
            raise UserError(
                f"{self.path}: an item shares a part with an earlier one (byte {self.position:,}), as in the files of "
                "the reference implementation none does. Write the file again from copies (copy.deepcopy)."
            )
        else:
            raise ValueError("an object is used that was never made")

    def global_name(self, module: Any, name: Any) -> None:
        if (module, name) in self.allowed:
            self.stack.append(self.allowed[module, name])
        elif (module, name) in _CALLS:
            self.stack.append(_Call(name))
        else:
            self.refuse(f"{module}.{name}"[:200])

    def call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        match function, arguments:
            case _Enumeration(name), (int() | str() as value,):
                self.stack.append(Member(name, value))
            case _Call("getattr"), (_Enumeration(name), str() as value):
                self.stack.append(Member(name, value))
            case _Call("set"), ([*items],):
                self.stack.append(set(map(self.key, items)))
            case _:
                self.refuse(f"a call of {getattr(function, 'name', 'something')}, but not as plain data is written")

    def integer_line(self) -> None:
        line = self.line()
        self.stack.append({b"00": False, b"01": True}[line] if line in (b"00", b"01") else int(line))

    def text(self, n: int) -> None:
        self.stack.append(self.take(n).decode("utf-8", "surrogatepass"))


def _table() -> list[Callable[[Machine], bool | None] | None]:
    """What to do by opcode, 0 to 255; None refuses it."""
    pushed: dict[bytes, Callable[[Machine], Any]] = {
        b"N": lambda m: None,
        b"\x88": lambda m: True,
        b"\x89": lambda m: False,
        b")": lambda m: (),
        b"}": lambda m: {},
        b"\x8f": lambda m: set(),
        b"2": lambda m: m.stack[-1],
        b"J": lambda m: m.number("<i", 4),
        b"K": lambda m: m.take(1)[0],
        b"M": lambda m: m.number("<H", 2),
        b"\x8a": lambda m: int.from_bytes(m.take(m.take(1)[0]), "little", signed=True),
        b"L": lambda m: int(m.line().removesuffix(b"L")),
        b"F": lambda m: float(m.line()),
        b"G": lambda m: m.number(">d", 8),
        b"V": lambda m: m.line().decode("raw_unicode_escape"),
        b"B": lambda m: m.take(m.number("<I", 4)),
        b"C": lambda m: m.take(m.take(1)[0]),
        b"\x8e": lambda m: m.take(m.number("<Q", 8)),
    }
    done: dict[bytes, Callable[[Machine], bool | None]] = {
        b"\x80": Machine.protocol,
        b"\x95": lambda m: m.take(8) is None,  # a frame only says how far to read ahead
        b".": Machine.stop,
        b"(": Machine.mark,
        b"0": Machine.pop,
        b"1": lambda m: m.after_mark() is None,
        b"I": Machine.integer_line,
        b"X": lambda m: m.text(m.number("<I", 4)),
        b"\x8c": lambda m: m.text(m.take(1)[0]),
        b"\x8d": lambda m: m.text(m.number("<Q", 8)),
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
        b"h": lambda m: m.get(m.take(1)[0]),
        b"j": lambda m: m.get(m.number("<I", 4)),
        b"p": lambda m: m.put(int(m.line())),
        b"q": lambda m: m.put(m.take(1)[0]),
        b"r": lambda m: m.put(m.number("<I", 4)),
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


def _reason(error: Exception) -> str:
    return "something is missing" if isinstance(error, IndexError) else str(error).strip("'\"")
