"""Paired bootstrap between models: is one better than another on the same blanks?

Texts are drawn with replacement, with all their blanks, the same for both models (Efron and Tibshirani 1993, An
Introduction to the Bootstrap; for language processing Berg-Kirkpatrick et al. 2012, EMNLP). The 95 % interval of the
difference is the percentile one. p is two-sided: twice the smaller share of the drawn differences on either side of 0
(with 1 added to both counts, Davison and Hinkley 1997, section 4.2), adjusted for the number of pairs of a metric by
Holm's method (Holm 1979).
"""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from ilm.evaluation.cloze.metrics import METRICS
from ilm.hashing import order_key

_AT_ONCE = 500  # draws


def compare(blanks: pd.DataFrame, models: list[str], resamples: int, seed: int) -> pd.DataFrame:
    """A row per metric and pair of models (a, b) that both have it: difference a - b, low, high, p, p_holm, n, texts.

    `blanks` has a row per model and blank: `model`, `item`, `blank`, `writing_id`, `METRICS`. Blanks for which one of
    the two has no value (a log-probability) count for neither.
    """
    rows = []
    for metric in METRICS:
        wide = blanks.pivot(index=["writing_id", "item", "blank"], columns="model", values=metric)
        of_metric = []
        for a, b in combinations(models, 2):
            both = wide[[a, b]].dropna()
            if len(both):
                texts = both.index.get_level_values("writing_id").to_numpy()
                result = paired_bootstrap(both[a].to_numpy(), both[b].to_numpy(), texts, resamples, seed)
                of_metric.append({"metric": metric, "a": a, "b": b, **result})
        for row, adjusted in zip(of_metric, holm([row["p"] for row in of_metric]), strict=True):
            rows.append({**row, "p_holm": adjusted})
    return pd.DataFrame(rows)


def paired_bootstrap(a: np.ndarray, b: np.ndarray, texts: np.ndarray, resamples: int, seed: int) -> dict[str, Any]:
    """The difference of the means of `a` and `b` (N,), its interval and p; `texts` (N,) says which hang together.

    For fewer than two texts there is neither interval nor p (None).
    """
    _, text_of_each = np.unique(texts, return_inverse=True)
    sums, counts = np.bincount(text_of_each, a - b), np.bincount(text_of_each)
    found = {"difference": float((a - b).sum() / len(a)), "n": len(a), "texts": len(counts)}
    if len(counts) < 2:
        return found | {"low": None, "high": None, "p": None}
    generator = np.random.default_rng(order_key(seed, "cloze", "bootstrap"))
    drawn = []
    for begin in range(0, resamples, _AT_ONCE):
        # (draws, G): how often each text was drawn.
        size = min(_AT_ONCE, resamples - begin)
        times = generator.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size)
        drawn.append((times @ sums) / (times @ counts))
    differences = np.concatenate(drawn)
    low, high = np.quantile(differences, [0.025, 0.975])
    # Sums of floats miss 0 by a hair.
    side = min((differences <= 1e-12).sum(), (differences >= -1e-12).sum())
    p = min(1.0, 2 * (1 + int(side)) / (resamples + 1))
    return found | {"low": float(low), "high": float(high), "p": p}


def holm(values: list[float | None]) -> list[float | None]:
    """Holm's adjusted p, in the order given; None stays None."""
    ordered = sorted((value, at) for at, value in enumerate(values) if value is not None)
    adjusted: list[float | None] = [None] * len(values)
    largest = 0.0
    for place, (value, at) in enumerate(ordered):
        largest = max(largest, min(1.0, value * (len(ordered) - place)))
        adjusted[at] = largest
    return adjusted
