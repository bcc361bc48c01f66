"""Which documents hang together, and which values stand in more than one split.

A relation between documents is an array of codes, (D,) int64: documents with the same code belong together, -1 belongs
to nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ilm.config.prepare import KEEP_TOGETHER
from ilm.corpus.near_duplicates import near_duplicate_pairs
from ilm.corpus.text_keys import text_keys
from ilm.errors import UserError

# The name of the guarantee that a column's values are not divided, and what is counted.
GUARANTEES = {
    "text": ("equal_texts", "texts"),
    "learner_id": ("learners", "learners"),
    "topic": ("topics", "topics"),
    "near_duplicates": ("near_duplicates", "clusters of near-duplicates"),
}
# Columns that a corpus may lack.
LABELS = {"learner_id": "learner", "topic": "topic"}


@dataclass(frozen=True)
class Shared:
    """What stands in more than one split."""

    values: int  # distinct texts, learners, ...
    documents: int  # those that have one of these values
    rows: tuple[tuple[int, int], ...]  # for the first values: two documents in different splits


def relations(documents: pd.DataFrame, columns: Sequence[str], near_duplicates: float | None) -> dict[str, np.ndarray]:
    """The relation of each of `columns` (of `KEEP_TOGETHER`) that the documents have.

    "text" connects texts that are equal when folded, "near_duplicates" those that are similar by at least
    `near_duplicates`, directly or through others; "learner_id" and "topic" connect equal values, an empty one nothing.

    Raises: UserError for an unknown name, and for "near_duplicates" without a similarity.
    """
    if unknown := sorted(set(columns) - set(KEEP_TOGETHER)):
        raise UserError(
            f"split.keep_together names {unknown}: expected some of {list(KEEP_TOGETHER)}, "
            f"for example split.keep_together=[text,learner_id]"
        )
    found: dict[str, np.ndarray] = {}
    keys = text_keys(documents["text"]) if {"text", "near_duplicates"} & set(columns) else None
    for column in columns:
        if column == "text":
            found[column] = np.unique(keys, return_inverse=True)[1]
        elif column == "near_duplicates":
            if near_duplicates is None:
                raise UserError(
                    "split.keep_together names near_duplicates, but split.near_duplicates=null looks for none; "
                    "expected a similarity, for example split.near_duplicates=0.8"
                )
            found[column] = connected(
                len(documents), near_duplicate_pairs(documents["text"], near_duplicates, keys=keys)
            )
        elif column in documents:
            found[column] = value_codes(documents[column])
    return found


def value_codes(values: pd.Series) -> np.ndarray:
    """Equal values as equal codes; an empty value is -1."""
    codes, distinct = pd.factorize(values)
    empty = np.flatnonzero(np.asarray(distinct == ""))
    return np.where(np.isin(codes, empty), -1, codes)


def unit_labels(size: int, codes: Iterable[np.ndarray]) -> np.ndarray:
    """Documents connected through any of the relations: each one's label, (D,), is its unit's least row number."""
    pairs = [np.empty((0, 2), dtype=np.int64)]
    for code in codes:
        rows = np.flatnonzero(code >= 0)
        first = np.zeros(code.max(initial=-1) + 1, dtype=np.int64)
        first[code[rows[::-1]]] = rows[::-1]
        pairs.append(np.column_stack((first[code[rows]], rows)))
    return connected(size, np.concatenate(pairs))


def connected(size: int, pairs: np.ndarray) -> np.ndarray:
    """The components of `size` nodes that the `pairs` (P, 2) connect: for each node its component's least one, (N,)."""
    one, other = np.asarray(pairs, dtype=np.int64).reshape(-1, 2).T
    edges = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(size, size))
    _, component = connected_components(edges, directed=False)
    _, least = np.unique(component, return_index=True)
    return least[component]


def largest_unit(codes: Mapping[str, np.ndarray], columns: Sequence[str]) -> tuple[int, str, int]:
    """Documents of the largest unit, which of `columns` makes it so large, and the largest unit without that one."""
    size = len(codes[columns[0]])
    without = {
        column: _largest(unit_labels(size, [code for other, code in codes.items() if other != column]))
        for column in columns
    }
    binding = min(columns, key=without.__getitem__)
    return _largest(unit_labels(size, codes.values())), binding, without[binding]


def shared_values(code: np.ndarray, side: np.ndarray, examples: int = 3) -> Shared:
    """Values whose documents stand on more than one side; `side`: (D,) small integers."""
    rows = np.flatnonzero(code >= 0)
    first = np.full(code.max(initial=-1) + 1, -1, dtype=np.int64)
    first[code[rows[::-1]]] = rows[::-1]
    apart = rows[side[rows] != side[first[code[rows]]]]
    values, at = np.unique(code[apart], return_index=True)
    pairs = sorted((int(first[value]), int(apart[place])) for value, place in zip(values, at, strict=True))
    return Shared(len(values), int(np.isin(code, values).sum()), tuple(pairs[:examples]))


def guarantees(
    columns: Collection[str],
    keep_together: Sequence[str],
    relations: Mapping[str, np.ndarray],
    split_of: np.ndarray,
) -> dict[str, str]:
    """What holds of the splits, looked up in them: guarantee -> "holds", or what does not and why.

    `columns`: those of the documents; `relations`: of `keep_together`; `split_of`: (D,) a number for each split.
    """
    states = {}
    for column, (name, noun) in GUARANTEES.items():
        if column in LABELS and column not in columns:
            states[name] = no_column(column)
        elif column not in keep_together:
            states[name] = "not asked for"
        elif (shared := shared_values(relations[column], split_of)).values:
            states[name] = (
                f"does not hold: {shared.values} {noun} ({shared.documents} documents) stand in several splits"
            )
        elif nameless := int((relations[column] < 0).sum()):
            states[name] = f"holds, except for {nameless} documents without a {column.replace('_', ' ')}"
        elif column == "near_duplicates":
            states[name] = "holds for those that MinHash finds, which are nearly all"
        else:
            states[name] = "holds"
    return states


def no_column(column: str) -> str:
    """Why nothing can be said of learners or topics."""
    return f"cannot be known: no {LABELS[column]} column"


def _largest(labels: np.ndarray) -> int:
    return int(np.bincount(labels).max(initial=0))
