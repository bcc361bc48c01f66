"""What is fitted on which texts, and predicts the levels of which others.

    fitted on valid   texts of the models' own corpus: the posterior from its valid, baselines from its train split
    zero-shot         the same, on texts of another corpus
    90-10             another corpus in ten folds: all are fitted on nine of them and predict the tenth

No text is predicted by what was fitted on it, on an equal one, or on another one of its learner.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from ilm.corpus.columns import CEFR
from ilm.evaluation.levels.classifiers import (
    loss_classifier,
    loss_features,
    lowest_loss,
    most_likely,
    rounded_expectation,
    text_baselines,
)
from ilm.evaluation.losses import clusters_of

log = logging.getLogger("ilm")

IN_DOMAIN, ZERO_SHOT, FOLDS = "fitted on valid", "zero-shot", "90-10"
POSTERIOR = "posterior"
_FOLDS = 10


@dataclass(frozen=True)
class Labelled:
    """Texts and their `features` by writing_id, in one order."""

    documents: pd.DataFrame
    features: pd.DataFrame

    def of(self, rows: np.ndarray) -> "Labelled":
        return Labelled(self.documents.iloc[rows], self.features.iloc[rows])

    @property
    def levels(self) -> np.ndarray:
        return self.documents["cefr_level"].to_numpy(dtype=object)

    @property
    def texts(self) -> list[str]:
        return self.documents["text"].tolist()


@dataclass(frozen=True)
class System:
    """What one system says: the level `predicted` of each text, by writing_id, and its `posterior` if it has one.

    `levels` are those that it can say.
    """

    protocol: str
    name: str
    predicted: pd.Series
    posterior: pd.DataFrame | None
    levels: tuple[str, ...]


def fitted_elsewhere(
    protocol: str, fit: Labelled, train: pd.DataFrame, texts: Labelled, models: Sequence[str], prior: str
) -> list[System]:
    """The posterior fitted on `fit` and baselines on the documents `train`, on other `texts`."""
    posteriors = {POSTERIOR: _posterior(fit, texts, models, prior)}
    if texts.levels.astype(bool).any():  # without levels there is nothing to compare
        log.info("fitting the baselines on %d training texts", len(train))
        for name, make in text_baselines(prior).items():
            fitted = make().fit(train["text"].tolist(), train["cefr_level"])
            posteriors[name] = fitted.posterior(texts.texts)
    return _systems(protocol, posteriors, texts, models)


def cross_validated(
    texts: Labelled, units: np.ndarray, models: Sequence[str], prior: str, seed: int
) -> list[System] | None:
    """The same in ten folds of the `texts`, whose `units` (N,) stay together; None where no two folds can be made."""
    parts: dict[str, list[pd.DataFrame]] = {}
    order = []
    for learnt, predicted in folds(texts.levels, units, seed):
        fit, held_out = texts.of(learnt), texts.of(predicted)
        if len(set(fit.levels)) < 2:
            return None
        parts.setdefault(POSTERIOR, []).append(_posterior(fit, held_out, models, prior))
        for name, make in text_baselines(prior).items():
            fitted = make().fit(fit.texts, fit.levels)
            parts.setdefault(name, []).append(fitted.posterior(held_out.texts))
        order.append(predicted)
    if not order:
        return None
    back = np.argsort(np.concatenate(order))
    # A level that a fold did not learn has no probability there.
    whole = {name: pd.concat(found).fillna(0.0).iloc[back] for name, found in parts.items()}
    return _systems(FOLDS, {name: table[sorted(table)] for name, table in whole.items()}, texts, models)


def folds(levels: np.ndarray, units: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to learn from and rows to predict, ten times or fewer; every row is predicted once.

    Units are whole in one fold, and levels as evenly spread as that allows.
    """
    per_level = pd.Series(units).groupby(levels).nunique()
    n = min(_FOLDS, int(per_level.max())) if len(per_level) > 1 else 0
    if n < 2:
        return
    with warnings.catch_warnings():
        # A level with fewer learners than folds is missing in some: `per_level` is in the report.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        yield from StratifiedGroupKFold(n, shuffle=True, random_state=seed).split(levels, levels.astype(str), units)


def without_shared(learnt: pd.DataFrame, texts: pd.DataFrame, *, by_learner: bool) -> pd.DataFrame:
    """The documents `learnt` but for those that equal one of the `texts`, or are of one of their learners.

    Learners of another corpus have other names: there texts alone are compared.
    """
    columns = [name for name in ("writing_id", "text", "learner_id") if name in learnt and name in texts]
    if not by_learner:
        columns = columns[:2]
    both = pd.concat([learnt[columns], texts[columns]], ignore_index=True)
    labels, _ = clusters_of(both)
    return learnt[~np.isin(labels[: len(learnt)], labels[len(learnt) :])]


def _posterior(fit: Labelled, texts: Labelled, models: Sequence[str], prior: str) -> pd.DataFrame:
    fitted = loss_classifier(prior).fit(loss_features(fit.features, models), fit.levels)
    return fitted.posterior(loss_features(texts.features, models))


def _systems(
    protocol: str, posteriors: dict[str, pd.DataFrame], texts: Labelled, models: Sequence[str]
) -> list[System]:
    index = texts.features.index
    tables = {name: table.set_axis(index) for name, table in posteriors.items()}
    own, *baselines = tables
    learnt = tuple(tables[own])
    of_levels = tuple(model for model in models if model in CEFR)

    def system(
        name: str, predicted: np.ndarray, posterior: pd.DataFrame | None = None, levels: tuple[str, ...] = learnt
    ) -> System:
        return System(protocol, name, pd.Series(predicted, index), posterior, levels)

    found = [
        system(own, most_likely(tables[own]), tables[own]),
        system("rounded expectation", rounded_expectation(tables[own])),
        system("lowest loss", lowest_loss(texts.features[[*of_levels]]), levels=of_levels),
    ]
    return found + [system(name, most_likely(tables[name]), tables[name]) for name in baselines]
