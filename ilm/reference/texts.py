"""The reference's files of texts: `train.txt`, `valid.txt` and `test.txt`, documents separated by three newlines.

Its `--data_dir` opens such a file in text mode (so `\\r\\n` and `\\r` become `\\n`), strips the whole, splits it at
every "\\n\\n\\n" and strips each part. `iter_texts` reads as it does; `unwritable` says what would not come back.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from ilm.corpus.formats.text import check_encoding, wrong_encoding

SEPARATOR = "\n\n\n"

EMPTY = "white space only"
EDGES = "white space at the start or the end"
SEPARATED = "three newlines in a row"
RETURNS = "a carriage return"

_BLOCK_CHARACTERS = 2**24


def unwritable(text: str) -> str | None:
    """Why a text cannot stand in such a file and be read again as it is; None if it can."""
    stripped = text.strip()
    if not stripped:
        return EMPTY
    if len(stripped) != len(text):
        return EDGES
    if SEPARATOR in text:
        return SEPARATED
    return RETURNS if "\r" in text else None


class TextWriter:
    """Writes texts to a file that is open in text mode with `newline=""`; each must be writable."""

    def __init__(self, file: TextIO):
        self._file, self._separator = file, ""

    def add(self, text: str) -> None:
        self._file.write(self._separator + text)
        self._separator = SEPARATOR


def iter_texts(path: Path, encoding: str) -> Iterator[tuple[str, bool]]:
    """The documents of such a file in its order, the empty ones too: (stripped text, whether there was something to
    strip). What surrounds the first and the last one counts as white space of the file.

    Raises: UserError if the file is not in `encoding`.
    """
    with open(path, "rb") as file:
        check_encoding(path, encoding, file.read(4))
    last, empty = "", 0
    for part in _parts(path, encoding):
        if not part.strip():
            empty += 1
            continue
        if last:
            yield last.strip(), last != last.strip()
            yield from [("", False)] * empty
        last, empty = part, 0
    if last:
        yield last.strip(), last.rstrip() != last.strip()


def _parts(path: Path, encoding: str) -> Iterator[str]:
    """What stands between separators, the first one without white space at its start."""
    with open(path, encoding=encoding) as file:
        waiting, begun = "", False
        while True:
            try:
                block = file.read(_BLOCK_CHARACTERS)
            except UnicodeError as error:
                raise wrong_encoding(path, encoding, path.read_bytes()) from error
            waiting += block
            if not begun:
                waiting = waiting.lstrip()
                begun = bool(waiting)
            *finished, waiting = waiting.split(SEPARATOR)
            yield from finished
            if not block:
                yield waiting
                return
