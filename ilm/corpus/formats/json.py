"""JSON files of learner texts: one array of objects, or one object per line.

UniversalCEFR is distributed as the first, the W&I+LOCNESS corpus as the second.
"""

import json
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

from ilm.corpus.formats.table import BLANK, FIELD_TWICE, NESTED, NO_OBJECT, Row, Source
from ilm.corpus.formats.text import TextFile
from ilm.errors import UserError

_WHITE = " \t\n\r"
_TWICE = object()


def json_source(file: TextFile) -> Source:
    """The header is the union of all objects' keys; a missing key gives an empty value.

    Rows are numbered from 1, by object in an array, otherwise by line. Numbers keep their spelling. An array is read
    whole; lines are read twice.

    Raises: UserError, here or while reading rows, for anything but JSON of these two kinds.
    """
    array = _array(file)

    def values() -> Generator[tuple[int, Any], None, None]:
        return _lines(file) if array is None else (pair for pair in enumerate(array, start=1))

    names: dict[str, None] = {}
    with closing(values()) as pairs:
        for _, value in pairs:
            if isinstance(value, dict):
                names.update(dict.fromkeys(value))
    header = list(names)

    def rows(places: Sequence[int]) -> Generator[Row, None, None]:
        wanted = [header[place] for place in places]
        with closing(values()) as pairs:
            for row, value in pairs:
                if value is _TWICE:
                    yield row, FIELD_TWICE
                elif value is BLANK:
                    yield row, BLANK
                elif not isinstance(value, dict):
                    yield row, NO_OBJECT
                else:
                    texts = [_text(value.get(name)) for name in wanted]
                    strings = [text for text in texts if text is not None]
                    whole = len(strings) == len(texts)
                    yield row, strings if whole else f"{NESTED}, in {wanted[texts.index(None)]}"

    return Source(header, rows)


def _text(value: Any) -> str | None:
    """The value as text; None for a list or object."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else None


def _object(pairs: list[tuple[str, Any]]) -> Any:
    # Python would silently keep the last of two equal keys.
    return found if len(found := dict(pairs)) == len(pairs) else _TWICE


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_int=str, parse_float=str, parse_constant=str)


def _array(file: TextFile) -> list[Any] | None:
    """The elements if the file is an array; None if it has one object per line."""
    with file.opened(newline="") as text:
        start = ""
        while not start and (block := text.read(1 << 16)):
            start = block.lstrip(_WHITE)
        if start.startswith("["):
            return _decoded(file, start + text.read(), "the array")
    if start.startswith("{"):
        return None
    found = f"it begins with {start[:20]!r}" if start else "it is empty"
    raise UserError(f"{file.path} is neither a JSON array of objects nor one object per line: {found}")


def _lines(file: TextFile) -> Generator[tuple[int, Any], None, None]:
    """(Line number, value); a blank line is `BLANK`."""
    with file.opened(newline="\n") as text:
        for row, line in enumerate(text, start=1):
            yield row, _decoded(file, line, f"line {row}") if line.strip(_WHITE) else BLANK


def _decoded(file: TextFile, text: str, what: str) -> Any:
    try:
        return _decoder.decode(text)
    except RecursionError as error:
        raise UserError(f"{file.path}: {what} is nested too deeply; expected objects with a text each") from error
    except json.JSONDecodeError as error:
        found = text[error.pos : error.pos + 20]
        raise UserError(
            f"{file.path}: {what} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}, at "
            f"{repr(found) if found else 'the end of the file'}; the file is cut off or damaged: get it again. "
            f"Expected an array of objects, or one object per line"
        ) from error
