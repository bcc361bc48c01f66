"""A reader of pickles that hold plain data, on top of `pickletools.genops`: nothing is imported, nothing is called.

A file may hold None, bool, int, float, str, bytes, list, tuple and dict, and members of the enumerations that the
caller names, which become `Member`. Anything else is refused by name.

Python's own unpickler with a strict `find_class` is not enough: an index into its memo can claim gigabytes, and hashing
a deep tuple overflows the C stack. Files are mapped, so `genops` gets no more bytes than there are, whatever length an
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

MAX_BYTES = 2**20  # of a file for `load_plain`
MAX_OPERATIONS = 10_000_000  # between two items of a list: each takes up to 80 bytes of memory
_MAX_SHARED = 10_000  # memo entries that outlive their item
_MAX_KEY_BITS = 60  # hashes of larger numbers can be made to collide: a dictionary of them would take hours

# Opcodes whose argument, as `genops` decodes it, is the value itself.
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT", "UNICODE", "BINUNICODE"),
    *("SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_PUTS, _GETS = {"BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"}, {"BINGET", "LONG_BINGET", "GET"}
# How many values these take off the stack; None: those above the mark.
_TAKEN = {
    "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "TUPLE": None, "LIST": None, "DICT": None, "STACK_GLOBAL": 2,
    "APPEND": 1, "APPENDS": None, "SETITEM": 2, "SETITEMS": None, "REDUCE": 2, "POP": 1, "STOP": 1,
}  # fmt: skip
# Python 3.11.0 to 3.11.3 wrote members as getattr(enumeration, name).
_GETATTR = ("builtins.getattr", "__builtin__.getattr")


class Member(NamedTuple):
    """A member of an enumeration: the dotted name of its class, and its value or name, whichever the file has.

    The value None stands for the class itself.
    """

    enumeration: str
    value: int | str | None


def load_plain(path: str | Path, enumerations: Iterable[str] = ()) -> Any:
    """The value of a pickle of at most `MAX_BYTES`; `enumerations`: dotted names of classes whose members may be in it.

    It may be of any depth, and part of itself: check types on the way down.

    Raises: UserError, naming what was found, for anything that is no plain data or might run code, and for a damaged or
    oversized file.
    """
    with _mapped(path) as data:
        if len(data) > MAX_BYTES:
            raise UserError(f"{path} has {len(data):,} bytes, expected a small pickle of at most {MAX_BYTES:,}.")
        machine = _Machine(path, data, enumerations)
        for _ in machine.run():
            pass
    return machine.result


def iter_plain(path: str | Path, enumerations: Iterable[str] = ()) -> Iterator[Any]:
    """The items of a pickled list one by one, as `load_plain` gives them; memory does not grow with their number.

    Items may share nothing with earlier ones but members of enumerations and text of one character.

    Raises: UserError as `load_plain`, and for a pickle of something else than a list.
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
    """The stack machine of a pickle: `root` is its outermost list, `result` its value at the end."""

    def __init__(self, path: str | Path, data: mmap.mmap, enumerations: Iterable[str]):
        self.path, self.data, self.names = path, data, {*enumerations, *_GETATTR}
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.shared: dict[int, Any] = {}  # what is kept of the memo when items are finished
        self.memoized = 0
        self.root: list[Any] | None = None
        self.result: Any = None

    def run(self) -> Iterator[list[Any]]:
        """Run the pickle to its end, which sets `result`; yields `root` while there is something in it."""
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
                elif name == "EMPTY_LIST":
                    self._push_list([])
                elif name in _TAKEN:
                    self._run(name, self._take(_TAKEN[name]))
                elif name in _CONSTANTS:
                    stack.append(_CONSTANTS[name])
                elif name == "EMPTY_DICT":
                    stack.append({})
                elif name == "GLOBAL":
                    stack.append(self._class(*argument.split(" ")))
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
                f"{self.path} is damaged or no pickle: before byte {self.data.tell():,} of {len(self.data):,}: {fault}."
                " Take the file from its source again."
            ) from error

    def forget(self) -> None:
        """Drop the memo, but for what Python shares between items: members, and each text of one character."""
        for index, value in self.memo.items():
            is_common = type(value) is Member or (type(value) is str and len(value) <= 1)
            if is_common and len(self.shared) < _MAX_SHARED:
                self.shared[index] = value
        self.memo.clear()

    def _recall(self, index: int) -> Any:
        if index not in self.shared:
            raise ValueError(
                "it uses a part that was never made, or one of an earlier item. No file of the reference "
                "implementation does; a pickle.Pickler whose attribute fast is True shares nothing"
            )
        return self.shared[index]

    def _take(self, count: int | None) -> list[Any]:
        begin = self.marks.pop() if count is None else len(self.stack) - count
        if not 0 <= begin <= len(self.stack):
            raise IndexError
        items = self.stack[begin:]
        del self.stack[begin:]
        return items

    def _run(self, name: str, items: list[Any]) -> None:
        match name:
            case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                self.stack.append(tuple(items))
            case "APPEND" | "APPENDS":
                self._top(list).extend(items)
            case "LIST":
                self._push_list(items)
            case "DICT" | "SETITEM" | "SETITEMS":
                if name == "DICT":
                    self.stack.append({})
                for key in items[::2]:
                    # Nothing else is hashed: the hash of a deep tuple would overflow the stack.
                    if type(key) is not str and (type(key) is not int or key.bit_length() > _MAX_KEY_BITS):
                        self._refuse(f"a {type(key).__name__} as a key, which is no text or small number")
                self._top(dict).update(zip(items[::2], items[1::2], strict=True))
            case "STACK_GLOBAL":
                self.stack.append(self._class(*items))
            case "REDUCE":
                self.stack.append(self._member(*items))
            case "STOP":
                if self.stack or self.marks or self.data.tell() != len(self.data):
                    raise ValueError("the pickle ends, but the file or a value does not")
                self.result = items[0]

    def _push_list(self, items: list[Any]) -> None:
        if self.root is None and not self.stack and not self.marks:
            self.root = items
        self.stack.append(items)

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise TypeError(f"items for something else than a {kind.__name__}")
        return self.stack[-1]

    def _class(self, module: Any, name: Any) -> Member:
        # To show something else than text could overflow the stack, or take for ever.
        if type(module) is not str or type(name) is not str:
            raise TypeError("a name is no text")
        dotted = f"{module}.{name}"
        if dotted not in self.names or "." in name:
            self._refuse(dotted[:200])
        return Member(dotted, None)

    def _member(self, function: Any, arguments: Any) -> Member:
        match function, arguments:
            case (Member(name, None), (int() | str() as value,)) if name not in _GETATTR:
                return Member(name, value)
            case (Member(name, None), (Member(enumeration, None), str() as value)) if name in _GETATTR:
                return Member(enumeration, value)
        self._refuse("a call, but none of an enumeration with one of its values")

    def _refuse(self, found: str) -> NoReturn:
        raise UserError(
            f"{self.path}: found {found} before byte {self.data.tell():,}, expected plain data (numbers, text, lists, "
            "tuples, dictionaries). Unpickling it could run a program, so it was not read. Take the file from a source "
            "that you trust."
        )
