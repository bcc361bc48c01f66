"""Membership inference: does the loss distinguish a model's training texts from others of the same kind?

A text's score is minus its mean NLL (Yeom et al. 2018, Privacy Risk in Machine Learning) or, since some texts are easy
for every model, its mean NLL under a reference model that saw neither text, minus that under the model (Carlini et al.
2022, Membership Inference Attacks From First Principles). Members should have higher scores:

    auc     probability that a member has a higher score than another text, ties counted half; .5 is chance
    tpr     share of the members above the lowest threshold that at most 1 % of the other texts exceed

Intervals are percentiles of a bootstrap over clusters, drawn separately for members and others; none below 50 effective
clusters of either.

Legend: N texts, G clusters of members or of others, R resamples.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ilm.evaluation.comparison.contrasts import MIN_EFFECTIVE_CLUSTERS, effective_clusters

FALSE_POSITIVES = 0.01
_AT_ONCE = 4_000_000  # numbers in memory


def membership(
    scores: np.ndarray, is_member: np.ndarray, clusters: np.ndarray, *, resamples: int, seed: int = 0
) -> dict[str, Any] | None:
    """How well scores (N,) distinguish members (boolean, (N,)); `clusters` (N,). NaN scores are ignored.

    `auc` and `tpr` with the ends of their 95 % intervals (None with too few clusters); the numbers of `members` and
    `others`, and of `clusters` of both. None without a member or without another text.
    """
    there = ~np.isnan(scores)
    scores, is_member, clusters = scores[there], is_member[there], clusters[there]
    if is_member.all() or not is_member.any():
        return None
    order = np.argsort(-scores, kind="stable")
    scores, is_member, clusters = scores[order], is_member[order], clusters[order]
    auc, tpr = (float(value[0]) for value in _auc_and_tpr(scores, is_member, np.ones((1, len(scores)))))
    bounds: list[float | None] = [None] * 4
    # A cluster with texts of both sides counts once for each side.
    labels, of_each = np.unique(2 * clusters + is_member, return_inverse=True)
    of_members = labels % 2 == 1
    sizes = np.bincount(of_each)
    if min(effective_clusters(sizes[side]) for side in (of_members, ~of_members)) >= MIN_EFFECTIVE_CLUSTERS:
        draws = _draws(of_members, len(scores), resamples, seed)
        drawn = [_auc_and_tpr(scores, is_member, times[:, of_each]) for times in draws]
        aucs, tprs = (np.concatenate(column) for column in zip(*drawn, strict=True))
        bounds = [float(bound) for values in (aucs, tprs) for bound in np.quantile(values, [0.025, 0.975])]
    counts = {"members": int(is_member.sum()), "others": int((~is_member).sum()), "clusters": len(labels)}
    names = ("auc", "auc_low", "auc_high", "tpr", "tpr_low", "tpr_high")
    return dict(zip(names, (auc, *bounds[:2], tpr, *bounds[2:]), strict=True)) | counts


def _auc_and_tpr(scores: np.ndarray, is_member: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUC and TPR, each (R,), of texts that count `weights` (R, N) times; scores in descending order."""
    # A threshold is passed by all equal scores at once.
    last_of_equal = np.append(scores[1:] != scores[:-1], True)
    above = [np.cumsum(weights * side, axis=1)[:, last_of_equal] for side in (is_member, ~is_member)]
    true, false = (counts / counts[:, -1:] for counts in above)
    steps = np.diff(false, axis=1, prepend=0)
    before = np.concatenate([np.zeros((len(true), 1)), true[:, :-1]], axis=1)
    auc = (steps * (true + before) / 2).sum(axis=1)
    # Rounding may push a share slightly above the bound.
    tpr = np.where(false <= FALSE_POSITIVES + 1e-12, true, 0).max(axis=1)
    return auc, tpr


def _draws(of_members: np.ndarray, texts: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each cluster (G, both sides) is drawn, in blocks of draws; each side is drawn to its own size."""
    generator, at_once = np.random.default_rng(seed), max(1, _AT_ONCE // texts)
    for begin in range(0, resamples, at_once):
        times = np.zeros((min(at_once, resamples - begin), len(of_members)))
        for side in (of_members, ~of_members):
            n = int(side.sum())
            times[:, side] = generator.multinomial(n, np.full(n, 1 / n), len(times))
        yield times
