"""What is fitted on what: no text is predicted from itself, its equals or its learner, and rows are joined by id."""

import numpy as np
import pandas as pd
import pytest

from ilm.evaluation.levels import protocols
from ilm.evaluation.levels.protocols import (
    FOLDS,
    IN_DOMAIN,
    POSTERIOR,
    Labelled,
    cross_validated,
    fitted_elsewhere,
    folds,
    without_shared,
)

LEVELS = ("A1", "B1")


def labelled(n: int = 80, seed: int = 0) -> Labelled:
    """Texts whose level their losses tell; two of each learner."""
    generator = np.random.default_rng(seed)
    levels = np.array(LEVELS)[generator.integers(0, 2, n)]
    ids = [f"s{seed}t{number:03}" for number in range(n)]
    shared = generator.normal(3, 0.5, n)
    losses = {level: shared + 0.4 * (levels != level) + generator.normal(0, 0.02, n) for level in LEVELS}
    features = pd.DataFrame(losses | {"log_tokens": generator.normal(5, 1, n)}, index=pd.Index(ids, name="writing_id"))
    texts = [f"{writing_id} some words" for writing_id in ids]
    learners = [f"s{seed}l{number // 2}" for number in range(n)]
    about = {"writing_id": ids, "cefr_level": levels, "text": texts, "learner_id": learners}
    return Labelled(pd.DataFrame(about), features)


def predicted(systems, name=POSTERIOR) -> pd.Series:
    (system,) = [system for system in systems if system.name == name]
    return system.predicted


def test_losses_that_tell_the_level_do():
    fit, texts = labelled(), labelled(seed=1)
    systems = fitted_elsewhere(IN_DOMAIN, fit, fit.documents, texts, LEVELS, "uniform")
    for name in (POSTERIOR, "rounded expectation", "lowest loss"):
        said = predicted(systems, name)
        if name == "rounded expectation":
            assert ((said == "A2") | (said.to_numpy() == texts.levels)).all()  # between A1 and B1 is A2
        else:
            assert (said.to_numpy() == texts.levels).mean() > 0.97
    assert [system.name for system in systems][3:] == ["majority", "length", "unigram", "TF-IDF"]


def test_the_order_of_rows_changes_no_prediction():
    fit, texts = labelled(), labelled(seed=1)
    order = np.random.default_rng(2).permutation(80)
    one = fitted_elsewhere(IN_DOMAIN, fit, fit.documents, texts, LEVELS, "uniform")
    other = fitted_elsewhere(IN_DOMAIN, fit.of(order), fit.documents, texts.of(order[::-1]), LEVELS, "uniform")
    for a, b in zip(one, other, strict=True):
        assert a.predicted.equals(b.predicted.reindex(a.predicted.index)), a.name
        if a.posterior is not None:
            np.testing.assert_allclose(a.posterior, b.posterior.loc[a.posterior.index], atol=1e-3)


def test_no_fold_learns_from_a_learner_it_predicts(monkeypatch):
    texts = labelled()
    units = np.arange(80) // 2
    fitted = []
    kept = protocols._posterior

    def watched(fit, held_out, models, prior):
        fitted.append((set(fit.documents["learner_id"]), set(held_out.documents["learner_id"])))
        return kept(fit, held_out, models, prior)

    monkeypatch.setattr(protocols, "_posterior", watched)
    systems = cross_validated(texts, units, LEVELS, "uniform", seed=0)
    assert len(fitted) == 10
    assert not any(learnt & asked for learnt, asked in fitted)
    assert {system.protocol for system in systems} == {FOLDS}
    said = predicted(systems)
    assert said.index.equals(texts.features.index)
    assert (said.to_numpy() == texts.levels).mean() > 0.97


def test_folds_predict_every_text_once_and_differ_by_seed():
    texts, units = labelled(), np.arange(80) // 2
    asked = [rows for _, rows in folds(texts.levels, units, 0)]
    assert sorted(np.concatenate(asked)) == list(range(80))
    assert [rows.tolist() for _, rows in folds(texts.levels, units, 1)] != [rows.tolist() for rows in asked]


def test_a_level_of_few_learners_is_in_some_folds_only():
    texts = labelled()
    rare = texts.documents["cefr_level"].to_numpy().copy()
    rare[:2] = "C2"
    texts = Labelled(texts.documents.assign(cefr_level=rare), texts.features)
    systems = cross_validated(texts, np.arange(80) // 2, LEVELS, "uniform", seed=0)
    posterior = next(system.posterior for system in systems if system.name == POSTERIOR)
    assert list(posterior) == ["A1", "B1", "C2"]
    np.testing.assert_allclose(posterior.sum(axis=1), 1)
    assert (posterior["C2"].iloc[:2] == 0).all()  # their fold learnt from no C2


def test_no_folds_of_one_level():
    texts = labelled()
    texts = Labelled(texts.documents.assign(cefr_level="A1"), texts.features)
    assert cross_validated(texts, np.arange(80), LEVELS, "uniform", seed=0) is None


@pytest.mark.parametrize(("by_learner", "left"), [(True, {"c"}), (False, {"b", "c"})])
def test_texts_to_learn_from_share_nothing_with_those_predicted(by_learner, left):
    learnt = pd.DataFrame(
        {"writing_id": ["a", "b", "c"], "text": ["Same Text", "x", "y"], "learner_id": ["1", "2", "3"]}
    )
    texts = pd.DataFrame({"writing_id": ["d", "e"], "text": ["same  text", "z"], "learner_id": ["4", "2"]})
    assert set(without_shared(learnt, texts, by_learner=by_learner)["writing_id"]) == left
