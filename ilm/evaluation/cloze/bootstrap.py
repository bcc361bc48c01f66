"""Paired bootstrap between models: is one better than another on the same blanks?

Texts are drawn with replacement, with all their blanks, the same for both models (Efron and Tibshirani 1993, An
Introduction to the Bootstrap; for language processing Berg-Kirkpatrick et al. 2012, EMNLP). The 95 % interval of the
difference is the percentile one. p is two-sided: twice the smaller share of the drawn differences on either side of 0
(with 1 added to both counts, Davison and Hinkley 1997, section 4.2), adjusted for the number of pairs of a metric by
Holm's method (Holm 1979).
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from ilm.evaluation.cloze.metrics import METRICS
from ilm.hashing import order_key

_AT_ONCE = 10_000_000  # how often each text was drawn: numbers in memory


def compare(blanks: pd.DataFrame, models: list[str], resamples: int, seed: int) -> pd.DataFrame:
    """A row per metric and pair of models (a, b) that both have it: difference a - b, low, high, p, p_holm, n, texts.

    `blanks` has a row per model and blank: `model`, `item`, `blank`, `writing_id`, `METRICS`. Blanks for which one of
    the two has no value (a log-probability) count for neither.
    """
    blanks = blanks.assign(text=pd.factorize(blanks["writing_id"], sort=True)[0])
    about, pairs = [], []
    for metric in METRICS:
        wide = blanks.pivot(index=["text", "item", "blank"], columns="model", values=metric)
        for a, b in combinations(models, 2):
            both = wide[[a, b]].dropna()
            if len(both):
                about.append({"metric": metric, "a": a, "b": b})
                pairs.append(((both[a] - both[b]).to_numpy(), both.index.get_level_values("text").to_numpy()))
    found = [one | result for one, result in zip(about, paired_bootstrap(pairs, resamples, seed), strict=True)]
    rows = []
    for metric in METRICS:
        of_metric = [row for row in found if row["metric"] == metric]
        for row, adjusted in zip(of_metric, holm([row["p"] for row in of_metric]), strict=True):
            rows.append({**row, "p_holm": adjusted})
    return pd.DataFrame(rows)


def paired_bootstrap(pairs: Sequence[tuple[np.ndarray, np.ndarray]], resamples: int, seed: int) -> list[dict[str, Any]]:
    """The mean difference of each pair of models, its interval and p.

    A pair has differences (N,), and `texts` (N,) that say which of them hang together. Pairs of equally many texts
    share the draws, which take most of the time. For fewer than two texts there is neither interval nor p (None).
    """
    found: list[dict[str, Any]] = []
    alike = defaultdict(list)
    for number, (differences, texts) in enumerate(pairs):
        _, text_of_each = np.unique(texts, return_inverse=True)
        sums, counts = np.bincount(text_of_each, differences), np.bincount(text_of_each)
        result = {"difference": float(differences.sum() / len(differences)), "n": len(differences)}
        found.append(result | {"texts": len(counts), "low": None, "high": None, "p": None})
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
    """The differences of P pairs in each draw, (draws, P), of their sums and numbers by text, (G, P)."""
    generator = np.random.default_rng(order_key(seed, "cloze", "bootstrap"))
    texts = len(sums)
    equally, at_once = np.full(texts, 1 / texts), max(1, _AT_ONCE // texts)
    drawn = []
    for begin in range(0, resamples, at_once):
        # (draws, G): how often each text was drawn.
        times = generator.multinomial(texts, equally, min(at_once, resamples - begin)).astype(float)
        drawn.append((times @ sums) / (times @ counts))
    return np.concatenate(drawn)


def holm(values: list[float | None]) -> list[float | None]:
    """Holm's adjusted p, in the order given; None stays None."""
    ordered = sorted((value, at) for at, value in enumerate(values) if value is not None)
    adjusted: list[float | None] = [None] * len(values)
    largest = 0.0
    for place, (value, at) in enumerate(ordered):
        largest = max(largest, min(1.0, value * (len(ordered) - place)))
        adjusted[at] = largest
    return adjusted
