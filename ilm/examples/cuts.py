"""Counts what truncation at `max_length` tokens removes from examples, above all from their answers.

Answers are at the end of an example, so truncation removes them first. Answer tokens include end tokens (INFILL and
INFILL_SPECIAL targets), and are counted by document, so that they can be summed by level.

Legend: E examples.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ilm.tables import TextTable

POOLED = "all"
# Above this share of truncated examples, the table comes with advice.
TOLERATED = 0.005


class LevelCuts(NamedTuple):
    """Sums over the documents of a level."""

    level: str
    examples: int
    cut: int  # examples
    unanswered: int  # examples with no answer token left
    answer_tokens: int  # before truncation
    lost_tokens: int  # answer tokens removed
    texts: int
    texts_unanswered: int  # whose examples are all unanswered

    @property
    def lost(self) -> float:
        """The share of answer tokens removed."""
        return self.lost_tokens / self.answer_tokens if self.answer_tokens else 0.0

    @property
    def cut_share(self) -> float:
        """The share of examples truncated."""
        return self.cut / self.examples if self.examples else 0.0


def document_cuts(documents: np.ndarray, tokens: np.ndarray, max_length: int) -> pd.DataFrame:
    """What truncation removes from E examples, by document row; `longest`: tokens before truncation.

    `tokens` (3, E): of each example and of its answers before truncation, and of its answers after it.
    """
    order = np.argsort(documents, kind="stable")
    rows, begins = np.unique(documents[order], return_index=True)
    full_lengths, answers, kept = tokens[:, order]
    counted = {
        "examples": np.ones_like(answers),
        "cut": full_lengths > max_length,
        "unanswered": (answers > 0) & (kept == 0),
        "answer_tokens": answers,
        "lost_tokens": answers - kept,
    }
    sums = {name: np.add.reduceat(values.astype(np.int64), begins) for name, values in counted.items()}
    return pd.DataFrame({**sums, "longest": np.maximum.reduceat(full_lengths, begins)}, index=rows)


def cuts_by_level(cuts: pd.DataFrame, level_of_row: Sequence[str], levels: Sequence[str]) -> list[LevelCuts]:
    """The sums over the documents of each level, and over all of them if there are several; see `document_cuts`."""
    unanswered = (cuts["answer_tokens"] > 0) & (cuts["lost_tokens"] == cuts["answer_tokens"])
    by_document = cuts.drop(columns="longest").assign(texts=1, texts_unanswered=unanswered)
    sums = by_document.groupby(np.asarray(level_of_row)[cuts.index]).sum()
    rows = [LevelCuts(level, *sums.loc[level].tolist()) for level in levels if level in sums.index]
    return rows if len(rows) == 1 else [*rows, LevelCuts(POOLED, *by_document.sum().tolist())]


def cut_lines(rows: Sequence[LevelCuts]) -> list[str]:
    """One line for each level with truncated examples."""
    return [
        f"{row.level}: {row.cut:,} of {row.examples:,} examples ({percent(row.cut_share)}), {row.unanswered:,} with no "
        f"answer left, {percent(row.lost)} of the answer tokens lost, {row.texts_unanswered:,} of {row.texts:,} texts "
        "left with no answer"
        for row in rows
        if row.cut
    ]


def cuts_table(rows: Sequence[LevelCuts], title: str, caption: str) -> TextTable:
    """A table with one row per level."""
    columns = ("level", "examples", "cut", "no answer left", "answer tokens lost", "texts", "without answer")
    cells = [
        (
            *(row.level, f"{row.examples:,}", f"{row.cut:,} ({percent(row.cut_share)})", f"{row.unanswered:,}"),
            *(percent(row.lost), f"{row.texts:,}", f"{row.texts_unanswered:,}"),
        )
        for row in rows
    ]
    return TextTable(title, columns, cells, "lrrrrrr", caption)


def advice(rows: Sequence[LevelCuts], longest: int, option: str) -> str | None:
    """What to type if more than `TOLERATED` of a level's examples are truncated; `option`: the key of the length."""
    levels = [row.level for row in rows if row.cut_share > TOLERATED and row.level != POOLED]
    if not levels:
        return None
    return f"more than {TOLERATED:.1%} of the examples of {', '.join(levels)} are cut: {option}={longest} cuts none"


def percent(share: float) -> str:
    """A share in percent; a positive share never reads as 0."""
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"
