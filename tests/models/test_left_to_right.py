"""Texts scored left to right against a plain loop over transformers' own logits."""

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from ilm.models import left_to_right
from ilm.models.left_to_right import TextScores, score_texts

WINDOW, FIRST, V, KEPT = 16, 0, 40, 36
BEGINS = np.array([1, 2, 3, 5, 8, 13, 21, 34])
OPTIONS = {"window": WINDOW, "row_tokens": 32, "device": torch.device("cpu")}


@pytest.fixture(scope="module")
def model() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=V, n_positions=WINDOW + 3, n_embd=16, n_layer=2, n_head=2, initializer_range=0.5)
    return GPT2LMHeadModel(config).eval()


def texts_of(sizes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(sum(sizes))
    return [rng.integers(1, KEPT, size) for size in sizes]


def plain_logs(model: GPT2LMHeadModel, whole: list[int], told: list[int]) -> np.ndarray:
    """The log-probabilities (len(whole), V) of what may stand at the places 1, 2, ... and behind the text."""
    found = []
    for place in range(1, len(whole) + 1):
        # From the second window on each scores half a window.
        half = WINDOW // 2
        begin = 0 if place < WINDOW else (place - WINDOW) // half * half + half
        with torch.no_grad():
            logits = model(torch.tensor([[*told, *whole[begin:place]]])).logits[0, -1]
        found.append(logits.double().log_softmax(dim=-1).numpy())
    return np.array(found).reshape(-1, V)


def expected_scores(model, ids: np.ndarray, first: int | None, told: list[int], kept: int | None) -> TextScores:
    whole = ids.tolist() if first is None else [first, *ids.tolist()]
    logs = plain_logs(model, whole, told)
    logs = np.concatenate([np.full((len(ids) + 1 - len(logs), V), np.nan), logs])
    log_kept = np.log(np.exp(logs[:, :kept]).sum(axis=1))
    nll = log_kept[: len(ids)] - logs[np.arange(len(ids)), ids]
    return TextScores(nll, log_kept[: len(ids)], np.log(np.exp(logs[:, BEGINS]).sum(axis=1)) - log_kept)


@pytest.mark.parametrize("first", [None, FIRST])
@pytest.mark.parametrize("kept", [None, KEPT])
@pytest.mark.parametrize("sizes", [(0,), (1, 5, 15), (16, 3, 0, 24), (17, 40, 41)])
def test_equals_a_plain_loop(model, sizes, kept, first):
    texts, prefixes = texts_of(sizes), [[4, 2, 9][: number % 4] for number in range(len(sizes))]
    found = score_texts(model, texts, first=first, prefixes=prefixes, kept=kept, begins=BEGINS, **OPTIONS)
    assert len(found) == len(texts)
    for ids, tokens, scores in zip(texts, prefixes, found, strict=True):
        expected = expected_scores(model, ids, first, tokens, kept)
        for column in ("nll", "log_kept", "log_begins"):
            assert getattr(scores, column) == pytest.approx(getattr(expected, column), abs=1e-5, nan_ok=True), column


def test_where_the_first_token_has_nothing_before_it_it_alone_has_no_score(model):
    (scores,) = score_texts(model, texts_of((40,)), **OPTIONS)
    assert np.flatnonzero(np.isnan(scores.nll)).tolist() == [0]
    assert scores.log_begins is None
    assert (scores.log_kept[1:] == 0).all()


def test_what_is_taken_away_and_what_is_left_add_up(model):
    texts = texts_of((12, 30))
    for whole, renormalised in zip(
        score_texts(model, texts, begins=BEGINS, **OPTIONS),
        score_texts(model, texts, kept=KEPT, begins=BEGINS, **OPTIONS),
        strict=True,
    ):
        assert renormalised.nll - renormalised.log_kept == pytest.approx(whole.nll, abs=1e-5, nan_ok=True)
        taken = -np.expm1(renormalised.log_kept[1:])
        assert (taken > 0).all()
        assert (taken < 1).all()
    # Every word-beginning and every other token: all of what is kept.
    others = np.setdiff1d(np.arange(KEPT), BEGINS)
    masses = [
        np.exp(score_texts(model, texts, kept=KEPT, begins=ids, **OPTIONS)[1].log_begins[1:])
        for ids in (BEGINS, others)
    ]
    assert sum(masses) == pytest.approx(1, abs=1e-6)


def test_a_block_at_a_time_is_the_same(model, monkeypatch):
    whole = score_texts(model, texts_of((30,)), kept=KEPT, begins=BEGINS, **OPTIONS)[0]
    monkeypatch.setattr(left_to_right, "SUMMED_BYTES", {"cpu": 1})
    monkeypatch.setattr("ilm.models.loss.CHUNK_BYTES", {"cpu": 7 * 4 * V})
    blocks = score_texts(model, texts_of((30,)), kept=KEPT, begins=BEGINS, **OPTIONS)[0]
    for column in ("nll", "log_kept", "log_begins"):
        assert getattr(blocks, column) == pytest.approx(getattr(whole, column), abs=1e-6, nan_ok=True)


def test_a_head_that_is_no_plain_product_is_scored_by_the_model_itself(model, monkeypatch):
    whole = score_texts(model, texts_of((30, 4)), kept=KEPT, begins=BEGINS, **OPTIONS)
    monkeypatch.setattr("ilm.models.scoring.plain_head", lambda model: None)
    other = score_texts(model, texts_of((30, 4)), kept=KEPT, begins=BEGINS, **OPTIONS)
    for one, two in zip(whole, other, strict=True):
        assert one.nll == pytest.approx(two.nll, abs=1e-6, nan_ok=True)
        assert one.log_begins == pytest.approx(two.log_begins, abs=1e-6, nan_ok=True)
