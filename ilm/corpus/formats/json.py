"""JSON files of learner texts: one array of objects, or one object a line.

UniversalCEFR is distributed as the first, the W&I+LOCNESS corpus as the second. Both are read piece by piece.
"""

import json
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any

from ilm.corpus.formats.table import BLANK, FIELD_TWICE, NESTED, NO_OBJECT, Row, Source
from ilm.corpus.formats.text import TextFile
from ilm.errors import UserError

_BLOCK = 1 << 20  # characters
# An error this near to the end of what has been read may only mean that the rest is to come: the longest thing
# that cannot be understood in part is an escaped surrogate pair.
_NEAR_END = 12
_WHITE = " \t\n\r"
_WHITE_RUN = re.compile(r"[ \t\n\r]*")

_TWICE = object()


def json_source(file: TextFile) -> Source:
    """The header is the union of all objects' names, so the file is read twice; a name that an object lacks is empty.

    Rows are numbered from 1: by object in an array, by line otherwise. Numbers come as they are typed.

    Raises: UserError, here or while rows are read, for what is no JSON of these two kinds.
    """
    names: dict[str, None] = {}
    with closing(_values(file)) as values:
        for _, value in values:
            if isinstance(value, dict):
                names.update(dict.fromkeys(value))
    header = list(names)

    def rows(places: Sequence[int]) -> Generator[Row, None, None]:
        wanted = [header[place] for place in places]
        with closing(_values(file)) as values:
            for row, value in values:
                if value is _TWICE:
                    yield row, FIELD_TWICE
                elif value is BLANK:
                    yield row, BLANK
                elif not isinstance(value, dict):
                    yield row, NO_OBJECT
                else:
                    texts = [_text(value.get(name)) for name in wanted]
                    yield row, NESTED if None in texts else texts

    return Source(header, rows)


def _text(value: Any) -> str | None:
    """The value as text; None for what is none."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else None


def _object(pairs: list[tuple[str, Any]]) -> Any:
    # Python would keep the last of two equal names in silence.
    return found if len(found := dict(pairs)) == len(pairs) else _TWICE


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_int=str, parse_float=str, parse_constant=str)


def _values(file: TextFile) -> Generator[tuple[int, Any], None, None]:
    """(Row number, value) of each element of the array, or of each line; a blank line is `BLANK`."""
    with file.opened(newline="\n") as (text, tick):
        start = ""
        while not start and (block := text.read(_BLOCK)):
            start = block.lstrip(_WHITE)
        if start[:1] == "[":
            yield from _elements(file, text.read, tick, start[1:])
        elif start[:1] == "{":
            text.seek(0)
            row = 0
            for row, line in enumerate(text, start=1):
                yield row, _decoded(file, line, f"line {row}") if line.strip(_WHITE) else BLANK
                if row % 1000 == 0:
                    tick()
        else:
            found = f"it begins with {start[:20]!r}" if start else "it holds nothing"
            raise UserError(f"{file.path} is no JSON array of objects, nor one object a line: {found}")


def _decoded(file: TextFile, line: str, where: str) -> Any:
    try:
        return _decoder.decode(line)
    except RecursionError as error:
        raise _too_deep(file, where) from error
    except json.JSONDecodeError as error:
        raise _no_json(file, where, error, error.pos) from error


def _elements(
    file: TextFile, read: Callable[[int], str], tick: Callable[[], None], buffer: str
) -> Generator[tuple[int, Any], None, None]:
    """The elements of the array whose opening bracket has been read; `buffer` is what follows it."""
    row, at, block_size = 0, 0, _BLOCK
    more = True

    def refill(size: int) -> None:
        nonlocal buffer, at, more
        block = read(size)
        buffer, at, more = buffer[at:] + block, 0, bool(block)
        tick()

    while True:
        at = _after_white(buffer, at)
        if at == len(buffer) and more:
            refill(_BLOCK)
            continue
        if row == 0 and buffer.startswith("]", at):
            break
        try:
            value, end = _decoder.raw_decode(buffer, at)
            unfinished = end >= len(buffer) - _NEAR_END and buffer[end - 1] not in "}]"
        except RecursionError as error:
            raise _too_deep(file, f"object {row + 1}") from error
        except json.JSONDecodeError as error:
            unfinished = error.msg.startswith("Unterminated string") or error.pos >= len(buffer) - _NEAR_END
            if not (more and unfinished):
                raise _no_json(file, f"object {row + 1}", error, error.pos - at) from error
        if unfinished and more:
            # Twice as much each time, so that a value of many megabytes is not begun too often.
            refill(block_size)
            block_size *= 2
            continue
        block_size = _BLOCK
        row += 1
        yield row, value
        at = _after_white(buffer, end)
        while at == len(buffer) and more:
            refill(_BLOCK)
            at = _after_white(buffer, at)
        if buffer.startswith("]", at):
            break
        if not buffer.startswith(",", at):
            found = f"stands {buffer[at : at + 20]!r}" if at < len(buffer) else "the file ends"
            raise UserError(
                f"{file.path}: after object {row} {found}, expected a comma or the closing bracket; "
                f"the file is cut off or damaged: get it again"
            )
        at += 1
    rest = buffer[at + 1 :].lstrip(_WHITE)
    while not rest and (block := read(_BLOCK)):
        rest = block.lstrip(_WHITE)
    if rest:
        raise UserError(f"{file.path}: after the closing bracket of the array stands {rest[:20]!r}, expected nothing")


def _after_white(text: str, at: int) -> int:
    return _WHITE_RUN.match(text, at).end()


def _too_deep(file: TextFile, where: str) -> UserError:
    return UserError(f"{file.path}: {where} is nested too deeply; expected an object with a text")


def _no_json(file: TextFile, where: str, error: json.JSONDecodeError, at: int) -> UserError:
    return UserError(
        f"{file.path}: {where} is no JSON ({error.msg} at its character {at + 1}); the file is cut off or "
        f"damaged: get it again. Expected an array of objects, or one object a line"
    )
