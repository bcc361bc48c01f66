"""Perplexities from kept scores: those of the reference implementation on its own 32 rows."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from ilm.evaluation.losses import Texts, losses_by_kind
from ilm.evaluation.perplexity.results import results
from ilm.evaluation.scores import Scores, score_batches
from ilm.examples.alignment import TokenSpans
from ilm.examples.layout import Example, Examples, TargetType
from ilm.models.scoring import KINDS, perplexity
from tests.reference_data import EVALUATION, MASK_TYPES, formula_model

DOCUMENTS = pd.DataFrame({"writing_id": [f"w{i}" for i in range(5)], "text": [f"text {i}" for i in range(5)]})
DOCUMENTS = DOCUMENTS.assign(cefr_level=["A1", "B2", "A1", "B2", "A1"], l1="Thai")


class Rows:
    """The 32 rows of the reference as examples of 5 documents, the mask type of an answer being its number % 5."""

    max_length, objective = 200, "ilm"
    vocabulary = SimpleNamespace(mask_types=MASK_TYPES)

    def __init__(self):
        self.examples, self.spans = [], []
        for row in EVALUATION["rows"]:
            types = np.array(row["target_types"], dtype=np.uint8)
            ids, types = np.array(row["input_ids"], dtype=np.int32)[types > 0], types[types > 0]
            self.examples.append(Example(ids, types, len(ids)))
            # Where spans stand in the document does not matter here, only how many tokens each has.
            counts = np.bincount(np.cumsum(types == TargetType.INFILL_SPECIAL)[types == TargetType.INFILL])
            ends = np.cumsum(counts)
            self.spans.append([(k % 5, int(ends[k] - n), int(ends[k])) for k, n in enumerate(counts.tolist())])

    def lay_out(self, numbers):
        return Examples.of([self.examples[number] for number in numbers])

    def keys(self, numbers):
        return numbers % 5, numbers // 5

    def token_spans(self, numbers):
        return TokenSpans.of([self.spans[number] for number in numbers])

    def character_spans(self, numbers):
        count = sum(len(self.spans[number]) for number in numbers)
        return np.zeros(count, dtype=int), np.ones(count, dtype=int)


ROWS = Rows()


def scored(batch_size: int) -> Scores:
    options = {"batch_size": batch_size, "row_tokens": 600, "device": torch.device("cpu")}
    return Scores.joined(list(score_batches(formula_model(), ROWS, np.arange(32), DOCUMENTS, **options)))


def table(scores: Scores) -> pd.DataFrame:
    texts = Texts(DOCUMENTS, np.arange(5), "text")
    return pd.DataFrame(results(scores, losses_by_kind({"run": scores}, texts), texts, ["A1", "B2"], MASK_TYPES))


SCORES = scored(8)
TABLE = table(SCORES)


def test_totals_are_those_of_the_reference():
    pooled = TABLE[(TABLE["mask_type"] == "all") & (TABLE["level"] == "all")].set_index("kind")
    for kind in KINDS:
        row = pooled.loc[kind]
        assert row["loss"] == pytest.approx(EVALUATION["reference_eval"][f"eval_{kind}_loss"], rel=1e-5)
        assert row["targets"] == EVALUATION["reference_eval"][f"eval_{kind}_count"]
        assert row["perplexity"] == pytest.approx(math.exp(row["loss"]))
        assert (row["examples"], row["documents"], row["clusters"]) == (32, 5, 5)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_batch_size_changes_nothing(batch_size):
    other = table(scored(batch_size))
    assert other["targets"].tolist() == TABLE["targets"].tolist()
    assert np.allclose(other["loss"].astype(float), TABLE["loss"].astype(float), rtol=1e-5, equal_nan=True)


def test_levels_count_their_own_examples():
    of_level = TABLE[(TABLE["mask_type"] == "all") & (TABLE["kind"] == "context")].set_index("level")
    assert of_level["examples"].to_dict() == {"A1": 19, "B2": 13, "all": 32}
    cut = [len(example.input_ids) > 200 for example in ROWS.examples]
    assert of_level.loc["B2", "cut"] == sum(cut[n] for n in range(32) if n % 5 in (1, 3))
    expected = sum(
        row["nll"][t - 1]
        for n, row in enumerate(EVALUATION["rows"])
        if n % 5 in (1, 3)
        for t in range(1, len(ROWS.examples[n].input_ids))
        if ROWS.examples[n].target_types[t] == TargetType.CONTEXT
    )
    assert of_level.loc["B2", "loss"] * of_level.loc["B2", "targets"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["infill", "infill_textonly"])
def test_mask_types_add_up_to_all_of_them(kind):
    own = TABLE[(TABLE["kind"] == kind) & (TABLE["level"] == "all")].set_index("mask_type")
    parts = own.drop(index="all").dropna(subset="loss")
    assert parts["targets"].sum() == own.loc["all", "targets"]
    total = own.loc["all", "loss"] * own.loc["all", "targets"]
    assert (parts["loss"] * parts["targets"]).sum() == pytest.approx(total)


def test_context_has_no_mask_type():
    assert set(TABLE[TABLE["kind"] == "context"]["mask_type"]) == {"all"}


def test_what_no_target_is_of_is_empty_and_not_nan():
    only_context = Scores(SCORES.examples, SCORES.blanks.iloc[:0])
    found = table(only_context)
    assert set(found[found["kind"] == "infill"]["targets"]) == {0}
    assert found[found["kind"] == "infill"]["loss"].isna().all()


def test_a_huge_loss_has_an_infinite_perplexity():
    assert perplexity(1000.0) == math.inf
    assert perplexity(0.0) == 1.0
    assert math.isnan(perplexity(math.nan))
