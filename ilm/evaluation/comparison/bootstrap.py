"""The bootstrap-t over clusters (Cameron, Gelbach and Miller 2008) of ratios of totals, and of means of such ratios.

Legend: G clusters, P ratios whose mean is taken, R resamples.
"""

from collections.abc import Sequence

import numpy as np

Ratio = tuple[np.ndarray, np.ndarray]
"""Totals and counts by cluster, each (G,): sum of totals / sum of counts."""

# Resampled cluster counts held in memory at once.
_COUNTS_AT_ONCE = 16_000_000


class Resampled:
    """The distribution of R resampled t statistics. Tail shares count the observed one too, so they are never 0."""

    def __init__(self, t: np.ndarray):
        self._t = np.sort(t)

    def cdf(self, t: float) -> float:
        return (1 + np.searchsorted(self._t, t, side="right")) / (1 + len(self._t))

    def sf(self, t: float) -> float:
        return (1 + len(self._t) - np.searchsorted(self._t, t, side="left")) / (1 + len(self._t))

    def ppf(self, q: float) -> float:
        return float(np.quantile(self._t, q))


def bootstrap_t(several: Sequence[Sequence[Ratio]], resamples: int, seed: int) -> list[np.ndarray]:
    """Resampled t statistics (theta* - theta) / sqrt(V1*), (R,), of each of `several` means of ratios.

    Clusters are drawn with replacement, the same for all. V1* is a quadratic form in theta*, so it needs only the sums
    over the drawn clusters of d_k d_l, d_k n_l and n_k n_l (d totals, n counts, ratios k and l).
    """
    if not several:
        return []
    there = np.flatnonzero(np.sum([counts for ratios in several for _, counts in ratios], axis=0))
    generator = np.random.default_rng(seed)
    columns = [_columns([(totals[there], counts[there]) for totals, counts in ratios]) for ratios in several]
    ends = np.cumsum([of_mean.shape[1] for of_mean in columns])
    stacked = np.concatenate(columns, axis=1)
    sums = np.empty((resamples, stacked.shape[1]))
    at_once = max(1, _COUNTS_AT_ONCE // len(there))
    for begin in range(0, resamples, at_once):
        times = np.empty((min(at_once, resamples - begin), len(there)))
        for row in times:
            drawn = generator.integers(len(there), size=len(there), dtype=np.int32)
            row[:] = np.bincount(drawn, minlength=len(there))
        sums[begin : begin + len(times)] = times @ stacked
    of_each = np.split(sums, ends[:-1], axis=1)
    return [_t_statistics(of_mean, ratios, len(there)) for of_mean, ratios in zip(of_each, several, strict=True)]


def _columns(ratios: Sequence[Ratio]) -> np.ndarray:
    """d (P), n (P), d d' (P^2), d n' (P^2) and n n' (P^2) of each cluster, (G, 2 P + 3 P^2)."""
    d, n = (np.stack(column, axis=1).astype(float) for column in zip(*ratios, strict=True))
    products = [(x[:, :, None] * y[:, None, :]).reshape(len(d), -1) for x, y in ((d, d), (d, n), (n, n))]
    return np.concatenate([d, n, *products], axis=1)


def _t_statistics(sums: np.ndarray, ratios: Sequence[Ratio], clusters: int) -> np.ndarray:
    p = len(ratios)
    d, n, dd, dn, nn = np.split(sums, np.cumsum([p, p, p * p, p * p]), axis=1)
    dd, dn, nn = (products.reshape(-1, p, p) for products in (dd, dn, nn))
    # Without counts in the drawn clusters, or with all of them alike, there is no t: 0 favours neither side.
    with np.errstate(divide="ignore", invalid="ignore"):
        theta = d / n
        crossed = theta[:, None, :] * dn
        squares = dd - crossed - crossed.transpose(0, 2, 1) + theta[:, :, None] * theta[:, None, :] * nn
        v1 = clusters / (clusters - 1) * (squares / (n[:, :, None] * n[:, None, :])).mean(axis=(1, 2))
        difference = theta.mean(axis=1) - np.mean([totals.sum() / counts.sum() for totals, counts in ratios])
        # Rounding may leave a variance of 0 slightly negative.
        return np.nan_to_num(difference / np.sqrt(np.maximum(v1, 0)), nan=0.0)
