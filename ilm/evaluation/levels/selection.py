"""Which models and which texts: everything that can be refused before a model is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import AutoConfig

from ilm.config.evaluate import Evaluate, Levels
from ilm.config.sections import Corpus
from ilm.corpus.columns import CEFR
from ilm.corpus.formats import open_source
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.evaluation.levels.copies import require_room
from ilm.evaluation.levels.protocols import without_shared
from ilm.evaluation.levels.scoring import DOCUMENT, TextSet, require_document_blank
from ilm.evaluation.models import model_finder, training_corpus
from ilm.evaluation.texts import choose_texts, read_texts
from ilm.examples.cuts import POOLED
from ilm.models.loading import require_length
from ilm.runs.trained_model import TrainedModel

FIT = "valid"
TRAIN_TEXTS = 10_000  # of a level, that baselines learn from at most

Models = Mapping[str, Sequence[TrainedModel]]
"""The runs of each level, and of all; several are seeds of one model."""


@dataclass(frozen=True)
class Material:
    """The `texts` to predict, and those of the models' own corpus: to `fit` on, and to `train` baselines on."""

    own: PreparedCorpus
    texts: pd.DataFrame
    source: dict[str, Any]
    fit: pd.DataFrame
    train: pd.DataFrame
    left_out: int  # of `fit`, since the texts share them

    @property
    def in_domain(self) -> bool:
        return self.source.get("documents_hash") == self.own.documents_hash

    def text_sets(self, corpus: Corpus) -> dict[str, TextSet]:
        """The texts (`test`), and those to fit on (`valid`); `corpus` says how a file of texts is read."""
        own = {"documents": self.own.documents_hash}
        given = {"documents": self.source.get("documents_hash")}
        if "file" in self.source:
            about = self.source["file"]
            given = {"name": self.source["name"], "sha256": about["sha256"], "columns": about["columns_used"]}
            given |= {key: getattr(corpus, key) for key in ("encoding", "sheet", "delimiter")}
        return {
            "test": TextSet(self.texts.reset_index(drop=True), own if self.in_domain else given),
            FIT: TextSet(self.fit.reset_index(drop=True), own),
        }


def find_models(settings: Evaluate) -> Models:
    """The models by level, in the order of levels, that of all last.

    Raises: UserError unless there are several levels, one model of each, with one tokenizer.
    """
    task, finder = settings.task, model_finder(settings)
    names = settings.models
    if names is None:
        # By level, so that the plain run of each is taken where there are others.
        names = sorted({model.level for model in finder.find(None)})
    found: dict[str, list[TrainedModel]] = {}
    assert isinstance(task, Levels)
    for model in finder.find(names):
        if model.run is None:
            raise UserError(f"models: {model.folder} is no run: the level that it was trained on is not known")
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
        raise UserError(f"task=levels knows the levels {', '.join(CEFR)}; there are models of {', '.join(strange)}")
    if len(set(found) - {POOLED}) < 2:
        listed = ", ".join(found)
        raise UserError(f"task=levels compares models of several levels, and there are only those of {listed}")
    runs = [run for of_level in found.values() for run in of_level]
    if len({run.vocabulary.fingerprint() for run in runs}) > 1:
        raise UserError("models: they have different tokenizers, and losses per token of them are not comparable")
    if task.likelihood == DOCUMENT:
        require_document_blank(runs)
    return {level: found[level] for level in (*CEFR, POOLED) if level in found}


def find_texts(settings: Evaluate, runs: Sequence[TrainedModel]) -> Material:
    """The texts to predict and those to fit on.

    Raises: UserError if there are none, or they are the same.
    """
    own = PreparedCorpus.open(Path(settings.paths.data) / str(training_corpus(runs)))
    for run in runs:
        run.require_trained_on(own)
    documents, source = read_texts(settings, runs, need_level=False)
    texts = choose_texts(documents, settings.limit, settings.task.seed)
    in_domain = source.get("documents_hash") == own.documents_hash
    if in_domain and source["split"] == FIT:
        raise UserError(f"task.split={FIT}: the posterior is fitted on these texts of {own.name}. Type task.split=test")
    if settings.input is not None:
        source_file = open_source(
            Path(settings.input), settings.corpus.encoding, settings.corpus.sheet, settings.corpus.delimiter
        )
        require_room(source_file.header, own.manifest["settings"]["levels"], Path(settings.input))
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
    return Material(own, texts, source, kept[FIT], kept["train"], len(parts[FIT]) - len(kept[FIT]))
