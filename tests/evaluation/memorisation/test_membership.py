"""Membership: against pairs counted one by one, planted distributions, and coverage of the intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from ilm.evaluation.memorisation.membership import membership


def found(members, others, clusters=None, resamples=200):
    scores = np.array([*members, *others], dtype=float)
    is_member = np.arange(len(scores)) < len(members)
    return membership(scores, is_member, np.arange(len(scores)) if clusters is None else clusters, resamples=resamples)


values = st.lists(st.integers(0, 6), min_size=1, max_size=25)


@given(members=values, others=values)
def test_it_equals_counting_pairs(members, others):
    of = found(members, others)
    pairs = [(m > o) + (m == o) / 2 for m in members for o in others]
    assert of["auc"] == pytest.approx(np.mean(pairs))
    shares = [(np.mean([m >= t for m in members]), np.mean([o >= t for o in others])) for t in [*members, *others]]
    assert of["tpr"] == pytest.approx(max((true for true, false in shares if false <= 0.01), default=0))
    assert (of["members"], of["others"], of["auc_low"]) == (len(members), len(others), None)


def test_planted_distributions():
    rng = np.random.default_rng(0)
    of = found(rng.normal(1, 1, 40_000), rng.normal(0, 1, 40_000), resamples=2)
    assert of["auc"] == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.006)
    assert of["tpr"] == pytest.approx(norm.sf(norm.isf(0.01) - 1), abs=0.012)


def test_intervals_cover_and_grow_with_clusters():
    rng = np.random.default_rng(1)
    covered, width, of_single = [], [], []
    for _ in range(40):
        effects = rng.normal(0, 1, 120)
        learners = np.repeat(np.arange(120), 3)
        scores = effects[learners] + rng.normal(0, 0.3, 360)
        of = found(scores[:180], scores[180:], learners)
        covered.append(of["auc_low"] <= 0.5 <= of["auc_high"])
        width.append(of["auc_high"] - of["auc_low"])
        of = found(scores[:180], scores[180:])
        of_single.append(of["auc_high"] - of["auc_low"])
    assert np.mean(covered) > 0.85
    assert np.mean(width) > 1.4 * np.mean(of_single), "texts of a learner are not independent"


def test_too_few_clusters_have_no_interval_and_no_text_no_answer():
    assert found(range(60), range(60))["auc_low"] is not None
    assert found(range(60), range(60), np.array([0] * 60 + [*range(1, 61)]))["auc_low"] is None
    assert found([1], []) is None
    assert found([1, 2, np.nan], [0, np.nan])["members"] == 2
