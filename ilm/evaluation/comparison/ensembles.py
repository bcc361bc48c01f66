"""Ensembles of the specialists, from kept scores alone: mixture, routing, oracle.

A model reads the context of an example before any answer, so the context's NLL is evidence of the level and contains
nothing of the answers (DEMix, Gururangan et al. 2022, and Branch-Train-Merge, Li et al. 2022, weight experts likewise
by the probability of the text so far). With C_k the NLL of the context and A_k that of all answers and their ends under
specialist k:

    pi_k = softmax_k(-C_k / T)                the posterior of the level, with a uniform prior
    NLL  = -logsumexp_k(log pi_k - A_k)       of the mixture

T is fitted on validation texts: with T = 1 a long context makes pi one-hot. The limit T = 0 is routing, to the
specialist under which the context is likeliest; the oracle sends each text to the specialist of its true level.

Legend: K specialists, E examples, S seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

from ilm.evaluation.scores import EXAMPLE, Scores

# The range of temperatures tried; the NLL of contexts differs by tens of nats between levels.
COLDEST, HOTTEST = 0.05, 5_000.0


@dataclass(frozen=True)
class Members:
    """K specialists' NLL in nats of the same E examples: `context` and `answers` (K, E); the answers' `targets` (E,).

    `examples` are their writing_ids (E,), `levels` those of the specialists.
    """

    levels: Sequence[str]
    examples: np.ndarray
    context: np.ndarray
    answers: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, scores: Mapping[str, Scores]) -> "Members":
        """From the scores of specialists by level, on the same examples."""
        first = next(iter(scores.values())).examples[EXAMPLE]
        answers = [_by_example(of_one, "nll", "end_nll") for of_one in scores.values()]
        return cls(
            list(scores),
            first["writing_id"].to_numpy(),
            np.stack([of_one.examples["context_nll"].to_numpy() for of_one in scores.values()]),
            np.stack(answers),
            _by_example(next(iter(scores.values())), "targets", "end_targets").astype(np.int64),
        )

    def mixture(self, temperature: float) -> np.ndarray:
        """NLL in nats of each example's answers under the mixture, (E,)."""
        return mixture_nll(self.context, self.answers, temperature)

    def routed(self) -> np.ndarray:
        """Likewise under the specialist that gives the context the highest probability, (E,)."""
        return np.take_along_axis(self.answers, self.context.argmin(axis=0)[None], axis=0)[0]

    def oracle(self, levels: np.ndarray) -> np.ndarray:
        """Likewise under the specialist of each example's level, (E,); NaN where there is none."""
        place = {level: k for k, level in enumerate(self.levels)}
        at = np.array([place.get(level, -1) for level in levels])
        return np.where(at >= 0, self.answers[at, np.arange(len(at))], np.nan)


def mixture_nll(context: np.ndarray, answers: np.ndarray, temperature: float) -> np.ndarray:
    """NLL in nats of the mixture, (E,), from those of `context` and `answers` (K, E)."""
    return -logsumexp(log_posterior(context, temperature) - answers, axis=0)


def log_posterior(context: np.ndarray, temperature: float) -> np.ndarray:
    """log pi (K, E), from the NLL of contexts."""
    return log_softmax(-context / temperature, axis=0)


def fit_temperature(members: Sequence[Members]) -> float:
    """The temperature under which the answers are likeliest, over all seeds."""

    def nll(log_temperature: float) -> float:
        return sum(float(of_seed.mixture(np.exp(log_temperature)).sum()) for of_seed in members)

    # There may be several minima: start from the best of a grid.
    grid = np.linspace(np.log(COLDEST), np.log(HOTTEST), 25)
    best = int(np.argmin([nll(log_temperature) for log_temperature in grid]))
    bounds = grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)]
    return float(np.exp(minimize_scalar(nll, bounds=bounds, method="bounded").x))


def _by_example(scores: Scores, *columns: str) -> np.ndarray:
    """Sums over the blanks of each example, (E,); 0 for one without blanks."""
    totals = scores.blanks[list(columns)].sum(axis=1)
    keys = [scores.blanks[name] for name in EXAMPLE]
    by_example = totals.groupby(keys, sort=False).sum()
    examples = list(zip(*(scores.examples[name] for name in EXAMPLE), strict=True))
    return by_example.reindex(examples, fill_value=0).to_numpy()
