"""The n-gram baseline against the formula written out, and probabilities that sum to 1."""

import math
from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.evaluation.ngrams import NGramModel

V = 5
TEXTS = st.lists(st.lists(st.integers(0, V - 1), max_size=8), min_size=1, max_size=6)


def model_of(texts: list[list[int]], order: int) -> NGramModel:
    return NGramModel([np.array(text, dtype=np.int32) for text in texts], V, order)


def witten_bell(texts: list[list[int]], history: list, word: int, order: int) -> float:
    """Recursively, from counts of tuples; the history begins with "B", the beginning of a text."""
    if order == 0:
        return 1 / V
    lower = witten_bell(texts, history, word, order - 1)
    if len(history) < order - 1:
        return lower
    h = tuple(history[len(history) - order + 1 :])
    marked = [["B", *text] for text in texts]
    behind = Counter(
        text[i] for text in marked for i in range(max(1, order - 1), len(text)) if tuple(text[i - order + 1 : i]) == h
    )
    if not behind:
        return lower
    return (behind[word] + len(behind) * lower) / (behind.total() + len(behind))


def test_a_worked_example():
    # a b a c: c(a) = 2 of 4, three types; behind a stand b and c, once each.
    model = model_of([[0, 1, 0, 2]], order=2)
    p_b = (1 + 3 / V) / (4 + 3)
    p_a = (2 + 3 / V) / (4 + 3)
    (nll,) = model.nll([np.array([0, 1])])
    assert np.exp(-nll) == pytest.approx([(1 + 1 * p_a) / (1 + 1), (1 + 2 * p_b) / (2 + 2)])


@given(TEXTS, TEXTS, st.integers(1, 4))
def test_equals_the_formula(seen, scored, order):
    if not any(seen):
        return
    found = model_of(seen, order).nll([np.array(text, dtype=np.int32) for text in scored])
    for text, nll in zip(scored, found, strict=True):
        expected = [-math.log(witten_bell(seen, ["B", *text[:i]], word, order)) for i, word in enumerate(text)]
        assert nll == pytest.approx(expected, abs=1e-12)


@given(TEXTS, st.lists(st.integers(0, V - 1), max_size=5))
def test_probabilities_sum_to_1(seen, history):
    if not any(seen):
        return
    found = model_of(seen, 3).nll([np.array([*history, word]) for word in range(V)])
    assert sum(math.exp(-nll[-1]) for nll in found) == pytest.approx(1)


def test_longer_histories_fit_better_what_was_seen():
    rng = np.random.default_rng(0)
    texts = [list(chain.from_iterable([1, 2, 3] if rng.random() < 0.5 else [1, 3, 2] for _ in range(20)))]
    losses = [np.mean(np.concatenate(model_of(texts, order).nll([np.array(texts[0])]))) for order in (1, 2, 3)]
    assert losses[0] > losses[1] > losses[2]
