"""The models that a task evaluates, and what they were trained on."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ilm.config.evaluate import Evaluate
from ilm.corpus.leakage import shared_with
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.runs.finder import Finder
from ilm.runs.trained_model import INFILLING, TrainedModel

log = logging.getLogger("ilm")


def model_finder(settings: Evaluate, objective: str | None = INFILLING) -> Finder:
    """The finder of runs on `corpus`, of this objective."""
    corpus = Path(settings.paths.data) / settings.corpus.name
    return Finder(Path(settings.paths.experiments), corpus, objective)


def infilling_models(settings: Evaluate) -> list[TrainedModel]:
    """The models that `models` and `cefr` mean, every one of which fills blanks.

    Raises: UserError if a name finds nothing, or a model that fills no blanks.
    """
    models = model_finder(settings).find(settings.models, settings.cefr)
    for model in models:
        model.require_infilling()
    return models


def training_corpus(models: Sequence[TrainedModel]) -> str | None:
    """The corpus that the runs among the models were trained on; None if there is no run.

    Raises: UserError if there are several.
    """
    names = sorted({str(model.corpus_name) for model in models if model.run is not None})
    if len(names) > 1:
        raise UserError(
            f"models: they were trained on several corpora ({', '.join(names)}), and a report is about the texts of "
            "one. Evaluate the models of each by a command of its own."
        )
    return names[0] if names else None


def open_training_corpus(models: Sequence[TrainedModel], settings: Evaluate) -> PreparedCorpus:
    """The corpus that the models were trained on. Raises: UserError unless they are runs on its documents."""
    corpus = PreparedCorpus.open(Path(settings.paths.data) / (training_corpus(models) or settings.corpus.name))
    for model in models:
        model.require_trained_on(corpus)
    return corpus


def texts_seen(
    models: Iterable[tuple[str, TrainedModel | None]], documents: pd.DataFrame, data: Path
) -> dict[str, int | None]:
    """By model, how many of `documents` equal a training text of its corpus (case and white space folded).

    None if that is unknown: the model was not trained here, or on a corpus that is no longer in `data`. Warns of models
    that were trained on some.
    """
    counted: dict[str | None, int | None] = {None: None}
    found = {}
    for name, model in models:
        trained_on = None if model is None else model.documents_hash
        if model is not None and trained_on not in counted:
            counted[trained_on] = _texts_of_corpus(model, documents, data)
        found[name] = counted[trained_on]
        if count := found[name]:
            log.warning("%s was trained on %s of these %s texts", name, f"{count:,}", f"{len(documents):,}")
    return found


def _texts_of_corpus(model: TrainedModel, documents: pd.DataFrame, data: Path) -> int | None:
    try:
        corpus = PreparedCorpus.open(data / str(model.corpus_name))
    except UserError:
        return None
    same = corpus.documents_hash == model.documents_hash
    return shared_with(documents, corpus.documents, near_duplicates=None).texts if same else None


def seen_warnings(models: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for each model, by its record in a report, that was trained on some of the texts."""
    return [
        f"{name} was trained on {record['texts_seen_in_training']:,} of these texts: its figures are no test of it."
        for name, record in models.items()
        if record["texts_seen_in_training"]
    ]
