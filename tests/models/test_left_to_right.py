"""Texts scored left to right against a plain loop over transformers' own logits."""

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from ilm.models.left_to_right import text_nll

WINDOW, FIRST, V = 16, 0, 40


@pytest.fixture(scope="module")
def model() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=V, n_positions=WINDOW, n_embd=16, n_layer=2, n_head=2, initializer_range=0.5)
    return GPT2LMHeadModel(config).eval()


def token_nll(model: GPT2LMHeadModel, ids: list[int]) -> list[float]:
    """Of every token but the first."""
    with torch.no_grad():
        logs = model(torch.tensor([ids])).logits[0].double().log_softmax(dim=-1)
    return [-float(logs[i - 1, ids[i]]) for i in range(1, len(ids))]


@pytest.mark.parametrize("sizes", [(0,), (1, 5, 15), (16, 3, 0, 24), (40, 41)])
def test_equals_a_plain_loop(model, sizes):
    rng = np.random.default_rng(sum(sizes))
    texts = [rng.integers(1, V, size) for size in sizes]
    found = text_nll(model, texts, FIRST, window=WINDOW, row_tokens=32, device=torch.device("cpu"))
    for ids, nll in zip(texts, found, strict=True):
        whole = [FIRST, *ids.tolist()]
        expected, scored = token_nll(model, whole[:WINDOW]), min(WINDOW, len(whole))
        while scored < len(whole):
            part = whole[scored - WINDOW // 2 : scored + WINDOW // 2]
            expected += token_nll(model, part)[WINDOW // 2 - 1 :]
            scored += WINDOW // 2
        assert nll == pytest.approx(expected, abs=1e-5)
        assert len(nll) == len(ids)
