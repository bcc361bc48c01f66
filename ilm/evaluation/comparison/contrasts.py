"""Is model a better than model b on the same texts? Differences of loss with clustered errors, p-values and verdicts.

A loss is sum of NLL / number of targets, in nats a target; theta is the loss of a minus that of b, so below 0 a is
better. The texts vary (clusters: learners where known, else documents) and so does training (seeds):

    e_g   = mean_s a[s, g] - mean_s b[s, g] - theta * n_g       what cluster g adds to theta, linearised
    V1    = G / (G - 1) * sum_g e_g^2 / N^2                     from the texts (Cochran 1977, section 6.4)
    V2    = s_a^2 / S_a + s_b^2 / S_b                           from training; s_m^2: variance of model m's S_m losses
    V     = V1 + V2                                             two-way clustering (Cameron, Gelbach and Miller 2011)

With several seeds of both models theta / sqrt(V) follows a t distribution with Satterthwaite's degrees of freedom.
With one seed of either, V2 is unknown: the bootstrap-t over clusters (Cameron, Gelbach and Miller 2008) then says what
holds for these two runs, not for their recipe. Below 50 effective clusters (MacKinnon and Webb 2017) nothing is tested.

Legend: S seeds, G clusters, N targets of all clusters, R resamples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from ilm.evaluation.comparison.bootstrap import Resampled, bootstrap_t
from ilm.evaluation.statistics import holm

MIN_EFFECTIVE_CLUSTERS = 50
RESAMPLES = 10_000
# Holm's first step in the family of five primary contrasts, and the usual power.
MDE_LEVEL, MDE_POWER = 0.05 / 5, 0.8


@dataclass(frozen=True)
class StudentT:
    """Student's t with `df` degrees of freedom. A scipy.stats.t(df) takes milliseconds, and a study has hundreds."""

    df: float

    def cdf(self, t: float) -> float:
        return float(stdtr(self.df, t))

    def sf(self, t: float) -> float:
        return float(stdtr(self.df, -t))

    def ppf(self, q: float) -> float:
        return float(stdtrit(self.df, q))


@dataclass(frozen=True)
class Contrast:
    """The difference in loss between two models, with its error.

    `theta` is in nats a target; `v1` and `v2` are its variances from texts and training (`v2` NaN with one seed).
    `distribution` is that of theta over its standard error; None with too few clusters for inference.
    """

    theta: float
    v1: float
    v2: float
    df: float
    targets: int
    clusters: int
    effective_clusters: float
    seeds: tuple[int, int]
    distribution: StudentT | Resampled | None

    @property
    def one_seed(self) -> bool:
        """Whether the contrast is between two runs rather than two ways of training."""
        return math.isnan(self.v2)

    @property
    def standard_error(self) -> float:
        """The standard error of theta: over texts and training, or over texts alone with one seed."""
        return math.sqrt(self.v1 if self.one_seed else self.v1 + self.v2)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The equal-tailed interval of theta; NaN without inference.

        A resampled t above 0 says that theta tends to be overestimated, so upper quantiles set the lower end.
        """
        if self.distribution is None:
            return math.nan, math.nan
        tail = (1 - level) / 2
        low, high = self.distribution.ppf(1 - tail), self.distribution.ppf(tail)
        return self.theta - low * self.standard_error, self.theta - high * self.standard_error

    def p_value(self) -> float:
        """Two-sided p of no difference; NaN without inference."""
        if self.distribution is None:
            return math.nan
        return min(1.0, 2 * min(self.distribution.cdf(self._t(0.0)), self.distribution.sf(self._t(0.0))))

    def equivalence_p_value(self, margin: float) -> float:
        """p of a difference of `margin` nats or more either way: two one-sided tests (Lakens 2017); else NaN."""
        if self.distribution is None:
            return math.nan
        return max(self.distribution.sf(self._t(-margin)), self.distribution.cdf(self._t(margin)))

    def minimum_detectable_effect(self) -> float:
        """The smallest |theta| in nats found with power .8 at Holm's first of five steps; NaN without inference."""
        if self.distribution is None or self.standard_error == 0:
            return math.nan
        critical = stats.t.ppf(1 - MDE_LEVEL / 2, self.df)

        def missing_power(shift: float) -> float:
            # Boost's noncentral t needs no lower tail here: it is below 1e-7 where the power is .8.
            return stats.nct.sf(critical, self.df, shift) - MDE_POWER

        return brentq(missing_power, 0, 4 * critical + 10) * self.standard_error

    def _t(self, null: float) -> float:
        difference = self.theta - null
        if self.standard_error == 0:
            return math.copysign(math.inf, difference) if difference else 0.0
        return difference / self.standard_error


