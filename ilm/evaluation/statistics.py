"""Errors, intervals and tests over units that are independent of each other: texts, or learners where they are known.

What comes from one unit is not independent, so a unit is drawn, or kept, as a whole. Nothing here knows of models or
metrics: arrays go in, numbers come out.

Legend: N values, G units, P pairs of models.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ilm.hashing import order_key

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


def paired_bootstrap(pairs: Sequence[tuple[np.ndarray, np.ndarray]], resamples: int, seed: int) -> list[dict[str, Any]]:
    """The mean difference of each pair of models, its 95 % interval and p.

    A pair has differences (N,), and their units (N,). Units are drawn with replacement, with all their values (Efron
    and Tibshirani 1993, An Introduction to the Bootstrap; for language processing Berg-Kirkpatrick et al. 2012, EMNLP).
    The interval is the percentile one; p is two-sided: twice the smaller share of the drawn differences on either side
    of 0, with 1 added to both counts (Davison and Hinkley 1997, section 4.2). Pairs of equally many units share the
    draws, which take most of the time. For fewer than two units there is neither interval nor p (None).
    """
    found: list[dict[str, Any]] = []
    alike = defaultdict(list)
    for number, (differences, units) in enumerate(pairs):
        sums, counts = _by_unit(differences, units)
        result = {"difference": float(differences.sum() / len(differences)), "n": len(differences)}
        found.append(result | {"units": len(counts), "low": None, "high": None, "p": None})
        if len(counts) > 1:
            alike[len(counts)].append((number, sums, counts))
    for group in alike.values():
        numbers, sums, counts = zip(*group, strict=True)
        drawn = _drawn(np.stack(sums, axis=1), np.stack(counts, axis=1), resamples, seed)
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        # Sums of floats miss 0 by a hair.
        side = np.minimum((drawn <= 1e-12).sum(axis=0), (drawn >= -1e-12).sum(axis=0))
        p = np.minimum(1.0, 2 * (1 + side) / (resamples + 1))
        for at, number in enumerate(numbers):
            found[number] |= {"low": float(low[at]), "high": float(high[at]), "p": float(p[at])}
    return found


def holm(values: pd.Series) -> pd.Series:
    """The p adjusted for their number (Holm 1979); NaN, which counts for nothing, stays NaN."""
    ordered = values.dropna().sort_values()
    times = np.arange(len(ordered), 0, -1)
    return (ordered * times).clip(upper=1.0).cummax().reindex(values.index)


def _by_unit(values: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(sums, counts) of values (N,) by unit, each (G,)."""
    _, unit_of_each = np.unique(units, return_inverse=True)
    return np.bincount(unit_of_each, values), np.bincount(unit_of_each)


def _drawn(sums: np.ndarray, counts: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """The differences of P pairs in each draw, (draws, P), of their sums and counts by unit, (G, P)."""
    generator = np.random.default_rng(order_key(seed, "cloze", "bootstrap"))
    units = len(sums)
    equally, at_once = np.full(units, 1 / units), max(1, _AT_ONCE // units)
    drawn = []
    for begin in range(0, resamples, at_once):
        # (draws, G): how often each unit was drawn.
        times = generator.multinomial(units, equally, min(at_once, resamples - begin)).astype(float)
        drawn.append((times @ sums) / (times @ counts))
    return np.concatenate(drawn)
