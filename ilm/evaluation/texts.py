"""The texts of tasks without prepared masks: a prepared split or any file (`input`), and which are independent.

For tasks with prepared masks see `ilm.evaluation.perplexity`.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ilm.config.evaluate import Evaluate
from ilm.corpus.columns import Reading
from ilm.corpus.reader import read_corpus
from ilm.corpus.sources import BEYOND
from ilm.corpus.store import PreparedCorpus, corpus_arguments
from ilm.errors import UserError
from ilm.evaluation.losses import clusters_of
from ilm.evaluation.models import training_corpus
from ilm.evaluation.report import source_of
from ilm.examples.tokenize import tokenize
from ilm.examples.vocabulary import Vocabulary
from ilm.hashing import order_key
from ilm.masking.masks import offsets
from ilm.runs.trained_model import TrainedModel

log = logging.getLogger("ilm")


def read_texts(
    settings: Evaluate, models: Sequence[TrainedModel], *, need_level: bool = True, keep_columns: Sequence[str] = ()
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The documents of `input`, or of a split of a prepared corpus, and the record of their source.

    The corpus is `task.corpus`, else the one that the runs among `models` were trained on, else `corpus`. Columns are
    those of `ilm.corpus.reader.read_corpus` and `keep_columns`, which must be there. Without `need_level` the level of
    a file's texts may be missing, and is then "".

    Raises: UserError if there are no such texts, or the models were trained on several corpora.
    """
    level = settings.cefr
    wanted = settings.task.levels or ([level] if level not in (None, "all") else None)
    if settings.input is not None:
        documents, source = _from_file(settings, need_level=need_level, keep_columns=keep_columns)
    else:
        name = settings.task.corpus or training_corpus(models) or settings.corpus.name
        corpus = PreparedCorpus.open(Path(settings.paths.data) / name)
        documents = corpus.documents[corpus.documents["split"] == settings.task.split]
        if missing := [column for column in keep_columns if column not in documents]:
            raise UserError(
                f"{corpus.name} has no column {', '.join(missing)}. Keep it: python prepare.py "
                f"{corpus_arguments(corpus.name)} corpus.keep_columns=[{','.join(keep_columns)}] overwrite=true, with "
                "the other options as before. If it has another name, type task.corrected=NAME"
            )
        source = source_of(corpus, settings.task.split, ())
    if wanted is not None:
        documents = documents[documents["cefr_level"].isin(wanted)]
    if not len(documents):
        of_levels = f" of level {', '.join(wanted)}" if wanted else ""
        raise UserError(f"{source['name']} has no texts{of_levels}: see task.levels, input=FILE.")
    levels = sorted(set(documents["cefr_level"]) - {""})
    return documents, {**source, "levels": levels}


def _from_file(
    settings: Evaluate, *, need_level: bool, keep_columns: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    assert settings.input is not None
    corpus, path = settings.corpus, Path(settings.input)
    reading = Reading(
        # A file of test texts is read whole, whatever splits it names.
        columns={**corpus.columns.model_dump(), "split": ""},
        levels=[*corpus.levels, *(name for name in BEYOND if name not in corpus.levels)],
        lenient=True,
        need_level=need_level,
        keep_columns=keep_columns,
        encoding=corpus.encoding,
        max_dropped=corpus.max_dropped,
        sheet=corpus.sheet,
        delimiter=corpus.delimiter,
        learner_from_id=corpus.learner_from_id,
    )
    documents, report = read_corpus(path, reading)
    for cause, found in {**report.dropped, **report.notes}.items():
        log.warning("%s: %s: %s", path, cause, f"{found['count']:,}")
    name = re.sub(r"[^\w+-]", "_", path.name.split(".")[0])
    return documents, {"name": name, "file": asdict(report), "synthetic": False}


def choose_texts(documents: pd.DataFrame, limit: int | None, seed: int) -> pd.DataFrame:
    """At most `limit` documents of each level, the first by a hash of (seed, writing_id); sorted by `writing_id`."""
    if limit is not None:
        # Tasks share the word "cloze", and so the texts that a limit and a seed choose.
        order = [order_key(seed, "cloze", writing_id) for writing_id in documents["writing_id"]]
        hashed = documents.assign(order=order).sort_values(["order", "writing_id"]).drop(columns="order")
        documents = hashed.groupby("cefr_level").head(limit)
    return documents.sort_values("writing_id", ignore_index=True)


def units_of(documents: pd.DataFrame) -> tuple[dict[str, int], str]:
    """writing_id -> unit, and what the units are: see `ilm.evaluation.losses.clusters_of`."""
    labels, what = clusters_of(documents)
    return dict(zip(documents["writing_id"], labels.tolist(), strict=True)), what


def tokens_of_texts(texts: pd.Series, vocabulary: Vocabulary) -> list[tuple[np.ndarray, np.ndarray]]:
    """The ids (T,) and positions (T + 1,) in characters of each text's tokens."""
    found = []
    for chunk in tokenize(texts, vocabulary.tokenizer):
        bounds = offsets(chunk.counts)
        for first, last in pairwise(bounds):
            found.append((chunk.ids[first:last], offsets(chunk.advances[first:last])))
    return found
