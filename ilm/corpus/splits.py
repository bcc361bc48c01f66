"""One assignment of all documents to train, valid and test that every model reads a subset of.

1. Count: integer targets per level, shared by the L1s of the level.
2. Connect: documents with equal folded text, or of one learner, form a group that must stay together.
3. Place the groups of several documents, largest first.
4. Fill the cells (level, L1) with the single documents so that the sizes of the levels come out exact.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from ilm.corpus.sampling import apportion
from ilm.errors import UserError
from ilm.hashing import order_key

SPLITS = ("train", "valid", "test")
KEEP_TOGETHER = ("text", "learner_id")

# split -> number of documents
Sizes = dict[str, int]
# (level, L1)
Cell = tuple[str, str]


@dataclass(frozen=True)
class SplitReport:
    """What `assign_splits` did: sizes against targets, and what may be relied on."""

    seed: int
    keep_together: tuple[str, ...]
    targets: dict[str, Sizes]  # by level
    sizes: dict[str, Sizes]  # by level
    guarantees: dict[str, str]  # "equal_texts" and "learners" -> "holds" or why it does not
    group_sizes: dict[int, int]  # documents in a group -> number of such groups; single documents left out

    @property
    def misses(self) -> dict[str, Sizes]:
        """Documents above (+) or below (-) the target, by level; only levels and splits that miss."""
        misses = {
            level: {s: size[s] - self.targets[level][s] for s in SPLITS if size[s] != self.targets[level][s]}
            for level, size in self.sizes.items()
        }
        return {level: miss for level, miss in misses.items() if miss}

    @property
    def empty(self) -> list[tuple[str, str]]:
        """The (level, split) pairs without a document: such a level can be neither trained nor evaluated."""
        return [(level, split) for level, size in self.sizes.items() for split in SPLITS if not size[split]]

    def to_dict(self) -> dict[str, Any]:
        """Plain containers for the manifest."""
        return {
            "seed": self.seed,
            "keep_together": list(self.keep_together),
            "targets": self.targets,
            "sizes": self.sizes,
            "misses": self.misses,
            "empty": [list(pair) for pair in self.empty],
            "guarantees": self.guarantees,
            "groups": {
                "groups": sum(self.group_sizes.values()),
                "documents": sum(size * count for size, count in self.group_sizes.items()),
                "sizes": {str(size): count for size, count in self.group_sizes.items()},
            },
        }


def folded(text: str) -> str:
    """The text by which two documents count as equal: case folded, every run of white space one space."""
    return " ".join(text.casefold().split())


def level_targets(count: int) -> Sizes:
    """Documents of a level of `count` for each split: 80 %, 10 %, 10 % in integers."""
    train, train_and_valid = count * 8 // 10, count * 9 // 10
    return {"train": train, "valid": train_and_valid - train, "test": count - train_and_valid}


def assign_splits(
    documents: pd.DataFrame, seed: int, keep_together: Sequence[str] = KEEP_TOGETHER
) -> tuple[pd.Series, SplitReport]:
    """The split of every document, with the index of `documents`, and a report.

    `keep_together` names the columns whose equal values must not be divided: "text" (compared by
    `folded`) and "learner_id" (where the column exists; an empty one connects nothing). Units are the
    connected components of that relation and may span levels and L1s.

    Units of several documents are placed first, largest first, ties by `order_key(seed, smallest id)`,
    each in the split with the largest remaining need over its levels: the number of its documents
    that the split still lacks, level by level. Where several splits lack as many (at first all lack all of
    them), the one whose targets are open by the larger share, averaged over the unit's documents; then
    train, valid, test. (Comparing open places in absolute numbers instead would fill train first: with
    learner ids its learners came out with three times as many texts as those of valid and test.)

    Single documents, ordered by the same hash, then fill what is left of each cell in the order train,
    valid, test, never beyond the need of the level; those whose cell is full make up the level. So
    the sizes of a level equal its targets unless groups alone exceed one of them.

    The result depends on the set of documents alone, not on their order.
    """
    unknown = set(keep_together) - set(KEEP_TOGETHER)
    if unknown:
        raise UserError(
            f"split.keep_together names {sorted(unknown)}: expected some of {list(KEEP_TOGETHER)}, "
            f"for example split.keep_together=[text,learner_id]"
        )
    ids = documents["writing_id"].tolist()
    if len(set(ids)) != len(ids):
        raise ValueError("writing_id is not unique")
    cells = list(zip(documents["cefr_level"], documents["l1"], strict=True))
    groups, singles = _units(ids, _linked(documents, keep_together))
    groups.sort(key=lambda rows: (-len(rows), order_key(seed, ids[rows[0]]), ids[rows[0]]))
    rank = {row: (order_key(seed, ids[row]), ids[row]) for row in singles}

    placement = _Placement(cells)
    for rows in groups:
        placement.place(rows, max(SPLITS, key=partial(placement.need, rows)))
    placement.fill(sorted(singles, key=rank.__getitem__), rank)

    report = SplitReport(
        seed=seed,
        keep_together=tuple(keep_together),
        targets=placement.targets,
        sizes=placement.sizes(),
        guarantees=_guarantees(documents, keep_together),
        group_sizes=dict(sorted(Counter(map(len, groups)).items())),
    )
    return pd.Series(placement.split_of, index=documents.index, name="split", dtype="str"), report


class _Placement:
    """Documents in splits, and what each level and cell still lacks (negative: has too many)."""

    def __init__(self, cells: list[Cell]) -> None:
        counts = Counter(level for level, _ in cells)
        self.cells = cells
        self.targets = {level: level_targets(counts[level]) for level in sorted(counts)}
        self.level_need = {level: dict(target) for level, target in self.targets.items()}
        self.cell_need = _cell_targets(Counter(cells), self.targets)
        self.split_of = [""] * len(cells)

    def place(self, rows: Iterable[int], split: str) -> None:
        for row in rows:
            self.split_of[row] = split
            self.cell_need[self.cells[row]][split] -= 1
            self.level_need[self.cells[row][0]][split] -= 1

    def need(self, rows: Iterable[int], split: str) -> tuple[int, float]:
        """How many documents of the unit `split` lacks, and the open share of its targets."""
        lacking, open_share = 0, 0.0
        for level, count in sorted(Counter(self.cells[row][0] for row in rows).items()):
            need = self.level_need[level][split]
            lacking += min(count, max(0, need))
            open_share += count * need / max(1, self.targets[level][split])
        return lacking, open_share

    def fill(self, singles: Iterable[int], rank: Mapping[int, Any]) -> None:
        """Give each cell what it lacks, within what the level lacks; whoever is left over makes up the level."""
        singles_of: dict[str, dict[str, list[int]]] = {level: defaultdict(list) for level in self.targets}
        for row in singles:
            level, l1 = self.cells[row]
            singles_of[level][l1].append(row)
        for level, by_l1 in singles_of.items():
            lacking = _within(self.level_need[level], sum(map(len, by_l1.values())))
            left_over = []
            for l1, rows in sorted(by_l1.items()):
                for split in SPLITS:
                    fits = max(0, min(self.cell_need[level, l1][split], lacking[split]))
                    self.place(rows[:fits], split)
                    lacking[split] -= len(rows[:fits])
                    rows = rows[fits:]
                left_over += rows
            left_over.sort(key=rank.__getitem__)
            for split in SPLITS:
                self.place(left_over[: lacking[split]], split)
                left_over = left_over[lacking[split] :]

    def sizes(self) -> dict[str, Sizes]:
        return {
            level: {split: target[split] - self.level_need[level][split] for split in SPLITS}
            for level, target in self.targets.items()
        }


def check_no_leak(documents: pd.DataFrame, keep_together: Sequence[str] = KEEP_TOGETHER) -> None:
    """Check column `split` after the fact: raises RuntimeError if a text or learner stands on two sides."""
    ids, splits = documents["writing_id"].tolist(), documents["split"].tolist()
    for what, values in _linked(documents, keep_together).items():
        first: dict[str, int] = {}
        for row, value in enumerate(values):
            if value and splits[other := first.setdefault(value, row)] != splits[row]:
                raise RuntimeError(
                    f"documents {ids[other]!r} ({splits[other]}) and {ids[row]!r} ({splits[row]}) "
                    f"have the same {what} and stand in different splits"
                )


def _linked(documents: pd.DataFrame, keep_together: Sequence[str]) -> dict[str, list[str]]:
    """Column -> the value of each document that connects it to others; an empty one does not."""
    linked = {}
    if "text" in keep_together:
        linked["text"] = [folded(text) for text in documents["text"]]
    if "learner_id" in keep_together and "learner_id" in documents:
        linked["learner_id"] = documents["learner_id"].tolist()
    return linked


def _units(ids: list[str], linked: Mapping[str, list[str]]) -> tuple[list[list[int]], list[int]]:
    """Connected components by union-find: groups (rows sorted by id), and the rows connected to nothing."""
    parent = list(range(len(ids)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = row = parent[parent[row]]
        return row

    for values in linked.values():
        first: dict[str, int] = {}
        for row, value in enumerate(values):
            if value and (other := first.setdefault(value, row)) != row:
                parent[root(row)] = root(other)
    roots = [root(row) for row in range(len(ids))]
    size = Counter(roots)
    members: dict[int, list[int]] = defaultdict(list)
    for row, of in enumerate(roots):
        if size[of] > 1:
            members[of].append(row)
    groups = [sorted(rows, key=ids.__getitem__) for rows in members.values()]
    return groups, [row for row, of in enumerate(roots) if size[of] == 1]


def _cell_targets(cell_counts: Mapping[Cell, int], targets: Mapping[str, Sizes]) -> dict[Cell, Sizes]:
    """The targets of each level shared by its L1s: train first, then valid among the documents left, rest test.

    Sharing train and train + valid independently could give a small cell more train than train + valid.
    """
    result = {}
    for level, target in targets.items():
        sizes = {l1: count for (other, l1), count in cell_counts.items() if other == level}
        train = apportion(target["train"], sizes)
        rest = {l1: size - train[l1] for l1, size in sizes.items()}
        valid = apportion(target["valid"], rest)
        for l1 in sizes:
            result[level, l1] = {"train": train[l1], "valid": valid[l1], "test": rest[l1] - valid[l1]}
    return result


def _within(need: Sizes, available: int) -> Sizes:
    """`need` without negatives, brought down in proportion to a sum of `available`.

    Changes nothing unless groups took more than the target of a split: that is missing in the others.
    """
    return apportion(available, {split: max(0, count) for split, count in need.items()})


def _guarantees(documents: pd.DataFrame, keep_together: Sequence[str]) -> dict[str, str]:
    texts = "holds" if "text" in keep_together else "not asked for"
    if "learner_id" not in documents:
        learners = "cannot be checked: no learner column"
    elif "learner_id" not in keep_together:
        learners = "not asked for"
    else:
        nameless = int((documents["learner_id"] == "").sum())
        learners = f"holds, except for {nameless} documents without a learner id" if nameless else "holds"
    return {"equal_texts": texts, "learners": learners}
