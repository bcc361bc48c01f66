"""Groups of documents that must stay in one split.

A relation is an array of codes, (D,) int64: documents with equal codes belong together; -1 is unrelated to any.
A group, as in scikit-learn's GroupKFold, is a connected component of such relations.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from ilm.corpus.near_duplicates import connected, near_duplicate_clusters
from ilm.corpus.text_keys import text_keys


def relations(documents: pd.DataFrame, columns: Sequence[str], near_duplicates: float | None) -> dict[str, np.ndarray]:
    """One relation for each of `columns` (of `KEEP_TOGETHER`) that the documents have.

    "text" relates texts equal when folded; "near_duplicates" texts at least that similar, directly or through others;
    "learner_id" and "topic" equal values, unless empty.
    """
    found: dict[str, np.ndarray] = {}
    by_text = {"text", "near_duplicates"} & set(columns)
    keys = text_keys(documents["text"]) if by_text else np.zeros(0, dtype=np.uint64)
    for column in columns:
        if column == "text":
            found[column] = np.unique(keys, return_inverse=True)[1]
        elif column == "near_duplicates":
            assert near_duplicates is not None  # a rule of the split
            found[column] = near_duplicate_clusters(documents["text"], keys, near_duplicates)
        elif column in documents:
            found[column] = value_codes(documents[column])
    return found


def value_codes(values: pd.Series) -> np.ndarray:
    """One code per distinct value; -1 for an empty value."""
    return pd.factorize(values.where(values != ""))[0]


def group_labels(size: int, codes: Iterable[np.ndarray]) -> np.ndarray:
    """The connected components of the relations; a document's label, (D,), is the smallest row of its group."""
    pairs = [np.empty((0, 2), dtype=np.int64)]
    for code in codes:
        rows = np.flatnonzero(code >= 0)
        first = np.zeros(code.max(initial=-1) + 1, dtype=np.int64)
        first[code[rows[::-1]]] = rows[::-1]
        pairs.append(np.column_stack((first[code[rows]], rows)))
    return connected(size, np.concatenate(pairs))
