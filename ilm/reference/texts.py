"""The reference's files of texts: `train.txt`, `valid.txt` and `test.txt`, documents separated by three newlines.

Its `--data_dir` reader opens such a file in text mode (so `\\r\\n` and `\\r` become `\\n`), strips it, splits it at
"\\n\\n\\n" and strips each part. `read_texts` does the same; `unwritable` finds texts that would not survive this.
"""

from pathlib import Path

from ilm.corpus.formats.text import check_encoding, wrong_encoding

SEPARATOR = "\n\n\n"

EMPTY = "white space only"
EDGES = "white space at the start or the end"
SEPARATED = "three newlines in a row"
RETURNS = "a carriage return"


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


def read_texts(path: Path, encoding: str) -> list[str]:
    """The stripped documents of such a file in order, empty ones included.

    Raises: UserError if the file is not in `encoding`.
    """
    with open(path, "rb") as file:
        check_encoding(path, encoding, file.read(4))
    try:
        content = path.read_text(encoding=encoding).strip()
    except UnicodeError as error:
        raise wrong_encoding(path, encoding, path.read_bytes()) from error
    return [text.strip() for text in content.split(SEPARATOR)] if content else []
