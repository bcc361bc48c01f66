"""The losses of a run's training texts and of held-out texts, under the run and under a reference that saw neither.

The reference of a run that started from a pretrained model is that model: it has seen no text of the corpus, and reads
what was cut out from left to right (`ilm.evaluation.baselines`). A run from random weights has none. The generalist
cannot serve: it was trained on the same texts, so subtracting its loss would hide what the run memorised. The reference
of a text is then the mean over the runs that were trained on no text of its level.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ilm.config.evaluate import Evaluate, Memorisation
from ilm.corpus.store import PreparedCorpus
from ilm.evaluation.baselines import baseline_scores
from ilm.evaluation.conditions import OWN
from ilm.evaluation.perplexity.scoring import score_model
from ilm.evaluation.perplexity.task import document_rows
from ilm.evaluation.scores import Scores
from ilm.runs.trained_model import TrainedModel

log = logging.getLogger("ilm")

MEMBERS = "train"
ALL_TYPES, CONTEXT = "all", "context"
OTHER_LEVELS = "other levels"


@dataclass(frozen=True)
class Trained:
    """A run, the folder of its `masks`, and its document rows.

    `rows` by split: held-out texts of each of its `levels`, and equally many training texts (MEMBERS). `trained_on` are
    the rows of all its training texts, including those of the runs that it started from; `trained_levels` their levels.
    """

    model: TrainedModel
    masks: Path
    levels: tuple[str, ...]
    rows: Mapping[str, np.ndarray]
    trained_on: np.ndarray
    trained_levels: frozenset[str]

    @classmethod
    def of(cls, model: TrainedModel, masks: Path, corpus: PreparedCorpus, settings: Evaluate) -> "Trained":
        run, trained = model.trained()
        own, only, split = trained.cefr_level.chosen, trained.data.only, settings.task.split
        before = (run.status.get("targets_inherited") or {}).get("infill", {})
        trained_levels = {*own, *(level for level, targets in before.items() if targets)}
        levels = [level for level in own if level in (settings.task.levels or own)]
        found: dict[str, list[np.ndarray]] = {MEMBERS: [], split: []}
        for level in levels:
            others, _ = document_rows(corpus, split, [level], only, settings.limit)
            found[split].append(others)
            found[MEMBERS].append(document_rows(corpus, MEMBERS, [level], only, len(others))[0])
        rows = {name: np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *parts])) for name, parts in found.items()}
        trained_on = np.union1d(corpus.rows(MEMBERS, own, only), corpus.rows(MEMBERS, sorted(trained_levels - {*own})))
        return cls(model, masks, tuple(levels), rows, trained_on, frozenset(trained_levels))

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def pretrained(self) -> bool:
        return self.model.trained()[1].model.pretrained

    @cached_property
    def targets(self) -> tuple[str, str]:
        """The key of runs with the same targets in the same texts: their masks and their vocabulary."""
        return self.masks.name, self.model.vocabulary.fingerprint

    def judges(self, other: "Trained") -> bool:
        """Whether this run is a reference of another one, for texts of levels that it was not trained on."""
        apart = set(other.levels) - self.trained_levels
        return self is not other and not other.pretrained and self.targets == other.targets and bool(apart)


@dataclass(frozen=True)
class TextLosses:
    """Mean NLL per target of texts (index: writing_id), with a column for all mask types, each of them, and the
    context: `own` under the run, `reference` under the model that `reference_is` names (None if there is none)."""

    own: pd.DataFrame
    reference: pd.DataFrame | None
    reference_is: str | None


def text_losses(
    runs: Sequence[Trained], corpus: PreparedCorpus, settings: Evaluate, device: torch.device
) -> Iterator[TextLosses]:
    """The losses of training and held-out texts under each run and its reference."""
    levels = corpus.documents["cefr_level"].to_numpy(dtype=object)
    ids = corpus.documents["writing_id"].to_numpy(dtype=object)
    under: dict[str, pd.DataFrame] = {}
    base: dict[str, pd.DataFrame] = {}
    for number, run in enumerate(runs, start=1):
        log.info("model %d of %d: %s", number, len(runs), run.name)
        judged = [other for other in runs if run.judges(other)]
        for split, own in run.rows.items():
            unseen = [rows[~np.isin(levels[rows], [*run.trained_levels])] for rows in (o.rows[split] for o in judged)]
            wanted = np.unique(np.concatenate([own, *unseen]))
            if not len(wanted):
                continue
            scores, of_base = _score(run, wanted, split, corpus, settings, device)
            under[run.name] = pd.concat([under.get(run.name), text_means(scores)])
            if of_base is not None:
                base[run.name] = pd.concat([base.get(run.name), text_means(of_base)])
    for run in runs:
        rows = np.concatenate([*run.rows.values()])
        own = under[run.name].reindex(ids[rows])
        if run.name in base:
            base_is = f"base {run.model.trained()[1].model.label}"
            yield TextLosses(own, base[run.name].reindex(own.index), base_is)
            continue
        of_others = [
            under[other.name].reindex(ids[rows[~np.isin(levels[rows], [*other.trained_levels])]])
            for other in runs
            if other.judges(run)
        ]
        mean = pd.concat(of_others).groupby(level=0).mean().reindex(own.index) if of_others else None
        yield TextLosses(own, mean, OTHER_LEVELS if of_others else None)


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


def _score(
    run: Trained, rows: np.ndarray, split: str, corpus: PreparedCorpus, settings: Evaluate, device: torch.device
) -> tuple[Scores, Scores | None]:
    """The kept scores of documents under a run, and under the pretrained model that it started from."""
    assert isinstance(settings.task, Memorisation)
    task, results = settings.task.model_copy(update={"split": split}), Path(settings.paths.results)
    scored = score_model(run.model, OWN, corpus, run.masks, rows, task, results, device)
    assert scored is not None  # only without a device
    if not run.pretrained:
        return scored.scores, None
    (of_base,) = baseline_scores(scored, corpus, rows, ("base",), task, results, device).values()
    return scored.scores, of_base
