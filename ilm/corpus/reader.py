"""CSV to documents, with nothing lost in silence.

Faults of the file (cut off, wrong encoding, no such column, one id for two texts) stop with a `UserError`;
faults of single rows are dropped, counted by cause and stop only above a share. What cannot be told
apart from a learner's own writing is kept: texts are taken as they stand in the file.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from ilm.corpus.encoding import check_encoding, codec_name, wrong_encoding
from ilm.errors import UserError
from ilm.hashing import file_sha256

REQUIRED = ("writing_id", "l1", "cefr_level", "text")
OPTIONAL = ("learner_id", "topic")
UNKNOWN_L1 = "unknown"

# Compared without case, and with spaces and hyphens as underscores. A teacher's correction ("text_corrected")
# is on purpose no alias of text, nor is "level" one of cefr_level: EFCAMDAT's is the teaching level, 1 to 16.
ALIASES = {
    "writing_id": ("writing_id", "writingid", "id", "text_id", "document_id", "doc_id"),
    "l1": ("l1", "native_language", "first_language", "mother_tongue"),
    "cefr_level": ("cefr_level", "cefr_label", "cefr"),
    "text": ("text", "learner_text", "essay"),
    "learner_id": ("learner_id", "learnerid", "learner", "student_id", "author_id", "writer_id"),
    "topic": ("topic", "prompt"),
}

FIELDS = "wrong number of fields"
NO_ID = "empty id"
NO_LEVEL = "level missing"
OTHER_LEVEL = "level not in corpus.levels"
NO_TEXT = "empty text"
REPEATED = "identical row repeated"
NO_L1 = f'l1 missing, kept as "{UNKNOWN_L1}"'
BLANK = "blank line, no row"
NO_LINE_END = "no line end after the last row, is it whole?"

_PROGRESS_FROM_BYTES = 20_000_000
_ROWS_SHOWN = 5


@dataclass(frozen=True)
class Columns:
    """The file's header for each column; None: found by `ALIASES`."""

    writing_id: str | None = None
    l1: str | None = None
    cefr_level: str | None = None
    text: str | None = None
    learner_id: str | None = None
    topic: str | None = None


