"""The models of a comparison, and the rows of its tables: sums by cluster, losses, differences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ilm.evaluation.comparison.contrasts import Contrast, PairedLosses, contrasts
from ilm.evaluation.losses import Losses


@dataclass(frozen=True)
class Model:
    """Runs that differ only in their seeds: `runs` are their rows among the R runs of the losses.

    `parents` are the rows of the runs that each of them started from (`init_from`), if all of those are compared too.
    `control` is the kind of control (`ilm.evaluation.comparison.controls`), None for a specialist or generalist; `like`
    is the level that it is a control for, None for all.
    """

    name: str
    level: str
    runs: tuple[int, ...]
    parents: tuple[int, ...] = ()
    control: str | None = None
    like: str | None = None

    def paired_with(self, other: "Model") -> tuple[int, ...]:
        """The runs of `other` that pair with those of this model, in their order; none without shared ancestors."""
        own, others = self.parents or self.runs, dict(zip(other.parents or other.runs, other.runs, strict=True))
        return tuple(others[run] for run in own) if set(own) == set(others) and len(own) == len(others) else ()


class ClusterSums:
    """NLL and targets of the `chosen` rows by cluster."""

    def __init__(self, losses: Losses, clusters: np.ndarray, chosen: np.ndarray):
        self.nll, self.targets = losses.by_cluster(clusters, chosen)

    def pair(self, a: Model, b: Model | None) -> PairedLosses:
        """The losses of a and b. Without b they are those of a and 0, so that the contrast is the loss of a."""
        of_a = self.nll[list(a.runs)]
        if b is None:
            return PairedLosses(of_a, np.zeros_like(of_a), self.targets, paired=True)
        paired = a.paired_with(b)
        return PairedLosses(of_a, self.nll[list(paired or b.runs)], self.targets, bool(paired))

    def contrasts(self, pairs: Sequence[tuple[Model, Model | None]], resamples: int) -> list[Contrast]:
        return contrasts([self.pair(a, b) for a, b in pairs], resamples=resamples)


def loss_record(contrast: Contrast) -> dict[str, Any]:
    low, high = contrast.interval()
    return {
        "perplexity": math.exp(contrast.theta),
        "loss": contrast.theta,
        "standard_error": contrast.standard_error,
        "low": low,
        "high": high,
        **_sizes(contrast),
        "seeds": contrast.seeds[0],
    }


def difference_record(contrast: Contrast) -> dict[str, Any]:
    low, high = contrast.interval()
    return {
        "theta": contrast.theta,
        "low": low,
        "high": high,
        "standard_error": contrast.standard_error,
        "perplexity_ratio": math.exp(contrast.theta),
        **_sizes(contrast),
        "v1": contrast.v1,
        "v2": contrast.v2,
        "seeds_a": contrast.seeds[0],
        "seeds_b": contrast.seeds[1],
        "one_seed": contrast.one_seed,
    }


def _sizes(contrast: Contrast) -> dict[str, Any]:
    return {
        "targets": contrast.targets,
        "clusters": contrast.clusters,
        "effective_clusters": contrast.effective_clusters,
    }
