"""Corpus statistics for the manifest, and their tables."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ilm.corpus.formats.table import first_rows
from ilm.corpus.splitting.assign import SPLITS, sizes_by_level
from ilm.corpus.store import PreparedCorpus
from ilm.tables import TextTable


def summary(documents: pd.DataFrame) -> dict[str, Any]:
    """Counts and text lengths of documents with columns `cefr_level`, `l1`, `text`, `split`.

    {"documents": n, "levels": {level: {"train", "valid", "test", "total"}}, "l1": {l1: {level: n, ...,
    "total": n}} with the most frequent L1 first, "characters" and "words": {level or "all": {"n", "min", "mean",
    "median", "max", "sum"}}}; levels are sorted by name. Words are separated by white space.
    """
    return {
        "documents": len(documents),
        "levels": {
            level: {**sizes, "total": sum(sizes.values())} for level, sizes in sizes_by_level(documents).items()
        },
        "l1": _l1_counts(documents),
        **_lengths(documents),
    }


def corpus_tables(corpus: PreparedCorpus) -> list[TextTable]:
    """The tables on documents that `prepare.py` prints."""
    manifest = corpus.manifest
    tables = [*count_tables(manifest["counts"]), dropped_table(manifest["dropped"])]
    tables += [dropped_table(manifest["notes"], "Rows with notes")] if manifest["notes"] else []
    tables += [miss_table(manifest["split"])] if manifest["split"]["misses"] else []
    tables.append(shared_table(manifest["leaks"]) if corpus.test_only else leak_table(manifest["leaks"]))
    return [replace(table, caption=corpus.text_note) for table in tables]


def count_tables(counts: Mapping[str, Any]) -> list[TextTable]:
    """A `summary` as tables: documents by level and split, by L1, lengths."""
    levels = {level: tuple(row.values()) for level, row in counts["levels"].items()}
    rows = [(level, *(f"{n:,}" for n in row)) for level, row in levels.items()]
    rows.append(("all", *(f"{sum(column):,}" for column in zip(*levels.values(), strict=True))))
    columns = ("level", *SPLITS, "total")
    by_level = TextTable("Documents by level and split", columns, rows, "lrrrr", sections=[len(rows) - 1])
    columns = (*levels, "total")
    rows = [(l1, *(f"{row.get(name, 0):,}" for name in columns)) for l1, row in counts["l1"].items()]
    by_l1 = TextTable("Documents by L1", ("L1", *columns), rows, "l" + "r" * len(columns))
    return [by_level, by_l1, *_length_tables(counts)]


def _length_tables(counts: Mapping[str, Any]) -> list[TextTable]:
    columns = ("level", "texts", "min", "mean", "median", "max", "sum")
    formats = (",", ",", ",.1f", ",.1f", ",", ",")
    tables = []
    for unit in ("characters", "words"):
        title = f"Text lengths in {unit}{', between white space' if unit == 'words' else ''}"
        rows = [
            (level, *(format(value, how) for value, how in zip(row.values(), formats, strict=True)))
            for level, row in counts[unit].items()
        ]
        tables.append(TextTable(title, columns, rows, "lrrrrrr", sections=[len(rows) - 1]))
    return tables


def dropped_table(dropped: Mapping[str, Mapping[str, Any]], title: str = "Rows dropped") -> TextTable:
    """Rows by cause, with the first row numbers (the header is row 1), of `ReadReport.dropped` or `.notes`."""
    rows = [(cause, f"{found['count']:,}", first_rows(found)) for cause, found in dropped.items()]
    return TextTable(title, ("cause", "rows", "first rows"), rows or [("none", "0", "")], "lrl")


def miss_table(report: Mapping[str, Any]) -> TextTable:
    """Documents above (+) or below (-) target per level and split; `report`: `SplitReport.to_dict`."""
    rows = [(level, *(f"{miss.get(split, 0):+,}" for split in SPLITS)) for level, miss in report["misses"].items()]
    why = "split.keep_together" if report["test_on"] is None else "split.test_on or split.keep_together"
    title = f"Documents above or below the target: no group of {why} is divided"
    return TextTable(title, ("level", *SPLITS), rows, "lrrr")


def leak_table(leaks: Mapping[str, Any]) -> TextTable:
    """What occurs in more than one split, or why that is unknown, with an example each.

    `leaks`: a `LeakReport` as stored in a manifest.
    """
    rows = [(f"{what} in several splits", *_shared(leaks[what])) for what in ("texts", "learners", "topics")]
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
        rows.append(("values of split.test_on in test and elsewhere", *_shared(held_out)))
    return TextTable("Leaks between splits", ("what", "found", "documents", "for example"), rows, "lprp")


def _shared(found: Mapping[str, Any] | str) -> tuple[str, str, str]:
    if isinstance(found, str):
        return found, "", ""
    return f"{found['values']:,}", f"{found['documents']:,}", _example(found["examples"])


def _example(examples: Sequence[Sequence[Sequence[str]]]) -> str:
    return ", ".join(f"{name} ({split})" for name, split in examples[0]) if examples else ""


def shared_table(leaks: Mapping[str, Any]) -> TextTable:
    """How many test-only texts occur in the main corpus's training data; `leaks`: a `SharedWith` from a manifest."""
    near, documents = leaks["near_duplicates"], leaks["documents"]
    rows = [("equal", f"{leaks['texts']:,} of {documents:,}")]
    if isinstance(near, str):
        rows.append(("nearly equal", near))
    else:
        rows.append((f"nearly equal (similarity {leaks['asked']['near_duplicates']:g})", f"{near:,} of {documents:,}"))
    return TextTable(f"In the training data of {leaks['asked']['corpus']}", ("texts", "found"), rows, "lp")


def _l1_counts(documents: pd.DataFrame) -> dict[str, dict[str, int]]:
    table = pd.crosstab(documents["l1"], documents["cefr_level"])
    table = table.assign(total=table.sum(axis=1)).sort_values("total", ascending=False, kind="stable")
    return {l1: {level: count for level, count in row.items() if count} for l1, row in table.to_dict("index").items()}


def _lengths(documents: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    counts = {"characters": documents["text"].str.len(), "words": documents["text"].str.count(r"\S+")}
    return {unit: _by_level(count.astype("int64"), documents["cefr_level"]) for unit, count in counts.items()}


def _by_level(counts: pd.Series, levels: pd.Series) -> dict[str, dict[str, float]]:
    names = {"n": "count", "min": "min", "mean": "mean", "median": "median", "max": "max", "sum": "sum"}
    of_level, of_all = (counts.groupby(by).agg(**names).to_dict("index") for by in (levels, np.zeros(len(counts))))
    return of_level | {"all": of_all[0]}
