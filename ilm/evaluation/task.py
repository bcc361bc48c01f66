"""`python evaluate.py task=perplexity`: trained models on the documents of each level."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.console import Console

from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.evaluation.perplexity import DocumentScores, score_documents
from ilm.evaluation.report import POOLED, rich_table, tables, write_report
from ilm.examples.store import ExampleStore, first_by_hash
from ilm.examples.tokens import TokenStore
from ilm.hashing import order_key
from ilm.masking.configured import configured_masks
from ilm.masking.store import MaskStore
from ilm.runs import versions
from ilm.training.batching import row_length
from ilm.training.models import require_length, usable_device
from ilm.training.trained import TrainedModel, find_models

log = logging.getLogger("ilm")


def evaluate_perplexity(settings: Mapping[str, Any], level: str | None) -> pd.DataFrame:
    """Evaluate as a plain `ilm.config.Evaluate` says; `level` is the chosen option of the group `cefr`.

    Writes results/<name>/ and prints the tables; returns one row per run, level, kind and mask type.

    Raises: UserError if nothing is trained, prepared, or asked for.
    """
    evaluation, paths = settings["evaluation"], settings["paths"]
    corpus = PreparedCorpus.open(Path(paths["data"]) / settings["corpus"]["name"])
    models = find_models(Path(paths["experiments"]), corpus, settings["models"], level)
    levels = evaluation["levels"] or ([level] if level not in (None, POOLED) else _complete_levels(corpus))
    corpus.require_splits(levels)
    device = usable_device(evaluation["device"], "evaluation.device")
    results, sums = [], []
    for number, model in enumerate(models, start=1):
        log.info("model %d of %d: %s", number, len(models), model.name)
        scores = _score(model, corpus, levels, evaluation, device)
        results += _results(model, scores, corpus, levels, evaluation["masks_per_document"])
        sums.append(scores.frame(corpus.documents["writing_id"], corpus.documents["cefr_level"]).assign(run=model.name))
    frame = pd.DataFrame(results)
    header = {
        "task": "perplexity",
        "corpus": corpus.name,
        "synthetic": corpus.manifest["synthetic"],
        "documents_hash": corpus.documents_hash,
        "evaluation": {**evaluation, "levels": list(levels)},
        "runs": {model.name: {"settings": model.settings, "status": model.folder.status} for model in models},
        "versions": versions(),
    }
    name = settings["name"] or "_".join([corpus.name, *([level] if level else []), "perplexity"])
    folder = Path(paths["results"]) / name
    write_report(folder, header, frame, pd.concat(sums))
    console = Console()
    for table in tables(header, frame, [*levels, POOLED]):
        console.print(rich_table(table))
    log.info("written: %s/{report.json,perplexity.csv,perplexity.md,documents.parquet}", folder)
    return frame


def _score(
    model: TrainedModel,
    corpus: PreparedCorpus,
    levels: Sequence[str],
    evaluation: Mapping[str, Any],
    device: torch.device,
) -> DocumentScores:
    network, vocabulary = model.load()
    require_length(network, evaluation["max_length"], "evaluation.max_length")
    masking = model.settings["masking"]
    _, masks_folder = configured_masks(corpus, masking)
    masks = MaskStore.open(masks_folder)
    if vocabulary.mask_types != masks.mask_types:
        raise UserError(f"{model.name} was trained on the mask types {vocabulary.mask_types}, not {masks.mask_types}")
    seed = corpus.manifest["settings"]["split"]["seed"]
    writing_ids = corpus.documents["writing_id"].array
    rows = [_limited(corpus, evaluation["split"], level, evaluation["limit"], seed) for level in levels]
    store = ExampleStore(
        np.sort(np.concatenate(rows)),
        masks.splits[evaluation["split"]],
        TokenStore.open_or_make(corpus.folder / "tokens", corpus, vocabulary, model.settings["token_store"]),
        vocabulary,
        objective=model.settings["objective"],
        max_length=evaluation["max_length"],
        masks_per_document=evaluation["masks_per_document"],
    )
    numbers = np.arange(len(store))
    if evaluation["max_examples"] is not None:
        numbers = first_by_hash(store, writing_ids, seed, evaluation["max_examples"])
    return score_documents(
        network,
        store,
        numbers,
        batch_size=evaluation["batch_size"],
        row_tokens=row_length(evaluation["row_tokens"], device, evaluation["max_length"]),
        device=device,
        description=model.name,
    )


def _results(
    model: TrainedModel,
    scores: DocumentScores,
    corpus: PreparedCorpus,
    levels: Sequence[str],
    masks_per_document: int,
) -> list[dict[str, Any]]:
    of_document = corpus.documents["cefr_level"].to_numpy()[scores.documents]
    about = {
        "run": model.name,
        **model.family,
        "trained_on": model.level,
        "seed": model.settings["seed"],
        "masks_per_document": min(masks_per_document, model.settings["masking"]["masks_per_document"]),
        "dropped_examples": scores.dropped,
    }
    groups = {level: of_document == level for level in levels}
    if len(levels) > 1:
        groups[POOLED] = np.ones(len(scores.documents), dtype=bool)
    return [
        {**about, "level": level, **result} for level, chosen in groups.items() for result in scores.results(chosen)
    ]


def _complete_levels(corpus: PreparedCorpus) -> list[str]:
    """The levels of the corpus that have documents in every split; the others are named in a warning."""
    levels, counts = corpus.manifest["settings"]["levels"], corpus.manifest["counts"]["levels"]
    complete = [level for level in levels if level in counts and all(counts[level].values())]
    if left_out := [level for level in levels if level not in complete]:
        log.warning("left out, since a split of them is empty: %s", ", ".join(left_out))
    return complete


def _limited(corpus: PreparedCorpus, split: str, level: str, limit: int | None, seed: int) -> np.ndarray:
    """Document rows of a level: all, or the first `limit` by hash, the same for every model."""
    rows = corpus.rows(split, [level])
    if limit is None or limit >= len(rows):
        return rows
    ids = corpus.documents["writing_id"].array
    return np.array(sorted(rows, key=lambda row: order_key(seed, "evaluation", ids[row]))[:limit])
