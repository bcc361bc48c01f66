"""One assignment of all documents to train, valid and test that every model reads a subset of.

1. Count: integer targets per level, shared by the L1s of the level.
2. Connect: documents with equal folded text, of one learner, ... form a unit that must stay together.
3. Place the units of several documents, largest first.
4. Fill the cells (level, L1) with the single documents so that the sizes of the levels come out exact.

With `test_on` whole values of a column are drawn for test first; steps 1 to 4 divide the rest into train and valid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ilm.corpus.splitting.groups import guarantees, largest_unit, relations, unit_labels, value_codes
from ilm.corpus.splitting.holdout import column_of_values, draw_unseen, unseen_state
from ilm.corpus.splitting.stratify import Placement, Sizes, sizes_by_level
from ilm.corpus.text_keys import blocks
from ilm.errors import UserError
from ilm.hashing import order_key

SPLITS = ("train", "valid", "test")
BY_DEFAULT = ("text", "learner_id")
FAR = 0.1  # of its target: a split that misses it by more is worth a warning


@dataclass(frozen=True)
class SplitReport:
    """How documents were split: sizes against targets, and what may be relied on."""

    seed: int | None  # None: the file says the splits
    keep_together: tuple[str, ...]
    targets: dict[str, Sizes] | None  # by level; None: the file says the splits
    sizes: dict[str, Sizes]  # by level
    guarantees: dict[str, str]  # "equal_texts", "learners", ... -> "holds", or why it does not
    group_sizes: dict[int, int]  # documents in a unit -> number of such units; single documents left out
    near_duplicates: float | None = None  # the similarity from which texts were kept together
    test_on: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def given(self) -> bool:
        """Whether the splits were taken from the file."""
        return self.targets is None

    @property
    def misses(self) -> dict[str, Sizes]:
        """Documents above (+) or below (-) the target, by level; only levels and splits that miss."""
        if self.targets is None:
            return {}
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
            "given": self.given,
            "seed": self.seed,
            "keep_together": list(self.keep_together),
            "near_duplicates": self.near_duplicates,
            "test_on": self.test_on,
            "targets": self.targets,
            "sizes": self.sizes,
            "misses": self.misses,
            "empty": [list(pair) for pair in self.empty],
            "guarantees": self.guarantees,
            "warnings": list(self.warnings),
            "groups": {
                "groups": sum(self.group_sizes.values()),
                "documents": sum(size * count for size, count in self.group_sizes.items()),
                "sizes": {str(size): count for size, count in self.group_sizes.items()},
            },
        }


def level_targets(count: int) -> Sizes:
    """Documents of a level of `count` for each split: 80 %, 10 %, 10 % in integers."""
    train, train_and_valid = count * 8 // 10, count * 9 // 10
    return {"train": train, "valid": train_and_valid - train, "test": count - train_and_valid}


def assign_splits(
    documents: pd.DataFrame,
    seed: int,
    keep_together: Sequence[str] = BY_DEFAULT,
    *,
    test_on: str | None = None,
    near_duplicates: float | None = None,
) -> tuple[pd.Series, SplitReport]:
    """The split of every document, with the index of `documents`, and a report.

    `keep_together` names what must not be divided, of `KEEP_TOGETHER`: see `ilm.corpus.splitting.groups.relations`.
    Units are the connected components of these relations and may span levels and L1s.

    Units of several documents are placed first, largest first, ties by `order_key(seed, smallest id)`: see
    `Placement.place_groups`. Single documents, ordered by the same hash, then fill what is left of each cell
    in the order train, valid, test, never beyond the need of the level; those whose cell is full make up the
    level. So the sizes of a level equal its targets unless units of several documents exceed one of them.

    `test_on` names a column whose values are wholly test data or not at all: see `draw_unseen`. What is not drawn
    is divided into train and valid, 8 to 1 per level, as above; their targets are of what is left.

    `near_duplicates`: the similarity that `keep_together=near_duplicates` goes by; otherwise not used.

    The result depends on the set of documents alone, not on their order.

    Raises: UserError for names that are unknown or columns that `test_on` needs, and if the texts hang together so
    much that no test data could be drawn by `test_on`.
    """
    if not documents["writing_id"].is_unique:
        raise ValueError("writing_id is not unique")
    codes = relations(documents, keep_together, near_duplicates)
    values = None if test_on is None else value_codes(column_of_values(documents, test_on))
    # Ranks and rows in the order of the ids: what follows knows documents by their place in it.
    order = _by_id(documents["writing_id"])
    rank = _rank(documents["writing_id"], seed, order)
    names, levels = _names_and_codes(documents["cefr_level"], order)
    _, l1s = _names_and_codes(documents["l1"], order)
    linked = {column: code[order] for column, code in codes.items()}

    totals = np.bincount(levels, minlength=len(names)).tolist()
    targets = [level_targets(total) for total in totals]
    unseen = np.zeros(len(order), dtype=bool)
    if values is not None:
        unseen = draw_unseen(test_on, values[order], linked, levels, [target["test"] for target in targets], rank)
        left = np.bincount(levels[~unseen], minlength=len(names)).tolist()
        targets = [{"train": count * 8 // 9, "valid": count - count * 8 // 9} for count in left]
    labels = unit_labels(len(order), linked.values())
    split_of = np.full(len(order), SPLITS.index("test"))
    split_of[~unseen] = _placed(labels[~unseen], levels[~unseen], l1s[~unseen], rank[~unseen], targets)

    states = guarantees(documents.columns, keep_together, linked, split_of)
    if values is not None:
        states["unseen_test_values"] = unseen_state(test_on, values[order], split_of == SPLITS.index("test"))
        targets = [{**target, "test": level_targets(n)["test"]} for target, n in zip(targets, totals, strict=True)]
        linked[test_on] = values[order]
    report = SplitReport(
        seed=seed,
        keep_together=tuple(keep_together),
        targets=dict(zip(names, targets, strict=True)),
        sizes=sizes_by_level(names, levels, split_of, SPLITS),
        guarantees=states,
        group_sizes=_group_sizes(labels),
        near_duplicates=near_duplicates if "near_duplicates" in keep_together else None,
        test_on=test_on,
    )
    report = replace(report, warnings=_far_from_targets(report, linked))
    by_row = np.empty_like(split_of)
    by_row[order] = split_of
    return pd.Series(np.array(SPLITS, dtype=object)[by_row], index=documents.index, name="split", dtype="str"), report


def given_split(
    documents: pd.DataFrame, keep_together: Sequence[str] = BY_DEFAULT, near_duplicates: float | None = None
) -> SplitReport:
    """Describe the splits that the file gave, column `split`: sizes, and guarantees as they are found to hold.

    `keep_together`: what is looked at, as in `assign_splits`; what does not hold is in `warnings`, too.

    Raises: UserError for a value of the column that is no split.
    """
    strange = sorted(set(documents["split"].unique()) - set(SPLITS))
    if strange:
        raise UserError(
            f"the column of splits holds {', '.join(map(repr, strange[:5]))}: expected {', '.join(SPLITS)} in every "
            f"row; put the file right, or type corpus.columns.split='' to have the splits drawn"
        )
    codes = relations(documents, keep_together, near_duplicates)
    names, levels = _names_and_codes(documents["cefr_level"], np.arange(len(documents)))
    split_of = _split_codes(documents)
    states = guarantees(documents.columns, keep_together, codes, split_of)
    return SplitReport(
        seed=None,
        keep_together=tuple(keep_together),
        targets=None,
        sizes=sizes_by_level(names, levels, split_of, SPLITS),
        guarantees=states,
        group_sizes=_group_sizes(unit_labels(len(documents), codes.values())),
        near_duplicates=near_duplicates if "near_duplicates" in keep_together else None,
        warnings=tuple(
            f"the splits given by the file: {name}: {state}"
            for name, state in states.items()
            if state.startswith("does not hold")
        ),
    )


def _by_id(ids: pd.Series) -> np.ndarray:
    """Row numbers in the order of the ids, (D,)."""
    if ids.is_monotonic_increasing:
        return np.arange(len(ids))
    known = ids.tolist()
    return np.array(sorted(range(len(known)), key=known.__getitem__), dtype=np.int64)


def _rank(ids: pd.Series, seed: int, order: np.ndarray) -> np.ndarray:
    """The place of each document, (D,) in the order of the ids, when all are ordered by `order_key(seed, id)`."""
    keys = np.fromiter((order_key(seed, name) for block in blocks(ids) for name in block), np.uint64, len(ids))
    rank = np.empty(len(ids), dtype=np.int64)
    rank[np.argsort(keys[order], kind="stable")] = np.arange(len(ids))
    return rank


def _names_and_codes(values: pd.Series, order: np.ndarray) -> tuple[list[str], np.ndarray]:
    codes, names = pd.factorize(values, sort=True)
    return names.tolist(), codes[order]


def _split_codes(documents: pd.DataFrame) -> np.ndarray:
    return pd.Categorical(documents["split"], categories=list(SPLITS)).codes.astype(np.int64)


def _placed(
    labels: np.ndarray, levels: np.ndarray, l1s: np.ndarray, rank: np.ndarray, targets: Sequence[Sizes]
) -> np.ndarray:
    """The split of each document, (D,), as its position among those of the targets."""
    placement = Placement(levels, l1s, rank, targets)
    _, firsts, unit_of, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    several = np.flatnonzero(sizes[unit_of] > 1)
    turn = np.empty(len(sizes), dtype=np.int64)
    turn[np.lexsort((rank[firsts], -sizes))] = np.arange(len(sizes))
    placement.place_groups(several, turn[unit_of[several]])
    placement.fill(np.flatnonzero(sizes[unit_of] == 1))
    return placement.split_of


def _group_sizes(labels: np.ndarray) -> dict[int, int]:
    sizes, counts = np.unique(np.bincount(labels), return_counts=True)
    return {size: n for size, n in zip(sizes.tolist(), counts.tolist(), strict=True) if size > 1}


def _far_from_targets(report: SplitReport, linked: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """What makes splits stay far from their targets, and what to type instead."""
    far = [
        f"{level} {split} {report.sizes[level][split]:,} instead of {report.targets[level][split]:,}"
        for level, miss in report.misses.items()
        for split, count in miss.items()
        if abs(count) > FAR * report.targets[level][split]
    ]
    if not far or not linked:
        return ()
    largest, column, without = largest_unit(linked, list(linked))
    if column == report.test_on:
        instead = "split.test_on=null"
    else:
        instead = f"split.keep_together=[{','.join(name for name in report.keep_together if name != column)}]"
    return (
        f"splits far from their targets: {', '.join(far[:4])}{', ...' if len(far) > 4 else ''}. Documents are kept "
        f"together in units of up to {largest:,} documents, without {column} of up to {without:,}: type {instead} "
        f"if the sizes matter more",
    )
