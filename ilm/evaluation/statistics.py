"""Errors, intervals and tests over units that are independent of each other: texts, or learners where they are known.

What comes from one unit is not independent, so a unit is drawn, or kept, as a whole.

Legend: N values, G units, P pairs of models.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ilm.hashing import order_key

FEWEST = 6  # units: of fewer, no choice of signs has p < 0.05
EXACT = 20  # units up to which every choice of signs is tried
BINS = 10  # of probabilities, for calibration
_AT_ONCE = 10_000_000  # numbers in memory


def ratio_standard_error(totals: np.ndarray, counts: np.ndarray) -> float | None:
    """Standard error of sum(totals) / sum(counts), both by unit (G,); None for fewer than two units that count.

    The linearised variance of a ratio of two totals (Cochran 1977, Sampling Techniques, section 6.4); of a mean, the
    clustered standard error of linear models (Liang and Zeger 1986).
    """
    totals, counts = totals[counts > 0], counts[counts > 0]
    n = len(totals)
    if n < 2:
        return None
    residuals = totals - counts * (totals.sum() / counts.sum())
    return float(math.sqrt(n / (n - 1) * (residuals**2).sum()) / counts.sum())


def clustered_mean(values: np.ndarray, units: np.ndarray) -> tuple[float | None, float | None, int]:
    """(mean, standard error, n) of values (N,), without NaN, clustered by `units` (N,).

    The standard error is None for fewer than two units.
    """
    there = ~np.isnan(values)
    values, units = values[there], units[there]
    if not len(values):
        return None, None, 0
    mean = float(values.sum() / len(values))
    sums, counts = _by_unit(values - mean, units)
    return mean, ratio_standard_error(sums, counts), len(values)


def pairwise_differences(
    values: pd.DataFrame,
    models: Sequence[str],
    draws: int,
    seed: int,
    comparable: Callable[[str, str, str], bool] = lambda metric, a, b: True,
) -> pd.DataFrame:
    """A row per grouping, group, metric and pair of models (a, b): difference a - b, low, high, p, p_holm, n, units.

    `values` has a column per (metric, model), and `unit` and `cefr_level` in its index. The groupings are "all" and,
    with several levels, "cefr_level". A row without a value for one of the two models counts for neither. Pairs are
    left out unless `comparable(metric, a, b)`. p_holm is adjusted for the pairs of a metric: those over all rows are
    one family, those within levels another.
    """
    levels = values.index.get_level_values("cefr_level")
    groups = [("all", "all", values)]
    if levels.nunique() > 1:
        groups += [("cefr_level", level, part) for level, part in values.groupby(levels)]
    about, pairs = [], []
    for grouping, group, part in groups:
        for metric in values.columns.unique(0):
            for a, b in combinations(models, 2):
                both = part[metric][[a, b]].dropna()
                if len(both) and comparable(metric, a, b):
                    about.append({"grouping": grouping, "group": group, "metric": metric, "a": a, "b": b})
                    pairs.append(((both[a] - both[b]).to_numpy(), both.index.get_level_values("unit").to_numpy()))
    columns = ["grouping", "group", "metric", "a", "b", "difference", "low", "high", "p", "p_holm", "n", "units"]
    if not pairs:
        return pd.DataFrame(columns=columns)
    found = pd.DataFrame(about).join(compare_pairs(pairs, draws, seed))
    return found.assign(p_holm=found.groupby(["grouping", "metric"])["p"].transform(holm))[columns]


def compare_pairs(pairs: Sequence[tuple[np.ndarray, np.ndarray]], draws: int, seed: int) -> pd.DataFrame:
    """The mean difference of each pair of models, its 95 % interval and p: difference, n, units, low, high, p.

    A pair has differences (N,), and their units (N,), of which fewer than `FEWEST` give neither interval nor p (NaN).
    The interval is the percentile one of a paired bootstrap: units are drawn with replacement, with all their values
    (Efron and Tibshirani 1993, An Introduction to the Bootstrap; for language processing Berg-Kirkpatrick et al. 2012,
    EMNLP). It is too short for few units. p is that of `sign_flip_p`. Pairs of equally many units share the draws.
    """
    found: list[dict[str, Any]] = []
    alike = defaultdict(list)
    for number, (differences, units) in enumerate(pairs):
        sums, counts = _by_unit(differences, units)
        result = {"difference": float(differences.sum() / len(differences)), "n": len(differences)}
        found.append(result | {"units": len(counts), "low": np.nan, "high": np.nan, "p": np.nan})
        if len(counts) >= FEWEST:
            alike[len(counts)].append((number, sums, counts))
    for group in alike.values():
        numbers, *columns = zip(*group, strict=True)
        sums, counts = (np.stack(column, axis=1) for column in columns)
        drawn = resampled_totals(np.hstack([sums, counts]), draws, seed)
        low, high = np.quantile(drawn[:, : len(numbers)] / drawn[:, len(numbers) :], [0.025, 0.975], axis=0)
        p = sign_flip_p(sums, draws, seed)
        for at, number in enumerate(numbers):
            found[number] |= {"low": float(low[at]), "high": float(high[at]), "p": float(p[at])}
    return pd.DataFrame(found)


def sign_flip_p(sums: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Two-sided p (P,) of differences summed by unit (G, P): is a unit's difference as likely to have the other sign?

    The share of all 2^G choices of signs whose sum is as far from 0 as the one observed (Fisher 1935, The Design of
    Experiments, section 21), exact up to `EXACT` units. Above, of that many random `draws`, the observed choice counted
    as one of them (Davison and Hinkley 1997, Bootstrap Methods, section 4.2), so p is never 0.
    """
    units = len(sums)
    exact = units <= EXACT
    # The sign of the last unit stands: the other half of all choices mirrors this one.
    choices = 2 ** (units - 1) if exact else draws
    # Sums of floats miss each other by a hair.
    observed = np.abs(sums.sum(axis=0)) - 1e-9 * np.abs(sums).sum(axis=0)
    generator = np.random.default_rng(order_key(seed, "sign flips"))
    as_far = np.zeros(sums.shape[1], dtype=np.int64)
    at_once = max(1, _AT_ONCE // max(sums.shape))
    for begin in range(0, choices, at_once):
        numbers = np.arange(begin, min(begin + at_once, choices))
        flipped = (
            (numbers[:, None] >> np.arange(units)) & 1 if exact else generator.integers(0, 2, (len(numbers), units))
        )
        as_far += (np.abs((1.0 - 2.0 * flipped) @ sums) >= observed).sum(axis=0)
    return as_far / choices if exact else (1 + as_far) / (1 + choices)


def holm(values: pd.Series) -> pd.Series:
    """The p adjusted for their number (Holm 1979); NaN, which counts for nothing, stays NaN."""
    ordered = values.dropna().sort_values()
    times = np.arange(len(ordered), 0, -1)
    return (ordered * times).clip(upper=1.0).cummax().reindex(values.index)


def benjamini_hochberg(values: pd.Series) -> pd.Series:
    """The p adjusted to the false discovery rate (Benjamini and Hochberg 1995); NaN counts for nothing and stays."""
    tested = values.dropna()
    return pd.Series(stats.false_discovery_control(tested), tested.index).reindex(values.index)


def calibration(confidence: np.ndarray, correct: np.ndarray, units: np.ndarray) -> tuple[float | None, pd.DataFrame]:
    """The expected calibration error of confidences (N,), NaN left out, and its reliability table.

    ECE = sum over `BINS` equal bins of n_bin / n * |share correct - mean confidence| (Naeini et al. 2015, AAAI; Guo et
    al. 2017, ICML). The table has a row per bin that is not empty: low, high, n, confidence, correct, standard_error
    (of `correct`, by `units` (N,)).
    """
    columns = ["low", "high", "n", "confidence", "correct", "standard_error"]
    values = pd.DataFrame({"confidence": confidence, "correct": correct, "unit": units}).dropna(subset="confidence")
    rows = []
    # 1.0 belongs to the last bin.
    for bin_, own in values.groupby((values["confidence"] * BINS).astype(int).clip(upper=BINS - 1)):
        right, error, n = clustered_mean(own["correct"].to_numpy(float), own["unit"].to_numpy())
        rows.append((bin_ / BINS, (bin_ + 1) / BINS, n, own["confidence"].mean(), right, error))
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns, float)).astype({"n": int})
    if table.empty:
        return None, table
    return float((table["n"] * (table["correct"] - table["confidence"]).abs()).sum() / table["n"].sum()), table


def resampled_totals(totals: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """The totals (draws, C) of columns summed by unit (G, C), when as many units are drawn with replacement.

    Whole units are drawn, with all they have. Equal G, draws and seed draw the same units.
    """
    generator = np.random.default_rng(order_key(seed, "cloze", "bootstrap"))
    units = len(totals)
    equally, at_once = np.full(units, 1 / units), max(1, _AT_ONCE // units)
    drawn = []
    for begin in range(0, draws, at_once):
        # (draws, G): how often each unit was drawn.
        times = generator.multinomial(units, equally, min(at_once, draws - begin)).astype(float)
        drawn.append(times @ totals)
    return np.concatenate(drawn)


def _by_unit(values: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(sums, counts) of values (N,) by unit, each (G,)."""
    _, unit_of_each = np.unique(units, return_inverse=True)
    return np.bincount(unit_of_each, values), np.bincount(unit_of_each)
