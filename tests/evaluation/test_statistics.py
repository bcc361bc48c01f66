"""Errors, intervals and p against values computed by hand, by another formula, or known by construction."""

import math

import numpy as np
import pandas as pd
import pytest

from ilm.evaluation import statistics
from ilm.evaluation.statistics import (
    calibration,
    clustered_mean,
    compare_pairs,
    holm,
    ratio_standard_error,
    sign_flip_p,
)


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


def bootstrap(a, b, texts, draws, seed) -> dict:
    return compare_pairs([(a - b, texts)], draws, seed).iloc[0].to_dict()


def test_the_bootstrap_agrees_with_drawing_texts_one_by_one():
    a, b, texts = models_and_texts()
    found = bootstrap(a, b, texts, draws=4000, seed=0)
    assert found["difference"] == pytest.approx(a.mean() - b.mean())
    assert (found["n"], found["units"]) == (120, 40)
    generator = np.random.default_rng(5)
    differences = []
    for _ in range(4000):
        drawn = generator.integers(0, 40, 40)
        rows = np.concatenate([np.flatnonzero(texts == text) for text in drawn])
        differences.append(a[rows].mean() - b[rows].mean())
    assert (found["low"], found["high"]) == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=0.01)


def test_the_interval_is_that_of_the_clustered_standard_error():
    a, b, texts = models_and_texts(texts=200)
    found = bootstrap(a, b, texts, draws=4000, seed=0)
    _, error, _ = clustered_mean(a - b, texts)
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_the_bootstrap_is_paired():
    """Two models with equal answers differ by nothing, however different the texts are."""
    a, _, texts = models_and_texts()
    found = bootstrap(a, a, texts, draws=500, seed=0)
    assert (found["difference"], found["low"], found["high"], found["p"]) == (0, 0, 0, 1)
    better = bootstrap(a + 0.01, a, texts, draws=500, seed=0)
    assert better["low"] == pytest.approx(0.01)
    assert better["p"] == pytest.approx(1 / 501), "as far as can be told by 500 draws"


def test_the_bootstrap_is_reproducible_and_its_seed_counts():
    a, b, texts = models_and_texts()
    one, two, other = (bootstrap(a, b, texts, draws=700, seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert one != other
    few = bootstrap(a[:15], b[:15], texts[:15], draws=9, seed=0)
    assert few["units"] == 5
    assert np.isnan([few["low"], few["high"], few["p"]]).all(), "five texts tell nothing"


def test_pairs_bootstrapped_together_are_as_each_alone():
    a, b, texts = models_and_texts()
    pairs = [(a - b, texts), (a - b, texts // 2), (a[:60] - b[:60], texts[:60]), (b - a, texts), (a[:3], texts[:3])]
    together = compare_pairs(pairs, draws=300, seed=3)
    alone = pd.concat([compare_pairs([pair], draws=300, seed=3) for pair in pairs], ignore_index=True)
    pd.testing.assert_frame_equal(together, alone, atol=1e-12)
    assert together["low"][0] == pytest.approx(-together["high"][3])


def test_holm():
    # Sorted .01 .03 .04: times 3, 2, 1, and never below the one before.
    found = holm(pd.Series([0.04, 0.01, math.nan, 0.03]))
    assert found.tolist() == pytest.approx([0.06, 0.03, math.nan, 0.06], nan_ok=True)
    assert holm(pd.Series([0.9, 0.8])).tolist() == [1.0, 1.0]


def test_sign_flips_by_hand():
    """Of 64 choices of signs 6 give a sum of at least 19 either way: all alike; and all but the 1 (once each way)."""
    sums = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    found = sign_flip_p(np.stack([sums, -sums, sums * [-1, 1, 1, 1, 1, 1]], axis=1), 0, seed=0)
    assert found.tolist() == [2 / 64, 2 / 64, 4 / 64]
    # Units without a difference are on neither side.
    assert sign_flip_p(np.zeros((6, 1)), 0, seed=0).tolist() == [1.0]
    assert sign_flip_p(np.array([[1.0], *[[0.0]] * 9]), 0, seed=0).tolist() == [1.0]


def test_random_signs_agree_with_all_of_them(monkeypatch):
    sums = np.random.default_rng(0).normal(0.3, 1, (12, 3))
    every = sign_flip_p(sums, 0, seed=0)
    monkeypatch.setattr(statistics, "EXACT", 0)
    assert sign_flip_p(sums, 20_000, seed=0) == pytest.approx(every, abs=0.01)


@pytest.mark.parametrize(
    ("units", "studies", "expected"), [(6, 2000, 0.031), (10, 2000, 0.049), (20, 200, 0.05), (50, 1000, 0.05)]
)
def test_a_true_null_is_rejected_in_no_more_than_5_percent(units, studies, expected):
    """Neither model is better, but texts of different sizes suit one or the other. Of six units p is at least 1/32."""
    rng = np.random.default_rng(units)
    sums = rng.integers(1, 9, (units, studies)) * rng.standard_t(5, (units, studies))
    rejected = np.mean(sign_flip_p(sums, 500, seed=0) < 0.05)
    assert rejected == pytest.approx(expected, abs=3 * math.sqrt(expected / studies))


def test_intervals_cover():
    """A hundred studies of 60 texts with 5 blanks each, in which neither model is better."""
    covered = 0
    for study in range(100):
        rng = np.random.default_rng(study)
        texts = np.repeat(np.arange(60), 5)
        hard, suits = rng.beta(2, 2, 60)[texts], rng.normal(0, 0.15, 60)[texts]
        a, b = (rng.random(300) < np.clip(hard + shift, 0, 1) for shift in (suits, -suits))
        found = bootstrap(a.astype(float), b.astype(float), texts, draws=300, seed=study)
        covered += found["low"] <= 0 <= found["high"]
    assert 88 <= covered <= 100


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


def test_calibration_by_hand():
    confidence = np.array([0.05, 0.15, 0.15, 0.95, 1.0, math.nan])
    correct = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 0.0])
    error, table = calibration(confidence, correct, np.array([1, 2, 3, 4, 4, 5]))
    assert table["n"].tolist() == [1, 2, 2]
    # One text, two texts, two blanks of one text.
    assert table["standard_error"].tolist() == pytest.approx([math.nan, 0.5, math.nan], nan_ok=True)
    assert table["low"].tolist() == [0.0, 0.1, 0.9]
    assert error == pytest.approx((1 * 0.05 + 2 * abs(0.5 - 0.15) + 2 * abs(1 - 0.975)) / 5)
    assert calibration(np.array([math.nan]), np.array([0.0]), np.array([1]))[0] is None


# Pairs of models -----------------------------------------------------------------------------------------------------


def test_benjamini_hochberg():
    adjusted = statistics.benjamini_hochberg(pd.Series([0.01, 0.04, math.nan, 0.03, 0.005]))
    assert adjusted.tolist() == pytest.approx([0.02, 0.04, math.nan, 0.04, 0.02], nan_ok=True)
    assert statistics.benjamini_hochberg(pd.Series([math.nan])).isna().all()
