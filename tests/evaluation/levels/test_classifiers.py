"""Posteriors against those known by construction, and what each baseline can and cannot tell."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from ilm.evaluation.levels.classifiers import (
    loss_classifier,
    lowest_loss,
    most_likely,
    rounded_expectation,
    text_baselines,
)

# Losses per token under three models: alike but for what tells levels apart.
LEVELS = ("A1", "B1", "C1")
MEANS = {"A1": [3.0, 3.3, 3.5], "B1": [3.2, 3.1, 3.2], "C1": [3.6, 3.3, 3.1]}
COVARIANCE = 0.16 * np.ones((3, 3)) + 0.02 * np.eye(3)


def losses(counts: dict[str, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    parts = [generator.multivariate_normal(MEANS[level], COVARIANCE, n) for level, n in counts.items()]
    return np.concatenate(parts), np.repeat(np.array(list(counts), dtype=object), list(counts.values()))


def true_posterior(x: np.ndarray, prior: np.ndarray) -> np.ndarray:
    likelihoods = np.stack([multivariate_normal(MEANS[level], COVARIANCE).pdf(x) for level in LEVELS], axis=1)
    return likelihoods * prior / (likelihoods * prior).sum(axis=1, keepdims=True)


def test_the_posterior_is_the_true_one_under_either_prior():
    # Normal losses with one covariance have a posterior that is a logistic regression.
    counts = {"A1": 6000, "B1": 3000, "C1": 600}
    x, levels = losses(counts)
    new, _ = losses(dict.fromkeys(LEVELS, 200), seed=1)
    for prior, of_levels in (("uniform", np.ones(3) / 3), ("fitted", np.array([6000, 3000, 600]) / 9600)):
        found = loss_classifier(prior).fit(x, levels).posterior(new)
        assert list(found) == list(LEVELS)
        assert np.abs(found.to_numpy() - true_posterior(new, of_levels)).mean() < 0.02


def test_scale_and_order_of_the_features_do_not_matter():
    x, levels = losses(dict.fromkeys(LEVELS, 100))
    one = loss_classifier("uniform").fit(x, levels).posterior(x)
    mixed = np.array([[0.0, 2.0, 1.0], [5.0, 0.0, -1.0], [0.0, 0.3, 1.0]])
    other = loss_classifier("uniform").fit(x @ mixed, levels).posterior(x @ mixed)
    np.testing.assert_allclose(one, other, atol=1e-3)
    order = np.random.default_rng(0).permutation(len(x))
    shuffled = loss_classifier("uniform").fit(x[order], levels[order]).posterior(x)
    np.testing.assert_allclose(one, shuffled, atol=1e-3)


def test_models_that_are_one_and_the_same_do_no_harm():
    x, levels = losses(dict.fromkeys(LEVELS, 100))
    one = loss_classifier("uniform").fit(x, levels).posterior(x)
    twice = np.hstack([x, x[:, :1]])
    np.testing.assert_allclose(one, loss_classifier("uniform").fit(twice, levels).posterior(twice), atol=1e-3)


def test_what_is_said_of_a_posterior():
    posterior = pd.DataFrame({"A1": [0.5, 0.1, 0.4], "A2": [0.0, 0.2, 0.2], "C1": [0.5, 0.7, 0.4]})
    assert most_likely(posterior).tolist() == ["A1", "C1", "A1"]
    # 0.5 * 1 + 0.5 * 5 = 3; 0.1 + 0.4 + 3.5 = 4; 0.4 + 0.4 + 2 = 2.8.
    assert rounded_expectation(posterior).tolist() == ["B1", "B2", "B1"]
    assert lowest_loss(pd.DataFrame({"A1": [3.0, 2.0], "B2": [2.5, 2.5]})).tolist() == ["B2", "A1"]


def test_baselines_know_what_their_names_say():
    generator = np.random.default_rng(0)

    def text(word: str, words: int) -> str:
        return " ".join([word] * 2 + generator.choice(["a", "b", "c"], words).tolist())

    levels = np.array(["A1"] * 40 + ["B1"] * 60, dtype=object)
    by_word = [text("cat" if level == "A1" else "dog", 10) for level in levels]
    by_length = [text("cat", 8 if level == "A1" else 30) for level in levels]
    right = {}
    for name, make in text_baselines("uniform").items():
        for what, texts in (("words", by_word), ("length", by_length)):
            right[name, what] = (most_likely(make().fit(texts, levels).posterior(texts)) == levels).mean()
    assert right["majority", "words"] == right["majority", "length"] == 0.6
    assert right["length", "length"] == right["unigram", "words"] == right["TF-IDF", "words"] == 1
    assert right["length", "words"] in (0.4, 0.6)  # all have one length: the same is said of all


def test_majority_has_the_shares_of_levels_whatever_the_prior():
    posterior = text_baselines("uniform")["majority"]().fit(["x", "y", "z"], ["A1", "B1", "B1"]).posterior(["w"])
    assert posterior.iloc[0].to_dict() == {"A1": pytest.approx(1 / 3), "B1": pytest.approx(2 / 3)}
