"""Formulas by hand, and the bootstrap's orientation."""

import math

import numpy as np
import pytest
from scipy import stats

from ilm.evaluation.comparison.bootstrap import Resampled
from ilm.evaluation.comparison.contrasts import (
    Contrast,
    PairedLosses,
    StudentT,
    contrasts,
    effective_clusters,
    omnibus,
    variance_of_texts,
    verdicts,
)

FEW = 300  # resamples


def contrast(losses: PairedLosses, **options) -> Contrast:
    return contrasts([losses], **options)[0]


def many(rng: np.random.Generator, clusters: int = 80) -> np.ndarray:
    """Targets of clusters of unequal size."""
    return np.maximum(1, rng.lognormal(3, 0.5, clusters).round())


def one_seed(differences: np.ndarray, targets: np.ndarray) -> PairedLosses:
    return PairedLosses(differences[None], np.zeros((1, len(targets))), targets)


class TestByHand:
    # Two seeds of a and three of b on two clusters of 10 and 30 targets: losses of a 1.0 and 1.2, of b 2.0, 2.3, 2.6.
    a = np.array([[10.0, 30.0], [10.0, 38.0]])
    b = np.array([[20.0, 60.0], [24.0, 68.0], [28.0, 76.0]])
    losses = PairedLosses(a, b, np.array([10, 30]))

    def test_the_loss_is_divided_once(self):
        assert self.losses.theta == pytest.approx(1.1 - 2.3)

    def test_variance_of_the_texts(self):
        # d = (10 - 24, 34 - 68) = (-14, -34); e = d + 1.2 n = (-2, 2); V1 = 2/1 * 8 / 40^2
        assert contrast(self.losses).v1 == pytest.approx(0.01)

    def test_variance_of_training(self):
        # s_a^2 = 0.02, s_b^2 = 0.09
        assert contrast(self.losses).v2 == pytest.approx(0.02 / 2 + 0.09 / 3)

    def test_degrees_of_freedom(self):
        assert contrast(self.losses).df == pytest.approx(0.05**2 / (0.01**2 / 1 + 0.01**2 / 1 + 0.03**2 / 2))

    def test_paired_seeds_vary_by_their_differences(self):
        # PairedLosses 1.0, 1.2 and 2.0, 2.3: differences -1.0 and -1.1, s^2 = 0.005.
        paired = contrast(PairedLosses(self.a, self.b[:2], np.array([10, 30]), paired=True))
        assert paired.v2 == pytest.approx(0.005 / 2)
        assert paired.df == pytest.approx((paired.v1 + 0.0025) ** 2 / (paired.v1**2 / 1 + 0.0025**2 / 1))

    def test_variance_over_other_clusters(self):
        # e = d - .875 n = (.125, .25, -.375); a cluster without targets is none.
        losses = PairedLosses(np.array([[1.0, 2.0, 0.5]]), np.zeros((1, 3)), np.array([1, 2, 1]))
        assert losses.theta == pytest.approx(3.5 / 4)
        assert variance_of_texts([losses]) == (pytest.approx(3 / 2 * (0.125**2 + 0.25**2 + 0.375**2) / 16), 3)
        assert variance_of_texts([PairedLosses(np.ones((1, 2)), np.zeros((1, 2)), np.array([3, 0]))])[1] == 1

    def test_effective_clusters(self):
        assert effective_clusters(np.array([10, 30])) == pytest.approx(1600 / 1000)
        assert effective_clusters(np.full(7, 3)) == pytest.approx(7)


class TestSeveralSeeds:
    def test_interval_and_p_agree(self, rng):
        targets = many(rng)
        a = rng.normal(2.0, 0.3, (3, 80)) * targets
        b = rng.normal(2.05, 0.3, (3, 80)) * targets
        found = contrast(PairedLosses(a, b, targets))
        error = math.sqrt(found.v1 + found.v2)
        assert found.standard_error == pytest.approx(error)
        assert found.p_value() == pytest.approx(2 * stats.t.sf(abs(found.theta) / error, found.df))
        low, high = found.interval()
        assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, found.df) * error)
        # The interval of a level touches 0 where p is what the level leaves.
        ends = found.interval(1 - found.p_value())
        assert min(abs(ends[0]), abs(ends[1])) == pytest.approx(0, abs=1e-9)

    @pytest.mark.parametrize("df", [3.0, 120.0])
    def test_detectable_effect_has_power_of_80_percent(self, df):
        found = Contrast(0.0, 0.01, 0.03, df, 500, 100, 100.0, (2, 2), StudentT(df))
        shift = found.minimum_detectable_effect() / 0.2
        rng = np.random.default_rng(0)
        simulated = (rng.normal(size=400_000) + shift) / np.sqrt(rng.chisquare(df, 400_000) / df)
        assert (np.abs(simulated) > stats.t.ppf(1 - 0.005, df)).mean() == pytest.approx(0.8, abs=0.004)

    def test_student_t(self):
        ours, theirs = StudentT(7.3), stats.t(7.3)
        for found in ("cdf", "sf"):
            assert getattr(ours, found)(1.7) == pytest.approx(getattr(theirs, found)(1.7))
        assert ours.ppf(0.975) == pytest.approx(theirs.ppf(0.975))