@dataclass(frozen=True)
class PairedLosses:
    """Two models' NLL in nats on the same targets: `a` (S_a, G), `b` (S_b, G), and the number of `targets` (G,).

    `paired` seeds share a run or an ancestor by design (`init_from`, mixtures, one model under two conditions): seed s
    of a belongs to seed s of b. Equal seed numbers alone pair nothing.
    """

    a: np.ndarray
    b: np.ndarray
    targets: np.ndarray
    paired: bool = False

    @cached_property
    def differences(self) -> np.ndarray:
        """NLL of a minus that of b by cluster, means over seeds, (G,)."""
        return self.a.mean(axis=0) - self.b.mean(axis=0)

    @property
    def theta(self) -> float:
        return float(self.differences.sum() / self.targets.sum())

    @property
    def seed_terms(self) -> list[tuple[float, int]]:
        """The summands of V2, each with its degrees of freedom; none if a model has one seed."""
        if min(len(self.a), len(self.b)) < 2:
            return []
        of_seeds = [self.a - self.b] if self.paired else [self.a, self.b]
        return [_variance_of_mean(nll.sum(axis=1) / self.targets.sum()) for nll in of_seeds]


def variance_of_texts(parts: Sequence[PairedLosses]) -> tuple[float, int]:
    """(V1 of the mean theta of `parts`, which lie on the same clusters; the number of clusters with targets, G).

    V1 is NaN for one cluster.
    """
    clusters = int((_targets(parts) > 0).sum())
    errors = np.mean([(part.differences - part.theta * part.targets) / part.targets.sum() for part in parts], axis=0)
    return clusters / (clusters - 1) * float((errors**2).sum()) if clusters > 1 else math.nan, clusters


def effective_clusters(targets: np.ndarray) -> float:
    """The number of equal clusters that carry as much information as clusters of these sizes: (sum n)^2 / sum n^2."""
    return float(targets.sum()) ** 2 / float((targets.astype(float) ** 2).sum())


def contrasts(several: Sequence[PairedLosses], *, resamples: int = RESAMPLES, seed: int = 0) -> list[Contrast]:
    """Contrasts of models on the same clusters. Those with one seed share their resamples."""
    tested = [k for k, losses in enumerate(several) if _needs_resamples([losses])]
    drawn = dict(zip(tested, _resampled([[several[k]] for k in tested], resamples, seed), strict=True))
    return [_contrast([losses], losses.seed_terms, drawn.get(k)) for k, losses in enumerate(several)]


