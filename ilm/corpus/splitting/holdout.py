"""Test data by whole values of a column: texts on topics, of learners or of L1s that no model has seen."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ilm.config.prepare import TEST_ON
from ilm.corpus.splitting.groups import largest_unit, unit_labels
from ilm.corpus.splitting.stratify import level_counts
from ilm.errors import UserError

# The levels of a unit with their documents: [(level code, documents), ...]
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


def draw_unseen(
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

    Units are documents connected by the column or the relations. In the order of their first documents' rank each
    one goes to test that brings test nearer to its targets (the sum over levels of what is missing or too much).
    If none does, the one goes that ends nearest, of at most half of the documents. Documents without a value can
    stand for no unseen one: alone they never become test data, but they follow a unit they are connected with.

    Raises: UserError if no such unit exists, or only all of them together.
    """
    labels = unit_labels(len(levels), [*relations.values(), code])
    firsts, unit_of = np.unique(labels, return_inverse=True)
    of_unit = level_counts(unit_of, levels)
    eligible = np.unique(unit_of[code >= 0])
    eligible = eligible[np.argsort(rank[firsts[eligible]])].tolist()
    need = list(targets)
    drawn = []
    for unit in eligible:
        if max(need) <= 0:
            break
        if _change(need, of_unit[unit]) < 0:
            drawn.append(unit)
            for level, count in of_unit[unit]:
                need[level] -= count
    if not drawn:
        small = [unit for unit in eligible if 2 * sum(count for _, count in of_unit[unit]) <= len(levels)]
        drawn = sorted(small, key=lambda unit: _change(need, of_unit[unit]))[:1]
    unseen = np.isin(unit_of, drawn)
    if not drawn or unseen.all():
        raise UserError(_too_connected(column, code, relations))
    return unseen


def unseen_state(column: str, code: np.ndarray, unseen: np.ndarray) -> str:
    """The guarantee that values of a column are in test as a whole or not at all, looked up in the documents."""
    named = code >= 0
    tested, others = np.unique(code[named & unseen]), np.unique(code[named & ~unseen])
    if divided := len(np.intersect1d(tested, others)):
        return f"does not hold: {divided} values of {column} stand in test and elsewhere"
    nameless = f"; {(~named).sum()} documents have none" if not named.all() else ""
    return f"holds: {len(tested)} of {len(tested) + len(others)} values of {column} are test data alone{nameless}"


def _change(need: Sequence[int], counts: Counts) -> int:
    """By how much the distance to the targets grows (+) or shrinks (-) with a unit more."""
    return sum(abs(need[level] - count) - abs(need[level]) for level, count in counts)


def _too_connected(column: str, code: np.ndarray, relations: Mapping[str, np.ndarray]) -> str:
    documents = len(code)
    together = f"split.test_on={column}: no values of {column} can be test data by themselves"
    largest, binding, without = largest_unit({column: code, **relations}, list(relations) or [column])
    most = int(np.bincount(code[code >= 0]).max())
    if not relations or 2 * most > documents:
        return (
            f"{together}: one of them has {most:,} of {documents:,} documents, expected at most half; "
            f"type split.test_on=null, or choose another column"
        )
    connected = ", ".join(dict.fromkeys([*relations, column]))
    if 2 * without > documents:  # it takes more than one of them away
        kept, so_far = "", f"by {column} alone {most:,}"
    else:
        kept, so_far = ",".join(name for name in relations if name != binding), f"without {binding} {without:,}"
    return (
        f"{together}: the largest unit connected by {connected} has {largest:,} of {documents:,} documents, {so_far}; "
        f"type split.keep_together=[{kept}] or split.test_on=null"
    )
