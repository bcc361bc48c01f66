"""A file of learner texts to documents, with nothing lost in silence.

Faults of the file (cut off, wrong encoding, no such column, one id for two texts) stop with a `UserError`;
faults of single rows are dropped, counted by cause and stop only above a share. What cannot be told
apart from a learner's own writing is kept: texts are taken as they stand in the file.

1. `formats`: the file's name tells its format, which gives a header and numbered rows of text.
2. `columns`: which of them is the id, the level, the text.
3. `row_validation`: rows become documents in Arrow arrays, or faults; equal ids are looked for at the end.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ilm.corpus.columns import OPTIONAL, REQUIRED, find_columns
from ilm.corpus.formats import open_source, stem
from ilm.corpus.formats.table import first_rows
from ilm.corpus.row_validation import NO_SPLIT, take_rows
from ilm.errors import UserError
from ilm.hashing import file_sha256

__all__ = ["OPTIONAL", "REQUIRED", "ReadReport", "read_corpus"]


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


def read_corpus(
    path: str | Path,
    *,
    columns: Mapping[str, str | None],
    levels: Sequence[str],
    encoding: str = "utf-8",
    max_dropped: float = 0.01,
    sheet: str | None = None,
    lenient: bool = False,
) -> tuple[pd.DataFrame, ReadReport]:
    """Read a file, of the format that its name tells (see `formats`), into documents.

    `columns`: name -> header; None or left out: found by its usual names; "" for an optional one: not read.
    `encoding`: of text formats. `sheet`: of a workbook with several. `lenient`, for texts to test on only: a file
    may have no ids (they become "<file>:<row number>") and no L1 ("unknown").

    Returns a DataFrame sorted by `writing_id` with the columns `REQUIRED`, those of `OPTIONAL` that the file has,
    and `split` if it has one, all of dtype `str`. Texts are exactly the file's; white space around the other
    values is removed; a sub-level (B1+, A1.i) becomes its main level if only that is in `levels`. Rows are dropped
    for: a wrong number of fields, an empty id, a level that is missing or not in `levels`, a text of white space
    only, a split that is none, half a surrogate pair, or equality with an earlier row in all columns that are read.
    Row numbers are those of a spreadsheet: the header is 1, a text of many lines is one row; Parquet and JSON
    have no header and begin with 1 (JSON lines count lines).

    Raises: UserError for faults of the file, and if more than `max_dropped` (a share of the rows) is dropped.
    """
    path = Path(path)
    source = open_source(path, encoding, sheet)
    used = find_columns(path, source.header, columns, lenient=lenient)
    taken = take_rows(path, source, used, levels, stem(path))
    del source  # of a workbook, all its cells
    report = ReadReport(
        path=str(path),
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        rows=taken.rows,
        kept=taken.kept,
        dropped=dict(taken.dropped),
        notes=dict(taken.notes),
        columns_used=used,
    )
    _check_share(report, levels, max_dropped, taken.other_levels)
    return taken.documents(), report


def _check_share(report: ReadReport, levels: Sequence[str], max_dropped: float, other_levels: Counter[str]) -> None:
    lost = report.rows - report.kept
    if not report.rows:
        raise UserError(f"{report.path} has a header but no rows; expected one document a row")
    if report.kept and lost <= max_dropped * report.rows:
        return
    causes = []
    for cause, found in report.dropped.items():
        causes.append(f"\n  {cause}: {found['count']} (rows {first_rows(found)})")
    advice = [f"corpus.max_dropped={lost / report.rows + 0.001:.3f}"] if report.kept else []
    if other_levels:
        found = ", ".join(f"{level!r} ({count})" for level, count in other_levels.most_common(5))
        causes.append(f"\n  levels found: {found}; expected {', '.join(levels)}")
        advice.append("corpus.levels=[...] for other levels")
    if NO_SPLIT in report.dropped:
        advice.append(f"corpus.columns.split='' to leave column {report.columns_used['split']} unread")
    raise UserError(
        f"{report.path}: {lost} of {report.rows} rows cannot be used, "
        f"{f'more than corpus.max_dropped={max_dropped}' if report.kept else 'none is left'}:{''.join(causes)}\n"
        f"Correct the file{''.join(f', or type {choice}' for choice in advice)}"
    )
