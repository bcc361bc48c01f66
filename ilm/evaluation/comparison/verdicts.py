"""What a family of contrasts allows to say, adjusted for their number."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from ilm.evaluation.comparison.contrasts import Contrast
from ilm.evaluation.statistics import holm


def verdicts(family: Sequence[Contrast], margin: float, level: float = 0.05) -> list[str]:
    """`equivalent`, `better`, `worse` or `not decided` for each contrast, with a family-wise error of `level` (Holm).

    One of too few clusters is `not tested`, and counts for nothing in the adjustment.

    `margin` is the smallest difference in nats that matters, fixed beforehand. Equivalence (two one-sided tests, Lakens
    2017) takes precedence: a difference can be both significant and too small to matter.
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


def benjamini_hochberg(p_values: Sequence[float]) -> np.ndarray:
    """Adjusted to the false discovery rate (Benjamini and Hochberg 1995); NaN, which is no test, stays NaN."""
    p = np.asarray(p_values, dtype=float)
    tested = ~np.isnan(p)
    adjusted = np.full(len(p), np.nan)
    adjusted[tested] = stats.false_discovery_control(p[tested])
    return adjusted
