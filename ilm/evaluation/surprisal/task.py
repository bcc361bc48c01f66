"""`python evaluate.py task=surprisal`: how surprising each word of a text is to each model, one row per word."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from transformers import AutoConfig

from ilm.config.evaluate import Evaluate, Surprisal
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.evaluation.conditions import require_condition
from ilm.evaluation.models import infilling_models, texts_seen, training_corpus
from ilm.evaluation.report import open_results, report_header, results_folder, results_identity, texts_key
from ilm.evaluation.surprisal.report import print_summary, summary_row, word_table, write_report
from ilm.evaluation.surprisal.scoring import score_words
from ilm.evaluation.surprisal.words import Unigrams, words_of_texts
from ilm.evaluation.texts import choose_texts, read_texts
from ilm.examples.conditions import longest_prefix
from ilm.models.devices import usable_device
from ilm.models.loading import positions, require_length
from ilm.runs.trained_model import TrainedModel

log = logging.getLogger("ilm")

# Tokens that a model of unknown training reads at a time, unless it has fewer positions.
USUAL_LENGTH = 512


def evaluate_surprisal(settings: Evaluate, task: Surprisal) -> pd.DataFrame:
    """Score every word of texts under every model.

    Writes results/<name>/ with the table of words and prints a summary; returns the summary, a row per model.

    Raises: UserError for models, texts or settings that do not fit together.
    """
    device = usable_device(task.device, "task.device")
    models = infilling_models(settings)
    lengths = {model.name: _length_of(model, task) for model in models}
    require_condition(models, task.condition)
    documents, source = read_texts(settings, models, need_level=False)
    texts = choose_texts(documents, settings.limit, seed=0)
    folder = results_folder(settings, source["name"])
    with open_results(folder, results_identity(settings, source)):
        words = words_of_texts(texts)
        log.info("%s words of %s texts", f"{len(words):,}", f"{len(texts):,}")
        if words.empty:
            raise UserError(f"None of the {len(texts):,} texts of {source['name']} has a word: give other texts.")
        if empty := len(texts) - words["writing_id"].nunique():
            log.warning("%s texts have no word, and no row", f"{empty:,}")
        words["unigram_bits"], counted = _unigram_bits(words["word"], models, settings)
        if "why_none" in counted:
            log.warning("unigram_bits are left empty: %s", counted["why_none"])
        seen = texts_seen(((model.name, model) for model in models), texts, Path(settings.paths.data))
        described = {
            model.name: model.record() | {"max_length": lengths[model.name], "texts_seen_in_training": seen[model.name]}
            for model in models
        }
        header = report_header(settings, source, len(texts), described, device, words=len(words), unigrams=counted)
        key, results = texts_key(source, settings), Path(settings.paths.results)

        def tables() -> Iterator[tuple[pd.DataFrame, dict[str, Any]]]:
            for model in models:
                read, masked = score_words(model, texts, words, lengths[model.name], key, task, results, device)
                table = word_table(model, texts, words, read, masked, infill=task.infill)
                yield table, summary_row(table, read, masked)

        summary = write_report(folder, header, tables(), task.format)
        print_summary(header, summary)
    return summary


def _length_of(model: TrainedModel, task: Surprisal) -> int:
    """The tokens that a model reads at a time. Raises: UserError if it cannot read so many."""
    config = AutoConfig.from_pretrained(str(model.path))
    if task.max_length is not None:
        require_length(config, task.max_length, "task.max_length", longest_prefix(model.condition, model.vocabulary))
        return task.max_length
    if model.settings is not None:
        return model.settings.data.max_length
    most = (positions(config) or USUAL_LENGTH) - longest_prefix(model.condition, model.vocabulary)
    return min(most, USUAL_LENGTH)


def _unigram_bits(
    words: pd.Series, models: Sequence[TrainedModel], settings: Evaluate
) -> tuple[np.ndarray, dict[str, Any]]:
    """The unigram surprisal of each word, and the record of the texts it was counted in."""
    name = training_corpus(models) or settings.corpus.name
    try:
        corpus = PreparedCorpus.open(Path(settings.paths.data) / name)
    except UserError:
        return np.full(len(words), np.nan), {"why_none": f"no corpus {name} is prepared in {settings.paths.data}"}
    texts = corpus.documents.loc[corpus.documents["split"] == "train", "text"]
    if texts.empty:
        return np.full(len(words), np.nan), {"why_none": f"{name} has no training texts"}
    unigrams = Unigrams(texts)
    return unigrams.bits(words), {"corpus": name, "documents_hash": corpus.documents_hash, **unigrams.record()}
