"""Kept scores of runs on the same texts as arrays: what perplexities and comparisons are computed from.

The runs compared have scored the same examples, so each target of one is a target of all, and differences are paired.
Runs with different tokenizers share no targets: their answers are compared in bits per character cut out.

Legend: R runs, U rows (examples for the kind `context`, blanks for the others), G clusters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ilm.corpus.splitting.assign import BY_DEFAULT
from ilm.corpus.splitting.groups import group_labels, relations
from ilm.errors import UserError
from ilm.evaluation.scores import EXAMPLE, Scores

# The kind of loss of runs with different tokenizers.
PER_CHARACTER = "bits_per_character"

# Edges of the groups that blanks are put in by the number of words cut out.
_WORDS = {"1 word": 1, "2 words": 2, "3-4 words": 4, "5-8 words": 8, "9 or more words": np.inf}
THIRDS = ("first third", "second third", "last third")


@dataclass(frozen=True)
class Texts:
    """The scored texts: rows of documents.parquet, and the `clusters` (their numbers, from 0) that errors are over.

    Equal texts, and texts of one learner where learners are known, form a cluster: they are not independent.
    `clusters_are` says which: "text" or "learner".
    """

    documents: pd.DataFrame
    clusters: np.ndarray
    clusters_are: str

    @classmethod
    def of(cls, documents: pd.DataFrame) -> "Texts":
        documents = documents.reset_index(drop=True)
        labels, clusters_are = clusters_of(documents)
        return cls(documents, np.unique(labels, return_inverse=True)[1], clusters_are)

    @cached_property
    def rows(self) -> pd.Index:
        return pd.Index(self.documents["writing_id"])

    @cached_property
    def levels(self) -> list[str]:
        """Sorted."""
        return sorted(self.documents["cefr_level"].unique())

    @cached_property
    def topics(self) -> np.ndarray | None:
        """The number of each text's topic, from 0, or None where no topic is known. A text without one stands alone."""
        if "topic" not in self.documents:
            return None
        topics = self.documents["topic"].fillna("").astype(str).str.strip()
        if not topics.any():
            return None
        alone = pd.Series(range(len(topics)), topics.index)
        return pd.factorize(topics.where(topics != "", alone))[0]

    @cached_property
    def lengths(self) -> pd.Categorical:
        """The quarter of all texts by length that each is in, named by its range of words."""
        words = self.documents["text"].str.split().str.len()
        edges = np.unique(words.quantile([0, 0.25, 0.5, 0.75, 1]).round().astype(int))
        if len(edges) == 1:
            return pd.Categorical([f"{edges[0]} words"] * len(words))
        lowest = [edges[0], *(edge + 1 for edge in edges[1:-1])]
        labels = [f"{low}-{high} words" for low, high in zip(lowest, edges[1:], strict=True)]
        return pd.cut(words, edges, labels=labels, include_lowest=True).array


