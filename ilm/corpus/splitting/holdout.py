"""Test data on unseen values of a column: topics, learners or L1s held out as a whole."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ilm.config.prepare import TEST_ON
from ilm.corpus.splitting.groups import group_labels
from ilm.errors import UserError

_FEW_GROUPS = 500  # at most this many groups: try to swap each pair


def column_of_values(documents: pd.DataFrame, column: str) -> pd.Series:
    """The values of the column that `split.test_on` names.

    Raises: UserError if the column is missing or empty.
    """
    if column not in documents:
        there = " or ".join(f"split.test_on={name}" for name in TEST_ON if name in documents)
        raise UserError(
            f"split.test_on={column}, but this corpus has no column {column} (it has {', '.join(documents)}); "
            f"type corpus.columns.{column}=HEADER if it has another name in the file, or {there}"
        )
    if (documents[column] == "").all():
        raise UserError(f"split.test_on={column}, but column {column} is empty in every row; type split.test_on=null")
    return documents[column]


def draw_held_out(
    column: str,
    code: np.ndarray,
    relations: Mapping[str, np.ndarray],
    levels: np.ndarray,
    targets: Sequence[int],
    rank: np.ndarray,
) -> np.ndarray:
    """Select test documents, (D,) bool, so that each value of a column lies wholly inside or outside test.

    `code`: (D,) values of `column`, -1 for none; `relations`: further documents to keep together; `levels`: (D,) codes;
    `targets`: test documents wanted per level; `rank`: (D,) order of the draw.

    Documents connected by the column or the relations form groups. In rank order, a group joins test if that brings
    test nearer to its targets (absolute difference, summed over levels). Then, for up to 500 groups, groups are added,
    removed or swapped while that helps. If none ever helps, the best group of at most half the documents is taken.
    Documents without a value are never test data by themselves, but follow the group they are connected to.

    Raises: UserError if there is no such group, or nothing would be left outside test.
    """
    labels = group_labels(len(levels), [*relations.values(), code])
    firsts, group_of = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(firsts), len(targets)), dtype=np.int64)  # documents by group and level
    np.add.at(counts, (group_of, levels), 1)
    eligible = np.unique(group_of[code >= 0])
    eligible = eligible[np.argsort(rank[firsts[eligible]])]
    need = np.array(targets)
    drawn = np.zeros(len(eligible), dtype=bool)
    for place, group in enumerate(eligible.tolist()):
        if need.max() <= 0:
            break
        left = need - counts[group]
        if abs(left).sum() < abs(need).sum():
            drawn[place], need = True, left
    if not drawn.any():
        small = np.flatnonzero(2 * counts[eligible].sum(axis=1) <= len(levels))
        drawn[small[abs(need - counts[eligible[small]]).sum(axis=1).argsort(kind="stable")[:1]]] = True
    elif len(eligible) <= _FEW_GROUPS:
        drawn = _improved(drawn, counts[eligible], np.array(targets))
    test = np.isin(group_of, eligible[drawn])
    if not drawn.any() or test.all():
        raise UserError(
            f"split.test_on={column}: no values of {column} can be test data by themselves: "
            f"{', '.join(dict.fromkeys([*relations, column]))} connect up to {np.bincount(labels).max():,} of "
            f"{len(levels):,} documents with each other, expected at most half; type split.test_on=null, or choose "
            "another column, or keep fewer texts together: split.keep_together=[...]"
        )
    return test


def _improved(drawn: np.ndarray, counts: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Local search: add, remove or swap drawn groups, (G,) bool, while that brings test nearer to `targets`.

    `counts`: (G, L) documents by level.
    """
    drawn, none = drawn.copy(), np.zeros((1, counts.shape[1]), dtype=np.int64)
    while True:
        need = targets - counts[drawn].sum(axis=0)
        removed, added = np.concatenate((none, counts[drawn])), np.concatenate((none, counts[~drawn]))
        distances = abs(need + removed[:, None] - added[None]).sum(axis=2)
        out, new = np.unravel_index(distances.argmin(), distances.shape)
        if distances[out, new] >= abs(need).sum():
            return drawn
        inside, outside = np.flatnonzero(drawn), np.flatnonzero(~drawn)
        drawn[inside[out - 1 : out]] = False
        drawn[outside[new - 1 : new]] = True