@dataclass(frozen=True)
class ReadReport:
    """What became of each row: `rows == kept + sum of the dropped`."""

    path: str
    sha256: str
    bytes: int
    rows: int  # records after the header, blank lines not counted
    kept: int
    dropped: dict[str, dict[str, Any]]  # cause -> {"count": n, "rows": first five row numbers}
    notes: dict[str, dict[str, Any]]  # the same for what is worth knowing but cost no row
    columns_used: dict[str, str]  # name -> header in the file

    def __post_init__(self) -> None:
        assert self.rows == self.kept + sum(found["count"] for found in self.dropped.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain containers for the manifest."""
        return asdict(self)


class _Tally(dict[str, dict[str, Any]]):
    """Cause -> count and the first row numbers."""

    def add(self, cause: str, row: int) -> None:
        found = self.setdefault(cause, {"count": 0, "rows": []})
        found["count"] += 1
        if len(found["rows"]) < _ROWS_SHOWN:
            found["rows"].append(row)


def read_corpus(
    path: str | Path,
    *,
    columns: Columns,
    levels: Sequence[str],
    encoding: str = "utf-8",
    max_dropped: float = 0.01,
) -> tuple[pd.DataFrame, ReadReport]:
    """Read a comma-separated file with one header row (RFC 4180) into documents.

    Returns a DataFrame sorted by `writing_id` with the columns `REQUIRED`, and those of `OPTIONAL` that the
    file has, all of dtype `str`. Texts are exactly the file's; white space around the other values is
    removed. Rows are dropped for: a wrong number of fields, an empty id, a level that is missing or not
    in `levels`, a text of white space only, or equality with an earlier row in all columns that are
    read. Row numbers are those of a spreadsheet: the header is 1, a text of many lines is one row.

    Raises UserError for faults of the file, and if more than `max_dropped` (a share of the rows) is dropped.
    """
    path = Path(path)
    check_encoding(path, encoding, _first_bytes(path))
    with closing(_records(path, encoding)) as records:
        _, header = next(records, (1, []))
        used = _find_columns(path, header, columns)
        taken = _take_rows(path, records, len(header), {name: header.index(used[name]) for name in used}, levels)
    report = ReadReport(
        path=str(path),
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        rows=taken.rows,
        kept=len(taken.documents),
        dropped=dict(taken.dropped),
        notes=dict(taken.notes),
        columns_used=used,
    )
    _check_share(report, levels, max_dropped, taken.other_levels)
    by_column = zip(*sorted(taken.documents), strict=True)
    return pd.DataFrame(dict(zip(used, by_column, strict=True)), dtype="str"), report


@dataclass
class _Taken:
    """The rows of a file, usable and not."""

    rows: int = 0
    documents: list[tuple[str, ...]] = field(default_factory=list)
    dropped: _Tally = field(default_factory=_Tally)
    notes: _Tally = field(default_factory=_Tally)
    other_levels: Counter[str] = field(default_factory=Counter)


def _take_rows(
    path: Path,
    records: Iterator[tuple[int, list[str]]],
    width: int,
    place: dict[str, int],
    levels: Sequence[str],
) -> _Taken:
    """Sort the records into documents (values in the order of `place`: name -> field) and faults."""
    taken = _Taken()
    first_seen: dict[str, tuple[int, int]] = {}  # writing_id -> (row number, document)
    for row, fields in records:
        if not fields:
            taken.notes.add(BLANK, row)
            continue
        taken.rows += 1
        if len(fields) != width:
            taken.dropped.add(FIELDS, row)
            continue
        value = {name: fields[at] if name == "text" else fields[at].strip() for name, at in place.items()}
        if not value["writing_id"]:
            taken.dropped.add(NO_ID, row)
        elif not value["cefr_level"]:
            taken.dropped.add(NO_LEVEL, row)
        elif value["cefr_level"] not in levels:
            taken.dropped.add(OTHER_LEVEL, row)
            taken.other_levels[value["cefr_level"]] += 1
        elif not value["text"].strip():
            taken.dropped.add(NO_TEXT, row)
        else:
            no_l1 = not value["l1"]
            value["l1"] = value["l1"] or UNKNOWN_L1
            document = tuple(value.values())
            earlier, at = first_seen.setdefault(value["writing_id"], (row, len(taken.documents)))
            if earlier == row:
                taken.documents.append(document)
                if no_l1:
                    taken.notes.add(NO_L1, row)
            elif taken.documents[at] == document:
                taken.dropped.add(REPEATED, row)
            else:
                pairs = zip(value, taken.documents[at], document, strict=True)
                raise UserError(
                    f"{path}: rows {earlier} and {row} have the same id {value['writing_id']!r} but different "
                    f"contents ({', '.join(name for name, a, b in pairs if a != b)}); every document needs an id "
                    f"of its own: correct the file, or name another column: corpus.columns.writing_id=..."
                )
    if taken.rows and not _ends_with_line_end(path):
        taken.notes.add(NO_LINE_END, row)
    return taken


def _ends_with_line_end(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-min(4, path.stat().st_size), io.SEEK_END)
        return file.read().rstrip(b"\0").endswith((b"\n", b"\r"))  # UTF-16 and -32 pad with zeros


def _first_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise UserError(f"corpus.csv={path} is a folder; expected a CSV file")
    try:
        with open(path, "rb") as file:
            head = file.read(4)
    except FileNotFoundError as error:
        raise UserError(f"corpus.csv={path}: there is no such file; give its path: corpus.csv=FILE") from error
    except OSError as error:
        raise UserError(f"corpus.csv={path} cannot be read: {error.strerror}") from error
    if not head:
        raise UserError(f"{path} is empty; expected a header row with columns like {', '.join(REQUIRED)}")
    return head


def _records(path: Path, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """(Row number, fields) of every record, the header included; a blank line has no fields."""
    size, row = path.stat().st_size, 0
    # None: shown on a terminal only.
    quiet = True if size < _PROGRESS_FROM_BYTES else None
    limit = csv.field_size_limit(2**31 - 1)
    try:
        with (
            open(path, "rb") as raw,
            io.TextIOWrapper(raw, encoding=codec_name(encoding), newline="") as lines,
            tqdm(total=size, unit="B", unit_scale=True, desc=path.name, disable=quiet) as bar,
        ):
            # Strict: otherwise a file cut off inside quotes, or a stray quote, is read without an error.
            for row, fields in enumerate(csv.reader(lines, strict=True), start=1):
                if any("\0" in field for field in fields):
                    raise UserError(
                        f"{path}: row {row} holds a NUL byte, which no text has. Either the file is UTF-16 without "
                        f"a byte order mark (then corpus.encoding=utf-16-le) or it is damaged: get it again"
                    )
                yield row, fields
                if row % 1000 == 0:
                    bar.update(raw.tell() - bar.n)
            bar.update(size - bar.n)
    except UnicodeError as error:
        raise wrong_encoding(path, encoding) from error
    except csv.Error as error:
        if "end of data" in str(error):
            raise UserError(
                f"{path}: the quoted field that opens in row {row + 1} never ends; the file is cut off, or a closing "
                f"quote is missing there. Get the file again or add the quote"
            ) from error
        raise UserError(
            f"{path}: bad quoting in the record that starts as row {row + 1} ({error}). Inside a quoted field "
            f'a quote must be doubled (""), and a comma or line end must follow the closing quote'
        ) from error
    finally:
        csv.field_size_limit(limit)


def _find_columns(path: Path, header: Sequence[str], columns: Columns) -> dict[str, str]:
    """Name -> header, for the required columns and the optional ones that are there."""
    present = ", ".join(header)
    repeated = sorted(name for name, count in Counter(header).items() if count > 1 and name.strip())
    if repeated:
        raise UserError(f"{path}: the header names {', '.join(repeated)} more than once; expected different names")
    used, faults = {}, []
    for name in REQUIRED + OPTIONAL:
        asked = getattr(columns, name)
        known = [asked] if asked is not None else ALIASES[name]
        # A name that was typed exactly is taken even if another differs from it by case only.
        matches = [asked] if asked in header else [head for head in header if _key(head) in map(_key, known)]
        if len(matches) == 1:
            used[name] = matches[0]
        elif matches:
            choice = " or ".join(f"corpus.columns.{name}={match}" for match in matches)
            faults.append(f"{' and '.join(matches)} may both be {name}: type {choice}")
        elif asked is not None:
            faults.append(f"corpus.columns.{name}={asked}, but there is no such column")
        elif name in REQUIRED:
            faults.append(f"no column for {name}: type corpus.columns.{name}=HEADER")
    twice = [head for head, count in Counter(used.values()).items() if count > 1]
    for head in twice:
        names = [name for name in used if used[name] == head]
        faults.append(f"column {head} is asked for as {' and as '.join(names)}")
    if faults:
        separator = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), None)
        hint = f"; values seem to be separated by {separator!r}, expected commas" if separator else ""
        raise UserError(f"{path}: {'; '.join(faults)}. The header has: {present}{hint}")
    return used


def _key(header: str) -> str:
    return re.sub(r"[\s-]+", "_", header.strip().casefold())


def _check_share(report: ReadReport, levels: Sequence[str], max_dropped: float, other_levels: Counter[str]) -> None:
    lost = report.rows - report.kept
    if not report.rows:
        raise UserError(f"{report.path} has a header but no rows; expected one document a row")
    if report.kept and lost <= max_dropped * report.rows:
        return
    causes = []
    for cause, found in report.dropped.items():
        rows = ", ".join(map(str, found["rows"])) + (", ..." if found["count"] > len(found["rows"]) else "")
        causes.append(f"\n  {cause}: {found['count']} (rows {rows})")
    advice = [f"corpus.max_dropped={lost / report.rows + 0.001:.3f}"] if report.kept else []
    if other_levels:
        found = ", ".join(f"{level[:20]!r} ({count})" for level, count in other_levels.most_common(5))
        causes.append(f"\n  levels found: {found}; expected {', '.join(levels)}")
        advice.append("corpus.levels=[...] for other levels")
    raise UserError(
        f"{report.path}: {lost} of {report.rows} rows cannot be used, "
        f"{f'more than corpus.max_dropped={max_dropped}' if report.kept else 'none is left'}:{''.join(causes)}\n"
        f"Correct the file{''.join(f', or type {choice}' for choice in advice)}"
    )
