import math

import numpy as np
import pytest
from scipy import stats

from ilm.evaluation.comparison.contrasts import Contrast
from ilm.evaluation.comparison.verdicts import benjamini_hochberg, verdicts


def of(theta: float, error: float) -> Contrast:
    return Contrast(theta, error**2, 0.0, 100, 500, 101, 101.0, (3, 3), stats.t(100))


def test_each():
    family = [of(-0.05, 0.005), of(0.05, 0.005), of(0.001, 0.002), of(0.005, 0.006)]
    assert verdicts(family, 0.01) == ["better", "worse", "equivalent", "not decided"]


def test_equivalent_takes_precedence():
    tiny = of(-0.002, 0.0002)
    assert tiny.p_value() < 1e-6
    assert verdicts([tiny], 0.01) == ["equivalent"]
    assert verdicts([tiny], 0.001) == ["better"]


def test_differences_are_adjusted_for_the_family():
    marginal = of(-0.0205, 0.01)
    assert 0.01 < marginal.p_value() < 0.05
    assert verdicts([marginal], 0.001) == ["better"]
    assert verdicts([marginal] * 5, 0.001) == ["not decided"] * 5


def test_equivalence_is_adjusted_for_the_family():
    marginal = of(0.0, 0.0055)
    assert 0.01 < marginal.equivalence_p_value(0.01) < 0.05
    assert verdicts([marginal], 0.01) == ["equivalent"]
    assert verdicts([marginal] * 5, 0.01) == ["not decided"] * 5


def test_too_few_clusters_are_not_tested():
    few = Contrast(-1.0, 0.01, 0.0, 9, 50, 10, 10.0, (3, 3), None)
    assert verdicts([few, of(-0.05, 0.005)], 0.01) == ["not tested", "better"]


def test_benjamini_hochberg():
    adjusted = benjamini_hochberg([0.01, 0.04, math.nan, 0.03, 0.005])
    assert adjusted.tolist() == pytest.approx([0.02, 0.04, math.nan, 0.04, 0.02], nan_ok=True)
    assert np.isnan(benjamini_hochberg([math.nan])).all()