class TestOneSeed:
    def test_says_so(self, rng):
        found = contrast(one_seed(rng.normal(size=80), np.ones(80)), resamples=FEW)
        assert found.one_seed
        assert found.seeds == (1, 1)

    def test_one_seed_of_either_is_one_seed(self, rng):
        several = PairedLosses(rng.normal(size=(3, 80)), rng.normal(size=(1, 80)), np.ones(80))
        found = contrast(several, resamples=FEW)
        assert found.one_seed
        assert found.seeds == (3, 1)
        assert isinstance(found.distribution, Resampled)

    def test_orientation_of_the_interval(self):
        # t* of -3 .. 1: theta tends to be underestimated, so its interval reaches further up than down.
        found = Contrast(
            1.0, 0.25, math.nan, 9, 100, 10, 10.0, (1, 1), Resampled(np.array([-3.0, -1.0, 0.0, 0.5, 1.0]))
        )
        assert found.interval(0.0 + 1e-9) == pytest.approx((1.0, 1.0))
        assert found.interval(1.0) == pytest.approx((1.0 - 1.0 * 0.5, 1.0 + 3.0 * 0.5))

    @pytest.mark.parametrize("sign", [1, -1])
    def test_p_is_never_0(self, sign):
        found = contrast(one_seed(sign * np.linspace(0.9, 1.1, 80), np.ones(80)), resamples=FEW)
        assert found.p_value() == pytest.approx(2 / (FEW + 1))

    def test_quadratic_form_is_the_variance_of_the_drawn_clusters(self, rng):
        targets = many(rng)
        differences = rng.normal(0.1, 1, 80) * targets
        found = contrast(one_seed(differences, targets), resamples=5, seed=7)
        again, expected = np.random.default_rng(7), []
        for _ in range(5):
            drawn = again.integers(80, size=80, dtype=np.int32)
            d, n = differences[drawn], targets[drawn]
            theta = d.sum() / n.sum()
            v1 = 80 / 79 * ((d - theta * n) ** 2).sum() / n.sum() ** 2
            expected.append((theta - differences.sum() / targets.sum()) / math.sqrt(v1))
        assert found.distribution.ppf(0) == pytest.approx(min(expected))
        assert found.distribution.ppf(1) == pytest.approx(max(expected))

    def test_contrasts_share_the_resamples(self, rng):
        targets = many(rng)
        first, second = (one_seed(rng.normal(size=80) * targets, targets) for _ in range(2))
        together = contrasts([first, second], resamples=FEW)
        assert together[1].interval() == contrast(second, resamples=FEW).interval()

    def test_equal_models(self):
        found = contrast(one_seed(np.zeros(60), np.ones(60)), resamples=FEW)
        assert found.interval() == (0, 0)
        assert found.p_value() == 1


def test_below_50_effective_clusters_nothing_is_tested(rng):
    few = contrast(one_seed(rng.normal(size=49), np.ones(49)))
    assert few.distribution is None
    assert all(math.isnan(x) for x in (*few.interval(), few.p_value(), few.equivalence_p_value(0.01)))
    assert math.isnan(few.minimum_detectable_effect())
    assert contrast(one_seed(rng.normal(size=50), np.ones(50)), resamples=FEW).distribution is not None
    # A hundred clusters of which one is as large as all others together are worth fewer than four.
    unequal = np.array([99.0] + [1.0] * 99)
    assert contrast(one_seed(rng.normal(size=100), unequal)).distribution is None


