"""Reads a file of learner texts into documents. Nothing is lost silently.

A faulty file (cut off, wrong encoding, missing column, one id for two texts) raises `UserError`. Faulty rows are
dropped and counted by cause; too large a share of them raises too. Whatever a learner might have written is kept:
texts are taken verbatim.

1. `formats`: chosen by file name; yields a header and numbered rows of text.
2. `columns`: finds the id, the level, the text in the header.
3. `row_validation`: turns rows into documents in Arrow arrays, or faults; duplicate ids are checked at the end.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from ilm.corpus.columns import LEVEL, MAY_LACK, NEEDED, SPLIT, Reading, find_columns, listed
from ilm.corpus.formats import open_source
from ilm.corpus.formats.table import first_rows
from ilm.corpus.row_validation import NO_SPLIT, NOT_CHOSEN, validate_rows
from ilm.errors import UserError
from ilm.hashing import digest, file_sha256

log = logging.getLogger("ilm")


@dataclass(frozen=True)
class ReadReport:
    """What became of the rows: `rows == kept + sum of the dropped`."""

    path: str
    sha256: str
    bytes: int
    rows: int  # records after the header, blank lines not counted
    kept: int
    dropped: dict[str, dict[str, Any]]  # cause -> {"count": n, "rows": first five row numbers}
    notes: dict[str, dict[str, Any]]  # the same for remarks on rows that were not dropped, or only as repetitions
    columns_used: dict[str, str]  # name -> header in the file
    files: tuple["ReadReport", ...] = ()  # one report per file if there are several

    def sources(self) -> list[dict[str, Any]]:
        """The files for the manifest, without what became of their rows, which it has for all together."""
        dropped = {"dropped", "notes", "files"}
        files = [asdict(report) for report in self.files or (self,)]
        return [{key: value for key, value in file.items() if key not in dropped} for file in files]


def read_corpus(path: str | Path, reading: Reading) -> tuple[pd.DataFrame, ReadReport]:
    """Read a file into documents; its name decides the format (see `formats`).

    Returns a DataFrame sorted by `writing_id` with the columns `REQUIRED`, any of `OPTIONAL` and `split` that the file
    has, and `keep_columns`, all of dtype `str`. Texts and kept columns are verbatim; other values are stripped of white
    space. A missing L1 becomes "unknown". A sub-level (B1+, A1.i) becomes its main level if only that is in `levels`;
    b1 is B1. A row is dropped for a wrong number of fields, an empty id, another or no level, an empty text, an invalid
    split, half a surrogate pair, or if it repeats an earlier row in all columns read. Rows are numbered as in a
    spreadsheet: the header is 1, a multi-line text is one row; Parquet and JSON count from 1.

    Raises: UserError for faults of the file, or if more than the share `max_dropped` of the rows is dropped.
    """
    path, learner_from_id = Path(path), reading.learner_from_id
    source = open_source(path, reading.encoding, reading.sheet, reading.delimiter)
    needed = [name for name in NEEDED if not (reading.lenient and name in MAY_LACK)]
    needed = [name for name in needed if reading.need_level or name != LEVEL]
    used = find_columns(path, source.header, reading.columns, needed, keep=reading.keep_columns)
    if "l1" not in used and reading.columns.get("l1") is None and not reading.lenient:
        advice = f"if there is one, type corpus.columns.l1=HEADER. The header has: {listed(source.header)}"
        log.warning("warning: %s: no column for l1; %s", path, advice)
    if learner_from_id is not None and "learner_id" in used:
        raise UserError(
            f"{path}: corpus.learner_from_id={learner_from_id}, but column {used['learner_id']} identifies learners: "
            "drop it, or type corpus.columns.learner_id='' to ignore that column"
        )
    valid = validate_rows(path, source, used, reading)
    del source  # holds all cells of a workbook
    documents = valid.documents(path)
    report = ReadReport(
        path=str(path),
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        rows=valid.rows,
        kept=len(documents),
        dropped=dict(valid.dropped),
        notes=dict(valid.notes),
        columns_used=used,
    )
    require_share(report, reading.max_dropped, reading.levels, valid.other_levels)
    if learner_from_id is not None and (documents["learner_id"] == "").all():
        example = documents["writing_id"].iloc[0][:60]
        raise UserError(f"{path}: corpus.learner_from_id={learner_from_id} matches no id, such as {example!r}")
    return documents, report


def read_corpora(paths: Sequence[Path], reading: Reading) -> tuple[pd.DataFrame, ReadReport]:
    """Read one or more files into one corpus.

    An optional column that some files lack is empty for them. Causes of dropped rows name their file.

    Raises: UserError as `read_corpus`, for an id in two files, or if only some files have a split column.
    """
    if len(paths) == 1:
        return read_corpus(paths[0], reading)
    read = [read_corpus(path, reading) for path in paths]
    reports = tuple(report for _, report in read)
    for one, other in pairwise(reports):
        if (SPLIT in one.columns_used) != (SPLIT in other.columns_used):
            raise UserError(
                f"only one of {one.path} and {other.path} has a split column: type corpus.columns.split='' to draw the "
                "splits instead"
            )
    documents = pd.concat([documents for documents, _ in read], ignore_index=True).fillna("").astype("str")
    documents = documents.sort_values("writing_id", ignore_index=True, kind="stable")
    if (repeated := documents["writing_id"].duplicated()).any():
        writing_id = documents["writing_id"][repeated].iloc[0]
        places = [report.path for found, report in read if (found["writing_id"] == writing_id).any()]
        raise UserError(
            f"{' and '.join(places)} have the same id {writing_id[:60]!r} ({repeated.sum():,} ids occur in two files); "
            "ids must be unique: correct the files, or leave one out"
        )
    names = dict.fromkeys(name for report in reports for name in report.columns_used)
    headers = {name: dict.fromkeys(r.columns_used[name] for r in reports if name in r.columns_used) for name in names}
    return documents, ReadReport(
        path=", ".join(report.path for report in reports),
        sha256=digest([report.sha256 for report in reports]),
        bytes=sum(report.bytes for report in reports),
        rows=sum(report.rows for report in reports),
        kept=len(documents),
        dropped={f"{Path(r.path).name}: {cause}": found for r in reports for cause, found in r.dropped.items()},
        notes={f"{Path(r.path).name}: {cause}": found for r in reports for cause, found in r.notes.items()},
        columns_used={name: ", ".join(found) for name, found in headers.items()},
        files=reports,
    )


def require_share(
    report: ReadReport, max_dropped: float, levels: Sequence[str] = (), other_levels: Counter[str] | None = None
) -> None:
    """Raise UserError if more than the share `max_dropped` of the rows was dropped, or none is left.

    `other_levels`: counts of levels that are not in `levels`.
    """
    if not report.rows:
        raise UserError(f"{report.path} has a header but no rows; expected one document a row")
    # Rows of levels that were not chosen don't count.
    chosen = report.rows - report.dropped.get(NOT_CHOSEN, {"count": 0})["count"]
    lost = chosen - report.kept
    if report.kept and lost <= max_dropped * chosen:
        return
    causes = []
    for cause, found in report.dropped.items():
        causes.append(f"\n  {cause}: {found['count']} (rows {first_rows(found)})")
    advice = [f"corpus.max_dropped={lost / chosen + 0.001:.3f}"] if report.kept else []
    if other_levels:
        levels_found = ", ".join(f"{level!r} ({count})" for level, count in other_levels.most_common(5))
        causes.append(f"\n  levels found: {levels_found}; expected {', '.join(levels)}")
        advice.append("corpus.levels=[...] for other levels")
    if NO_SPLIT in report.dropped:
        advice.append(f"corpus.columns.split='' to ignore column {report.columns_used['split']}")
    raise UserError(
        f"{report.path}: {lost} of {chosen} rows cannot be used, "
        f"{f'more than corpus.max_dropped={max_dropped}' if report.kept else 'none is left'}:{''.join(causes)}\n"
        f"Correct the file{''.join(f', or type {choice}' for choice in advice)}"
    )
