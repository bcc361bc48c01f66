"""The stack, marks and memo of a pickle that is being read, and what can be done with them by its opcodes.

Plain values are all it can build: nothing is imported, nothing called. What else a file asks for is refused by name.
"""

import mmap
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ilm.errors import UserError

# What the items of a list that is read piecewise may share: its parts in no more than so many places of the memo.
_MOST_SHARED = 10_000
# Hashes of larger numbers can be made equal, and a dictionary of such keys would take hours.
_KEY_BITS = 60

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


# Plain data is written with two calls: getattr(class, name) for a member (by Python 3.11.0 to 3.11.3), set(items).
_CALLS = {(module, name): name for module in ("builtins", "__builtin__") for name in ("getattr", "set")}


class Machine:
    """A pickle at some byte of it.

    `piecewise`: items of the list that the whole pickle is come out as `finished` instead of being kept.
    `enumerations` are the dotted names of classes whose members may stand in the file.

    Its methods raise UserError for what is no plain data, IndexError, TypeError, ValueError or struct.error for faults.
    """

    def __init__(self, path: str | Path, data: mmap.mmap, enumerations: Iterable[str], piecewise: bool):
        self.path, self.data, self.piecewise = path, data, piecewise
        self.allowed = {tuple(name.rpartition(".")[::2]): _Enumeration(name) for name in enumerations}
        self.names = {name for names in (*self.allowed, *_CALLS) for name in names}
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

    def forget(self) -> None:
        """Drop the finished items, and of the memo all but what later ones may share."""
        self.finished = []
        for index, value in self.memo.items():
            # Python has each text of one character only once, so documents of one may be the same object.
            is_common = type(value) is str and (len(value) <= 1 or value in self.names)
            if (is_common or isinstance(value, Member | _Enumeration | _Call)) and len(self.shared) < _MOST_SHARED:
                self.shared[index] = value
        self.memo = {}

    def refuse(self, found: str) -> None:
        raise UserError(
            f"{self.path}: found {found} before byte {self.position:,}, expected plain data (numbers, text, lists, "
            "tuples, dictionaries, sets). Unpickling it could run a program, so it was not read. Take the file from a "
            "source that you trust."
        )

    def refuse_needless(self, found: str) -> None:
        raise UserError(
            f"{self.path}: found {found} before byte {self.position:,}; no file of documents, masks or tokens has one. "
            "It was not read."
        )

    # Arguments of opcodes

    def take(self, n: int) -> bytes:
        begin, end = self.position, self.position + n
        if end > len(self.data):
            raise ValueError(f"{n:,} bytes should follow")
        self.position = end
        return self.data[begin:end]

    def number(self, form: struct.Struct) -> Any:
        found = form.unpack_from(self.data, self.position)
        self.position += form.size
        return found[0]

    def byte(self) -> int:
        found = self.data[self.position]
        self.position += 1
        return found

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
        if self.byte() > 5:
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

    def new_set(self, items: Iterable[Any]) -> None:
        # 216 bytes of memory for one of the file; no list of documents holds any.
        if self.piecewise:
            self.refuse_needless("a set within a list")
        self.stack.append(set(map(self.key, items)))

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
        items = tuple(self.stack[-n:])
        if len(items) < n:
            raise IndexError
        self.stack[-n:] = [items]

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
        if type(value) is int and value.bit_length() > _KEY_BITS:
            self.refuse_needless(f"a number of {value.bit_length()} bits as a key")
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
                "the reference implementation none does. Write the file again so that nothing is shared (a "
                "pickle.Pickler whose attribute fast is True)."
            )
        else:
            raise ValueError("an object is used that was never made")

    def global_name(self, module: Any, name: Any) -> None:
        # To hash or show something else could overflow the stack, or take for ever.
        if type(module) is not str or type(name) is not str:
            raise TypeError("stands a name that is no text")
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
                self.new_set(items)
            case _:
                self.refuse(f"a call of {getattr(function, 'name', 'something')}, but not as plain data is written")

    def integer_line(self) -> None:
        line = self.line()
        self.stack.append({b"00": False, b"01": True}[line] if line in (b"00", b"01") else int(line))

    def text(self, n: int) -> None:
        self.stack.append(self.take(n).decode("utf-8", "surrogatepass"))
