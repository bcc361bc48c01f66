"""Counts what truncation at `max_length` tokens removes from examples, above all from their answers.

Answers are at the end of an example, so truncation removes them first. Answer tokens include end tokens (INFILL and
INFILL_SPECIAL targets), and are counted by document, so that they can be summed by level.

Legend: D documents, E examples.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

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


class Cuts:
    """Counts for D documents; `longest`: tokens of the longest example before truncation."""

    def __init__(self, n_documents: int, max_length: int):
        self.max_length, self.longest = max_length, 0
        # Examples, truncated ones, unanswered ones; answer tokens, removed ones.
        self._counts = np.zeros((5, n_documents), dtype=np.int64)

    @classmethod
    def joined(cls, parts: Sequence["Cuts"]) -> "Cuts":
        """Concatenate the counts of all parts."""
        result = cls(0, parts[0].max_length)
        result.longest = max(part.longest for part in parts)
        result._counts = np.concatenate([part._counts for part in parts], axis=1)
        return result

    @property
    def examples(self) -> np.ndarray:
        """Examples of each document, (D,)."""
        return self._counts[0]

    def add(self, owners: np.ndarray, full_lengths: np.ndarray, answers: np.ndarray, kept: np.ndarray) -> None:
        """Count E examples: their documents, lengths, and answer tokens before and after truncation."""
        cut, unanswered = full_lengths > self.max_length, (answers > 0) & (kept == 0)
        for row, values in zip(self._counts, (None, cut, unanswered, answers, answers - kept), strict=True):
            row += np.bincount(owners, values, minlength=len(row)).astype(np.int64)
        self.longest = max(self.longest, int(full_lengths.max(initial=0)))

    def total(self, level: str, chosen: np.ndarray) -> LevelCuts:
        """The sums over the `chosen` documents (boolean, (D,))."""
        counts = self._counts[:, chosen]
        unanswered = (counts[3] > 0) & (counts[4] == counts[3])
        sums: tuple[int, int, int, int, int] = tuple(counts.sum(axis=1).tolist())
        return LevelCuts(level, *sums, int((counts[0] > 0).sum()), int(unanswered.sum()))

    def by_level(self, level_of_document: np.ndarray, levels: Sequence[str]) -> list[LevelCuts]:
        """The sums for each of `levels` that has documents, and for all of them if there are several."""
        rows = [self.total(level, level_of_document == level) for level in levels if level in level_of_document]
        return rows if len(rows) == 1 else [*rows, self.total(POOLED, np.ones(len(level_of_document), dtype=bool))]


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
