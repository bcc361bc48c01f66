"""What of the test data a model could have seen: counted in the documents that were written, not assumed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from ilm.corpus.near_duplicates import near_duplicates_among
from ilm.corpus.splitting.assign import SPLITS
from ilm.corpus.splitting.groups import no_column, shared_values, value_codes
from ilm.corpus.splitting.holdout import unseen_state
from ilm.corpus.text_keys import text_keys

EXAMPLES = 3
TRAIN, TEST = SPLITS.index("train"), SPLITS.index("test")
NOT_LOOKED_FOR = "not looked for: split.near_duplicates=null"

# A document: (writing_id, split)
Place = tuple[str, str]


@dataclass(frozen=True)
class SharedValues:
    """Texts, learners or topics in more than one split."""

    values: int
    documents: int  # that have one of these values
    examples: tuple[tuple[Place, Place], ...]  # two documents with the same value

    @property
    def count(self) -> int:
        return self.values


@dataclass(frozen=True)
class NearDuplicates:
    """Documents whose text is equal or nearly equal to one of the training data."""

    similarity: float  # Jaccard similarity of character 5-grams from which texts count
    documents: dict[str, int]  # split -> documents looked at
    near: dict[str, int]  # split -> those with a near-duplicate in train
    examples: tuple[tuple[Place, Place], ...]  # of each split the first ones, with their near-duplicate in train

    @property
    def count(self) -> int:
        return sum(self.near.values())

    @property
    def shares(self) -> dict[str, float]:
        """Split -> share of its documents with a near-duplicate in train; 0 for a split without documents."""
        return {split: self.near[split] / count if count else 0.0 for split, count in self.documents.items()}


@dataclass(frozen=True)
class LeakReport:
    """What stands in more than one split. A string says why something is not known."""

    texts: SharedValues
    near_duplicates: NearDuplicates | str
    learners: SharedValues | str
    topics: SharedValues | str
    unseen_test_values: str | None = None  # with split.test_on: "holds: ..." or "does not hold: ..."

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "LeakReport":
        """The report whose `to_dict` stands in a manifest."""

        def known(kind: type, found: Mapping[str, Any] | str) -> Any:
            return found if isinstance(found, str) else kind(**{k: v for k, v in found.items() if k != "shares"})

        return cls(
            texts=known(SharedValues, stored["texts"]),
            near_duplicates=known(NearDuplicates, stored["near_duplicates"]),
            learners=known(SharedValues, stored["learners"]),
            topics=known(SharedValues, stored["topics"]),
            unseen_test_values=stored.get("unseen_test_values"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain containers for the manifest."""
        known = {name: found for name, found in vars(self).items() if found is not None}
        result = {name: found if isinstance(found, str) else _plain(found) for name, found in known.items()}
        if isinstance(self.near_duplicates, NearDuplicates):
            result["near_duplicates"]["shares"] = self.near_duplicates.shares
        return result

    def violated(self, keep_together: Sequence[str]) -> list[str]:
        """What was to be kept together and was not, one line each; empty if the splits are what they claim to be."""
        counted: dict[str, tuple[str, SharedValues | NearDuplicates | str]] = {
            "text": ("texts stand in several splits", self.texts),
            "learner_id": ("learners stand in several splits", self.learners),
            "topic": ("topics stand in several splits", self.topics),
            "near_duplicates": ("documents of valid or test have a near-duplicate in train", self.near_duplicates),
        }
        lines = []
        for column in keep_together:
            what, found = counted[column]
            if not isinstance(found, str) and found.count:
                (one, here), (other, there) = found.examples[0]
                lines.append(f"{found.count} {what}, for example {one!r} ({here}) and {other!r} ({there})")
        if self.unseen_test_values is not None and self.unseen_test_values.startswith("does not hold"):
            lines.append(self.unseen_test_values)
        return lines


@dataclass(frozen=True)
class SharedWith:
    """What of a corpus stands in the training data of another."""

    documents: int  # of the corpus
    texts: int  # documents whose folded text is also one of the training data
    near_duplicates: int | str  # documents that are equal or nearly equal to one of the training data
    similarity: float | None
    examples: tuple[tuple[str, str], ...]  # writing_id here, writing_id there

    def to_dict(self) -> dict[str, Any]:
        """Plain containers for the manifest."""
        return _plain(self)


