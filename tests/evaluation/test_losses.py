"""Losses from kept scores: what the runs share, clusters, topics, and bits a character between tokenizers."""

import numpy as np
import pandas as pd
import pytest

from ilm.errors import UserError
from ilm.evaluation.losses import PER_CHARACTER, Texts, common_examples, losses_by_kind, losses_per_character
from ilm.evaluation.scores import Scores

TEXTS = ["We was happy yesterday.", "It is cold.", "It is cold.", "He go home."]


def texts(**columns: list) -> Texts:
    documents = pd.DataFrame({"writing_id": ["a", "b", "c", "d"], "text": TEXTS, "l1": "Thai", "cefr_level": "A1"})
    return Texts.of(documents.assign(**columns))


def scores(tokens_per_answer: list[int], cut: list[bool]) -> Scores:
    """Two examples of text a and one of d, a blank each; an answer of t tokens costs t nats, its end 0.5."""
    examples = pd.DataFrame({"writing_id": ["a", "a", "d"], "example": [0, 1, 0], "cut": cut})
    targets = np.array(tokens_per_answer)
    blanks = examples[["writing_id", "example"]].assign(
        blank=0,
        mask_type=pd.Categorical(["word", "ngram", "word"]),
        start=[3, 7, 0],
        characters=[3, 5, 2],
        words=[1, 1, 1],
        nll=targets.astype(float),
        targets=targets,
        end_nll=0.5,
        end_targets=1,
    )
    return Scores(examples.assign(tokens=9, context_nll=4.0, context_targets=4), blanks)


BYTES, WORDS = scores([4, 5, 2], [False, False, False]), scores([1, 2, 1], [False, True, False])


def test_runs_with_other_tokenizers_share_no_targets():
    with pytest.raises(UserError, match="their tokenizers or masks differ"):
        losses_by_kind({"bytes": BYTES, "words": WORDS}, texts())


def test_bits_a_character_are_of_answers_with_their_ends_that_no_run_cuts():
    shared = common_examples({"bytes": BYTES, "words": WORDS}, complete=True)
    (kind, losses), *others = losses_per_character(shared, texts()).items()
    assert (kind, others) == (PER_CHARACTER, [])
    # The second example is cut for one of the two. 4.5 nats over 3 characters, 2.5 over 2; 1.5 over each.
    assert losses.targets.tolist() == [3, 2]
    assert losses.texts.tolist() == [0, 3]
    assert losses.nll * np.log(2) == pytest.approx(np.array([[4.5, 2.5], [1.5, 1.5]]))
    assert losses.groups["mask type"].tolist() == ["word", "word"]


def test_characters_are_those_of_the_same_spans():
    moved = Scores(BYTES.examples, BYTES.blanks.assign(start=[3, 7, 1]))
    with pytest.raises(UserError, match="masks differ"):
        losses_per_character({"bytes": BYTES, "moved": moved}, texts())


def test_kinds_of_one_tokenizer():
    losses = losses_by_kind({"one": BYTES, "two": BYTES}, texts())
    assert list(losses) == ["context", "infill", "infill_textonly"]
    assert [of_kind.targets.sum() for of_kind in losses.values()] == [12, 14, 11]
    assert [of_kind.nll[1].sum() for of_kind in losses.values()] == pytest.approx([12, 12.5, 11])


def test_clusters_are_equal_texts_and_learners():
    assert (texts().clusters_are, texts().clusters.tolist()) == ("text", [0, 1, 1, 2])
    of_learners = texts(learner_id=["x", "y", "z", "x"])
    assert (of_learners.clusters_are, of_learners.clusters.tolist()) == ("learner", [0, 1, 1, 0])


def test_topics():
    assert texts().topics is None
    assert texts(topic=["", None, "", " "]).topics is None
    assert texts(topic=["pets", "work", "pets", "work"]).topics.tolist() == [0, 1, 0, 1]
    # Texts without a topic have nothing in common.
    assert texts(topic=["pets", None, "pets", ""]).topics.tolist() == [0, 1, 0, 2]
