"""Tables that describe a corpus, and the same numbers for its manifest. Lengths are in characters.

`note` of a table stands below it: what every reader has to know, for example which column the texts are from.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from ilm.corpus.formats.table import first_rows
from ilm.corpus.leakage import LeakReport, NearDuplicates, SharedValues
from ilm.corpus.reader import ReadReport
from ilm.corpus.splitting.assign import SPLITS, SplitReport
from ilm.tables import TextTable


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


def length_table(documents: pd.DataFrame, note: str | None = None) -> TextTable:
    """Text lengths in characters per level."""
    rows = [
        (level, f"{row['n']:,}", f"{row['min']:,}", f"{row['mean']:,.1f}", f"{row['median']:,.1f}", f"{row['max']:,}")
        for level, row in _lengths(documents).items()
    ]
    columns = ("level", "texts", "min", "mean", "median", "max")
    return TextTable("Text lengths in characters", columns, rows, "lrrrrr", note, sections=[len(rows) - 1])


def dropped_table(
    dropped: Mapping[str, Mapping[str, Any]], title: str = "Rows dropped", note: str | None = None
) -> TextTable:
    """Rows by cause, with the first row numbers (the header is row 1), of `ReadReport.dropped` or `.notes`."""
    rows = []
    for cause, found in dropped.items():
        first = first_rows(found)
        rows.append((cause, f"{found['count']:,}", first))
    return TextTable(title, ("cause", "rows", "first rows"), rows or [("none", "0", "")], "lrl", note)


def miss_table(report: SplitReport, note: str | None = None) -> TextTable:
    """Documents above (+) or below (-) target per level and split: what groups kept together cost."""
    rows = [(level, *(f"{miss.get(split, 0):+,}" for split in SPLITS)) for level, miss in report.misses.items()]
    title = "Documents above or below the target of the split"
    return TextTable(title, ("level", *SPLITS), rows or [("none", *("0" for _ in SPLITS))], "lrrr", note)


def leak_table(report: LeakReport, note: str | None = None) -> TextTable:
    """What stands in more than one split, or why that is not known, with a first example."""
    values: dict[str, SharedValues | str] = {
        "texts": report.texts,
        "learners": report.learners,
        "topics": report.topics,
    }
    rows = []
    for what, found in values.items():
        if isinstance(found, str):
            rows.append((f"{what} in several splits", found, "", ""))
        else:
            shown = (f"{found.values:,}", f"{found.documents:,}", _example(found.examples))
            rows.append((f"{what} in several splits", *shown))
    near = report.near_duplicates
    if isinstance(near, NearDuplicates):
        for split, count in near.near.items():
            of_split = [example for example in near.examples if example[0][1] == split]
            what = f"{split}: near-duplicates in train (similarity {near.similarity:g})"
            shown = (f"{near.shares[split]:.2%}", f"{count:,} of {near.documents[split]:,}", _example(of_split))
            rows.append((what, *shown))
    else:
        rows.append(("near-duplicates in train", near, "", ""))
    if report.unseen_test_values is not None:
        rows.append(("values of test data elsewhere", report.unseen_test_values, "", ""))
    return TextTable("Leaks between splits", ("what", "found", "documents", "for example"), rows, "lprp", note)


def _example(examples: Sequence[tuple[tuple[str, str], tuple[str, str]]]) -> str:
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


# The same for the log, which outlives the terminal --------------------------------------------------------------------


def read_lines(report: ReadReport, source: str) -> Iterator[str]:
    """Rows of `source` read, kept, and dropped or noted by cause."""
    yield f"{source}: {report.rows:,} rows, {report.kept:,} kept, {report.rows - report.kept:,} dropped"
    for word, causes in (("dropped", report.dropped), ("noted", report.notes)):
        for cause, found in causes.items():
            yield f"{word}: {cause}: {found['count']:,} (rows {first_rows(found)})"


def split_lines(report: SplitReport) -> Iterator[str]:
    """Sizes of the splits, levels that miss their targets, and what the splits guarantee."""
    sizes = {split: sum(size[split] for size in report.sizes.values()) for split in SPLITS}
    how = "given by the file" if report.given else f"drawn with split.seed={report.seed}"
    yield f"split: {', '.join(f'{split} {size:,}' for split, size in sizes.items())}, {how}"
    for level, miss in report.misses.items():
        yield f"split: {level}: {', '.join(f'{split} {count:+,}' for split, count in miss.items())} from the target"
    for guarantee, state in report.guarantees.items():
        yield f"split: {guarantee}: {state}"


def leak_lines(leaks: Mapping[str, Any]) -> Iterator[str]:
    """The leak report of a manifest (`LeakReport` or `SharedWith`)."""
    if "corpus" in leaks["asked"]:
        here, main = leaks["documents"], leaks["asked"]["corpus"]
        yield f"leaks: {leaks['texts']:,} of {here:,} texts equal one of the training data of {main}"
        near = leaks["near_duplicates"]
        yield f"leaks: nearly equal: {near if isinstance(near, str) else f'{near:,} of {here:,}'}"
        return
    for kind in ("texts", "learners", "topics"):
        found = leaks[kind]
        several = found if isinstance(found, str) else f"{found['values']:,} ({found['documents']:,} documents)"
        yield f"leaks: {kind} in several splits: {several}"
    near = leaks["near_duplicates"]
    if isinstance(near, str):
        yield f"leaks: near-duplicates in train: {near}"
    else:
        counts = ", ".join(
            f"{split} {count:,} of {near['documents'][split]:,}" for split, count in near["near"].items()
        )
        yield f"leaks: near-duplicates in train: {counts} (similarity {near['similarity']:g})"
    if "unseen_test_values" in leaks:
        yield f"leaks: values of test data elsewhere: {leaks['unseen_test_values']}"
