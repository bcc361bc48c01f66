"""How often the comparison errs: simulated studies whose truth is known.

    python benchmarks/simulations.py
    python benchmarks/simulations.py --studies 10000

A contrast has 200 clusters of log-normal size, whose effects follow a t distribution with 5 degrees of freedom. rho is
the variance of the contrast from training over that from the texts. Figures are per cent of the studies.
"""

import argparse
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd

from ilm.evaluation.comparison.contrasts import Contrast, PairedLosses, contrasts, verdicts
from ilm.evaluation.statistics import holm

LEVELS, CLUSTERS, SIGMA = 5, 200, 0.7
# Of theta, where effects (of variance 5/3) do not depend on the clusters' size.
FROM_TEXTS = 5 / 3 * np.exp(SIGMA**2) / CLUSTERS
# Studies that share their resamples, as the models of one study do: most of the time is in drawing them.
AT_ONCE = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2_500, help="a row")
    parser.add_argument("--resamples", type=int, default=10_000)
    arguments = parser.parse_args()
    studies, rng, began = arguments.studies, np.random.default_rng(0), time.perf_counter()
    rows = []
    for seeds, rho in ((3, 0), (3, 1), (3, 5), (5, 1), (5, 5)):
        shares = [of_p_values(p_values(seeds, rho, studies, rng, paired=paired)) for paired in (False, True)]
        rows.append((seeds, rho, *shares))
    show("False positives at .05 / .01, no difference", ("S", "rho", "unpaired", "paired"), rows)
    effect = 4 * np.sqrt(FROM_TEXTS)
    rows = [
        (seeds, percent(p_values(seeds, 0.2, studies, rng, theta=effect, paired=True) < 0.01)) for seeds in (3, 5, 10)
    ]
    show("Power at .01, paired seeds, a difference of 4 standard errors from texts, rho .2", ("S", "found"), rows)
    rows = []
    for seeds in (3, 5):
        for rho in (0, 0.2, 1, 5):
            shares = [percent(any_found(seeds, rho, share, studies, rng)) for share in (0.5, 1.0)]
            rows.append((seeds, rho, *shares))
    columns = ("S", "rho", "training varies in both", "in the specialists")
    show("Any of five contrasts below .05 after Holm, no difference", columns, rows)
    rows = [(s, rho, percent(any_equivalent(s, rho, studies, rng))) for s in (3, 5) for rho in (0, 1)]
    show("Any of five contrasts falsely equivalent, all at the margin", ("S", "rho", "equivalent"), rows)
    rows = []
    for sigma, clusters in ((0.7, 100), (0.7, 200), (0.7, 1000), (1.5, 200), (1.5, 1000)):
        found = covered(sigma, clusters, studies, arguments.resamples, rng)
        given = ~np.isnan(found)
        rows.append((sigma, clusters, percent(given), percent(found[given]) if given.any() else ""))
    show(
        "One seed, effect tied to size: intervals given, and coverage of 95 %", ("sigma", "G", "given", "covered"), rows
    )
    print(f"\n{studies:,} studies a row, {time.perf_counter() - began:.0f} s")


def two_models(
    seeds: int, variances: tuple[float, float], rng: np.random.Generator, theta: float = 0.0, *, paired: bool = False
) -> PairedLosses:
    """Two models, whose means over `seeds` have these variances from training; paired ones differ by a alone."""
    targets = rng.lognormal(3, SIGMA, CLUSTERS)
    deviations = [np.sqrt(variance * seeds) * rng.normal(size=(seeds, 1)) for variance in variances]
    a = theta + rng.standard_t(5, CLUSTERS) + deviations[0]
    return PairedLosses(a * targets, deviations[1] * targets, targets, paired)


def p_values(
    seeds: int, rho: float, studies: int, rng: np.random.Generator, *, theta: float = 0.0, paired: bool = False
) -> np.ndarray:
    """p of one contrast in each of the studies; half of the variance from training is each model's."""
    half = rho * FROM_TEXTS / 2
    of_models = (2 * half, 0.0) if paired else (half, half)
    losses = [two_models(seeds, of_models, rng, theta, paired=paired) for _ in range(studies)]
    return np.array([contrast.p_value() for contrast in contrasts(losses)])


def families(
    seeds: int, rho: float, share: float, studies: int, rng: np.random.Generator, theta: float = 0.0
) -> Iterator[list[Contrast]]:
    """The primary contrasts of studies; `share` of the variance from training is the specialists'.

    The generalist's runs are the same on all levels, and what sets them apart shifts all contrasts.
    """
    for _ in range(studies):
        shift = np.sqrt((1 - share) * rho * FROM_TEXTS * seeds) * rng.normal(size=(seeds, 1))
        levels = [two_models(seeds, (share * rho * FROM_TEXTS, 0.0), rng, theta) for _ in range(LEVELS)]
        yield contrasts([PairedLosses(level.a, shift * level.targets, level.targets) for level in levels])


def any_found(seeds: int, rho: float, share: float, studies: int, rng: np.random.Generator) -> np.ndarray:
    """In which of the studies without a difference Holm leaves a p below .05."""
    found = families(seeds, rho, share, studies, rng)
    return np.array([(holm(pd.Series([c.p_value() for c in family])) < 0.05).any() for family in found])


def any_equivalent(seeds: int, rho: float, studies: int, rng: np.random.Generator) -> np.ndarray:
    """In which of the studies a difference just as large as the margin, 4 standard errors, is called equivalent."""
    margin = 4 * np.sqrt(FROM_TEXTS * (1 + rho))
    found = families(seeds, rho, 0.5, studies, rng, theta=margin)
    return np.array(["equivalent" in verdicts(family, margin) for family in found])


def covered(sigma: float, clusters: int, studies: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """In which of the studies the bootstrap-t interval holds the truth, E[n e] / E[n]; effects e grow with the size.

    NaN where there are too few effective clusters for an interval.
    """
    found = []
    for begin in range(0, studies, AT_ONCE):
        losses = []
        for _ in range(min(AT_ONCE, studies - begin)):
            size = rng.normal(size=clusters)
            targets = np.exp(3 + sigma * size)
            effects = rng.standard_t(5, clusters) + 0.5 * size
            losses.append(PairedLosses((effects * targets)[None], np.zeros((1, clusters)), targets))
        found += [c.interval() for c in contrasts(losses, resamples=resamples, seed=begin)]
    low, high = np.array(found).T
    return np.where(np.isnan(low), np.nan, (low <= 0.5 * sigma) & (0.5 * sigma <= high))


def of_p_values(p: np.ndarray) -> str:
    return f"{percent(p < 0.05)} / {percent(p < 0.01)}"


def percent(found: np.ndarray) -> str:
    return f"{100 * np.mean(found):.1f}"


def show(title: str, columns: tuple[str, ...], rows: list[tuple]) -> None:
    print(f"\n{title}\n{pd.DataFrame(rows, columns=columns).to_string(index=False)}", flush=True)


if __name__ == "__main__":
    main()
