"""Mixtures of specialists: limits, bounds, a worked example, and the temperature."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ilm.evaluation.comparison.systems import Members, by_example, fit_temperature, log_posterior
from ilm.evaluation.scores import Scores

NLL = arrays(float, (3, 4), elements=st.floats(0, 300, width=32), unique=True)


def test_a_worked_example():
    # Two specialists; T = 2 halves the evidence. The first says p = 1/2, the second 1/8.
    context, answers = np.array([[2.0], [4.0]]), np.log([[2.0], [8.0]])
    weight = 1 / (1 + math.exp(-1))
    assert Members(context, answers).mixture(2.0) == pytest.approx([-math.log(weight / 2 + (1 - weight) / 8)])


@given(NLL, NLL, st.floats(0.01, 1000))
def test_never_worse_than_the_worst_nor_better_than_the_best(context, answers, temperature):
    found = Members(context, answers).mixture(temperature)
    assert (found <= answers.max(axis=0) + 1e-9).all()
    assert (found >= answers.min(axis=0) - 1e-9).all()
    assert np.exp(log_posterior(context, temperature)).sum(axis=0) == pytest.approx(1)


@given(NLL, NLL)
def test_cold_is_routing_and_hot_weighs_all_alike(context, answers):
    gap = np.diff(np.sort(context, axis=0), axis=0).min()
    of_all = Members(context, answers)
    if gap > 1e-3:
        assert of_all.mixture(gap / 1e5) == pytest.approx(of_all.routed(), abs=1e-6)
    uniform = -np.log(np.exp(-answers - (-answers).max(axis=0)).mean(axis=0)) - (-answers).max(axis=0)
    assert of_all.mixture(1e9) == pytest.approx(uniform, abs=1e-5)


def test_the_oracle_knows_the_level():
    answers = np.arange(12.0).reshape(3, 4)
    found = Members(np.zeros((3, 4)), answers).oracle(np.array([2, 0, -1, 1]))
    assert found == pytest.approx([8, 1, np.nan, 7], nan_ok=True)


@pytest.mark.parametrize("true", [0.5, 3.0, 40.0])
def test_the_temperature_is_found(true):
    """Answers are drawn by the specialists that the posterior of the true temperature names."""
    rng = np.random.default_rng(0)
    context = rng.normal(100, 1.5 * true, (3, 20_000))
    posterior = np.exp(log_posterior(context, true))
    # Each specialist gives its own answer 0.9 and those of the two others 0.05.
    specialist = (rng.random(20_000) > posterior.cumsum(axis=0)).sum(axis=0)
    answer = (specialist + rng.choice(3, 20_000, p=[0.9, 0.05, 0.05])) % 3
    answers = np.where(np.arange(3)[:, None] == answer, -np.log(0.9), -np.log(0.05))
    assert fit_temperature([Members(context, answers)]) == pytest.approx(true, rel=0.1)


def test_answers_are_summed_by_example():
    examples = pd.DataFrame({"writing_id": ["a", "a", "b"], "example": [0, 2, 0], "context_nll": [1.0, 2.0, 3.0]})
    blanks = pd.DataFrame(
        {
            "writing_id": ["a", "a", "b"],
            "example": [0, 0, 0],
            "blank": [0, 1, 0],
            "nll": [1.0, 2.0, 4.0],
            "end_nll": [0.1, 0.2, 0.4],
            "targets": [3, 1, 2],
            "end_targets": [1, 1, 0],
        }
    )
    scores = Scores(examples, blanks)
    found = Members.of([scores])
    assert found.answers[0] == pytest.approx([3.3, 0, 4.4])
    assert by_example(scores, "targets", "end_targets").tolist() == [6, 0, 2]
    assert found.context[0].tolist() == [1, 2, 3]
