"""Longest stretches: planted copies are found at their exact length, and whatever is found equals a naive search."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.evaluation.memorisation import stretches
from ilm.evaluation.memorisation.stretches import longest_stretches, readings
from ilm.masking.masks import offsets

texts = st.lists(st.lists(st.integers(0, 3), max_size=12), max_size=8)


def found_in(answers: list[list[int]], training: list[list[int]]) -> stretches.Stretches:
    bounds = offsets([len(text) for text in training])
    ids = np.array([token for text in training for token in text], dtype=np.uint16)
    return longest_stretches([np.array(answer, dtype=np.int64) for answer in answers], ids, bounds[:-1], bounds[1:])


def naive(answer: list[int], training: list[list[int]]) -> int:
    runs = {tuple(text[i:j]) for text in training for i in range(len(text)) for j in range(i + 1, len(text) + 1)}
    return max(
        (j - i for i in range(len(answer)) for j in range(i + 1, len(answer) + 1) if tuple(answer[i:j]) in runs),
        default=0,
    )


@given(answers=texts, training=texts, chunk=st.integers(1, 30), at_once=st.integers(1, 60))
def test_it_equals_a_naive_search(answers, training, chunk, at_once):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stretches, "CHUNK_TOKENS", chunk)
        patched.setattr(stretches, "RUNS_AT_ONCE", at_once)
        found = found_in(answers, training)
    assert found.lengths.tolist() == [naive(answer, training) for answer in answers]
    for answer, n, start, text in zip(answers, found.lengths, found.starts, found.texts, strict=True):
        assert (text == -1) == (n == 0)
        assert not n or naive(answer[start : start + n], [training[text]]) == n


@pytest.mark.parametrize("n", [1, 7, 40])
def test_a_planted_copy_is_found_at_its_length(n):
    rng = np.random.default_rng(n)
    training = [rng.integers(0, 1000, size).tolist() for size in rng.integers(60, 90, 50)]
    copied = training[31][9 : 9 + n]
    answer = [2000, 2001, *copied, 2002]
    found = found_in([answer, [2003]], training)
    assert (found.lengths.tolist(), found.starts.tolist()) == ([n, 0], [2, 0])
    assert naive(copied, [training[found.texts[0]]]) == n
    if n > 1:
        assert found.texts[0] == 31


def test_a_stretch_ends_with_its_text():
    assert found_in([[1, 2, 3, 4]], [[1, 2], [3, 4]]).lengths.tolist() == [2]


def test_no_answers_and_no_texts():
    assert found_in([], [[1]]).lengths.tolist() == []
    assert found_in([[1], []], []).lengths.tolist() == [0, 0]


def test_groups_hold_a_bounded_number_of_runs(monkeypatch):
    monkeypatch.setattr(stretches, "RUNS_AT_ONCE", 10)
    assert readings([np.zeros(4, dtype=int)] * 5) == 5
    assert readings([np.zeros(1, dtype=int)] * 5) == 1
