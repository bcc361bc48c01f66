import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from ilm.evaluation.perplexity.scores import DocumentScores, score_documents
from ilm.examples.layout import Example, Examples, TargetType
from ilm.models.scoring import KINDS, perplexity
from tests.reference_data import EVALUATION, MASK_TYPES, formula_model


class Store:
    """The 32 rows of the reference as examples of 5 documents, the mask type of an answer being its number % 5."""

    max_length = 200
    vocabulary = SimpleNamespace(mask_types=MASK_TYPES)

    def __init__(self):
        self.examples = []
        for row in EVALUATION["rows"]:
            types = np.array(row["target_types"], dtype=np.uint8)
            ids, types = np.array(row["input_ids"], dtype=np.int32)[types > 0], types[types > 0]
            answers, number = np.full(len(ids), -1, dtype=np.int8), 0
            for t, kind in enumerate(types):
                if kind in (TargetType.INFILL, TargetType.INFILL_SPECIAL):
                    answers[t] = number % 5
                    number += kind == TargetType.INFILL_SPECIAL
            self.examples.append(Example(ids, types, answers, len(ids)))

    def __len__(self):
        return len(self.examples)

    def lay_out(self, numbers):
        return Examples.of([self.examples[number] for number in numbers])

    def keys(self, numbers):
        return numbers % 5 * 10, numbers // 5


STORE = Store()


def scored(batch_size: int) -> DocumentScores:
    return score_documents(
        formula_model(),
        STORE,
        range(32),
        batch_size=batch_size,
        row_tokens=600,
        device=torch.device("cpu"),
        description="test",
    )


SCORES = scored(8)


def test_totals_are_those_of_the_reference():
    results = {r["kind"]: r for r in SCORES.results(np.ones(5, dtype=bool)) if r["mask_type"] == "all"}
    for kind in KINDS:
        assert results[kind]["loss"] == pytest.approx(EVALUATION["reference_eval"][f"eval_{kind}_loss"], rel=1e-5)
        assert results[kind]["targets"] == EVALUATION["reference_eval"][f"eval_{kind}_count"]
        assert results[kind]["perplexity"] == pytest.approx(math.exp(results[kind]["loss"]))
        assert (results[kind]["examples"], results[kind]["documents"]) == (32, 5)


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_batch_size_changes_nothing(batch_size):
    other = scored(batch_size)
    assert np.array_equal(other.counts, SCORES.counts)
    assert np.allclose(other.nll, SCORES.nll, rtol=1e-5)


def test_documents_sum_up_their_own_examples():
    assert SCORES.documents.tolist() == [0, 10, 20, 30, 40]
    assert SCORES.examples.tolist() == [7, 7, 6, 6, 6]
    cut = [sum(len(STORE.examples[n].input_ids) > 200 for n in range(32) if n % 5 == d) for d in range(5)]
    assert SCORES.cut.tolist() == cut
    expected = sum(
        row["nll"][t - 1]
        for n, row in enumerate(EVALUATION["rows"])
        if n % 5 == 2
        for t in range(1, len(STORE.examples[n].input_ids))
        if STORE.examples[n].target_types[t] == TargetType.CONTEXT
    )
    assert SCORES.nll[2, KINDS.index("context"), 0] == pytest.approx(expected, rel=1e-5)


def test_mask_types_add_up_to_all_of_them():
    for kind in ("infill", "infill_textonly"):
        k = KINDS.index(kind)
        assert np.allclose(SCORES.nll[:, k, 1:].sum(axis=1), SCORES.nll[:, k, 0])
        assert np.array_equal(SCORES.counts[:, k, 1:].sum(axis=1), SCORES.counts[:, k, 0])
    assert not SCORES.counts[:, KINDS.index("context"), 1:].any()


def test_results_of_no_documents_are_empty_and_not_nan():
    for result in SCORES.results(np.zeros(5, dtype=bool)):
        assert result["perplexity"] is result["loss"] is result["loss_standard_error"] is None
        assert result["targets"] == result["documents"] == 0


def test_the_frame_holds_the_sums_of_each_document():
    ids, levels = pd.Series([f"w{i}" for i in range(50)]), pd.Series(["A1", "B2"] * 25)
    frame = SCORES.frame(ids, levels)
    assert frame["writing_id"].tolist() == ["w0", "w10", "w20", "w30", "w40"]
    assert frame["infill_targets"].sum() == EVALUATION["reference_eval"]["eval_infill_count"]
    assert frame["context_nll"].sum() / frame["context_targets"].sum() == pytest.approx(17.00059, rel=1e-5)


def test_a_huge_loss_has_an_infinite_perplexity():
    assert perplexity(1000.0) == math.inf
    assert perplexity(0.0) == 1.0
    assert math.isnan(perplexity(math.nan))
