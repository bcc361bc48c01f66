"""Places groups of documents into splits according to what each split still needs."""

from collections.abc import Sequence

import numpy as np

from ilm.corpus.sampling import apportion

# split -> number of documents
Sizes = dict[str, int]


class Placement:
    """Documents placed so far, and what each level and cell still needs (negative: has too many).

    `levels`, `l1s`: (D,) codes in name order. `rank`: (D,) order in which single documents are placed. `targets`: for
    each level code, the documents per split, which add up to those of the level. `split_of`: (D,) position of the split
    in `targets`, -1 until placed.
    """

    def __init__(self, levels: np.ndarray, l1s: np.ndarray, rank: np.ndarray, targets: Sequence[Sizes]) -> None:
        self.splits = tuple(targets[0]) if targets else ()
        self.levels, self.rank, self.targets = levels, rank, targets
        # Level by level, so that the cells of a level are adjacent and ordered by L1.
        self.cell_keys, self.cells = np.unique(levels * (l1s.max(initial=0) + 1) + l1s, return_inverse=True)
        self.level_of_cell = self.cell_keys // (l1s.max(initial=0) + 1)
        need = [list(target.values()) for target in targets]
        self.level_need = np.array(need, dtype=np.int64).reshape(len(targets), len(self.splits))
        self.cell_need = self._cell_targets()
        self.split_of = np.full(len(levels), -1, dtype=np.int64)

    def place(self, rows: np.ndarray, splits: np.ndarray | int) -> None:
        """Assign documents `rows` to the splits at these positions."""
        self.split_of[rows] = splits
        np.subtract.at(self.level_need, (self.levels[rows], self.split_of[rows]), 1)
        np.subtract.at(self.cell_need, (self.cells[rows], self.split_of[rows]), 1)

    def place_groups(self, rows: np.ndarray, group_of: np.ndarray) -> None:
        """Place groups in order, each in the split with the largest remaining need over its levels.

        `rows`: (R,) documents of all groups, `group_of`: (R,) their group, 0 to G - 1 in placing order. A split's need
        is the number of the group's documents it still has room for, level by level. Ties (at first all splits have
        room for the whole group) go to the split whose targets have the larger share open, averaged over the group's
        documents; then to the first. (Comparing absolute numbers of open places would fill train first: with learner
        ids, its learners came out with three times as many texts as those of valid and test.)
        """
        need, targets = self.level_need.tolist(), [list(target.values()) for target in self.targets]
        chosen = []
        for counts in level_counts(group_of, self.levels[rows]):
            best, best_need = 0, (-1, 0.0)
            for split in range(len(self.splits)):
                lacking, open_share = 0, 0.0
                for level, count in counts:
                    lacks = need[level][split]
                    lacking += min(count, max(0, lacks))
                    open_share += count * lacks / max(1, targets[level][split])
                if (lacking, open_share) > best_need:
                    best, best_need = split, (lacking, open_share)
            for level, count in counts:
                need[level][best] -= count
            chosen.append(best)
        self.place(rows, np.array(chosen, dtype=np.int64)[group_of])

    def fill(self, singles: np.ndarray) -> None:
        """Fill each cell within what its level needs; leftover documents then fill the level."""
        singles = singles[np.argsort(self.rank[singles])]
        of_cell = np.argsort(self.cells[singles], kind="stable")
        bounds = np.searchsorted(self.cells[singles][of_cell], np.arange(len(self.cell_keys) + 1))
        for level in range(len(self.targets)):
            cells = np.flatnonzero(self.level_of_cell == level)
            lacking = list(self._within(level, int(sum(bounds[cells + 1] - bounds[cells]))).values())
            left_over = [np.empty(0, dtype=np.int64)]
            for cell in cells:
                rows = singles[of_cell[bounds[cell] : bounds[cell + 1]]]
                for split in range(len(self.splits)):
                    fits = rows[: max(0, min(int(self.cell_need[cell, split]), lacking[split]))]
                    self.place(fits, split)
                    lacking[split] -= len(fits)
                    rows = rows[len(fits) :]
                left_over.append(rows)
            rest = np.concatenate(left_over)
            rest = rest[np.argsort(self.rank[rest])]
            for split, count in enumerate(lacking):
                self.place(rest[:count], split)
                rest = rest[count:]

    def _within(self, level: int, available: int) -> Sizes:
        """What a level needs per split, clipped at 0 and scaled down to a sum of `available`.

        Scaling is needed only if groups exceeded the target of a split, which leaves too few for the others.
        """
        need = zip(self.splits, self.level_need[level].tolist(), strict=True)
        return apportion(available, {split: max(0, count) for split, count in need})

    def _cell_targets(self) -> np.ndarray:
        """The targets of each level apportioned to its L1s: train first, then valid from what is left, the rest test.

        Apportioning train and train + valid independently could give a small cell more train than train + valid.
        """
        targets = np.zeros((len(self.cell_keys), len(self.splits)), dtype=np.int64)
        sizes = np.bincount(self.cells, minlength=len(self.cell_keys))
        for level, target in enumerate(self.targets):
            # Ties go to the first L1 by name, which is the order of cells.
            left = {cell: int(sizes[cell]) for cell in np.flatnonzero(self.level_of_cell == level).tolist()}
            for split, wanted in enumerate(target.values()):
                shares = apportion(wanted, left) if split < len(self.splits) - 1 else left
                for cell, share in shares.items():
                    targets[cell, split] = share
                left = {cell: count - shares[cell] for cell, count in left.items()}
        return targets


def level_counts(group_of: np.ndarray, levels: np.ndarray) -> list[list[tuple[int, int]]]:
    """For each group 0 to G - 1, its (level, document count) pairs in level order."""
    width = int(levels.max(initial=0)) + 1
    keys, counts = np.unique(group_of * width + levels, return_counts=True)
    result: list[list[tuple[int, int]]] = [[] for _ in range(int(group_of.max(initial=-1)) + 1)]
    for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
        result[key // width].append((key % width, count))
    return result
