"""What of the test data a model could have seen: counted in the documents that were written, not assumed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from ilm.corpus.folding import text_keys
from ilm.corpus.near_duplicates import near_duplicates_among
from ilm.corpus.splits import SPLITS
from ilm.corpus.units import GUARANTEES, no_column, shared_values, value_codes

EXAMPLES = 3
NOT_LOOKED_FOR = "not looked for: split.near_duplicates=null"

# A document: (writing_id, split)
Place = tuple[str, str]


@dataclass(frozen=True)
class SharedValues:
    """Texts, learners or topics in more than one split."""

    values: int
    documents: int  # that have one of these values
    examples: tuple[tuple[Place, Place], ...]  # two documents with the same value


@dataclass(frozen=True)
class NearDuplicates:
    """Documents whose text is equal or nearly equal to one of the training data."""

    similarity: float  # Jaccard similarity of character 5-grams from which texts count
    documents: dict[str, int]  # split -> documents looked at
    near: dict[str, int]  # split -> those with a near-duplicate in train
    examples: tuple[tuple[Place, Place], ...]

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

    def to_dict(self) -> dict[str, Any]:
        """Plain containers for the manifest."""
        result = {name: found if isinstance(found, str) else _plain(found) for name, found in vars(self).items()}
        if isinstance(self.near_duplicates, NearDuplicates):
            result["near_duplicates"]["shares"] = self.near_duplicates.shares
        return result

    def violated(self, keep_together: Sequence[str]) -> list[str]:
        """What was to be kept together and was not, one line each; empty if the splits are what they claim to be."""
        lines = []
        for column, (_, noun) in GUARANTEES.items():
            found = getattr(self, {"text": "texts", "learner_id": "learners", "topic": "topics"}.get(column, column))
            if column not in keep_together or isinstance(found, str):
                continue
            count = sum(found.near.values()) if isinstance(found, NearDuplicates) else found.values
            if count:
                (one, its), (other, others) = found.examples[0]
                what = (
                    f"{count} documents have near-duplicates in train"
                    if column == "near_duplicates"
                    else (f"{count} {noun} stand in several splits")
                )
                lines.append(f"{what}, for example of {one!r} ({its}) and {other!r} ({others})")
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


def leak_report(documents: pd.DataFrame, *, near_duplicates: float | None) -> LeakReport:
    """Look at documents with column `split` for what stands in more than one of them.

    `near_duplicates`: the similarity from which texts count as nearly equal; None does not look for them.
    """
    splits = pd.Categorical(documents["split"], categories=list(SPLITS)).codes
    keys = text_keys(documents["text"])
    found: dict[str, SharedValues | str] = {
        "texts": _shared(documents, np.unique(keys, return_inverse=True)[1], splits)
    }
    for column, name in (("learner_id", "learners"), ("topic", "topics")):
        present = column in documents
        found[name] = _shared(documents, value_codes(documents[column]), splits) if present else no_column(column)
    if near_duplicates is None:
        return LeakReport(near_duplicates=NOT_LOOKED_FOR, **found)
    trained = splits == SPLITS.index("train")
    partner = near_duplicates_among(documents["text"], ~trained, trained, near_duplicates, keys=keys)
    asked = [(split, splits == SPLITS.index(split)) for split in SPLITS[1:]]
    near = NearDuplicates(
        similarity=near_duplicates,
        documents={split: int(rows.sum()) for split, rows in asked},
        near={split: int((partner[rows] >= 0).sum()) for split, rows in asked},
        examples=tuple(
            (_place(documents, row), _place(documents, int(partner[row])))
            for row in np.flatnonzero(partner >= 0)[:EXAMPLES].tolist()
        ),
    )
    return LeakReport(near_duplicates=near, **found)


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


def _shared(documents: pd.DataFrame, code: np.ndarray, splits: np.ndarray) -> SharedValues:
    shared = shared_values(code, splits, EXAMPLES)
    examples = tuple((_place(documents, one), _place(documents, other)) for one, other in shared.rows)
    return SharedValues(shared.values, shared.documents, examples)


def _place(documents: pd.DataFrame, row: int) -> Place:
    return documents["writing_id"].iloc[row], documents["split"].iloc[row]


def _plain(found: Any) -> dict[str, Any]:
    values = asdict(found)
    return {**values, "examples": [[list(p) if isinstance(p, tuple) else p for p in e] for e in values["examples"]]}
