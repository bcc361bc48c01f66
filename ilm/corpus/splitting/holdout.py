"""Test data by whole values of a column: texts on topics, of learners or of L1s that no model has seen."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ilm.config.prepare import TEST_ON
from ilm.corpus.splitting.groups import group_labels, largest_group
from ilm.errors import UserError

_FEW_GROUPS = 500  # up to which all exchanges of two are tried


def column_of_values(documents: pd.DataFrame, column: str) -> pd.Series:
    """The values of the column that `split.test_on` names.

    Raises: UserError if the documents have no such column, or only empty values in it.
    """
    if column not in documents:
        there = " or ".join(f"split.test_on={name}" for name in TEST_ON if name in documents)
        raise UserError(
            f"split.test_on={column}, but this corpus has no column {column} (it has {', '.join(documents)}); "
            f"type corpus.columns.{column}=HEADER if the file calls it otherwise, or {there}"
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
    """Which documents become test data, (D,) bool, so that a value of a column is in test as a whole or not at all.

    `code`: (D,) the values of `column`, -1 for none; `relations`: what else must not be divided; `levels`: (D,)
    codes; `targets`: test documents wanted for each level; `rank`: (D,) the order of the draw.

    Groups are documents connected by the column or the relations. In the order of their first documents' rank each
    one goes to test that brings test nearer to its targets (the sum over levels of what is missing or too much).
    Then groups are added, left out or exchanged as long as that brings it nearer still (up to 500 groups). If none
    does, the one goes that ends nearest, of at most half of the documents. Documents without a value can
    stand for no unseen one: alone they never become test data, but they follow a group they are connected with.

    Raises: UserError if no such group exists, or only all of them together.
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
        raise UserError(_too_connected(column, code, relations))
    return test


def _improved(drawn: np.ndarray, counts: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The groups drawn, (G,) bool, after changes by one group (out, in or exchanged) while they come nearer to targets.

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


def _too_connected(column: str, code: np.ndarray, relations: Mapping[str, np.ndarray]) -> str:
    documents, most = len(code), int(np.bincount(code[code >= 0]).max())
    together = f"split.test_on={column}: no values of {column} can be test data by themselves"
    if not relations or 2 * most > documents:
        return (
            f"{together}: one of them has {most:,} of {documents:,} documents, expected at most half; "
            f"type split.test_on=null, or choose another column"
        )
    largest, binding, without = largest_group({column: code, **relations}, list(relations))
    kept = ",".join(name for name in relations if name != binding and 2 * without <= documents)
    return (
        f"{together}: {', '.join(dict.fromkeys([*relations, column]))} connect {largest:,} of {documents:,} documents "
        f"with each other; type split.keep_together=[{kept}] or split.test_on=null"
    )
