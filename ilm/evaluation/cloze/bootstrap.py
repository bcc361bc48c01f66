"""Paired bootstrap between models: is one better than another on the same blanks?

Units (texts, or learners where they are known) are drawn with replacement, with all their blanks, the same for both
models (Efron and Tibshirani 1993, An Introduction to the Bootstrap; for language processing Berg-Kirkpatrick et al.
2012, EMNLP). The 95 % interval of the
difference is the percentile one. p is two-sided: twice the smaller share of the drawn differences on either side of 0
(with 1 added to both counts, Davison and Hinkley 1997, section 4.2), adjusted by Holm's method (Holm 1979) for the
number of pairs of a metric: those over all blanks are one family, those within CEFR levels another.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from ilm.evaluation.cloze.metrics import LOG_PROBABILITY, METRICS
from ilm.hashing import order_key

_AT_ONCE = 10_000_000  # how often each unit was drawn: numbers in memory
_COLUMNS = ["grouping", "group", "metric", "a", "b", "difference", "low", "high", "p", "p_holm", "n", "units"]


def compare(blanks: pd.DataFrame, kinds: Mapping[str, str], resamples: int, seed: int) -> pd.DataFrame:
    """A row per grouping, group, metric and pair of models (a, b): difference a - b, low, high, p, p_holm, n, units.

    The groupings are "all" and, of several, "cefr_level". `blanks` has a row per model and blank: `model`, `item`,
    `blank`, `unit`, `cefr_level`, `METRICS`. Blanks for which one of the two has no value (a log-probability)
    count for neither. `kinds` are those of the models: log-probabilities are compared within a kind only, since each
    kind has its own way to end an answer.
    """
    groups = [("all", "all", blanks)]
    if blanks["cefr_level"].nunique() > 1:
        groups += [("cefr_level", level, part) for level, part in blanks.groupby("cefr_level")]
    about, pairs = [], []
    for grouping, group, part in groups:
        for metric in METRICS:
            wide = part.pivot(index=["unit", "item", "blank"], columns="model", values=metric)
            for a, b in combinations(kinds, 2):
                if metric == LOG_PROBABILITY and kinds[a] != kinds[b]:
                    continue
                both = wide[[a, b]].dropna()
                if len(both):
                    about.append({"grouping": grouping, "group": group, "metric": metric, "a": a, "b": b})
                    pairs.append(((both[a] - both[b]).to_numpy(), both.index.get_level_values("unit").to_numpy()))
    if not pairs:
        return pd.DataFrame(columns=_COLUMNS)
    found = pd.DataFrame(about).join(pd.DataFrame(paired_bootstrap(pairs, resamples, seed)).astype({"p": float}))
    family = found.groupby(["grouping", "metric"])["p"]
    return found.assign(p_holm=family.transform(holm))[_COLUMNS]


def paired_bootstrap(pairs: Sequence[tuple[np.ndarray, np.ndarray]], resamples: int, seed: int) -> list[dict[str, Any]]:
    """The mean difference of each pair of models, its interval and p.

    A pair has differences (N,), and units (N,): those of one unit are dependent. Pairs of equally many units share
    the draws, which take most of the time. For fewer than two units there is neither interval nor p (None).
    """
    found: list[dict[str, Any]] = []
    alike = defaultdict(list)
    for number, (differences, units) in enumerate(pairs):
        _, unit_of_each = np.unique(units, return_inverse=True)
        sums, counts = np.bincount(unit_of_each, differences), np.bincount(unit_of_each)
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


def _drawn(sums: np.ndarray, counts: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """The differences of P pairs in each draw, (draws, P), of their sums and numbers by unit, (G, P)."""
    generator = np.random.default_rng(order_key(seed, "cloze", "bootstrap"))
    units = len(sums)
    equally, at_once = np.full(units, 1 / units), max(1, _AT_ONCE // units)
    drawn = []
    for begin in range(0, resamples, at_once):
        # (draws, G): how often each unit was drawn.
        times = generator.multinomial(units, equally, min(at_once, resamples - begin)).astype(float)
        drawn.append((times @ sums) / (times @ counts))
    return np.concatenate(drawn)


def holm(values: pd.Series) -> pd.Series:
    """Holm's adjusted p of each; NaN, which counts for nothing, stays NaN."""
    ordered = values.dropna().sort_values()
    times = np.arange(len(ordered), 0, -1)
    return (ordered * times).clip(upper=1.0).cummax().reindex(values.index)
