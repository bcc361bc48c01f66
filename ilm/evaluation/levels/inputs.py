"""The models and texts of `task=levels`, checked as far as possible before a model is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from transformers import AutoConfig

from ilm.config.evaluate import Evaluate, Levels
from ilm.corpus.columns import CEFR
from ilm.corpus.store import PreparedCorpus, corpus_arguments
from ilm.errors import UserError
from ilm.evaluation.levels.scoring import DOCUMENT, Models
from ilm.evaluation.losses import clusters_of
from ilm.evaluation.models import model_finder, open_training_corpus
from ilm.evaluation.texts import choose_texts, read_texts
from ilm.examples.cuts import POOLED
from ilm.models.loading import require_length
from ilm.runs.trained_model import TrainedModel

FIT = "valid"
TRAIN_TEXTS = 10_000  # of a level at most, for baselines


@dataclass(frozen=True)
class Material:
    """The `texts` to predict, and texts of the models' own corpus to `fit` the posterior and `train` baselines on."""

    own: PreparedCorpus
    texts: pd.DataFrame
    source: dict[str, Any]
    fit: pd.DataFrame
    train: pd.DataFrame
    left_out: int  # of `fit`, since `texts` contains them or their learners
    in_domain: bool  # `texts` are of that corpus too


def find_models(settings: Evaluate, task: Levels) -> Models:
    """The models by level, in the order of levels, that of all last.

    Raises: UserError unless there are several levels, one model of each, with one tokenizer.
    """
    finder, names = model_finder(settings), settings.models
    if names is None:
        # By level, so that the plain run of each is taken where there are others.
        names = sorted({model.level for model in finder.find(None)})
    found: dict[str, list[TrainedModel]] = {}
    for model in finder.find(names):
        if model.run is None:
            raise UserError(f"models: {model.folder} is not a run, so the level that it was trained on is unknown")
        model.require_infilling()
        require_length(AutoConfig.from_pretrained(str(model.path)), task.max_length, "task.max_length")
        found.setdefault(model.level, []).append(model)
    for level, of_level in found.items():
        if len({model.recipe for model in of_level}) > 1:
            several = ", ".join(model.name for model in of_level)
            raise UserError(
                f"models: {several} are several models of {level}: type models=[...] with one of each level"
            )
    if strange := sorted(set(found) - {*CEFR, POOLED}):
        raise UserError(f"task=levels knows the levels {', '.join(CEFR)}, and there are models of {', '.join(strange)}")
    if len(set(found) - {POOLED}) < 2:
        listed = ", ".join(found)
        raise UserError(
            f"task=levels compares models of several levels, and there are only those of {listed}. Train another "
            f"(python train.py {corpus_arguments(settings.corpus.name)} cefr=LEVEL), or name it in models=[...]"
        )
    runs = [run for of_level in found.values() for run in of_level]
    if len({run.vocabulary.fingerprint for run in runs}) > 1:
        raise UserError("models: their tokenizers differ, so their losses per token are not comparable")
    for run in runs if task.likelihood == DOCUMENT else ():
        if DOCUMENT not in run.mask_types:
            raise UserError(
                f"task.likelihood=document: {run.name} has no blank for a document; its mask types are "
                f"{', '.join(run.mask_types)}. Type task.likelihood=left_to_right"
            )
    return {level: found[level] for level in (*CEFR, POOLED) if level in found}


def find_texts(settings: Evaluate, runs: Sequence[TrainedModel]) -> Material:
    """The texts to predict and those to fit on.

    Raises: UserError if there are none, or they are the same.
    """
    own = open_training_corpus(runs, settings)
    documents, source = read_texts(settings, runs, need_level=False)
    texts = choose_texts(documents, settings.limit, settings.task.seed)
    in_domain = source.get("documents_hash") == own.documents_hash
    if in_domain and source["split"] == FIT:
        raise UserError(f"task.split={FIT}: the posterior is fitted on these texts of {own.name}. Type task.split=test")
    parts = {}
    for split, limit in ((FIT, settings.limit), ("train", TRAIN_TEXTS)):
        chosen = own.documents[own.documents["split"] == split]
        if in_domain and settings.task.levels:
            chosen = chosen[chosen["cefr_level"].isin(settings.task.levels)]
        parts[split] = choose_texts(chosen, limit, settings.task.seed)
    kept = {split: without_shared(part, texts, by_learner=in_domain) for split, part in parts.items()}
    if kept[FIT]["cefr_level"].nunique() < 2:
        raise UserError(
            f"{own.name} has {FIT} texts of {', '.join(sorted(set(kept[FIT]['cefr_level']))) or 'no level'} to fit the "
            "posterior on; expected two levels or more"
        )
    return Material(own, texts, source, kept[FIT], kept["train"], len(parts[FIT]) - len(kept[FIT]), in_domain)


def without_shared(learnt: pd.DataFrame, texts: pd.DataFrame, *, by_learner: bool) -> pd.DataFrame:
    """The documents `learnt`, except those that equal one of the `texts` or are by one of their learners.

    Between two corpora learners' names mean nothing, so only texts are compared.
    """
    columns = [name for name in ("writing_id", "text", "learner_id") if name in learnt and name in texts]
    if not by_learner:
        columns = columns[:2]
    both = pd.concat([learnt[columns], texts[columns]], ignore_index=True)
    labels, _ = clusters_of(both)
    return learnt[~np.isin(labels[: len(learnt)], labels[len(learnt) :])].reset_index(drop=True)
