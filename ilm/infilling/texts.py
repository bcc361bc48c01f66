"""Texts of a table whose blanks are drawn, not typed: a file of any format of `ilm.corpus.formats`, and its masks."""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ilm.corpus.columns import ALIASES
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


@dataclass(frozen=True)
class TableText:
    """A text of a table: its `row` as a spreadsheet numbers it, `name`, its id or file and row, and what is known."""

    row: int
    name: str
    about: tuple[str, ...]
    text: str


def is_table(path: str) -> bool:
    """Whether the name of a file says that its texts are in a column."""
    return Path(path.lower().removesuffix(".gz")).suffix in TABLES


def read_texts(path: str, columns: Mapping[str, str | None], encoding: str, sheet: str | None) -> list[TableText]:
    """The texts of a table that are not empty. It needs a column of texts alone; `columns`: name -> header.

    Rows without a text, or that are none, are left out with a warning. A file whose name is that of no table has one
    text a line.

    Raises: UserError if the file cannot be read, has no such column, or no text in it.
    """
    if not Path(path).is_file():
        fault = "is a folder, and expected is a file" if Path(path).is_dir() else "cannot be read: no such file"
        raise UserError(f"input={path} {fault}")
    if not is_table(path):
        return _read_lines(Path(path), encoding)
    source = open_source(Path(path), encoding, sheet)
    heads = [" ".join(head.split()).casefold().replace(" ", "_").replace("-", "_") for head in source.header]

    def place(name: str) -> int | None:
        if columns.get(name):
            return source.header.index(columns[name]) if columns[name] in source.header else None
        return next((heads.index(alias) for alias in ALIASES[name] if alias in heads), None)

    text_at = place("text")
    if text_at is None:
        names = ", ".join(head[:40] for head in source.header[:30])
        raise UserError(f"{path} has no column of texts: type corpus.columns.text=HEADER. The header has: {names}")
    known = [name for name in SHOWN if place(name) is not None]
    found, faults = [], Tally()
    # The last one is the text once more: rows of a single column would not be sequences.
    for row, values in source.rows([*(place(name) for name in known), text_at, text_at]):
        if isinstance(values, str):
            if values not in NO_ROWS:
                faults.add(values, row)
        elif values[-1].strip():
            about = dict(zip(known, values, strict=False))
            name = about.pop("writing_id", "") or f"{stem(Path(path))}:{row}"
            found.append(TableText(row, name, tuple(filter(None, about.values())), values[-1]))
        else:
            faults.add(NO_TEXT, row)
    for cause, rows in faults.items():
        log.warning("left out of %s: %s, %d of its rows (%s)", path, cause, rows["count"], first_rows(rows))
    if not found:
        raise UserError(f"{path} has no text in its column {source.header[text_at]}")
    return found


def _read_lines(path: Path, encoding: str) -> list[TableText]:
    try:
        lines = path.read_text(encoding=codec_name(encoding)).split("\n")
    except (OSError, UnicodeError, LookupError) as error:
        raise UserError(f"input={path} cannot be read as {encoding}: {error}") from error
    found = [TableText(n, f"{path.stem}:{n}", (), line) for n, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise UserError(f"{path} has no text in it; expected one a line")
    return found


def draw_blanks(
    text: TableText, n_masks: int | None, function: MaskFunction, seed: int, attempt: int = 0, tries: int = 100
) -> list[Span]:
    """The blanks of a text: `n_masks` words, or, where it is None, what the mask function draws, but not nothing.

    They depend on the seed, the text and its name, and the attempt (0, then one more for each time of masking anew).

    Raises: UserError for a text without a word, or of which the function masks nothing in so many `tries`.
    """
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
