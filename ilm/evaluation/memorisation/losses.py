"""The losses of a run's training texts and of held-out texts, under the run and under the model that it started from.

The pretrained model is the reference: it has seen no text of the corpus, and reads what was cut out from left to right
(`ilm.evaluation.baselines`). A run from random weights has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ilm.config.evaluate import Evaluate
from ilm.corpus.store import PreparedCorpus
from ilm.evaluation.baselines import baseline_scores
from ilm.evaluation.conditions import OWN
from ilm.evaluation.perplexity.scoring import Scorer
from ilm.evaluation.perplexity.task import document_rows
from ilm.evaluation.scores import Scores
from ilm.runs.trained_model import TrainedModel

MEMBERS = "train"
ALL_TYPES, CONTEXT = "all", "context"


@dataclass(frozen=True)
class Trained:
    """A run, the folder of its `masks`, and its document rows.

    `rows` by split: held-out texts of each of its `levels`, and equally many training texts (MEMBERS). `trained_on` are
    the rows of all its training texts, including those of the runs that it started from.
    """

    model: TrainedModel
    masks: Path
    levels: tuple[str, ...]
    rows: Mapping[str, np.ndarray]
    trained_on: np.ndarray

    @classmethod
    def of(cls, model: TrainedModel, masks: Path, corpus: PreparedCorpus, settings: Evaluate) -> "Trained":
        run, trained = model.trained()
        own, only, split = trained.cefr_level.chosen, trained.data.only, settings.task.split
        levels = [level for level in own if level in (settings.task.levels or own)]
        found: dict[str, list[np.ndarray]] = {MEMBERS: [], split: []}
        for level in levels:
            others, _ = document_rows(corpus, split, [level], only, settings.limit)
            found[split].append(others)
            found[MEMBERS].append(document_rows(corpus, MEMBERS, [level], only, len(others))[0])
        rows = {name: np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *parts])) for name, parts in found.items()}
        inherited = (run.status.get("targets_inherited") or {}).get("infill", {})
        before = sorted(level for level, targets in inherited.items() if targets and level not in own)
        trained_on = np.union1d(corpus.rows(MEMBERS, own, only), corpus.rows(MEMBERS, before))
        return cls(model, masks, tuple(levels), rows, trained_on)


def membership_scores(run: Trained, scorer: Scorer) -> dict[str, pd.DataFrame]:
    """Scores that should be higher for a run's training texts than for others, by name; tables as of `text_means`.

    `loss` is minus the mean loss under the run; with a reference, a second score is the mean loss under it minus that
    under the run.
    """
    own: list[pd.DataFrame] = []
    base: list[pd.DataFrame] = []
    for split, rows in run.rows.items():
        if len(rows):
            scorer = replace(scorer, task=scorer.task.model_copy(update={"split": split}))
            scored = scorer.score(run.model, OWN, run.masks, rows)
            assert scored is not None  # only without a device
            own.append(text_means(scored.scores))
            base += map(text_means, baseline_scores(scored, rows, ["base"], scorer).values())
    losses = pd.concat(own)
    found = {"loss": -losses}
    if base:
        found[f"loss against base {run.model.trained()[1].model.label}"] = pd.concat(base) - losses
    return found


def text_means(scores: Scores) -> pd.DataFrame:
    """Mean NLL per target of each text: of its blanks, without the ends of answers, and of its context.

    A row per writing_id, a column for all mask types, each of them, and the context; NaN without targets.
    """
    blanks = scores.blanks.groupby(["writing_id", "mask_type"], observed=True)[["nll", "targets"]].sum()
    by_type = blanks["nll"].div(blanks["targets"].where(blanks["targets"] > 0)).unstack("mask_type")
    totals = blanks.groupby(level=0).sum()
    context = scores.examples.groupby("writing_id")[["context_nll", "context_targets"]].sum()
    context_targets = context["context_targets"].where(context["context_targets"] > 0)
    means = pd.DataFrame(index=context.index)
    means[ALL_TYPES] = totals["nll"].div(totals["targets"].where(totals["targets"] > 0))
    by_type.columns = by_type.columns.astype(str)
    return means.join(by_type).assign(**{CONTEXT: context["context_nll"].div(context_targets)})
