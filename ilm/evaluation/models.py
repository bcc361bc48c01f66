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


def texts_seen(
    models: Iterable[tuple[str, TrainedModel | None]], documents: pd.DataFrame, data: Path
) -> dict[str, dict[str, Any]]:
    """By model, how many of `documents` equal a training text of its corpus (case and white space folded).

    Warns of models that were trained on some.

    {"texts": number or None, "corpus": name or None, "why_unknown": ...}; unknown for a model that was not trained
    here, or on a corpus that is no longer in `data`.
    """
    by_corpus: dict[tuple[str | None, str | None], dict[str, Any]] = {}
    found = {}
    for name, model in models:
        trained_on = (None, None) if model is None else (model.corpus_name, model.documents_hash)
        if trained_on not in by_corpus:
            by_corpus[trained_on] = _texts_of_corpus(*trained_on, documents, data)
        found[name] = by_corpus[trained_on]
        if count := found[name]["texts"]:
            log.warning("%s was trained on %d of these %d texts", name, count, len(documents))
    return found


def _texts_of_corpus(name: str | None, documents_hash: str | None, documents: pd.DataFrame, data: Path) -> dict:
    if name is None:
        return {"texts": None, "corpus": None, "why_unknown": "what it was trained on is not known here"}
    try:
        corpus = PreparedCorpus.open(data / name)
    except UserError:
        corpus = None
    if corpus is None or corpus.documents_hash != documents_hash:
        why = f"its corpus {name} (documents {documents_hash}) is not in {data}"
        return {"texts": None, "corpus": name, "why_unknown": why}
    shared = shared_with(documents, corpus.documents, near_duplicates=None)
    return {"texts": shared.texts, "corpus": name, "why_unknown": None}


def seen_warnings(models: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for each model, by its record in a report, that was trained on some of the texts."""
    seen = {name: record["texts_seen_in_training"]["texts"] for name, record in models.items()}
    return [
        f"{name} was trained on {texts:,} of these texts: its figures are no test of it."
        for name, texts in seen.items()
        if texts
    ]