def leak_report(documents: pd.DataFrame, *, near_duplicates: float | None, test_on: str | None = None) -> LeakReport:
    """Look at documents with column `split` for what stands in more than one of them.

    `near_duplicates`: the similarity from which texts count as nearly equal; None does not look for them.
    `test_on`: the column whose values were to be in test as a whole or not at all.
    """
    splits = pd.Categorical(documents["split"], categories=list(SPLITS)).codes
    keys = text_keys(documents["text"])
    found: dict[str, SharedValues | str] = {
        "texts": _shared(documents, np.unique(keys, return_inverse=True)[1], splits)
    }
    for column, name in (("learner_id", "learners"), ("topic", "topics")):
        present = column in documents
        found[name] = _shared(documents, value_codes(documents[column]), splits) if present else no_column(column)
    near: NearDuplicates | str = NOT_LOOKED_FOR
    if near_duplicates is not None:
        near = _near_duplicates(documents, splits, keys, near_duplicates)
    unseen = None if test_on is None else unseen_state(test_on, value_codes(documents[test_on]), splits == TEST)
    return LeakReport(near_duplicates=near, **found, unseen_test_values=unseen)


def shared_with(documents: pd.DataFrame, other: pd.DataFrame, *, near_duplicates: float | None) -> SharedWith:
    """How many of `documents` stand in the training data of the corpus `other` (with column `split`).

    `near_duplicates`: as in `leak_report`.
    """
    trained = np.flatnonzero((other["split"] == "train").to_numpy())
    keys, other_keys = text_keys(documents["text"]), text_keys(other["text"])
    distinct, first = np.unique(other_keys[trained], return_index=True)
    place = np.minimum(np.searchsorted(distinct, keys), max(0, len(distinct) - 1))
    equal = distinct[place] == keys if len(distinct) else np.zeros(len(keys), dtype=bool)
    partner = np.full(len(keys), -1, dtype=np.int64)
    partner[equal] = trained[first[place[equal]]]
    near: int | str = NOT_LOOKED_FOR
    if near_duplicates is not None:
        asked = np.arange(len(keys) + len(other)) < len(keys)
        reference = np.zeros(len(asked), dtype=bool)
        reference[len(keys) + trained] = True
        texts = pd.concat([documents["text"], other["text"]], ignore_index=True)
        both = np.concatenate((keys, other_keys))
        partner = near_duplicates_among(texts, asked, reference, near_duplicates, keys=both)[: len(keys)]
        partner = np.where(partner >= 0, partner - len(keys), -1)
        near = int((partner >= 0).sum())
    ids, other_ids = documents["writing_id"], other["writing_id"]
    return SharedWith(
        documents=len(keys),
        texts=int(equal.sum()),
        near_duplicates=near,
        similarity=near_duplicates,
        examples=tuple(
            (ids.iloc[row], other_ids.iloc[partner[row]]) for row in np.flatnonzero(partner >= 0)[:EXAMPLES].tolist()
        ),
    )


def _near_duplicates(
    documents: pd.DataFrame, splits: np.ndarray, keys: np.ndarray, similarity: float
) -> NearDuplicates:
    partner = near_duplicates_among(documents["text"], splits != TRAIN, splits == TRAIN, similarity, keys=keys)
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


def _shared(documents: pd.DataFrame, code: np.ndarray, splits: np.ndarray) -> SharedValues:
    shared = shared_values(code, splits, EXAMPLES)
    examples = tuple((_place(documents, one), _place(documents, other)) for one, other in shared.rows)
    return SharedValues(shared.values, shared.documents, examples)


def _place(documents: pd.DataFrame, row: int) -> Place:
    return documents["writing_id"].iloc[row], documents["split"].iloc[row]


def _plain(found: Any) -> dict[str, Any]:
    values = asdict(found)
    return {**values, "examples": [[list(p) if isinstance(p, tuple) else p for p in e] for e in values["examples"]]}
