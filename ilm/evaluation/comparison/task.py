"""Specialists and generalist compared, wherever the models that were scored allow it."""

import logging
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from ilm.config.evaluate import Scored
from ilm.evaluation.comparison.exposure import exposure, matched
from ilm.evaluation.comparison.report import Report, make_report
from ilm.evaluation.comparison.study import GENERALIST, HEADLINE, Model, Settings, compare
from ilm.evaluation.comparison.tables import About, text_tables
from ilm.evaluation.losses import Texts, common_examples, losses_by_kind
from ilm.evaluation.perplexity.scoring import ScoredModel
from ilm.runs.trained_model import TrainedModel
from ilm.tables import show

log = logging.getLogger("ilm")


def compare_models(
    scored: Sequence[ScoredModel], texts: Texts, header: Mapping[str, Any], task: Scored
) -> Report | None:
    """The comparison, its main table printed; None where there are no models to compare."""
    comparable = [of for of in scored if of.model.run is not None]
    kinds = {(of.model.objective, of.masks, of.model.vocabulary.fingerprint()) for of in comparable}
    if len(comparable) < 2:
        return None
    if len(kinds) > 1:
        log.warning(
            "no comparison: the models differ in objective, masks or tokenizer. Name those to compare with models=[...]"
        )
        return None
    models = _models([of.model for of in comparable])
    scores = common_examples({of.model.name: of.scores for of in comparable}, complete=False)
    losses = losses_by_kind(scores, texts)
    if not losses[HEADLINE].targets.any():
        log.warning("no comparison: of no example an answer is left. See task.max_length and task.fitting")
        return None
    study = compare(losses, texts, models, Settings(task.smallest_effect, task.resamples))
    exposures = exposure({m.name: _seen([comparable[run].model for run in m.runs]) for m in models})
    pairs = list(zip(study.contrasts["a"], study.contrasts["b"], strict=True))
    study.contrasts["matched"] = matched(exposures, pairs, study.contrasts["level"])
    about = About(
        corpus=header["source"]["name"],
        split=header["source"]["split"],
        synthetic=header["source"]["synthetic"],
        clusters_are=texts.clusters_are,
        smallest_effect=task.smallest_effect,
        models=[model.name for model in models],
        exposures=exposures,
        curves={of.model.name: metrics for of in comparable if (metrics := _metrics(of.model)) is not None},
        cut=_cut(comparable[0], texts),
        has_topics="topic" in texts.documents,
        header=header,
    )
    if "primary" in (shown := text_tables(study, about)):
        show(shown["primary"])
    return make_report(study, about)


def _models(runs: Sequence[TrainedModel]) -> list[Model]:
    """Runs that differ in their seeds alone as one model, the generalist last."""

    def way(number: int) -> tuple[Any, ...]:
        run = runs[number]
        family = run.family
        generalist = run.level == GENERALIST
        return generalist, run.level, *(str(family[key] or "") for key in ("experiment", "model", "masking"))

    grouped = [(key, tuple(numbers)) for key, numbers in groupby(sorted(range(len(runs)), key=way), key=way)]
    found = []
    for (_, level, *rest), numbers in grouped:
        alike = [key for key, _ in grouped if key[1] == level]
        # Named by the level, and by what sets it apart from others of its level.
        apart = [part for place, part in enumerate(rest) if len({key[2 + place] for key in alike}) > 1 and part]
        found.append(Model(" ".join([level, *apart]), level, numbers))
    return found


def _seen(runs: Sequence[TrainedModel]) -> dict[str, dict[str, float]]:
    """Targets by kind and level, means over the runs."""
    seen = [run.run.status["targets_seen"] for run in runs]
    return {
        kind: {level: float(np.mean([of_run[kind][level] for of_run in seen])) for level in seen[0][kind]}
        for kind in seen[0]
    }


def _metrics(run: TrainedModel) -> pd.DataFrame | None:
    file = run.run.path / "metrics.csv"
    if not file.is_file():
        return None
    metrics = pd.read_csv(file)
    return metrics if f"valid/{HEADLINE}_perplexity" in metrics else None


def _cut(scored: ScoredModel, texts: Texts) -> dict[str, float]:
    """The share of examples longer than max_length, by level."""
    examples = scored.scores.examples
    levels = texts.documents["cefr_level"].to_numpy()[texts.rows.get_indexer(examples["writing_id"])]
    return examples["cut"].groupby(levels).mean().to_dict()