def omnibus(levels: Sequence[PairedLosses], *, resamples: int = RESAMPLES, seed: int = 0) -> Contrast:
    """The mean over levels of theta, specialist minus generalist: does specialising pay at all?

    All `levels` lie on the same G clusters; a cluster without texts of a level has no targets there. b is the
    generalist, with the same runs at every level, so its variance from training is that of its level-averaged loss; of
    paired seeds, that of the level-averaged differences.
    """
    if _needs_resamples(levels):
        return _contrast(levels, [], _resampled([levels], resamples, seed)[0])
    if not all(losses.seed_terms for losses in levels):
        return _contrast(levels, [], None)
    if all(losses.paired for losses in levels):
        by_seed = [(losses.a - losses.b).sum(axis=1) / losses.targets.sum() for losses in levels]
        return _contrast(levels, [_variance_of_mean(np.mean(by_seed, axis=0))], None)
    specialists = [(variance / len(levels) ** 2, df) for variance, df in (losses.seed_terms[0] for losses in levels)]
    generalist = np.mean([losses.b.sum(axis=1) / losses.targets.sum() for losses in levels], axis=0)
    return _contrast(levels, [*specialists, _variance_of_mean(generalist)], None)


def verdicts(family: Sequence[Contrast], margin: float, level: float = 0.05) -> list[str]:
    """`equivalent`, `better`, `worse` or `not decided` for each contrast, with a family-wise error of `level` (Holm).

    `not tested` for one with too few clusters, which does not count in the adjustment. `margin` is the smallest
    difference in nats that matters, fixed beforehand. Equivalence takes precedence: a difference can be both
    significant and too small to matter.
    """
    differs = holm(pd.Series([contrast.p_value() for contrast in family], dtype=float))
    equals = holm(pd.Series([contrast.equivalence_p_value(margin) for contrast in family], dtype=float))
    found = []
    for contrast, p_differs, p_equals in zip(family, differs, equals, strict=True):
        if contrast.distribution is None:
            found.append("not tested")
            continue
        direction = "better" if contrast.theta < 0 else "worse"
        found.append("equivalent" if p_equals < level else direction if p_differs < level else "not decided")
    return found


def _needs_resamples(parts: Sequence[PairedLosses]) -> bool:
    seeds = min(min(len(losses.a), len(losses.b)) for losses in parts)
    return seeds == 1 and effective_clusters(_targets(parts)) >= MIN_EFFECTIVE_CLUSTERS


def _resampled(several: Sequence[Sequence[PairedLosses]], resamples: int, seed: int) -> list[np.ndarray]:
    means = [[(losses.differences, losses.targets) for losses in parts] for parts in several]
    return bootstrap_t(means, resamples, seed)


def _targets(parts: Sequence[PairedLosses]) -> np.ndarray:
    return np.sum([losses.targets for losses in parts], axis=0)


def _variance_of_mean(losses: np.ndarray) -> tuple[float, int]:
    """(The variance of the mean of S losses; its degrees of freedom)."""
    return float(losses.var(ddof=1)) / len(losses), len(losses) - 1


def _contrast(
    parts: Sequence[PairedLosses], seed_terms: Sequence[tuple[float, int]], resampled: np.ndarray | None
) -> Contrast:
    """The contrast that is the mean of `parts`; `seed_terms` are the summands of V2 (none with one seed)."""
    targets = _targets(parts)
    effective, (v1, clusters) = effective_clusters(targets), variance_of_texts(parts)
    df = _satterthwaite([(v1, clusters - 1), *seed_terms])
    distribution: StudentT | Resampled | None = None
    if effective >= MIN_EFFECTIVE_CLUSTERS:
        distribution = StudentT(df) if resampled is None else Resampled(resampled)
    return Contrast(
        theta=float(np.mean([part.theta for part in parts])),
        v1=v1,
        v2=sum(variance for variance, _ in seed_terms) if seed_terms else math.nan,
        df=df,
        targets=int(targets.sum()),
        clusters=clusters,
        effective_clusters=effective,
        seeds=(min(len(part.a) for part in parts), min(len(part.b) for part in parts)),
        distribution=distribution,
    )


def _satterthwaite(terms: Sequence[tuple[float, int]]) -> float:
    """Degrees of freedom of a sum of independent variances, each given with its own."""
    total = sum(variance for variance, _ in terms)
    return total**2 / sum(variance**2 / df for variance, df in terms) if total > 0 else float(terms[0][1])
