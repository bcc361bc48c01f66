"""Simulated studies whose truth is known, in small; benchmarks/simulations.py prints them in large."""

import numpy as np
import pytest

from benchmarks.simulations import FROM_TEXTS, any_equivalent, any_found, covered, p_values


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(("seeds", "rho"), [(3, 0), (3, 1), (5, 1)])
def test_false_positives_of_a_contrast(rng, seeds, rho, paired):
    p = p_values(seeds, rho, 1000, rng, paired=paired)
    assert 0.02 <= (p < 0.05).mean() <= 0.08
    assert (p < 0.01).mean() <= 0.025


def test_power_of_a_contrast(rng):
    found = [
        (p_values(seeds, 0.2, 400, rng, theta=4 * np.sqrt(FROM_TEXTS), paired=True) < 0.01).mean() for seeds in (3, 10)
    ]
    assert found[0] > 0.65
    assert found[1] > 0.78


@pytest.mark.parametrize("seeds", [3, 5])
def test_family_wise_error_after_holm(rng, seeds):
    assert any_found(seeds, rho=1, share=0.5, studies=300, rng=rng).mean() <= 0.08


def test_differences_at_the_margin_are_seldom_equivalent(rng):
    assert any_equivalent(5, rho=1, studies=200, rng=rng).mean() <= 0.08


def test_coverage_of_the_intervals_of_one_seed(rng):
    assert 0.91 <= covered(0.7, 200, 300, 400, rng).mean() <= 0.98
    assert np.isnan(covered(0.7, 50, 10, 400, rng)).all(), "too few effective clusters"
