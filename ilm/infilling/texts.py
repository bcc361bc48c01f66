"""The texts that infill.py fills: a table, a file of lines, or stdin; and the blanks drawn in them."""

import codecs
import logging
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader, IncrementalNewlineDecoder
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
SHOWN = ("writing_id", "cefr_level", "l1", "topic")  # columns that say which text it is, where the file has them
BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class InputText:
    """A text with its number, of a `line`, or of a `row` as a spreadsheet counts; `name`: its id, or file and number.

    `about`: what else a table says of it (level, L1, topic).
    """

    place: str  # line or row
    number: int
    name: str
    text: str
    about: tuple[str, ...] = ()


def is_table(path: str) -> bool:
    """Whether the name of a file says that its texts are in a column."""
    return Path(path.lower().removesuffix(".gz")).suffix in TABLES


def read_texts(path: str, corpus: Corpus) -> list[InputText]:
    """The texts of a file that are not empty, read with a corpus's settings: of a table's column, else one a line.

    A table needs a column of texts alone. Its rows without a text, or that are none, are left out with a warning.

    Raises: UserError if the file cannot be read, has no such column, or no text in it.
    """
    if not Path(path).is_file():
        fault = "is a folder, and expected is a file" if Path(path).is_dir() else "cannot be read: no such file"
        raise UserError(f"input={path} {fault}")
    if not is_table(path):
        return _read_lines(Path(path), corpus.encoding)
    source = open_source(Path(path), corpus.encoding, corpus.sheet, corpus.delimiter)
    used = find_columns(Path(path), source.header, corpus.columns.model_dump(), needed=["text"])
    known = [name for name in SHOWN if name in used]
    places = [source.header.index(used[name]) for name in (*known, "text")]
    found, faults = [], Tally()
    # The last one is the text once more: rows of a single column would not be sequences.
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
        log.warning("left out of %s: %s, %d of its rows (%s)", path, cause, rows["count"], first_rows(rows))
    if not found:
        raise UserError(f"{path} has no text in its column {used['text']}")
    return found


def _read_lines(path: Path, encoding: str) -> list[InputText]:
    # What is no text in this encoding is told of its line alone.
    try:
        lines = path.read_text(encoding=codec_name(encoding), errors="surrogateescape").split("\n")
    except (OSError, LookupError) as error:
        raise UserError(f"input={path} cannot be read as {encoding}: {error}") from error
    found = [InputText("line", n, f"{path.stem}:{n}", line) for n, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise UserError(f"{path} has no text in it; expected one a line")
    return found


def piped_texts() -> Iterator[list[InputText]]:
    """The lines of stdin that are not empty, in the blocks in which they come: it waits for no line but the first.

    So another program can write a line and wait for its answer. Bytes that are no UTF-8 make their line alone invalid.

    Raises: UserError if there is no stdin.
    """
    if sys.stdin is None:
        raise UserError("There is nothing to read: give texts through a pipe, or input=FILE")
    if sys.stdin.isatty():
        log.info("one text a line, with blanks; Ctrl-D ends")
    number = 0
    for lines in lines_of(cast(BufferedReader, sys.stdin.buffer)):
        numbered = list(enumerate(lines, start=number + 1))
        number += len(numbered)
        yield [InputText("line", at, f"stdin:{at}", line) for at, line in numbered if line.strip()]


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
    """The blanks of a text: `n_masks` words; of a row, where it is None, what the mask function draws, but not nothing.

    They depend on the seed, the text and its name, and the attempt (0, then one more for each time of masking anew).
    None for 0, and for a line where `n_masks` is None: the blanks are those typed in the text.

    Raises: UserError for a text without a word, or of which the function masks nothing in so many `tries`.
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
    raise UserError(f"{text.name}: the mask function masks nothing of it. Give n_masks=1, for a word")


def span_texts(text: str, spans: Sequence[Span]) -> list[str]:
    """What stands at the spans."""
    return [text[span.start : span.start + span.length] for span in spans]
