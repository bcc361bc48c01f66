"""Errors, intervals and p against values computed by hand, by another formula, or known by construction."""

import math

import numpy as np
import pandas as pd
import pytest

from ilm.evaluation.statistics import clustered_mean, holm, paired_bootstrap, ratio_standard_error


def test_standard_errors_are_clustered_by_text():
    # Blanks of their own: the usual standard error of a mean.
    values = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
    mean, error, n = clustered_mean(values, np.arange(5))
    assert (mean, n) == (pytest.approx(0.6), 5)
    assert error == pytest.approx(values.std(ddof=1) / math.sqrt(5))
    # Three texts with the same blank thrice each: as three blanks.
    mean, error, n = clustered_mean(np.repeat([1.0, 0.0, 0.0], 3), np.repeat(["a", "b", "c"], 3))
    assert (mean, n) == (pytest.approx(1 / 3), 9)
    assert error == pytest.approx(np.std([1, 0, 0], ddof=1) / math.sqrt(3))
    assert clustered_mean(np.array([1.0, 0.0]), np.array(["a", "a"])) == (0.5, None, 2)
    assert clustered_mean(np.array([1.0, math.nan]), np.array(["a", "b"])) == (1.0, None, 1)
    assert clustered_mean(np.array([math.nan]), np.array(["a"])) == (None, None, 0)


def models_and_texts(texts: int = 40, each: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    of_text = np.repeat(np.arange(texts), each)
    shift = generator.normal(0, 0.3, texts)[of_text]
    a = (generator.random(texts * each) + shift > 0.4).astype(float)
    b = (generator.random(texts * each) + shift > 0.5).astype(float)
    return a, b, of_text


def bootstrap(a, b, texts, resamples, seed) -> dict:
    return paired_bootstrap([(a - b, texts)], resamples, seed)[0]


def test_the_bootstrap_agrees_with_drawing_texts_one_by_one():
    a, b, texts = models_and_texts()
    found = bootstrap(a, b, texts, resamples=4000, seed=0)
    assert found["difference"] == pytest.approx(a.mean() - b.mean())
    assert (found["n"], found["units"]) == (120, 40)
    generator = np.random.default_rng(5)
    differences = []
    for _ in range(4000):
        drawn = generator.integers(0, 40, 40)
        rows = np.concatenate([np.flatnonzero(texts == text) for text in drawn])
        differences.append(a[rows].mean() - b[rows].mean())
    assert (found["low"], found["high"]) == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=0.01)
    assert found["p"] == pytest.approx(2 * min(np.mean(np.array(differences) <= 0), 0.5), abs=0.03)


def test_the_interval_is_that_of_the_clustered_standard_error():
    a, b, texts = models_and_texts(texts=200)
    found = bootstrap(a, b, texts, resamples=4000, seed=0)
    _, error, _ = clustered_mean(a - b, texts)
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_the_bootstrap_is_paired():
    """Two models with equal answers differ by nothing, however different the texts are."""
    a, _, texts = models_and_texts()
    found = bootstrap(a, a, texts, resamples=500, seed=0)
    assert (found["difference"], found["low"], found["high"], found["p"]) == (0, 0, 0, 1)
    better = bootstrap(a + 0.01, a, texts, resamples=500, seed=0)
    assert better["low"] == pytest.approx(0.01)
    assert better["p"] == pytest.approx(2 / 501)


def test_the_bootstrap_is_reproducible_and_its_seed_counts():
    a, b, texts = models_and_texts()
    one, two, other = (bootstrap(a, b, texts, resamples=700, seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert one != other
    assert bootstrap(a[:3], b[:3], texts[:3], resamples=9, seed=0)["p"] is None, "one text"


def test_pairs_bootstrapped_together_are_as_each_alone():
    a, b, texts = models_and_texts()
    pairs = [(a - b, texts), (a - b, texts // 2), (a[:60] - b[:60], texts[:60]), (b - a, texts), (a[:3], texts[:3])]
    together = paired_bootstrap(pairs, resamples=300, seed=3)
    for pair, found in zip(pairs, together, strict=True):
        (alone,) = paired_bootstrap([pair], resamples=300, seed=3)
        assert found == pytest.approx(alone, abs=1e-12)
    assert together[0]["low"] == pytest.approx(-together[3]["high"])


def test_holm():
    # Sorted .01 .03 .04: times 3, 2, 1, and never below the one before.
    found = holm(pd.Series([0.04, 0.01, math.nan, 0.03]))
    assert found.tolist() == pytest.approx([0.06, 0.03, math.nan, 0.06], nan_ok=True)
    assert holm(pd.Series([0.9, 0.8])).tolist() == [1.0, 1.0]


def test_a_true_null_is_rejected_as_often_as_said_and_intervals_cover():
    """Two hundred studies of 60 texts with 5 blanks each, in which neither model is better."""
    rejected = covered = 0
    for study in range(200):
        generator = np.random.default_rng(study)
        texts = np.repeat(np.arange(60), 5)
        hard = generator.beta(2, 2, 60)[texts]
        # Texts suit one model or the other: differences within a text hang together.
        suits = generator.normal(0, 0.15, 60)[texts]
        a, b = (generator.random(300) < np.clip(hard + shift, 0, 1) for shift in (suits, -suits))
        found = bootstrap(a.astype(float), b.astype(float), texts, resamples=400, seed=study)
        rejected += found["p"] < 0.05
        covered += found["low"] <= 0 <= found["high"]
    assert 2 <= rejected <= 22  # 10 expected
    assert 178 <= covered <= 198


def test_the_standard_error_is_that_of_the_ratio_of_two_totals():
    """Against a simulation: the spread of the ratio over many samples of units."""
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 30, size=(4000, 60))
    nll = counts * rng.normal(3.0, 0.5, size=counts.shape) + rng.normal(0, 1, size=counts.shape)
    spread = (nll.sum(axis=1) / counts.sum(axis=1)).std()
    claimed = np.mean([ratio_standard_error(a, b) for a, b in zip(nll[:400], counts[:400], strict=True)])
    assert claimed == pytest.approx(spread, rel=0.05)
    assert ratio_standard_error(np.array([3.0, 0.0]), np.array([2, 0])) is None
    assert ratio_standard_error(np.array([2.0, 4.0]), np.array([1, 2])) == 0.0
