"""A safe reader of plain-data pickles, on top of `pickletools.genops`: it imports nothing and calls nothing.

A file may contain None, bool, int, float, str, bytes, list, tuple and dict, and members of enumerations named by the
caller, which become `Member`. Anything else is refused by name.

Python's own unpickler with a strict `find_class` is not enough: a memo index can claim gigabytes, and hashing a deeply
nested tuple overflows the C stack. Files are memory-mapped, so `genops` never reads beyond the file, whatever length an
opcode claims.
"""

import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickletools import genops
from typing import IO, Any, NamedTuple, NoReturn, cast

from ilm.errors import UserError

MAX_BYTES = 2**20  # file size limit of `load_plain`
MAX_OPERATIONS = 10_000_000  # per list item; each operation takes up to 80 bytes of memory
_MAX_SHARED = 10_000  # memo entries that outlive their item
_MAX_KEY_BITS = 60  # hashes of larger integers can be forced to collide, and such a dictionary would take hours

# Opcodes whose argument, as `genops` decodes it, is the value itself.
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT", "UNICODE", "BINUNICODE"),
    *("SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PUTS, _GETS = {"BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"}, {"BINGET", "LONG_BINGET", "GET"}
# How many values these pop from the stack; None: all above the mark.
_TAKEN = {
    "EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "TUPLE": None, "EMPTY_LIST": 0, "LIST": None,
    "APPEND": 1, "APPENDS": None, "EMPTY_DICT": 0, "DICT": None, "SETITEM": 2, "SETITEMS": None, "GLOBAL": 0,
    "STACK_GLOBAL": 2, "REDUCE": 2, "POP": 1, "STOP": 1,
}  # fmt: skip


class Member(NamedTuple):
    """A member of an enumeration: the dotted name of its class, and its value; None means the class itself."""

    enumeration: str
    value: int | None


def load_plain(path: str | Path, enumerations: Iterable[str] = ()) -> Any:
    """The value of a pickle of at most `MAX_BYTES`; `enumerations`: dotted names of enumeration classes it may use.

    It may have any depth and contain itself: check types on the way down.

    Raises: UserError, naming what was found, for anything but plain data, and for a damaged or oversized file.
    """
    with _mapped(path) as data:
        if len(data) > MAX_BYTES:
            raise UserError(f"{path} has {len(data):,} bytes, expected a small pickle of at most {MAX_BYTES:,}.")
        machine = _Machine(path, data, enumerations)
        for _ in machine.run():
            pass
    return machine.result


def iter_plain(path: str | Path, enumerations: Iterable[str] = ()) -> Iterator[Any]:
    """Yield the items of a pickled list one by one, as `load_plain` would, in constant memory.

    Items may share only enumeration members and one-character texts.

    Raises: UserError as `load_plain`, and if the pickle is not a list.
    """
    with _mapped(path) as data:
        machine = _Machine(path, data, enumerations)
        for finished in machine.run():
            yield from finished
            finished.clear()
            machine.forget()
    if machine.root is None or machine.result is not machine.root:
        raise UserError(f"{path} holds a pickled {type(machine.result).__name__}, expected one list.")


@contextmanager
def _mapped(path: str | Path) -> Iterator[mmap.mmap]:
    try:
        if not os.path.getsize(path):
            raise UserError(f"{path} is empty, expected a pickle.")
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


class _Machine:
    """A pickle stack machine: `root` is the outermost list, `result` the final value."""

    def __init__(self, path: str | Path, data: mmap.mmap, enumerations: Iterable[str]):
        self.path, self.data, self.names = path, data, frozenset(enumerations)
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.shared: dict[int, Any] = {}  # memo entries kept between items
        self.memoized = 0
        self.root: list[Any] | None = None
        self.result: Any = None

    def run(self) -> Iterator[list[Any]]:
        """Run the pickle to its end and set `result`; yields `root` whenever it has items."""
        stack, memo, last = self.stack, self.memo, 0
        try:
            argument: Any
            for number, (opcode, argument, _) in enumerate(genops(cast(IO[bytes], self.data))):
                name = opcode.name
                if name in _LITERALS:
                    stack.append(argument)
                elif name in _PUTS:
                    memo[self.memoized if argument is None else argument] = stack[-1]
                    self.memoized += 1
                elif name in _GETS:
                    stack.append(memo[argument] if argument in memo else self._recall(argument))
                elif name == "MARK":
                    self.marks.append(len(stack))
                elif name in _TAKEN:
                    self._apply(name, argument.split(" ") if name == "GLOBAL" else self._pop(_TAKEN[name]))
                elif name in _CONSTANTS:
                    stack.append(_CONSTANTS[name])
                elif name not in ("PROTO", "FRAME") or (name == "PROTO" and argument > 5):
                    self._refuse(f"the opcode {name}")
                if self.root:
                    yield self.root
                    last = number
                elif number - last > MAX_OPERATIONS:
                    self._refuse(f"{MAX_OPERATIONS:,} operations without a finished item")
        except (IndexError, TypeError, ValueError, OverflowError) as error:
            fault = "something is missing" if isinstance(error, IndexError) else error
            raise UserError(
                f"{self.path} is damaged or not a pickle: before byte {self.data.tell():,} of {len(self.data):,}: "
                f"{fault}. Get the file again from its source."
            ) from error

    def forget(self) -> None:
        """Clear the memo except for what Python shares between items: members and one-character texts."""
        for index, value in self.memo.items():
            is_common = type(value) is Member or (type(value) is str and len(value) <= 1)
            if is_common and len(self.shared) < _MAX_SHARED:
                self.shared[index] = value
        self.memo.clear()

    def _recall(self, index: int) -> Any:
        if index not in self.shared:
            raise ValueError(
                "it refers to a value that does not exist or belongs to an earlier item. No file of the reference "
                "implementation does; a pickle.Pickler with fast = True shares nothing"
            )
        return self.shared[index]

    def _pop(self, count: int | None) -> list[Any]:
        begin = self.marks.pop() if count is None else len(self.stack) - count
        if not 0 <= begin <= len(self.stack):
            raise IndexError
        items = self.stack[begin:]
        del self.stack[begin:]
        return items

    def _apply(self, name: str, items: list[Any]) -> None:
        stack = self.stack
        match name:
            case "EMPTY_TUPLE" | "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(items))
            case "EMPTY_LIST" | "LIST":
                if self.root is None and not stack and not self.marks:
                    self.root = items
                stack.append(items)
            case "APPEND" | "APPENDS":
                list.extend(stack[-1], items)  # a TypeError unless it is a list
            case "EMPTY_DICT" | "DICT" | "SETITEM" | "SETITEMS":
                if name.endswith("DICT"):
                    stack.append({})
                for key in items[::2]:
                    # Hash nothing else: hashing a deep tuple would overflow the stack.
                    if type(key) is not str and (type(key) is not int or key.bit_length() > _MAX_KEY_BITS):
                        self._refuse(f"a {type(key).__name__} as a key, which is neither text nor a small integer")
                dict.update(stack[-1], zip(items[::2], items[1::2], strict=True))
            case "GLOBAL" | "STACK_GLOBAL":
                # Formatting anything but text could overflow the stack or never end.
                if [type(item) for item in items] != [str, str]:
                    raise TypeError("a name is not text")
                dotted = ".".join(items)
                if dotted not in self.names or "." in items[1]:
                    self._refuse(dotted[:200])
                stack.append(Member(dotted, None))
            case "REDUCE":
                match items:
                    case [Member(enumeration, None), (int() as value,)]:
                        stack.append(Member(enumeration, value))
                    case _:
                        self._refuse("a call other than an enumeration with one of its values")
            case "STOP":
                if stack or self.marks or self.data.tell() != len(self.data):
                    raise ValueError("the pickle ends before the file or a value does")
                self.result = items[0]

    def _refuse(self, found: str) -> NoReturn:
        raise UserError(
            f"{self.path}: found {found} before byte {self.data.tell():,}, expected plain data (numbers, text, lists, "
            "tuples, dictionaries). It was not read, since unpickling it could execute code. Take the file from a "
            "source you trust."
        )
