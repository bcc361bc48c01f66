"""How good predicted levels are: every metric is a function of counts, so resampled learners give theirs at once.

Levels are numbers: A1 is 1, C2 is 6. Definitions are those of scikit-learn and scipy.

The predictions of one system are a table of N texts, all of which have a `level`: also `predicted`; `confidence`, the
probability of the level predicted, NaN for a system without one; `unit`, of the bootstrap.

Legend: N texts, G units (learners where known, else texts), K = 6 levels, R draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ilm.corpus.columns import CEFR
from ilm.evaluation.statistics import BINS, FEWEST, resampled_totals

METRICS = ("accuracy", "adjacent", "macro_f1", "rmse", "spearman", "qwk", "ece")
COMPARED = ("accuracy", "qwk")  # of the posterior with the other systems
K = len(CEFR)
_DISTANCE = np.abs(np.subtract.outer(np.arange(K), np.arange(K)))


def counts_by_unit(predictions: pd.DataFrame) -> np.ndarray:
    """Of each unit, (G, K * K + 3 * BINS): true by predicted; n, right and summed confidence by bin."""
    true, predicted = (pd.Index(CEFR).get_indexer(predictions[name]) for name in ("level", "predicted"))
    _, unit = np.unique(predictions["unit"], return_inverse=True)
    n = unit.max() + 1
    confusion = np.bincount(unit * K * K + true * K + predicted, minlength=n * K * K).reshape(n, K * K)
    confidence = predictions["confidence"].to_numpy()
    if np.isnan(confidence).all():
        return np.hstack([confusion, np.zeros((n, 3 * BINS))])
    bins = unit * BINS + np.minimum((confidence * BINS).astype(int), BINS - 1)
    by_bin = [np.bincount(bins, w, n * BINS).reshape(n, BINS) for w in (None, true == predicted, confidence)]
    return np.hstack([confusion, *by_bin])


def metrics_of(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Each metric (...,) of counts (..., K * K + 3 * BINS); NaN where one is not defined."""
    confusion = counts[..., : K * K].reshape(*counts.shape[:-1], K, K)
    n, right, confidence = np.split(counts[..., K * K :], 3, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ece = np.abs(right - confidence).sum(-1) / n.sum(-1)
    return {**of_confusion(confusion), "ece": ece}


def of_confusion(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of counts of true by predicted levels, (..., K, K).

    `macro_f1` is over the levels that texts have; `qwk` is Cohen's kappa with quadratic weights; `spearman` gives equal
    values their mean rank, and is not defined where all predictions, or all levels, are one.
    """
    n = confusion.sum((-2, -1))
    true, predicted = confusion.sum(-1), confusion.sum(-2)
    diagonal = np.diagonal(confusion, axis1=-2, axis2=-1)
    squares = _DISTANCE**2
    with np.errstate(divide="ignore", invalid="ignore"):
        f1 = np.where(true > 0, 2 * diagonal / (true + predicted), 0.0)
        expected = true[..., :, None] * predicted[..., None, :] / n[..., None, None]
        # Middle ranks, from their mean (n + 1) / 2.
        ranks = [
            np.cumsum(marginal, -1) - (marginal - 1) / 2 - (n[..., None] + 1) / 2 for marginal in (true, predicted)
        ]
        covariance = np.einsum("...i,...ij,...j->...", ranks[0], confusion, ranks[1])
        variances = [(marginal * rank**2).sum(-1) for marginal, rank in zip((true, predicted), ranks, strict=True)]
        return {
            "accuracy": diagonal.sum(-1) / n,
            "adjacent": (confusion * (_DISTANCE <= 1)).sum((-2, -1)) / n,
            "macro_f1": f1.sum(-1) / (true > 0).sum(-1),
            "rmse": np.sqrt((confusion * squares).sum((-2, -1)) / n),
            "spearman": covariance / np.sqrt(variances[0] * variances[1]),
            "qwk": 1 - (confusion * squares).sum((-2, -1)) / (expected * squares).sum((-2, -1)),
        }


@dataclass(frozen=True)
class Measured:
    """The metrics of one system: `values`, and `draws` (R,) of a bootstrap over units; none below `FEWEST` of them."""

    values: Mapping[str, float]
    draws: Mapping[str, np.ndarray]
    n: int  # texts
    units: int

    def table(self) -> pd.DataFrame:
        """A row per metric: metric, value, n, units, and low and high, the 95 % percentile interval."""
        rows = [(metric, value, *_interval(self.draws.get(metric))) for metric, value in self.values.items()]
        table = pd.DataFrame(rows, columns=["metric", "value", "low", "high"])
        return table.assign(n=self.n, units=self.units)

    def minus(self, other: "Measured") -> "Measured":
        """The differences from another system on the same texts, paired: both have the same draws of units."""
        values = {metric: self.values[metric] - other.values[metric] for metric in COMPARED}
        draws = {metric: self.draws[metric] - other.draws[metric] for metric in COMPARED if self.draws}
        return replace(self, values=values, draws=draws)


def measure(predictions: pd.DataFrame, resamples: int, seed: int) -> Measured:
    """The metrics of predictions; equal units, `resamples` and `seed` draw the same units for all systems."""
    counts, draws = counts_by_unit(predictions), {}
    if len(counts) >= FEWEST:
        there = counts.any(0)  # most pairs of levels are never confused
        drawn = np.zeros((resamples, counts.shape[1]))
        drawn[:, there] = resampled_totals(counts[:, there].astype(float), resamples, seed)
        draws = metrics_of(drawn)
    values = {metric: float(value) for metric, value in metrics_of(counts.sum(0)).items()}
    return Measured(values, draws, len(predictions), len(counts))


def _interval(draws: np.ndarray | None) -> tuple[float, float]:
    known = np.zeros(0) if draws is None else draws[~np.isnan(draws)]
    return tuple(np.quantile(known, [0.025, 0.975]).tolist()) if len(known) else (np.nan, np.nan)


def chance(levels: Sequence[str] | np.ndarray) -> dict[str, float]:
    """The accuracy of guessing: `squares`, levels drawn by their shares; `majority`, always the largest level."""
    shares = pd.Series(levels).value_counts(normalize=True)
    return {"squares": float((shares**2).sum()), "majority": float(shares.max())}


def confusion_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """A row for each pair of levels that occurs: level, predicted, n."""
    pairs = predictions[["level", "predicted"]]
    return pairs.value_counts().rename("n").reset_index().sort_values(["level", "predicted"], ignore_index=True)
