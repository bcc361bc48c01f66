"""Assigns every document to train, valid or test, once for all models.

1. Compute integer target sizes per level, and divide them among the level's L1s.
2. Connect documents that must stay together (equal folded text, same learner, ...) into groups.
3. Place groups of several documents, largest first.
4. Fill the cells (level, L1) with single documents, so that level sizes are exact.

With `test_on`, whole values of a column are drawn for test first; steps 1 to 4 split the rest into train and valid.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ilm.corpus.splitting.groups import group_labels, relations, value_codes
from ilm.corpus.splitting.holdout import column_of_values, draw_held_out
from ilm.corpus.splitting.stratify import Placement, Sizes
from ilm.corpus.text_keys import blocks
from ilm.hashing import order_key

SPLITS = ("train", "valid", "test")
BY_DEFAULT = ("text", "learner_id")


@dataclass(frozen=True)
class SplitReport:
    """How documents were split, with sizes and targets."""

    seed: int | None  # None: splits given by the file
    targets: dict[str, Sizes] | None  # by level; None: splits given by the file
    sizes: dict[str, Sizes]  # by level
    keep_together: tuple[str, ...] = ()
    group_sizes: dict[int, int] = field(default_factory=dict)  # group size (at least 2) -> number of groups
    near_duplicates: float | None = None  # similarity above which texts were kept together
    test_on: str | None = None

    @property
    def misses(self) -> dict[str, Sizes]:
        """Documents above (+) or below (-) target, for the levels and splits that miss it."""
        if self.targets is None:
            return {}
        misses = {
            level: {s: size[s] - self.targets[level][s] for s in SPLITS if size[s] != self.targets[level][s]}
            for level, size in self.sizes.items()
        }
        return {level: miss for level, miss in misses.items() if miss}

    @property
    def empty(self) -> list[tuple[str, str]]:
        """The (level, split) pairs without documents: such a level can be neither trained nor evaluated."""
        return [(level, split) for level, size in self.sizes.items() for split in SPLITS if not size[split]]

    def to_dict(self) -> dict[str, Any]:
        """Plain containers for the manifest."""
        derived = {"given": self.targets is None, "misses": self.misses, "empty": [list(pair) for pair in self.empty]}
        return {**asdict(self), **derived, "group_sizes": {str(size): n for size, n in self.group_sizes.items()}}


def level_targets(count: int) -> Sizes:
    """Split sizes of a level with `count` documents: 80 %, 10 % and 10 %, as integers."""
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

    `keep_together`: relations that a split must respect (`ilm.corpus.splitting.groups.relations`). Groups are their
    connected components and may span levels and L1s.

    Groups of several documents are placed first, largest first, ties by `order_key(seed, smallest id)` (see
    `Placement.place_groups`). Single documents, ordered by the same hash, then fill each cell in the order train,
    valid, test, as far as the level needs them; those whose cell is full fill the rest of the level. So level sizes
    equal their targets unless groups of several documents exceed one.

    `test_on`: a column each of whose values is wholly inside or outside test (`draw_held_out`). The rest is split into
    train and valid as above, 8 to 1 per level. `near_duplicates`: threshold of `keep_together=near_duplicates`.

    The order of the documents does not matter.

    Raises: UserError if `test_on` allows no test data.
    """
    is_sorted = documents["writing_id"].is_monotonic_increasing
    ordered = documents if is_sorted else documents.sort_values("writing_id")
    codes = relations(ordered, keep_together, near_duplicates)
    labels = group_labels(len(ordered), codes.values())
    rank = _rank(ordered["writing_id"], seed)
    levels, names = pd.factorize(ordered["cefr_level"], sort=True)
    l1s, _ = pd.factorize(ordered["l1"], sort=True)
    targets = [level_targets(count) for count in np.bincount(levels, minlength=len(names)).tolist()]
    if test_on is None:
        split_of = _placed(labels, levels, l1s, rank, targets)
    else:
        values = value_codes(column_of_values(ordered, test_on))
        test = draw_held_out(test_on, values, codes, levels, [target["test"] for target in targets], rank)
        left = np.bincount(levels[~test], minlength=len(names)).tolist()
        shares = [{"train": count * 8 // 9, "valid": count - count * 8 // 9} for count in left]
        split_of = np.full(len(ordered), SPLITS.index("test"))
        split_of[~test] = _placed(labels[~test], levels[~test], l1s[~test], rank[~test], shares)
        targets = [target | share for target, share in zip(targets, shares, strict=True)]
    splits = pd.Series(np.array(SPLITS, dtype=object)[split_of], index=ordered.index, name="split", dtype="str")
    report = SplitReport(
        seed=seed,
        keep_together=tuple(keep_together),
        targets=dict(zip(names.tolist(), targets, strict=True)),
        sizes=sizes_by_level(ordered.assign(split=splits)),
        group_sizes=_group_sizes(labels),
        near_duplicates=near_duplicates if "near_duplicates" in keep_together else None,
        test_on=test_on,
    )
    return splits.reindex(documents.index), report


def given_split(documents: pd.DataFrame) -> SplitReport:
    """The report on splits given by the column `split`."""
    return SplitReport(seed=None, targets=None, sizes=sizes_by_level(documents))


def sizes_by_level(documents: pd.DataFrame) -> dict[str, Sizes]:
    """Documents by level name and split."""
    counts = pd.crosstab(documents["cefr_level"], documents["split"])
    return counts.reindex(columns=SPLITS, fill_value=0).to_dict("index")


def _rank(ids: pd.Series, seed: int) -> np.ndarray:
    """The rank of each document, (D,), by `order_key(seed, id)`."""
    keys = np.fromiter((order_key(seed, name) for block in blocks(ids) for name in block), np.uint64, len(ids))
    rank = np.empty(len(ids), dtype=np.int64)
    rank[np.argsort(keys, kind="stable")] = np.arange(len(ids))
    return rank


def _placed(
    labels: np.ndarray, levels: np.ndarray, l1s: np.ndarray, rank: np.ndarray, targets: Sequence[Sizes]
) -> np.ndarray:
    """The split of each document, (D,), as an index into the targets."""
    placement = Placement(levels, l1s, rank, targets)
    _, firsts, group_of, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    several = np.flatnonzero(sizes[group_of] > 1)
    turn = np.empty(len(sizes), dtype=np.int64)
    turn[np.lexsort((rank[firsts], -sizes))] = np.arange(len(sizes))
    placement.place_groups(several, turn[group_of[several]])
    placement.fill(np.flatnonzero(sizes[group_of] == 1))
    return placement.split_of


def _group_sizes(labels: np.ndarray) -> dict[int, int]:
    sizes, counts = np.unique(np.bincount(labels), return_counts=True)
    return {size: n for size, n in zip(sizes.tolist(), counts.tolist(), strict=True) if size > 1}
