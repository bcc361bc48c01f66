"""Systems that predict the level of a text, each fitted by protocol, all under the same prior.

    fitted on valid   texts of the models' own corpus: the posterior from its valid, baselines from its train split
    zero-shot         the same, on texts of another corpus
    90-10             another corpus in ten folds: all are fitted on nine of them and predict the tenth

No text is predicted by a system fitted on it, on an equal text, or on another text of its learner.

The posterior is multinomial logistic regression on the losses per token of all models and the log length. The losses
of different models are nearly alike, and what tells levels apart is small beside what they share: they are whitened
first, so that the penalty weighs all directions alike. Baselines read the texts: they show what length, words and
topics alone achieve.

Texts are tables indexed by writing_id, with `cefr_level`, `text` and, but for training texts, their features.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from ilm.corpus.columns import CEFR
from ilm.evaluation.levels.scoring import LOG_TOKENS

log = logging.getLogger("ilm")

IN_DOMAIN, ZERO_SHOT, FOLDS = "fitted on valid", "zero-shot", "90-10"
UNIFORM, FITTED = "uniform", "fitted"
POSTERIOR, MAJORITY = "posterior", "majority"
NUMBER = {level: number for number, level in enumerate(CEFR, start=1)}  # A1 is 1, C2 is 6
_FOLDS = 10
_WORDS = {"token_pattern": r"\w+|[^\w\s]", "lowercase": True}
_ITERATIONS = 2_000


@dataclass(frozen=True)
class System:
    """What one system predicts: the level `predicted` of each text, by writing_id, and its `posterior` if it has one.

    `levels` are those that it can predict.
    """

    protocol: str
    name: str
    predicted: pd.Series
    posterior: pd.DataFrame | None
    levels: tuple[str, ...]


def fitted_elsewhere(
    protocol: str, fit: pd.DataFrame, train: pd.DataFrame, texts: pd.DataFrame, models: Sequence[str], prior: str
) -> list[System]:
    """The posterior fitted on `fit`, and baselines on the documents `train`, on other `texts`."""
    labelled = texts["cefr_level"].astype(bool).any()  # without levels there is nothing to compare
    posteriors = _posteriors(fit, train if labelled else None, texts, models, prior)
    return _systems(protocol, posteriors, texts, models)


def cross_validated(
    texts: pd.DataFrame, units: np.ndarray, models: Sequence[str], prior: str, seed: int
) -> list[System] | None:
    """The same in ten folds of the `texts`, whose `units` (N,) stay together; None where no two folds can be made."""
    parts: dict[str, list[pd.DataFrame]] = {}
    for learnt, predicted in folds(texts["cefr_level"].to_numpy(dtype=object), units, seed):
        fit, held_out = texts.iloc[learnt], texts.iloc[predicted]
        if fit["cefr_level"].nunique() < 2:
            return None
        for name, table in _posteriors(fit, fit, held_out, models, prior).items():
            parts.setdefault(name, []).append(table)
    if not parts:
        return None
    # A level that a fold did not learn has no probability there.
    whole = {name: pd.concat(found).fillna(0.0).loc[texts.index] for name, found in parts.items()}
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
        # A level with fewer learners than folds is missing in some.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        yield from StratifiedGroupKFold(n, shuffle=True, random_state=seed).split(levels, levels.astype(str), units)


def loss_pipeline() -> Pipeline:
    """On losses per token and log length, (N, features)."""
    # Directions in which nothing varies (two models alike) are left out: they cannot be whitened.
    whitened = PCA(n_components=1 - 1e-9, whiten=True, svd_solver="full")
    return make_pipeline(whitened, LogisticRegression(max_iter=_ITERATIONS))


def text_pipelines() -> dict[str, Pipeline]:
    """Baselines on texts (N,), by name.

    `majority` predicts the most frequent level of the texts it learnt from, whatever the prior. `unigram`, naive Bayes
    on words and marks, is a unigram model of each level with add-one smoothing.
    """
    tf_idf = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=100_000, **_WORDS)
    return {
        MAJORITY: make_pipeline(DummyClassifier(strategy="prior")),
        "length": make_pipeline(FunctionTransformer(_log_words), LogisticRegression(max_iter=_ITERATIONS)),
        "unigram": make_pipeline(CountVectorizer(**_WORDS), MultinomialNB()),
        "TF-IDF": make_pipeline(tf_idf, LogisticRegression(C=10.0, max_iter=_ITERATIONS)),
    }


def posterior(
    pipeline: Pipeline,
    inputs: pd.Series | pd.DataFrame,
    levels: pd.Series,
    new: pd.Series | pd.DataFrame,
    prior: str,
) -> pd.DataFrame:
    """Probabilities of the levels for `new` inputs, from a pipeline fitted on `inputs` and their levels (N,).

    A prior other than the shares of levels learnt from multiplies odds by the ratio of the two (Saerens, Latinne and
    Decaestecker 2002, Neural Computation, equation 2.4).
    """
    weights = pipeline.fit(inputs, levels).predict_proba(new)
    learnt = list(pipeline.classes_)
    if prior == UNIFORM:
        weights = weights * (1 / levels.value_counts(normalize=True)[learnt].to_numpy())
    return pd.DataFrame(weights / weights.sum(axis=1, keepdims=True), new.index, learnt)


def rounded_expectation(posterior: pd.DataFrame) -> pd.Series:
    """The level whose number is nearest to the expected number: smaller errors where levels are confused."""
    expected = posterior.to_numpy() @ [NUMBER[level] for level in posterior.columns]
    return pd.Series(np.array(CEFR, dtype=object)[np.floor(expected + 0.5).astype(int) - 1], posterior.index)


def _posteriors(
    fit: pd.DataFrame, train: pd.DataFrame | None, texts: pd.DataFrame, models: Sequence[str], prior: str
) -> dict[str, pd.DataFrame]:
    """The posteriors of `texts` from losses, and from words where there are texts to `train` baselines on."""
    features = [*models, LOG_TOKENS]
    found = {POSTERIOR: posterior(loss_pipeline(), fit[features], fit["cefr_level"], texts[features], prior)}
    if train is None:
        return found
    for name, pipeline in text_pipelines().items():
        own_prior = FITTED if name == MAJORITY else prior
        found[name] = posterior(pipeline, train["text"], train["cefr_level"], texts["text"], own_prior)
    return found


def _systems(
    protocol: str, posteriors: dict[str, pd.DataFrame], texts: pd.DataFrame, models: Sequence[str]
) -> list[System]:
    own, learnt = posteriors[POSTERIOR], tuple(posteriors[POSTERIOR])
    levels = tuple(model for model in models if model in CEFR)
    of_classifiers = [System(protocol, name, table.idxmax(axis=1), table, learnt) for name, table in posteriors.items()]
    # Nothing is fitted for the lowest loss.
    of_losses = [
        System(protocol, "rounded expectation", rounded_expectation(own), None, learnt),
        System(protocol, "lowest loss", texts[[*levels]].idxmin(axis=1), None, levels),
    ]
    return [of_classifiers[0], *of_losses, *of_classifiers[1:]]


def _log_words(texts: Sequence[str]) -> np.ndarray:
    return np.log([[max(1, len(text.split()))] for text in texts])
