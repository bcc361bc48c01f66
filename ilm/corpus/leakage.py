"""Leakage between splits, counted in the documents as written to disk."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ilm.corpus.near_duplicates import near_duplicates_among
from ilm.corpus.splitting.assign import SPLITS
from ilm.corpus.splitting.groups import value_codes
from ilm.corpus.text_keys import text_keys

EXAMPLES = 3
TRAIN, TEST = SPLITS.index("train"), SPLITS.index("test")
NOT_LOOKED_FOR = "not looked for: split.near_duplicates=null"

# A document: (writing_id, split)
Place = tuple[str, str]


@dataclass(frozen=True)
class SharedValues:
    """Texts, learners or topics on more than one side of a division, such as in several splits."""

    values: int
    documents: int  # documents with one of these values
    without_value: int  # documents whose value is missing, such as a learner id
    examples: tuple[tuple[Place, Place], ...]  # two documents with the same value


@dataclass(frozen=True)
class NearDuplicates:
    """Documents whose text equals or nearly equals a training text."""

    similarity: float  # threshold, Jaccard similarity of character 5-grams
    documents: dict[str, int]  # split -> documents checked
    near: dict[str, int]  # split -> those with a near-duplicate in train
    examples: tuple[tuple[Place, Place], ...]  # the first few of each split, with their near-duplicate in train


@dataclass(frozen=True)
class LeakReport:
    """What occurs in more than one split. A string gives the reason why something is unknown."""

    texts: SharedValues
    learners: SharedValues | str
    topics: SharedValues | str
    near_duplicates: NearDuplicates | str
    held_out: SharedValues | None = None  # values of `split.test_on` in test and elsewhere

    def violated(self, keep_together: Sequence[str]) -> list[str]:
        """Broken guarantees, one line each; empty if everything in `keep_together` was kept together."""
        found = {"text": self.texts, "learner_id": self.learners, "topic": self.topics}
        lines = []
        for column in keep_together:
            if column == "near_duplicates":
                if isinstance(self.near_duplicates, NearDuplicates) and any(self.near_duplicates.near.values()):
                    count, examples = sum(self.near_duplicates.near.values()), self.near_duplicates.examples
                    what = "documents of valid or test have a near-duplicate in train"
                    lines.append(f"{count} {what}, for example {_pair(examples[0])}")
            elif isinstance(shared := found[column], SharedValues) and shared.values:
                what = f"values of {column} occur in several splits"
                lines.append(f"{shared.values} {what}, for example {_pair(shared.examples[0])}")
        if self.held_out is not None and self.held_out.values:
            lines.append(f"{self.held_out.values} values of split.test_on occur both in test and elsewhere")
        return lines


@dataclass(frozen=True)
class SharedWith:
    """Overlap of a corpus with the training data of another."""

    documents: int  # of the corpus
    texts: int  # documents whose folded text equals a training text
    near_duplicates: int | str  # documents equal or nearly equal to a training text


def leak_report(documents: pd.DataFrame, *, near_duplicates: float | None, test_on: str | None = None) -> LeakReport:
    """Report what documents in different splits (column `split`) share.

    `near_duplicates`: similarity threshold for near-duplicates; None: don't search for them.
    `test_on`: the column whose values must lie wholly inside or outside test.
    """
    splits = pd.Categorical(documents["split"], categories=list(SPLITS)).codes
    keys = text_keys(documents["text"])
    near: NearDuplicates | str = NOT_LOOKED_FOR
    if near_duplicates is not None:
        near = _near_duplicates(documents, splits, keys, near_duplicates)
    return LeakReport(
        texts=_shared(documents, np.unique(keys, return_inverse=True)[1], splits),
        learners=_shared_column(documents, "learner_id", splits),
        topics=_shared_column(documents, "topic", splits),
        near_duplicates=near,
        held_out=None if test_on is None else _shared(documents, value_codes(documents[test_on]), splits == TEST),
    )


def shared_with(documents: pd.DataFrame, other: pd.DataFrame, *, near_duplicates: float | None) -> SharedWith:
    """Count the `documents` that occur in the training data of the corpus `other` (with column `split`).

    `near_duplicates`: as in `leak_report`.
    """
    equal, similar = seen_in_training(documents, other, near_duplicates)
    return SharedWith(
        documents=len(documents),
        texts=int(equal.sum()),
        near_duplicates=NOT_LOOKED_FOR if near_duplicates is None else int(similar.sum()),
    )


def seen_in_training(
    documents: pd.DataFrame, other: pd.DataFrame, near_duplicates: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Which documents equal a training text of `other`, and which are equal or similar to one, (D,) bool each."""
    trained = np.flatnonzero((other["split"] == "train").to_numpy())
    keys, other_keys = text_keys(documents["text"]), text_keys(other["text"])
    equal = np.isin(keys, other_keys[trained])
    if near_duplicates is None:
        return equal, equal
    queries = np.arange(len(keys) + len(other)) < len(keys)
    reference = np.zeros(len(queries), dtype=bool)
    reference[len(keys) + trained] = True
    texts = pd.concat([documents["text"], other["text"]], ignore_index=True)
    both = np.concatenate((keys, other_keys))
    partner = near_duplicates_among(texts, both, queries, reference, near_duplicates)
    return equal, partner[: len(keys)] >= 0


def _near_duplicates(
    documents: pd.DataFrame, splits: np.ndarray, keys: np.ndarray, similarity: float
) -> NearDuplicates:
    partner = near_duplicates_among(documents["text"], keys, splits != TRAIN, splits == TRAIN, similarity)
    rows = {split: np.flatnonzero((splits == SPLITS.index(split)) & (partner >= 0)) for split in SPLITS[1:]}
    return NearDuplicates(
        similarity=similarity,
        documents={split: int((splits == SPLITS.index(split)).sum()) for split in SPLITS[1:]},
        near={split: len(near) for split, near in rows.items()},
        examples=tuple(
            (_place(documents, row), _place(documents, int(partner[row])))
            for near in rows.values()
            for row in near[:EXAMPLES].tolist()
        ),
    )


def _shared_column(documents: pd.DataFrame, column: str, splits: np.ndarray) -> SharedValues | str:
    if column not in documents:
        return f"cannot be known: no {column.removesuffix('_id')} column"
    return _shared(documents, value_codes(documents[column]), splits)


def _shared(documents: pd.DataFrame, code: np.ndarray, splits: np.ndarray) -> SharedValues:
    """`code`: (D,) one code per value, -1 for a missing value."""
    rows = np.flatnonzero(code >= 0)
    first = pd.Series(rows).groupby(code[rows]).transform("first").to_numpy()
    apart = splits[rows] != splits[first]
    # The first row of each shared value -> the first row elsewhere.
    pairs = dict(zip(first[apart][::-1].tolist(), rows[apart][::-1].tolist(), strict=True))
    return SharedValues(
        values=len(pairs),
        documents=int(np.isin(code, code[np.array([*pairs], dtype=np.int64)]).sum()),
        without_value=len(code) - len(rows),
        examples=tuple(
            (_place(documents, one), _place(documents, two)) for one, two in sorted(pairs.items())[:EXAMPLES]
        ),
    )


def _place(documents: pd.DataFrame, row: int) -> Place:
    return documents["writing_id"].iloc[row], documents["split"].iloc[row]


def _pair(example: tuple[Place, Place]) -> str:
    (one, here), (other, there) = example
    return f"{one!r} ({here}) and {other!r} ({there})"
