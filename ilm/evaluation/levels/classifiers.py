"""Classifiers of scikit-learn that give each text a posterior over levels, all under the same prior.

The posterior is multinomial logistic regression on the losses per token of all models and the log length. Losses of
models are nearly alike, and what tells levels apart is small beside what they share: whitened first, so that the
penalty weighs all directions alike. Baselines read the texts: they show what length, words and topics alone achieve.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from ilm.corpus.columns import CEFR
from ilm.evaluation.levels.features import LOG_TOKENS

UNIFORM = "uniform"
NUMBER = {level: number for number, level in enumerate(CEFR, start=1)}  # A1 is 1, C2 is 6
_WORD = r"\w+|[^\w\s]"
_ITERATIONS = 2_000


class LevelClassifier:
    """A pipeline of scikit-learn and the prior of its levels; without `prior` that which the pipeline learnt."""

    def __init__(self, pipeline: Pipeline, prior: str):
        self._pipeline, self._prior = pipeline, prior
        self._times: np.ndarray | None = None

    def fit(self, inputs: Any, levels: Sequence[str] | np.ndarray) -> "LevelClassifier":
        """Learn from `inputs` (N rows) and their levels (N,)."""
        levels = np.asarray(levels, dtype=object)
        self._pipeline.fit(inputs, levels)
        shares = np.array([(levels == level).mean() for level in self._pipeline.classes_])
        self._times = 1 / shares if self._prior == UNIFORM else np.ones(len(shares))
        return self

    def posterior(self, inputs: Any) -> pd.DataFrame:
        """Probabilities (N, levels learnt).

        Another prior than that of the texts learnt from multiplies odds by the ratio of the two (Saerens, Latinne and
        Decaestecker 2002, Neural Computation, equation 2.4).
        """
        times = self._pipeline.predict_proba(inputs) * self._times
        return pd.DataFrame(times / times.sum(axis=1, keepdims=True), columns=list(self._pipeline.classes_))


def loss_classifier(prior: str) -> LevelClassifier:
    """On losses per token and log length, (N, features)."""
    # Directions in which nothing varies (two models alike) are left out: they cannot be whitened.
    whitened = PCA(n_components=1 - 1e-9, whiten=True, svd_solver="full")
    return LevelClassifier(make_pipeline(whitened, LogisticRegression(max_iter=_ITERATIONS)), prior)


def text_baselines(prior: str) -> dict[str, Callable[[], LevelClassifier]]:
    """Baselines on texts (N,), by name.

    `majority` says the most frequent level of the texts it learnt from, whatever the prior. `unigram` is naive Bayes on
    words and marks: a unigram model of each level with add-one smoothing.
    """
    words = {"token_pattern": _WORD, "lowercase": True}
    regression = {"max_iter": _ITERATIONS}

    def length(texts: Sequence[str]) -> np.ndarray:
        return np.log([[max(1, len(text.split()))] for text in texts])

    def made(*steps: Callable[[], Any], prior: str = prior) -> Callable[[], LevelClassifier]:
        return lambda: LevelClassifier(make_pipeline(*(step() for step in steps)), prior)

    return {
        "majority": made(
            lambda: FunctionTransformer(length), lambda: DummyClassifier(strategy="prior"), prior="fitted"
        ),
        "length": made(lambda: FunctionTransformer(length), lambda: LogisticRegression(**regression)),
        "unigram": made(lambda: CountVectorizer(**words), MultinomialNB),
        "TF-IDF": made(
            lambda: TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=100_000, **words),
            lambda: LogisticRegression(C=10.0, **regression),
        ),
    }


def most_likely(posterior: pd.DataFrame) -> np.ndarray:
    """The most likely level of each text, (N,); of equals the first."""
    return posterior.columns.to_numpy()[posterior.to_numpy().argmax(axis=1)]


def rounded_expectation(posterior: pd.DataFrame) -> np.ndarray:
    """The level whose number is nearest to the expected number, (N,): wrong by less where levels are confused."""
    numbers = np.array([NUMBER[level] for level in posterior.columns])
    expected = posterior.to_numpy() @ numbers
    return np.array(CEFR, dtype=object)[np.floor(expected + 0.5).astype(int) - 1]


def lowest_loss(losses: pd.DataFrame) -> np.ndarray:
    """The level whose model has the lowest loss, (N,), of the columns, which are levels: nothing is fitted."""
    return losses.columns.to_numpy()[losses.to_numpy().argmin(axis=1)]


def loss_features(features: pd.DataFrame, models: Sequence[str]) -> np.ndarray:
    """What the posterior is fitted on, (N, models + 1)."""
    return features[[*models, LOG_TOKENS]].to_numpy(float)
