"""Posteriors against those known by construction; what baselines can tell; what is fitted on what, joined by id."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from ilm.evaluation.levels import systems as module
from ilm.evaluation.levels.inputs import without_shared
from ilm.evaluation.levels.systems import (
    FOLDS,
    IN_DOMAIN,
    POSTERIOR,
    cross_validated,
    fitted_elsewhere,
    folds,
    loss_pipeline,
    posterior,
    rounded_expectation,
    text_pipelines,
)

# Losses per token under three models: alike but for what tells levels apart.
KNOWN = ("A1", "B1", "C1")
MEANS = {"A1": [3.0, 3.3, 3.5], "B1": [3.2, 3.1, 3.2], "C1": [3.6, 3.3, 3.1]}
COVARIANCE = 0.16 * np.ones((3, 3)) + 0.02 * np.eye(3)
LEVELS = ("A1", "B1")


def labelled(n: int = 80, seed: int = 0) -> pd.DataFrame:
    """Texts whose level their losses tell; two of each learner."""
    generator = np.random.default_rng(seed)
    levels = np.array(LEVELS)[generator.integers(0, 2, n)]
    ids = [f"s{seed}t{number:03}" for number in range(n)]
    shared = generator.normal(3, 0.5, n)
    losses = {level: shared + 0.4 * (levels != level) + generator.normal(0, 0.02, n) for level in LEVELS}
    features = losses | {"log_tokens": generator.normal(5, 1, n)}
    texts = [f"{writing_id} some words" for writing_id in ids]
    learners = [f"s{seed}l{number // 2}" for number in range(n)]
    about = {"cefr_level": levels, "text": texts, "learner_id": learners}
    return pd.DataFrame(about | features, index=pd.Index(ids, name="writing_id"))


def predicted(systems, name=POSTERIOR) -> pd.Series:
    (system,) = [system for system in systems if system.name == name]
    return system.predicted


def test_losses_that_tell_the_level_do():
    fit, texts = labelled(), labelled(seed=1)
    systems = fitted_elsewhere(IN_DOMAIN, fit, fit, texts, LEVELS, "uniform")
    for name in (POSTERIOR, "rounded expectation", "lowest loss"):
        said = predicted(systems, name)
        if name == "rounded expectation":
            assert ((said == "A2") | (said == texts["cefr_level"])).all()  # between A1 and B1 is A2
        else:
            assert (said == texts["cefr_level"]).mean() > 0.97
    assert [system.name for system in systems][3:] == ["majority", "length", "unigram", "TF-IDF"]


def test_the_order_of_rows_changes_no_prediction():
    fit, texts = labelled(), labelled(seed=1)
    order = np.random.default_rng(2).permutation(80)
    one = fitted_elsewhere(IN_DOMAIN, fit, fit, texts, LEVELS, "uniform")
    other = fitted_elsewhere(IN_DOMAIN, fit.iloc[order], fit, texts.iloc[order[::-1]], LEVELS, "uniform")
    for a, b in zip(one, other, strict=True):
        assert a.predicted.equals(b.predicted.reindex(a.predicted.index)), a.name
        if a.posterior is not None:
            np.testing.assert_allclose(a.posterior, b.posterior.loc[a.posterior.index], atol=1e-3)


def test_no_fold_learns_from_a_learner_it_predicts(monkeypatch):
    texts = labelled()
    units = np.arange(80) // 2
    fits = []
    kept = module._posteriors

    def watched(fit, train, held_out, models, prior):
        assert train is fit
        fits.append((set(fit["learner_id"]), set(held_out["learner_id"])))
        return kept(fit, train, held_out, models, prior)

    monkeypatch.setattr(module, "_posteriors", watched)
    systems = cross_validated(texts, units, LEVELS, "uniform", seed=0)
    assert len(fits) == 10
    assert not any(learnt & asked for learnt, asked in fits)
    assert {system.protocol for system in systems} == {FOLDS}
    said = predicted(systems)
    assert said.index.equals(texts.index)
    assert (said == texts["cefr_level"]).mean() > 0.97


def test_folds_predict_every_text_once_and_differ_by_seed():
    texts, units = labelled(), np.arange(80) // 2
    asked = [rows for _, rows in folds(texts["cefr_level"].to_numpy(), units, 0)]
    assert sorted(np.concatenate(asked)) == list(range(80))
    assert [rows.tolist() for _, rows in folds(texts["cefr_level"].to_numpy(), units, 1)] != [
        rows.tolist() for rows in asked
    ]


def test_a_level_of_few_learners_is_in_some_folds_only():
    texts = labelled()
    texts["cefr_level"] = ["C2", "C2", *texts["cefr_level"][2:]]
    systems = cross_validated(texts, np.arange(80) // 2, LEVELS, "uniform", seed=0)
    posterior = next(system.posterior for system in systems if system.name == POSTERIOR)
    assert list(posterior) == ["A1", "B1", "C2"]
    np.testing.assert_allclose(posterior.sum(axis=1), 1)
    assert (posterior["C2"].iloc[:2] == 0).all()  # their fold learnt from no C2


def test_no_folds_of_one_level():
    texts = labelled().assign(cefr_level="A1")
    assert cross_validated(texts, np.arange(80), LEVELS, "uniform", seed=0) is None


@pytest.mark.parametrize(("by_learner", "left"), [(True, {"c"}), (False, {"b", "c"})])
def test_texts_to_learn_from_share_nothing_with_those_predicted(by_learner, left):
    learnt = pd.DataFrame(
        {"writing_id": ["a", "b", "c"], "text": ["Same Text", "x", "y"], "learner_id": ["1", "2", "3"]}
    )
    texts = pd.DataFrame({"writing_id": ["d", "e"], "text": ["same  text", "z"], "learner_id": ["4", "2"]})
    assert set(without_shared(learnt, texts, by_learner=by_learner)["writing_id"]) == left


def losses(counts: dict[str, int], seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    generator = np.random.default_rng(seed)
    parts = [generator.multivariate_normal(MEANS[level], COVARIANCE, n) for level, n in counts.items()]
    return pd.DataFrame(np.concatenate(parts)), pd.Series(np.repeat([*counts], [*counts.values()]))


def true_posterior(x: np.ndarray, prior: np.ndarray) -> np.ndarray:
    likelihoods = np.stack([multivariate_normal(MEANS[level], COVARIANCE).pdf(x) for level in KNOWN], axis=1)
    return likelihoods * prior / (likelihoods * prior).sum(axis=1, keepdims=True)


def test_the_posterior_is_the_true_one_under_either_prior():
    # Normal losses with one covariance have a posterior that is a logistic regression.
    counts = {"A1": 6000, "B1": 3000, "C1": 600}
    x, levels = losses(counts)
    new, _ = losses(dict.fromkeys(KNOWN, 200), seed=1)
    for prior, of_levels in (("uniform", np.ones(3) / 3), ("fitted", np.array([6000, 3000, 600]) / 9600)):
        found = posterior(loss_pipeline(), x, levels, new, prior)
        assert list(found) == list(KNOWN)
        assert np.abs(found.to_numpy() - true_posterior(new, of_levels)).mean() < 0.02


def test_scale_and_order_of_the_features_do_not_matter():
    x, levels = losses(dict.fromkeys(KNOWN, 100))
    one = posterior(loss_pipeline(), x, levels, x, "uniform")
    mixed = np.array([[0.0, 2.0, 1.0], [5.0, 0.0, -1.0], [0.0, 0.3, 1.0]])
    other = posterior(loss_pipeline(), x @ mixed, levels, x @ mixed, "uniform")
    np.testing.assert_allclose(one, other, atol=1e-3)
    order = np.random.default_rng(0).permutation(len(x))
    shuffled = posterior(loss_pipeline(), x.iloc[order], levels.iloc[order], x, "uniform")
    np.testing.assert_allclose(one, shuffled, atol=1e-3)


def test_models_that_are_one_and_the_same_do_no_harm():
    x, levels = losses(dict.fromkeys(KNOWN, 100))
    one = posterior(loss_pipeline(), x, levels, x, "uniform")
    twice = x.assign(again=x[0]).set_axis(range(4), axis=1)
    np.testing.assert_allclose(one, posterior(loss_pipeline(), twice, levels, twice, "uniform"), atol=1e-3)


def test_the_rounded_expectation():
    posterior = pd.DataFrame({"A1": [0.5, 0.1, 0.4], "A2": [0.0, 0.2, 0.2], "C1": [0.5, 0.7, 0.4]})
    # 0.5 * 1 + 0.5 * 5 = 3; 0.1 + 0.4 + 3.5 = 4; 0.4 + 0.4 + 2 = 2.8.
    assert rounded_expectation(posterior).tolist() == ["B1", "B2", "B1"]


def test_baselines_know_what_their_names_say():
    generator = np.random.default_rng(0)

    def text(word: str, words: int) -> str:
        return " ".join([word] * 2 + generator.choice(["a", "b", "c"], words).tolist())

    levels = pd.Series(["A1"] * 40 + ["B1"] * 60)
    by_word = [text("cat" if level == "A1" else "dog", 10) for level in levels]
    by_length = [text("cat", 8 if level == "A1" else 30) for level in levels]
    right = {}
    for what, texts in (("words", pd.Series(by_word)), ("length", pd.Series(by_length))):
        for name, pipeline in text_pipelines().items():
            prior = "fitted" if name == "majority" else "uniform"
            right[name, what] = (posterior(pipeline, texts, levels, texts, prior).idxmax(axis=1) == levels).mean()
    assert right["majority", "words"] == right["majority", "length"] == 0.6
    assert right["length", "length"] == right["unigram", "words"] == right["TF-IDF", "words"] == 1
    assert right["length", "words"] in (0.4, 0.6)  # all have one length: the same is said of all


def test_majority_has_the_shares_of_levels_whatever_the_prior():
    fit = labelled(3).assign(cefr_level=["A1", "B1", "B1"])
    systems = {system.name: system for system in fitted_elsewhere(IN_DOMAIN, fit, fit, labelled(1), LEVELS, "uniform")}
    assert systems["majority"].posterior.iloc[0].to_dict() == {"A1": pytest.approx(1 / 3), "B1": pytest.approx(2 / 3)}
    assert systems["length"].posterior.iloc[0].to_dict() != systems["majority"].posterior.iloc[0].to_dict()