class TestOmnibus:
    def levels(self, rng, seeds: int = 2) -> list[PairedLosses]:
        of_level = np.arange(120) % 2
        generalist = rng.normal(2, 0.2, (seeds, 120)) * 10
        specialists = rng.normal(1.9, 0.2, (2, seeds, 120)) * 10
        return [
            PairedLosses(specialists[k] * (of_level == k), generalist * (of_level == k), np.where(of_level == k, 10, 0))
            for k in range(2)
        ]

    def test_mean_over_levels(self, rng):
        levels = self.levels(rng)
        assert omnibus(levels).theta == pytest.approx((levels[0].theta + levels[1].theta) / 2)

    def test_levels_weigh_alike_whatever_their_targets(self):
        nll, targets = np.array([[10.0, 0.0], [0.0, 60.0]]), np.array([[10, 0], [0, 30]])
        levels = [PairedLosses(of_level[None], np.zeros((1, 2)), n) for of_level, n in zip(nll, targets, strict=True)]
        assert omnibus(levels).theta == pytest.approx((1 + 2) / 2)

    def test_clusters_of_one_level_add_up(self, rng):
        levels = self.levels(rng)
        parts = [contrast(level) for level in levels]
        # Of each part G/(G-1) counts its own clusters, of the whole all of them.
        apart = sum(part.v1 * (part.clusters - 1) / part.clusters for part in parts) / 4
        assert omnibus(levels).v1 == pytest.approx(apart * 120 / 119)

    def test_the_generalists_seeds_are_counted_once(self, rng):
        levels = self.levels(rng)
        losses = np.mean([level.b.sum(axis=1) / level.targets.sum() for level in levels], axis=0)
        specialists = sum(level.a.sum(axis=1).var(ddof=1) / 600**2 / 2 / 4 for level in levels)
        assert omnibus(levels).v2 == pytest.approx(specialists + losses.var(ddof=1) / 2)

    def test_paired_seeds_vary_by_their_level_averaged_differences(self, rng):
        levels = [PairedLosses(level.a, level.b, level.targets, paired=True) for level in self.levels(rng, seeds=3)]
        differences = [(level.a - level.b).sum(axis=1) / level.targets.sum() for level in levels]
        found = omnibus(levels)
        assert found.v2 == pytest.approx(np.mean(differences, axis=0).var(ddof=1) / 3)
        assert found.df == pytest.approx((found.v1 + found.v2) ** 2 / (found.v1**2 / 119 + found.v2**2 / 2))

    def test_learners_of_two_levels_are_one_cluster(self, rng):
        effects = rng.normal(size=60)
        twice = [one_seed(effects, np.ones(60)), one_seed(effects, np.ones(60))]
        joint, alone = omnibus(twice, resamples=FEW), contrast(twice[0], resamples=FEW)
        assert joint.v1 == pytest.approx(alone.v1)
        assert joint.interval() == pytest.approx(alone.interval())


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def contrast_of(theta: float, error: float) -> Contrast:
    return Contrast(theta, error**2, 0.0, 100, 500, 101, 101.0, (3, 3), StudentT(100))


def test_each_verdict():
    family = [contrast_of(-0.05, 0.005), contrast_of(0.05, 0.005), contrast_of(0.001, 0.002), contrast_of(0.005, 0.006)]
    assert verdicts(family, 0.01) == ["better", "worse", "equivalent", "not decided"]


def test_equivalent_takes_precedence():
    tiny = contrast_of(-0.002, 0.0002)
    assert tiny.p_value() < 1e-6
    assert verdicts([tiny], 0.01) == ["equivalent"]
    assert verdicts([tiny], 0.001) == ["better"]


def test_differences_are_adjusted_for_the_family():
    marginal = contrast_of(-0.0205, 0.01)
    assert 0.01 < marginal.p_value() < 0.05
    assert verdicts([marginal], 0.001) == ["better"]
    assert verdicts([marginal] * 5, 0.001) == ["not decided"] * 5


def test_equivalence_is_adjusted_for_the_family():
    marginal = contrast_of(0.0, 0.0055)
    assert 0.01 < marginal.equivalence_p_value(0.01) < 0.05
    assert verdicts([marginal], 0.01) == ["equivalent"]
    assert verdicts([marginal] * 5, 0.01) == ["not decided"] * 5


def test_too_few_clusters_are_not_tested():
    few = Contrast(-1.0, 0.01, 0.0, 9, 50, 10, 10.0, (3, 3), None)
    assert verdicts([few, contrast_of(-0.05, 0.005)], 0.01) == ["not tested", "better"]
