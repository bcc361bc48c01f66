"""Test data by whole values of a column: texts on topics, of learners or of L1s that no model has seen."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ilm.config.prepare import TEST_ON
from ilm.corpus.splitting.groups import group_labels, largest_group
from ilm.corpus.splitting.stratify import level_counts
from ilm.errors import UserError

# The levels of a group with their documents: [(level code, documents), ...]
Counts = list[tuple[int, int]]


def column_of_values(documents: pd.DataFrame, column: str) -> pd.Series:
    """The values of the column that `split.test_on` names.

    Raises: UserError if it is none of `TEST_ON`, or the documents have no such column, or only empty values in it.
    """
    if column not in TEST_ON:
        raise UserError(f"split.test_on={column}: expected one of {', '.join(TEST_ON)}, or null")
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
    If none does, the one goes that ends nearest, of at most half of the documents. Documents without a value can
    stand for no unseen one: alone they never become test data, but they follow a group they are connected with.

    Raises: UserError if no such group exists, or only all of them together.
    """
    labels = group_labels(len(levels), [*relations.values(), code])
    firsts, group_of = np.unique(labels, return_inverse=True)
    of_group = level_counts(group_of, levels)
    eligible = np.unique(group_of[code >= 0])
    eligible = eligible[np.argsort(rank[firsts[eligible]])].tolist()
    need = list(targets)
    drawn = []
    for group in eligible:
        if max(need) <= 0:
            break
        if _change(need, of_group[group]) < 0:
            drawn.append(group)
            for level, count in of_group[group]:
                need[level] -= count
    if not drawn:
        small = [group for group in eligible if 2 * sum(count for _, count in of_group[group]) <= len(levels)]
        drawn = sorted(small, key=lambda group: _change(need, of_group[group]))[:1]
    unseen = np.isin(group_of, drawn)
    if not drawn or unseen.all():
        raise UserError(_too_connected(column, code, relations))
    return unseen


def _change(need: Sequence[int], counts: Counts) -> int:
    """By how much the distance to the targets grows (+) or shrinks (-) with a group more."""
    return sum(abs(need[level] - count) - abs(need[level]) for level, count in counts)


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
