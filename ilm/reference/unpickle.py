"""A reader of pickles that hold plain data, on top of `pickletools.genops`: nothing is imported, nothing called.

A file may hold None, bool, int, float, str, bytes, list, tuple, dict and set, and members of the enumerations that the
caller names, which become `Member`. Anything else is refused by name.

Python's own unpickler with a strict `find_class` would not do: an index into its memo can claim gigabytes, and hashing
a deep tuple overflows the C stack. Files are mapped, so `genops` gets no more bytes than there are, whatever length an
opcode claims.
"""

import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickletools import genops
from typing import Any, NamedTuple

from ilm.errors import UserError

MAX_BYTES = 2**20  # of a file for `load_plain`: a value may take 216 times the memory of its pickle (an empty set)
MAX_DEPTH = 50
MAX_VALUES = 1_000_000  # written out: parts may be shared
MAX_OPERATIONS = 10_000_000  # between two finished items: each takes up to 80 bytes of memory
_MAX_SHARED = 10_000  # memo entries that outlive their item
_MAX_KEY_BITS = 60  # hashes of larger numbers can be made to collide: a dictionary of them would take hours

_ATOMS = (type(None), bool, int, float, str, bytes)
# Opcodes whose argument, as `genops` decodes it, is the value itself.
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT", "UNICODE", "BINUNICODE"),
    *("SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
# Opcodes that push a container, or add to the one below: its type, and how many items lie on the stack.
_ALL = -1  # what is above the mark
_NEW: dict[str, tuple[type, int]] = {
    "EMPTY_LIST": (list, 0), "LIST": (list, _ALL), "EMPTY_DICT": (dict, 0), "DICT": (dict, _ALL),
    "EMPTY_TUPLE": (tuple, 0), "TUPLE1": (tuple, 1), "TUPLE2": (tuple, 2), "TUPLE3": (tuple, 3),
    "TUPLE": (tuple, _ALL), "EMPTY_SET": (set, 0),
}  # fmt: skip
_ADD: dict[str, tuple[type, int]] = {
    "APPEND": (list, 1), "APPENDS": (list, _ALL), "SETITEM": (dict, 2), "SETITEMS": (dict, _ALL),
    "ADDITEMS": (set, _ALL),
}  # fmt: skip

_UNSAFE = (
    ", expected plain data (numbers, text, lists, tuples, dictionaries, sets). Unpickling it could run a program, so "
    "it was not read. Take the file from a source that you trust."
)
_NEEDLESS = "; no file of documents, masks or tokens has one. It was not read."


class Member(NamedTuple):
    """A member of an enumeration: the dotted name of its class, and its value or name, whichever the file has."""

    enumeration: str
    value: int | str


class _Global(NamedTuple):
    """The place on the stack of a name that may be called: an enumeration that the caller allows, getattr or set."""

    name: str


# Plain data is written with two calls: getattr(class, name) for a member (by Python 3.11.0 to 3.11.3), set(items).
_CALLS = {f"{module} {name}": _Global(name) for module in ("builtins", "__builtin__") for name in ("getattr", "set")}


def load_plain(path: str | Path, enumerations: Iterable[str] = ()) -> Any:
    """The value of a pickle of at most `MAX_BYTES`; `enumerations`: dotted names of classes whose members may be in it.

    Raises: UserError, naming what was found, for anything that is no plain data or might run code; for a damaged or
    oversized file; for values more than `MAX_DEPTH` deep, or more than `MAX_VALUES`.
    """
    with _mapped(path) as data:
        if len(data) > MAX_BYTES:
            raise UserError(f"{path} has {len(data):,} bytes, expected a small pickle of at most {MAX_BYTES:,}.")
        reader = _Reader(path, data, enumerations, streaming=False)
        _ = list(reader.read())
    _require_plain(path, reader.result)
    return reader.result


def iter_plain(path: str | Path, enumerations: Iterable[str] = ()) -> Iterator[Any]:
    """The items of a pickled list one by one, in memory that does not grow with their number.

    Items may share nothing with earlier ones but members of enumerations and text of one character, and hold no sets.
    They are plain data or names of classes, of any depth and perhaps part of themselves: check types on the way down.

    Raises: UserError as `load_plain`, and for a pickle of something else than a list.
    """
    with _mapped(path) as data:
        reader = _Reader(path, data, enumerations, streaming=True)
        for items in reader.read():
            yield from items
    if reader.root is None or reader.result is not reader.root:
        raise UserError(f"{path} holds a pickled {type(reader.result).__name__}, expected one list.")


@contextmanager
def _mapped(path: str | Path) -> Iterator[mmap.mmap]:
    try:
        if not os.path.getsize(path):
            raise UserError(f"{path} is empty, expected a pickle.")
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def _require_plain(path: str | Path, value: Any) -> None:
    """Raises: UserError if `value` cannot be walked by a recursion, or holds the name of a class."""
    count = 0

    def walk(value: Any, depth: int) -> str | None:
        nonlocal count
        if type(value) in _ATOMS or type(value) is Member:
            return None
        if type(value) is _Global:
            return "something that stands for a class"
        count += 1 + len(value)
        if depth > MAX_DEPTH or count > MAX_VALUES:
            return f"values nested {depth} deep" if depth > MAX_DEPTH else f"more than {MAX_VALUES:,} values"
        items = value.values() if type(value) is dict else value
        return next((fault for item in items if (fault := walk(item, depth + 1))), None)

    if fault := walk(value, 1):
        raise UserError(f"{path} holds {fault}, expected plain data of numbers, text and containers. It was not read.")


class _Reader:
    """The stack and memo of a pickle; when `streaming`, the list that it is gives its items away."""

    def __init__(self, path: str | Path, data: mmap.mmap, enumerations: Iterable[str], streaming: bool):
        self.path, self.data, self.streaming = path, data, streaming
        self.globals = {" ".join(name.rpartition(".")[::2]): _Global(name) for name in enumerations} | _CALLS
        self.names = {part for name in self.globals for part in name.split(" ")}
        self.stack: list[Any] = []
        self.below_marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.shared: dict[int, Any] = {}  # what is kept of the memo when items are finished
        self.memoized = 0
        self.root: list[Any] | None = None
        self.finished: list[Any] | None = None
        self.result: Any = None

    def read(self) -> Iterator[list[Any]]:
        """Run the pickle to its end, which sets `result`; when streaming, yields finished items."""
        operations = 0
        try:
            for opcode, argument, _ in genops(self.data):
                operations += 1
                if opcode.name in _LITERALS:
                    self.stack.append(argument)
                elif opcode.name in _NEW:
                    self._push(*_NEW[opcode.name])
                else:
                    self._run(opcode.name, argument)
                if self.finished is not None:
                    yield self.finished
                    self._forget()
                    operations = 0
                elif operations > MAX_OPERATIONS:
                    self._refuse(f"{MAX_OPERATIONS:,} operations without a finished part", _NEEDLESS)
        except (IndexError, TypeError, ValueError, OverflowError) as error:
            fault = "something is missing" if isinstance(error, IndexError) else error
            raise UserError(
                f"{self.path} is damaged or no pickle: before byte {self.data.tell():,} of {len(self.data):,}: {fault}."
                " Take the file from its source again."
            ) from error

    def _run(self, opcode: str, argument: Any) -> None:
        match opcode:
            case "BINGET" | "LONG_BINGET" | "GET":
                self.stack.append(self._recall(argument))
            case _ if opcode in _ADD:
                kind, count = _ADD[opcode]
                self._add(kind, self._take(count))
            case _ if opcode in _CONSTANTS:
                self.stack.append(_CONSTANTS[opcode])
            case "BINPUT" | "LONG_BINPUT" | "PUT" | "MEMOIZE":
                self.memo[self.memoized if opcode == "MEMOIZE" else argument] = self.stack[-1]
                self.memoized += 1
            case "MARK":
                self.below_marks.append(self.stack)
                self.stack = []
            case "POP" if self.stack:
                self.stack.pop()
            case "POP" | "POP_MARK":
                self._take(_ALL)
            case "DUP":
                self.stack.append(self.stack[-1])
            case "GLOBAL":
                self.stack.append(self._global(argument))
            case "STACK_GLOBAL":
                module, name = self._take(2)
                # To hash or show something else could overflow the stack, or take for ever.
                if type(module) is not str or type(name) is not str:
                    raise TypeError("a name is no text")
                self.stack.append(self._global(f"{module} {name}"))
            case "REDUCE":
                self._call(*self._take(2))
            case "PROTO" | "FRAME":  # a frame only says how far to read ahead
                if opcode == "PROTO" and argument > 5:
                    raise ValueError("the protocol is unknown")
            case "STOP":
                if len(self.stack) != 1 or self.below_marks or self.data.tell() != len(self.data):
                    raise ValueError("the pickle ends, but the file or a value does not")
                self.result = self.stack.pop()
            case _:
                self._refuse(f"the opcode {opcode}")

    def _take(self, count: int) -> list[Any]:
        if count == _ALL:
            items, self.stack = self.stack, self.below_marks.pop()
            return items
        if count > len(self.stack):
            raise IndexError
        begin = len(self.stack) - count
        items, self.stack[begin:] = self.stack[begin:], []
        return items

    def _push(self, kind: type, count: int) -> None:
        items = self._take(count)
        if kind is tuple:
            self.stack.append(tuple(items))
            return
        if kind is set and self.streaming:  # 216 bytes of memory for one of the file; no list of documents holds any
            self._refuse("a set within a list", _NEEDLESS)
        value = kind()
        if self.root is None and kind is list and not self.stack and not self.below_marks:
            self.root = value
        self.stack.append(value)
        if items:
            self._add(kind, items)

    def _add(self, kind: type, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not kind:
            raise TypeError(f"items for something else than a {kind.__name__}")
        if kind is list:
            if self.streaming and target is self.root:
                self.finished = items
            else:
                target.extend(items)
            return
        for key in items[:: 2 if kind is dict else 1]:
            # Only what is hashed at once: the hash of a deep tuple would overflow the stack.
            if type(key) not in _ATOMS:
                self._refuse(f"a {type(key).__name__} as a key")
            if type(key) is int and key.bit_length() > _MAX_KEY_BITS:
                self._refuse(f"a number of {key.bit_length()} bits as a key", _NEEDLESS)
        target.update(zip(items[::2], items[1::2], strict=True) if kind is dict else items)

    def _recall(self, index: int) -> Any:
        if index in self.memo:
            return self.memo[index]
        if index in self.shared:
            return self.shared[index]
        if self.streaming and index < self.memoized:
            raise UserError(
                f"{self.path}: an item shares a part with an earlier one (byte {self.data.tell():,}), as in the files "
                "of the reference implementation none does. Write the file again so that nothing is shared (a "
                "pickle.Pickler whose attribute fast is True)."
            )
        raise ValueError("an object is used that was never made")

    def _global(self, name: str) -> _Global:
        if name not in self.globals:
            self._refuse(name.replace(" ", ".")[:200])
        return self.globals[name]

    def _call(self, function: Any, arguments: Any) -> None:
        match function, arguments:
            case _Global("set"), ([*items],):
                self._push(set, 0)
                self._add(set, items)
            case _Global("getattr"), (_Global(name), str() as value):
                self.stack.append(Member(name, value))
            case _Global(name), (int() | str() as value,) if name not in ("set", "getattr"):
                self.stack.append(Member(name, value))
            case _:
                self._refuse(f"a call of {getattr(function, 'name', 'something')}, but not as plain data is written")

    def _forget(self) -> None:
        """Drop the finished items, and of the memo all but what later ones may share."""
        self.finished = None
        for index, value in self.memo.items():
            # Python has each text of one character only once, so documents of one may be the same object.
            is_common = type(value) is str and (len(value) <= 1 or value in self.names)
            if (is_common or isinstance(value, Member | _Global)) and len(self.shared) < _MAX_SHARED:
                self.shared[index] = value
        self.memo = {}

    def _refuse(self, found: str, why: str = _UNSAFE) -> None:
        raise UserError(f"{self.path}: found {found} before byte {self.data.tell():,}{why}")
