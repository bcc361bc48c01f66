"""Which system to deploy when the level of a text is not known, and when it is: from kept scores alone.

The models of all levels are systems by themselves; mixture, routing and oracle combine the specialists. A model reads
the context of an example before any answer, so the context's NLL is evidence of the level and contains nothing of the
answers (DEMix, Gururangan et al. 2022, and Branch-Train-Merge, Li et al. 2022, weight experts likewise by the
probability of the text so far). With C_k the NLL of the context and A_k that of all answers and their ends under
specialist k:

    pi_k = softmax_k(-C_k / T)                the posterior of the level, with a uniform prior
    NLL  = -logsumexp_k(log pi_k - A_k)       of the mixture

T is fitted on validation texts: with T = 1 a long context makes pi one-hot. The limit T = 0 is routing, to the
specialist under which the context is likeliest; the oracle sends each text to the specialist of its true level. Losses
are those of whole answers (`infill`): for `infill_textonly` a mixture would need weights for each token.

Legend: K specialists, E examples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

from ilm.evaluation.comparison.records import ClusterSums, Model, difference_record, loss_record
from ilm.evaluation.comparison.study import GENERALIST
from ilm.evaluation.losses import Losses, Texts
from ilm.evaluation.scores import EXAMPLE, Scores

MIXTURE, ROUTING, ORACLE = "mixture", "routing", "oracle"
# The range of temperatures tried; the NLL of contexts differs by tens of nats between levels.
COLDEST, HOTTEST = 0.05, 5_000.0


@dataclass(frozen=True)
class Members:
    """K specialists' NLL in nats of the same E examples, of their `context` and `answers`, each (K, E)."""

    context: np.ndarray
    answers: np.ndarray

    @classmethod
    def of(cls, scores: Sequence[Scores]) -> "Members":
        context = [of_one.examples["context_nll"].to_numpy() for of_one in scores]
        return cls(np.stack(context), np.stack([by_example(of_one, "nll", "end_nll") for of_one in scores]))

    def mixture(self, temperature: float) -> np.ndarray:
        """NLL in nats of each example's answers under the mixture, (E,)."""
        return -logsumexp(log_posterior(self.context, temperature) - self.answers, axis=0)

    def routed(self) -> np.ndarray:
        """Likewise under the specialist that gives the context the highest probability, (E,)."""
        return np.take_along_axis(self.answers, self.context.argmin(axis=0)[None], axis=0)[0]

    def oracle(self, own: np.ndarray) -> np.ndarray:
        """Likewise under the specialist of each example's level, (E,), given its number; NaN for -1, no specialist."""
        return np.where(own >= 0, self.answers[own, np.arange(len(own))], np.nan)


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


def by_example(scores: Scores, *columns: str) -> np.ndarray:
    """Sums over the blanks of each example, (E,); 0 for one without blanks."""
    totals = scores.blanks.set_index(EXAMPLE)[list(columns)].sum(axis=1).groupby(level=EXAMPLE).sum()
    return totals.reindex(pd.MultiIndex.from_frame(scores.examples[EXAMPLE]), fill_value=0).to_numpy()


def systems(
    scores: Sequence[Scores],
    valid: Mapping[int, Scores],
    texts: Texts,
    models: Sequence[Model],
    resamples: int,
) -> pd.DataFrame:
    """A row per system and level (`all`: all texts), with its loss, and its difference from the generalist.

    `scores` are those of all runs on the same examples, `valid` those of validation texts by run, on which the
    `temperature` of the mixture is fitted: without them there is no mixture. Empty without a generalist and two or more
    specialists, one per level, or if the examples have no context.
    """
    specialists = [model for model in models if model.control is None and model.level in texts.levels]
    generalist = next((model for model in models if model.control is None and model.level == GENERALIST), None)
    levels = [model.level for model in specialists]
    if generalist is None or len(levels) < 2 or len(set(levels)) < len(levels):
        return pd.DataFrame()
    first = scores[generalist.runs[0]]
    if not first.examples["context_targets"].any():
        return pd.DataFrame()
    seeds = min(len(model.runs) for model in specialists)
    of_seeds = [Members.of([scores[model.runs[seed]] for model in specialists]) for seed in range(seeds)]
    rows = texts.rows.get_indexer(first.examples["writing_id"])
    of_examples = texts.documents["cefr_level"].to_numpy()[rows]
    own = pd.Index(levels).get_indexer(of_examples)
    ensembles = {
        ROUTING: [of_seed.routed() for of_seed in of_seeds],
        ORACLE: [of_seed.oracle(own) for of_seed in of_seeds],
    }
    temperature = np.nan
    if all(model.runs[seed] in valid for model in specialists for seed in range(seeds)):
        on_valid = [Members.of([valid[model.runs[seed]] for model in specialists]) for seed in range(seeds)]
        temperature = fit_temperature(on_valid)
        ensembles = {MIXTURE: [of_seed.mixture(temperature) for of_seed in of_seeds], **ensembles}
    alone = [model for model in models if model.level == GENERALIST and model is not generalist]
    nll: list[np.ndarray] = []
    found: list[Model] = []
    for model in (generalist, *alone):
        found.append(replace(model, runs=tuple(range(len(nll), len(nll) + len(model.runs))), parents=()))
        nll += [by_example(scores[run], "nll", "end_nll") for run in model.runs]
    for name, of_name in ensembles.items():
        found.append(Model(name, name, tuple(range(len(nll), len(nll) + len(of_name)))))
        nll += of_name
    targets = by_example(first, "targets", "end_targets").astype(np.int64)
    table = _table(Losses(np.stack(nll), targets, rows, pd.DataFrame()), texts, of_examples, found, levels, resamples)
    return table.assign(temperature=np.where(table["system"] == MIXTURE, temperature, np.nan))


def _table(
    losses: Losses,
    texts: Texts,
    of_examples: np.ndarray,
    models: Sequence[Model],
    known: Sequence[str],
    resamples: int,
) -> pd.DataFrame:
    rows = []
    for level in [*texts.levels, GENERALIST]:
        chosen = np.ones(len(of_examples), dtype=bool) if level == GENERALIST else of_examples == level
        # The oracle lacks the specialists of levels without one.
        here = [m for m in models if m.name != ORACLE or set(of_examples[chosen]) <= set(known)]
        sums = ClusterSums(losses, texts.clusters, chosen)
        if not sums.targets.any():
            continue
        found = sums.contrasts([(m, None) for m in here] + [(m, here[0]) for m in here[1:]], resamples)
        differences = [{}, *map(difference_record, found[len(here) :])]
        for model, loss, difference in zip(here, found, differences, strict=False):
            kept = {f"difference_{key}": difference.get(key, np.nan) for key in ("theta", "low", "high")}
            rows.append({"system": model.name, "level": level} | loss_record(loss) | kept)
    return pd.DataFrame(rows)
