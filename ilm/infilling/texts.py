"""Reads the texts for infill.py from a table, a file of lines, or stdin, and draws blanks in them."""

import codecs
import logging
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader, IncrementalNewlineDecoder
from itertools import count
from pathlib import Path
from typing import cast

from ilm.config.sections import Corpus
from ilm.corpus.columns import find_columns
from ilm.corpus.formats import DELIMITERS, EXCEL, JSON, PARQUET, open_source, stem
from ilm.corpus.formats.table import NO_ROWS, Tally, first_rows
from ilm.corpus.formats.text import codec_name
from ilm.errors import UserError
from ilm.hashing import order_key
from ilm.masking.functions import MaskFunction, Span
from ilm.masking.segmentation import words_of

log = logging.getLogger("ilm")

TABLES = (*DELIMITERS, *JSON, *PARQUET, *EXCEL)
NO_TEXT = "no text"
SHOWN = ("writing_id", "cefr_level", "l1", "topic")  # columns shown with a text if the file has them
BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class InputText:
    """A text with the number of its line, or of its row as in a spreadsheet; `name`: its id, or file and number.

    `about`: other columns of a table (level, L1, topic).
    """

    place: str  # "line" or "row"
    number: int
    name: str
    text: str
    about: tuple[str, ...] = ()


def is_table(path: str) -> bool:
    """Whether a file name is that of a table, with texts in a column."""
    return Path(path.lower().removesuffix(".gz")).suffix in TABLES


def read_texts(path: str, corpus: Corpus) -> list[InputText]:
    """The non-empty texts of a file, read with the corpus's settings: a table's column, or one text per line.

    A table only needs a column of texts. Invalid rows and rows without a text are skipped with a warning.

    Raises: UserError if the file cannot be read, or has no such column or no texts.
    """
    if not Path(path).is_file():
        fault = "is a folder, expected a file" if Path(path).is_dir() else "cannot be read: no such file"
        raise UserError(f"input={path} {fault}")
    if not is_table(path):
        return _read_lines(Path(path), corpus.encoding)
    source = open_source(Path(path), corpus.encoding, corpus.sheet, corpus.delimiter)
    used = find_columns(Path(path), source.header, corpus.columns.model_dump(), needed=["text"])
    known = [name for name in SHOWN if name in used]
    places = [source.header.index(used[name]) for name in (*known, "text")]
    found, faults = [], Tally()
    # The text column is requested twice, since rows of a single column would not be sequences.
    for row, values in source.rows([*places, places[-1]]):
        if isinstance(values, str):
            if values not in NO_ROWS:
                faults.add(values, row)
        elif values[-1].strip():
            about = dict(zip(known, values, strict=False))
            name = about.pop("writing_id", "") or f"{stem(Path(path))}:{row}"
            found.append(InputText("row", row, name, values[-1], tuple(filter(None, about.values()))))
        else:
            faults.add(NO_TEXT, row)
    for cause, rows in faults.items():
        log.warning("skipped in %s: %s, %s row(s) (%s)", path, cause, f"{rows['count']:,}", first_rows(rows))
    if not found:
        raise UserError(f"{path} has no text in its column {used['text']}")
    return found


def _read_lines(path: Path, encoding: str) -> list[InputText]:
    # A line that is invalid in this encoding is reported on its own.
    try:
        lines = path.read_text(encoding=codec_name(encoding), errors="surrogateescape").split("\n")
    except (OSError, LookupError) as error:
        raise UserError(f"input={path} cannot be read as {encoding}: {error}") from error
    found = [InputText("line", n, f"{path.stem}:{n}", line) for n, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise UserError(f"{path} has no texts; expected one per line")
    return found


def piped_texts() -> Iterator[list[InputText]]:
    """Yield the non-empty lines of stdin in blocks as they arrive.

    So another program can write a line and wait for its answer. Invalid UTF-8 affects only its own line.

    Raises: UserError if there is no stdin.
    """
    if sys.stdin is None:
        raise UserError("There is no input: pipe in texts, or type input=FILE")
    if sys.stdin.isatty():
        log.info("Type one text per line, with blanks; Ctrl-D ends")
    numbers = count(1)
    for lines in lines_of(cast(BufferedReader, sys.stdin.buffer)):
        numbered = zip(lines, numbers, strict=False)
        yield [InputText("line", n, f"stdin:{n}", line) for line, n in numbered if line.strip()]


def lines_of(stream: BufferedReader) -> Iterator[list[str]]:
    """The lines of UTF-8, without their ends, in the blocks in which they come."""
    utf_8 = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
    decoder, begun = IncrementalNewlineDecoder(utf_8, translate=True), ""
    while chunk := stream.read1(BYTES_AT_ONCE):
        *lines, begun = (begun + decoder.decode(chunk)).split("\n")
        yield lines
    if begun := begun + decoder.decode(b"", final=True):
        yield begun.split("\n")


def draw_blanks(
    text: InputText, attempt: int = 0, *, n_masks: int | None, function: MaskFunction, seed: int, tries: int = 100
) -> list[Span] | None:
    """Draw the blanks of a text: `n_masks` words, or, for rows with `n_masks=None`, a non-empty mask of the function.

    They depend on the seed, the text and its name, and the attempt (0, then counted up for other blanks). None for
    `n_masks=0`, and for lines with `n_masks=None`: the blanks are those typed in the text.

    Raises: UserError for a text without words, or if the function masks nothing in `tries` draws.
    """
    if n_masks == 0 or (n_masks is None and text.place == "line"):
        return None
    rng = random.Random(order_key(seed, "blanks", text.name, text.text, attempt))
    if n_masks is not None:
        words = [
            Span("word", start, length)
            for start, length in words_of(text.text)
            if any(map(str.isalnum, text.text[start : start + length]))
        ]
        if not words:
            raise UserError(f"{text.name} has no word to mask")
        return sorted(rng.sample(words, min(n_masks, len(words))), key=lambda span: span.start)
    for _ in range(tries):
        if spans := function(text.text, rng):
            return spans
    raise UserError(f"{text.name}: the mask function masks nothing in it. Type n_masks=1 to mask a word")


def span_texts(text: str, spans: Sequence[Span]) -> list[str]:
    """The texts at the spans."""
    return [text[span.start : span.start + span.length] for span in spans]
