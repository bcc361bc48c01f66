"""The reference's files of texts: `train.txt`, `valid.txt` and `test.txt`, documents separated by three newlines.

Its `--data_dir` reader opens such a file in text mode (so `\\r\\n` and `\\r` become `\\n`), strips it, splits it at
"\\n\\n\\n" and strips each part. `iter_texts` does the same; `unwritable` finds texts that would not survive this.
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
    """Why a text would not survive writing and reading; None if it would."""
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
    """Yield the documents of such a file in order, empty ones included, as (stripped text, whether stripping changed
    it). White space at the start and end of the file does not count.

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
    """Yield the parts between separators, the first without leading white space."""
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
