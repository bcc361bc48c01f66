"""Tables that describe a corpus, and the same numbers for its manifest. Lengths are in characters.

`note` of a table stands below it: what every reader has to know, for example which column the texts are from.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ilm.corpus.formats.table import first_rows
from ilm.corpus.splitting.assign import SPLITS, SplitReport
from ilm.tables import TextTable


def summary(documents: pd.DataFrame) -> dict[str, Any]:
    """Counts and text lengths of documents with columns `cefr_level`, `l1`, `text`, `split`.

    {"documents": n, "levels": {level: {"train", "valid", "test", "total"}}, "l1": {l1: {level: n, ...,
    "total": n}} with the most frequent L1 first, "characters" and "words": {level or "all": {"n", "min", "mean",
    "median", "max", "sum"}}}; levels are sorted by name. Words stand between white space.
    """
    return {
        "documents": len(documents),
        "levels": _level_counts(documents),
        "l1": _l1_counts(documents),
        **_lengths(documents),
    }


def split_table(documents: pd.DataFrame, note: str | None = None) -> TextTable:
    """Documents per level and split, with totals."""
    counts = _level_counts(documents)
    counts["all"] = {name: sum(row[name] for row in counts.values()) for name in (*SPLITS, "total")}
    rows = [(level, *(f"{n:,}" for n in row.values())) for level, row in counts.items()]
    columns = ("level", *SPLITS, "total")
    return TextTable("Documents by level and split", columns, rows, "lrrrr", note, sections=[len(rows) - 1])


def l1_table(documents: pd.DataFrame, most: int = 25, note: str | None = None) -> TextTable:
    """Documents per L1 and level: the `most` frequent L1s, the others summed up in one row."""
    columns = (*sorted(documents["cefr_level"].unique()), "total")
    counts = list(_l1_counts(documents).items())
    if rest := counts[most:]:
        sums = {name: sum(row.get(name, 0) for _, row in rest) for name in columns}
        counts = [*counts[:most], (f"{len(rest)} others", sums)]
    rows = [(l1, *(f"{row.get(name, 0):,}" for name in columns)) for l1, row in counts]
    return TextTable("Documents by L1", ("L1", *columns), rows, "l" + "r" * len(columns), note)


def length_tables(counts: Mapping[str, Any], note: str | None = None) -> list[TextTable]:
    """Text lengths per level, in characters and in words, of a `summary`."""
    columns = ("level", "texts", "min", "mean", "median", "max", "sum")
    formats = (",", ",", ",.1f", ",.1f", ",", ",")
    tables = []
    for unit in ("characters", "words"):
        title = f"Text lengths in {unit}{', between white space' if unit == 'words' else ''}"
        rows = [
            (level, *(format(value, how) for value, how in zip(row.values(), formats, strict=True)))
            for level, row in counts[unit].items()
        ]
        tables.append(TextTable(title, columns, rows, "lrrrrrr", note, sections=[len(rows) - 1]))
    return tables


def dropped_table(
    dropped: Mapping[str, Mapping[str, Any]], title: str = "Rows dropped", note: str | None = None
) -> TextTable:
    """Rows by cause, with the first row numbers (the header is row 1), of `ReadReport.dropped` or `.notes`."""
    rows = [(cause, f"{found['count']:,}", first_rows(found)) for cause, found in dropped.items()]
    return TextTable(title, ("cause", "rows", "first rows"), rows or [("none", "0", "")], "lrl", note)


def miss_table(report: SplitReport, note: str | None = None) -> TextTable:
    """Documents above (+) or below (-) target per level and split: what groups kept together cost."""
    rows = [(level, *(f"{miss.get(split, 0):+,}" for split in SPLITS)) for level, miss in report.misses.items()]
    return TextTable("Documents above or below the target of the split", ("level", *SPLITS), rows, "lrrr", note)


def leak_table(leaks: Mapping[str, Any], note: str | None = None) -> TextTable:
    """What stands in more than one split, or why that is not known, with a first example.

    `leaks`: a `LeakReport` as it stands in a manifest.
    """
    rows = []
    for what in ("texts", "learners", "topics"):
        found = leaks[what]
        if isinstance(found, str):
            rows.append((f"{what} in several splits", found, "", ""))
        else:
            shown = (f"{found['values']:,}", f"{found['documents']:,}", _example(found["examples"]))
            rows.append((f"{what} in several splits", *shown))
    near = leaks["near_duplicates"]
    if isinstance(near, str):
        rows.append(("near-duplicates in train", near, "", ""))
    else:
        for split, count in near["near"].items():
            documents, examples = near["documents"][split], [e for e in near["examples"] if e[0][1] == split]
            what = f"{split}: near-duplicates in train (similarity {near['similarity']:g})"
            share = f"{count / max(1, documents):.2%}"
            rows.append((what, share, f"{count:,} of {documents:,}", _example(examples)))
    if (held_out := leaks["held_out"]) is not None:
        column, tested = held_out["column"], held_out["test_only"]
        found = f"{tested:,} of {tested + held_out['other'] + held_out['divided']:,} values"
        rows.append((f"{column}: in test alone, as split.test_on asks", found, "", ""))
        rows.append((f"{column}: in test and elsewhere", f"{held_out['divided']:,}", "", ""))
    return TextTable("Leaks between splits", ("what", "found", "documents", "for example"), rows, "lprp", note)


def _example(examples: Sequence[Sequence[Sequence[str]]]) -> str:
    return ", ".join(f"{name} ({split})" for name, split in examples[0]) if examples else ""


def shared_table(leaks: Mapping[str, Any], note: str | None) -> TextTable:
    """How many texts of test-only data stand in the training data of the main corpus, of `SharedWith` in a manifest."""
    near, documents = leaks["near_duplicates"], leaks["documents"]
    rows = [("equal", f"{leaks['texts']:,} of {documents:,}")]
    if isinstance(near, str):
        rows.append(("nearly equal", near))
    else:
        rows.append((f"nearly equal (similarity {leaks['similarity']:g})", f"{near:,} of {documents:,}"))
    return TextTable(f"In the training data of {leaks['asked']['corpus']}", ("texts", "found"), rows, "lp", note)


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


def _lengths(documents: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    counts = {"characters": documents["text"].str.len(), "words": documents["text"].str.count(r"\S+")}
    return {unit: _by_level(count.astype("int64"), documents["cefr_level"]) for unit, count in counts.items()}


def _by_level(counts: pd.Series, levels: pd.Series) -> dict[str, dict[str, float]]:
    return {
        level: {
            "n": len(found),
            "min": int(found.min()),
            "mean": float(found.mean()),
            "median": float(found.median()),
            "max": int(found.max()),
            "sum": int(found.sum()),
        }
        for level, found in {**dict(iter(counts.groupby(levels))), "all": counts}.items()
    }
