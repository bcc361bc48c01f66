import math

import numpy as np
import pytest
import torch

from ilm.examples.layout import Example
from ilm.models.packing import LEARNED, pack
from ilm.models.scoring import KINDS, TargetScores, score, target_nll
from ilm.models.start_check import require_separate_examples
from tests.reference_data import EVALUATION, evaluation_examples, formula_model

MODEL = formula_model()
CPU = torch.device("cpu")


EXAMPLES = evaluation_examples()


def scored_in_batches(batch_size: int, row_tokens: int) -> TargetScores:
    parts = [
        score(MODEL, EXAMPLES[start : start + batch_size], row_tokens, CPU)
        for start in range(0, len(EXAMPLES), batch_size)
    ]
    columns = ("nll", "target_types", "examples")
    return TargetScores(*(np.concatenate([getattr(part, column) for part in parts]) for column in columns))


@pytest.mark.parametrize(("batch_size", "row_tokens"), [(1, 256), (3, 1000), (32, 256), (32, 1000)])
def test_nll_and_losses_are_those_of_the_reference(batch_size, row_tokens):
    scores = scored_in_batches(batch_size, row_tokens)
    expected = [
        row["nll"][t - 1]
        for row, example in zip(EVALUATION["rows"], EXAMPLES, strict=True)
        for t in range(1, len(example.input_ids))
        if example.target_types[t] in LEARNED
    ]
    assert np.abs(scores.nll - expected).max() < 1e-4
    for kind, loss in scores.losses().items():
        assert loss == pytest.approx(EVALUATION["reference_eval"][f"eval_{kind}_loss"], rel=1e-5)
        assert scores.total(kind)[1] == EVALUATION["reference_eval"][f"eval_{kind}_count"]


def test_a_kind_without_targets_is_nan_and_not_an_error():
    only_context = [Example(e.input_ids[:5], np.ones(5, np.uint8), 5) for e in EXAMPLES[:2]]
    losses = score(MODEL, only_context, 64, CPU).losses()
    assert losses["context"] > 0
    assert math.isnan(losses["infill"])
    assert math.isnan(losses["infill_textonly"])


def test_redundant_tokens_count_in_no_perplexity():
    types = np.array([1, 3, 6, 6, 4, 5, 6], dtype=np.uint8)
    example = Example(np.arange(7, dtype=np.int32), types, 7)
    scores = score(MODEL, [example], 64, CPU)
    assert {kind: scores.total(kind)[1] for kind in KINDS} == {"context": 0, "infill": 2, "infill_textonly": 1}
    assert len(scores.nll) == 5


def test_rows_score_and_learn_as_separate_examples_do():
    """Packed logits and gradients equal those of one example at a time."""
    model = formula_model()

    def gradient(row_tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
        model.zero_grad()
        nll = torch.cat([target_nll(model, row) for row in pack(EXAMPLES[:6], row_tokens)])
        nll.sum().backward()
        return nll.detach(), torch.cat([p.grad.flatten() for p in model.parameters()])

    nll, together = gradient(1600)
    assert len(pack(EXAMPLES[:6], 1600)) == 1
    alone_nll = torch.cat([target_nll(model, row).detach() for e in EXAMPLES[:6] for row in pack([e], 256)])
    model.zero_grad()
    for example in EXAMPLES[:6]:
        for row in pack([example], 256):
            target_nll(model, row).sum().backward()
    alone = torch.cat([p.grad.flatten() for p in model.parameters()])
    assert torch.allclose(nll, alone_nll, atol=1e-4)
    assert torch.allclose(together, alone, rtol=1e-3, atol=1e-4 * float(alone.abs().max()))


def test_scoring_leaves_the_mode_of_the_model():
    model = formula_model().train()
    score(model, EXAMPLES[:1], 256, CPU)
    assert model.training


def test_a_model_whose_examples_see_each_other_is_refused():
    require_separate_examples(MODEL)

    class Leaky(torch.nn.Module):
        """Ignores restarting positions, as transformers does with use_cache=True."""

        device = CPU

        def forward(self, input_ids, position_ids, use_cache, logits_to_keep):
            return MODEL(input_ids, position_ids=position_ids, use_cache=True, logits_to_keep=logits_to_keep)

    with pytest.raises(RuntimeError, match="see each other"):
        require_separate_examples(Leaky())
