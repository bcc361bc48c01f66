"""Which system to deploy when the level of a text is not known, and when it is.

The models of all levels are systems by themselves; mixture, routing and oracle combine the specialists
(`ilm.evaluation.comparison.ensembles`). Losses are those of whole answers (`infill`): for `infill_textonly` a mixture
would need weights for each token.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ilm.evaluation.comparison.ensembles import Members, fit_temperature
from ilm.evaluation.comparison.records import ClusterSums, Model, difference_record, loss_record
from ilm.evaluation.comparison.study import GENERALIST
from ilm.evaluation.losses import Losses, Texts
from ilm.evaluation.scores import Scores

MIXTURE, ROUTING, ORACLE = "mixture", "routing", "oracle"


def systems(
    scores: Sequence[Scores],
    valid: Sequence[Scores | None],
    texts: Texts,
    models: Sequence[Model],
    resamples: int,
) -> pd.DataFrame:
    """A row per system and level (`all`: all texts), with its loss, and its difference from the generalist.

    `scores` are those of all runs on the same examples, `valid` those of validation texts, on which the `temperature`
    of the mixture is fitted: without them there is no mixture. Empty without a generalist and two or more specialists,
    one per level, or if the examples have no context.
    """
    specialists = [model for model in models if model.control is None and model.level in texts.levels]
    generalist = next((model for model in models if model.control is None and model.level == GENERALIST), None)
    levels = [model.level for model in specialists]
    if generalist is None or len(levels) < 2 or len(set(levels)) < len(levels):
        return pd.DataFrame()
    if not scores[generalist.runs[0]].examples["context_targets"].any():
        return pd.DataFrame()
    seeds = min(len(model.runs) for model in specialists)
    of_seeds = [_members(scores, specialists, seed) for seed in range(seeds)]
    ready = all(valid[run] is not None for model in specialists for run in model.runs[:seeds])
    temperature = fit_temperature([_members(valid, specialists, seed) for seed in range(seeds)]) if ready else None
    rows = texts.rows.get_indexer(of_seeds[0].examples)
    of_examples = texts.documents["cefr_level"].to_numpy()[rows]
    ensembles = {
        **({} if temperature is None else {MIXTURE: [of_seed.mixture(temperature) for of_seed in of_seeds]}),
        ROUTING: [of_seed.routed() for of_seed in of_seeds],
        ORACLE: [of_seed.oracle(of_examples) for of_seed in of_seeds],
    }
    alone = [model for model in models if model.level == GENERALIST and model is not generalist]
    nll: list[np.ndarray] = []
    found: list[Model] = []
    for model in (generalist, *alone):
        found.append(replace(model, runs=tuple(range(len(nll), len(nll) + len(model.runs))), parents=()))
        nll += [Members.of({model.name: scores[run]}).answers[0] for run in model.runs]
    for name, of_name in ensembles.items():
        found.append(Model(name, name, tuple(range(len(nll), len(nll) + len(of_name)))))
        nll += of_name
    losses = Losses(np.stack(nll), of_seeds[0].targets, rows, pd.DataFrame())
    table = _table(losses, texts, of_examples, found, levels, resamples)
    return table.assign(temperature=np.where(table["system"] == MIXTURE, temperature or np.nan, np.nan))


def _members(scores: Sequence[Any], specialists: Sequence[Model], seed: int) -> Members:
    return Members.of({model.level: scores[model.runs[seed]] for model in specialists})


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
