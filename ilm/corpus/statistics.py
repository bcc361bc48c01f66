"""Tables that describe a corpus, and the same numbers for its manifest. Lengths are in characters.

`note` of a table stands below it: what every reader has to know, for example which column the texts are from.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.markup import escape
from rich.table import Table

from ilm.corpus.leakage import LeakReport, NearDuplicates, SharedValues
from ilm.corpus.splitting.assign import SPLITS, SplitReport


def summary(documents: pd.DataFrame) -> dict[str, Any]:
    """Counts and text lengths of documents with columns `cefr_level`, `l1`, `text`, `split`.

    {"documents": n, "levels": {level: {"train", "valid", "test", "total"}}, "l1": {l1: {level: n, ...,
    "total": n}} with the most frequent L1 first, "characters": {level or "all": {"n", "min", "mean",
    "median", "max"}}}; levels are sorted by name.
    """
    return {
        "documents": len(documents),
        "levels": _level_counts(documents),
        "l1": _l1_counts(documents),
        "characters": _lengths(documents),
    }


def split_table(documents: pd.DataFrame, note: str | None = None) -> Table:
    """Documents per level and split, with totals."""
    table = _table("Documents by level and split", note, "level", *SPLITS, "total")
    counts = _level_counts(documents)
    for level, row in counts.items():
        table.add_row(level, *(f"{n:,}" for n in row.values()))
    table.add_section()
    table.add_row("all", *(f"{sum(row[name] for row in counts.values()):,}" for name in (*SPLITS, "total")))
    return table


def l1_table(documents: pd.DataFrame, most: int = 25, note: str | None = None) -> Table:
    """Documents per L1 and level: the `most` frequent L1s, the others summed up in one row."""
    levels = sorted(documents["cefr_level"].unique())
    table = _table("Documents by L1", note, "L1", *levels, "total")
    counts = list(_l1_counts(documents).items())
    for l1, row in counts[:most]:
        table.add_row(escape(l1), *(f"{row.get(name, 0):,}" for name in (*levels, "total")))
    if rest := counts[most:]:
        sums = (sum(row.get(name, 0) for _, row in rest) for name in (*levels, "total"))
        table.add_row(f"{len(rest)} others", *(f"{n:,}" for n in sums))
    return table


def length_table(documents: pd.DataFrame, note: str | None = None) -> Table:
    """Text lengths in characters per level."""
    table = _table("Text lengths in characters", note, "level", "texts", "min", "mean", "median", "max")
    for level, row in _lengths(documents).items():
        if level == "all":
            table.add_section()
        cells = (f"{row['n']:,}", f"{row['min']:,}", f"{row['mean']:,.1f}", f"{row['median']:,.1f}")
        table.add_row(level, *cells, f"{row['max']:,}")
    return table


def dropped_table(
    dropped: Mapping[str, Mapping[str, Any]], title: str = "Rows dropped", note: str | None = None
) -> Table:
    """Rows by cause, with the first row numbers (the header is row 1), of `ReadReport.dropped` or `.notes`."""
    table = _table(title, note, "cause", "rows")
    table.add_column("first rows")
    for cause, found in dropped.items():
        rows = ", ".join(map(str, found["rows"])) + (", ..." if found["count"] > len(found["rows"]) else "")
        table.add_row(cause, f"{found['count']:,}", rows)
    if not dropped:
        table.add_row("none", "0", "")
    return table


def miss_table(report: SplitReport, note: str | None = None) -> Table:
    """Documents above (+) or below (-) target per level and split: what groups kept together cost."""
    table = _table("Documents above or below the target of the split", note, "level", *SPLITS)
    for level, miss in report.misses.items():
        table.add_row(level, *(f"{miss.get(split, 0):+,}" for split in SPLITS))
    if not report.misses:
        table.add_row("none", *("0" for _ in SPLITS))
    return table


def leak_table(report: LeakReport, note: str | None = None) -> Table:
    """What stands in more than one split, or why that is not known, with a first example."""
    table = _table("Leaks between splits", note, "what", "found", "documents")
    table.add_column("for example", overflow="fold")
    values: dict[str, SharedValues | str] = {
        "texts": report.texts,
        "learners": report.learners,
        "topics": report.topics,
    }
    for what, found in values.items():
        if isinstance(found, str):
            table.add_row(f"{what} in several splits", escape(found), "", "")
        else:
            shown = (f"{found.values:,}", f"{found.documents:,}", _example(found.examples))
            table.add_row(f"{what} in several splits", *shown)
    near = report.near_duplicates
    if isinstance(near, NearDuplicates):
        for split, count in near.near.items():
            of_split = [example for example in near.examples if example[0][1] == split]
            what = f"{split}: near-duplicates in train (similarity {near.similarity:g})"
            shown = (f"{near.shares[split]:.2%}", f"{count:,} of {near.documents[split]:,}", _example(of_split))
            table.add_row(what, *shown)
    else:
        table.add_row("near-duplicates in train", escape(near), "", "")
    if report.unseen_test_values is not None:
        table.add_row("values of test data elsewhere", escape(report.unseen_test_values), "", "")
    return table


def _example(examples: Sequence[tuple[tuple[str, str], tuple[str, str]]]) -> str:
    return escape(", ".join(f"{name} ({split})" for name, split in examples[0])) if examples else ""


def shared_table(leaks: Mapping[str, Any], note: str | None) -> Table:
    """How many texts of test-only data stand in the training data of the main corpus, of `SharedWith` in a manifest."""
    table = Table(title=f"In the training data of {leaks['asked']['corpus']}", caption=note)
    table.add_column("texts")
    table.add_column("found", justify="right")
    table.add_row("equal", f"{leaks['texts']:,} of {leaks['documents']:,}")
    near = leaks["near_duplicates"]
    if isinstance(near, str):
        table.add_row("nearly equal", near)
    else:
        table.add_row(f"nearly equal (similarity {leaks['similarity']:g})", f"{near:,} of {leaks['documents']:,}")
    return table


def _level_counts(documents: pd.DataFrame) -> dict[str, dict[str, int]]:
    counts = documents.groupby(["cefr_level", "split"]).size().to_dict()
    result = {}
    for level in sorted(documents["cefr_level"].unique()):
        row = {split: int(counts.get((level, split), 0)) for split in SPLITS}
        result[level] = {**row, "total": sum(row.values())}
    return result


def _l1_counts(documents: pd.DataFrame) -> dict[str, dict[str, int]]:
    result: dict[str, dict[str, int]] = {}
    for (l1, level), count in sorted(documents.groupby(["l1", "cefr_level"]).size().to_dict().items()):
        result.setdefault(l1, {})[level] = int(count)
    for row in result.values():
        row["total"] = sum(row.values())
    return dict(sorted(result.items(), key=lambda item: (-item[1]["total"], item[0])))


def _lengths(documents: pd.DataFrame) -> dict[str, dict[str, float]]:
    characters = documents["text"].str.len().astype("int64")
    by_level = {
        level: characters[documents["cefr_level"] == level] for level in sorted(documents["cefr_level"].unique())
    }
    return {
        level: {
            "n": len(lengths),
            "min": int(lengths.min()),
            "mean": float(lengths.mean()),
            "median": float(lengths.median()),
            "max": int(lengths.max()),
        }
        for level, lengths in {**by_level, "all": characters}.items()
    }


def _table(title: str, note: str | None, first: str, *others: str) -> Table:
    table = Table(title=title, caption=None if note is None else escape(note))
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