@dataclass(frozen=True)
class Losses:
    """`nll` of R runs in nats (R, U), the rows' `targets` (U,), and `texts` (U,), the row of each among the texts.

    Of the kind `PER_CHARACTER` NLL are in bits and targets are characters. `groups` has a column for each grouping of
    blanks: `l1`, `text length`, `mask type`, `position`, `blank length`; none for `context`.
    """

    nll: np.ndarray
    targets: np.ndarray
    texts: np.ndarray
    groups: pd.DataFrame

    def by_cluster(self, clusters: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(NLL (R, G), targets (G,)) of the `chosen` rows (boolean, (U,)), G as in `clusters` (of the texts)."""
        of_rows, n = clusters[self.texts[chosen]], int(clusters.max()) + 1
        nll = np.stack([np.bincount(of_rows, nll[chosen], n) for nll in self.nll])
        return nll, np.bincount(of_rows, self.targets[chosen], n).astype(np.int64)


def clusters_of(documents: pd.DataFrame) -> tuple[np.ndarray, str]:
    """The cluster of each document, as the number of its first one, (D,), and what they are: "learner" or "text"."""
    relation = relations(documents, BY_DEFAULT, None)
    known = (relation.get("learner_id", np.array([-1])) >= 0).any()
    return group_labels(len(documents), relation.values()), "learner" if known else "text"


def losses_by_kind(scores: Mapping[str, Scores], texts: Texts) -> dict[str, Losses]:
    """The losses of runs by kind; the rows are the same for all runs, which `scores` names.

    Raises: UserError if two runs have scored different targets (another tokenizer, or other masks).
    """
    first = _require_same(scores, "context_targets", "targets")
    of_example, of_blank = (texts.rows.get_indexer(table["writing_id"]) for table in (first.examples, first.blanks))
    context_nll = _columns(scores, "examples", "context_nll")
    text_nll, end_nll = (_columns(scores, "blanks", column) for column in ("nll", "end_nll"))
    context = first.examples["context_targets"].to_numpy()
    text, end = (first.blanks[column].to_numpy() for column in ("targets", "end_targets"))
    groups = _groups_of_blanks(first.blanks, texts)
    return {
        "context": Losses(context_nll, context, of_example, pd.DataFrame()),
        "infill": Losses(text_nll + end_nll, text + end, of_blank, groups),
        "infill_textonly": Losses(text_nll, text, of_blank, groups),
    }


def losses_per_character(scores: Mapping[str, Scores], texts: Texts) -> dict[str, Losses]:
    """Bits of whole answers, their ends included, per character cut out, of examples that no run cuts.

    Tokenizers divide a text differently between an answer and its end, so only their sum means the same for all.
    Characters are those of the span in the text, whatever tokens were cut out for it.

    Raises: UserError if the runs have other masks.
    """
    blanks = _require_same(scores, None, "characters").blanks
    bits = (_columns(scores, "blanks", "nll") + _columns(scores, "blanks", "end_nll")) / np.log(2)
    rows = texts.rows.get_indexer(blanks["writing_id"])
    return {PER_CHARACTER: Losses(bits, blanks["characters"].to_numpy(), rows, _groups_of_blanks(blanks, texts))}


def common_examples(scores: Mapping[str, Scores], *, complete: bool) -> dict[str, Scores]:
    """The scores of the examples that all runs have, or of those among them that none of them cut."""
    keys = None
    for of_run in scores.values():
        kept = of_run.examples[~of_run.examples["cut"]] if complete else of_run.examples
        own = pd.MultiIndex.from_frame(kept[EXAMPLE])
        keys = own if keys is None else keys.intersection(own)
    return {name: of_run.of(keys) for name, of_run in scores.items()}


def _require_same(scores: Mapping[str, Scores], of_example: str | None, of_blank: str) -> Scores:
    """The scores of the first run; the rows of all others, and these columns of them, are the same."""
    (first_name, first), *others = scores.items()
    for name, other in others:
        if not (
            _same(first.examples, other.examples, [*EXAMPLE, *filter(None, [of_example])])
            and _same(first.blanks, other.blanks, [*EXAMPLE, "blank", "start", of_blank])
        ):
            raise UserError(
                f"{name} and {first_name} were not scored on the same targets: their tokenizers or masks differ. Name "
                "models that can be compared with models=[...]"
            )
    return first


def _same(a: pd.DataFrame, b: pd.DataFrame, columns: Sequence[str]) -> bool:
    return len(a) == len(b) and all(np.array_equal(a[column].array, b[column].array) for column in columns)


def _groups_of_blanks(blanks: pd.DataFrame, texts: Texts) -> pd.DataFrame:
    rows = texts.rows.get_indexer(blanks["writing_id"])
    groups = {
        "l1": texts.documents["l1"].astype(str).array[rows],
        "text length": texts.lengths[rows],
        "mask type": blanks["mask_type"].array,
        "position": thirds(blanks["start"].to_numpy(), texts.documents["text"].str.len().to_numpy()[rows]),
        "blank length": word_groups(blanks["words"].to_numpy()),
    }
    return pd.DataFrame(groups)


def _columns(scores: Mapping[str, Scores], table: str, column: str) -> np.ndarray:
    return np.stack([getattr(of_run, table)[column].to_numpy() for of_run in scores.values()])


def thirds(starts: np.ndarray, lengths: np.ndarray | int) -> pd.Categorical:
    """The third of something of this length in which each position lies."""
    return pd.Categorical.from_codes(np.minimum(3 * starts // np.maximum(1, lengths), 2).astype(int), THIRDS)


def word_groups(words: np.ndarray) -> pd.Categorical:
    """Numbers of words in groups."""
    return pd.cut(words, [-1, *_WORDS.values()], labels=list(_WORDS))
