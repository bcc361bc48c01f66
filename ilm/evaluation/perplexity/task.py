"""`python evaluate.py task=perplexity`: trained models on the documents of each level."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import AutoConfig

from ilm.config.evaluate import Evaluate, Perplexity
from ilm.corpus.leakage import shared_with
from ilm.corpus.splitting.assign import SPLITS
from ilm.corpus.store import PreparedCorpus, corpus_arguments
from ilm.errors import UserError
from ilm.evaluation.perplexity.report import POOLED, print_tables, write_report
from ilm.evaluation.perplexity.scores import DocumentScores, score_documents
from ilm.evaluation.report import deciding, open_results, results_folder, source_of, training_corpus
from ilm.examples.dataset import InfillingDataset, first_by_hash
from ilm.examples.token_store import TokenStore
from ilm.hashing import order_key
from ilm.masking.generate import mask_settings
from ilm.masking.store import MaskStore
from ilm.models.devices import usable_device
from ilm.models.loading import require_length
from ilm.models.packing import row_length
from ilm.runs.finder import Finder
from ilm.runs.folder import versions
from ilm.runs.trained_model import TrainedModel

log = logging.getLogger("ilm")

# Masks of a model folder, of whose training nothing is known.
USUAL_MASKS = "hierarchical"


def evaluate_perplexity(settings: Evaluate) -> pd.DataFrame:
    """Score the masked words of prepared texts under every model.

    Writes results/<name>/ and prints the tables; returns one row per run, level, kind and mask type.

    Raises: UserError if no model or text is found, or they do not fit together.
    """
    task = settings.task
    device = usable_device(task.device, "task.device")
    models, trained_on = _find_models(settings)
    corpus, levels = _find_texts(settings, trained_on)
    rows = np.sort(np.concatenate([_limited(corpus, task.split, level, settings.limit) for level in levels]))
    source = source_of(corpus, task.split, levels)
    of_another = trained_on is not None and settings.task.corpus is not None
    folder = results_folder(settings, f"{trained_on.name}_on_{corpus.name}" if of_another else corpus.name)
    identity = {
        "texts": {key: source[key] for key in ("name", "documents_hash", "split", "levels")},
        "trained_on": trained_on and trained_on.documents_hash,
        "cefr": settings.cefr,
        "models": settings.models,
        "limit": settings.limit,
        "task": {"name": "perplexity", **deciding(settings)},
    }
    masks = {model.name: _require_fitting(model, corpus, task) for model in models}
    results, sums, runs = [], [], {}
    with open_results(folder, identity):
        for number, model in enumerate(models, start=1):
            log.info("model %d of %d: %s", number, len(models), model.name)
            scores, counts = _score(model, corpus, MaskStore.open(masks[model.name]), rows, task, device)
            about = {"run": model.name, **model.family, "trained_on": model.level, "seed": model.seed}
            about |= {"corpus": corpus.name, "text_column": source["text_column"], **counts}
            results += [{**about, **result} for result in _by_level(scores, corpus, levels)]
            ids, of_document = (corpus.documents[column] for column in ("writing_id", "cefr_level"))
            sums.append(scores.frame(ids, of_document).assign(run=model.name))
            runs[model.name] = {**model.record(), "evaluated_masks": masks[model.name].name}
        # Models of unknown training have no seed.
        frame = pd.DataFrame(results).astype({"seed": "Int64"})
        header = {
            "task": "perplexity",
            "source": source,
            "leaks": corpus.manifest["leaks"],
            "training_corpus": _origin(trained_on, corpus, rows),
            "evaluation": {**task.model_dump(exclude={"name"}), "limit": settings.limit},
            "runs": runs,
            "versions": versions(),
        }
        print_tables(header, frame, [*levels, POOLED])  # first, for who cannot write
        write_report(folder, header, frame, pd.concat(sums))
    log.info("written: %s/{report.json,perplexity.csv,perplexity.md,documents.parquet}", folder)
    return frame


def _find_texts(settings: Evaluate, trained_on: PreparedCorpus | None) -> tuple[PreparedCorpus, list[str]]:
    """The corpus to evaluate on, and its levels."""
    task, level, name = settings.task, settings.cefr, settings.corpus.name
    if trained_on is not None and trained_on.name != name:
        log.info("the models were trained on %s, not on corpus=%s", trained_on.name, name)
        name = trained_on.name
    corpus = PreparedCorpus.open(Path(settings.paths.data) / (task.corpus or name))
    # A level without training texts is no level of a study; of another corpus only the texts evaluated on matter.
    needed = (task.split,) if trained_on is None or trained_on.name != corpus.name else SPLITS
    levels = task.levels or ([level] if level not in (None, POOLED) else _complete_levels(corpus, needed))
    corpus.require_splits(levels, needed)
    return corpus, levels


def _find_models(settings: Evaluate) -> tuple[list[TrainedModel], PreparedCorpus | None]:
    """The models to evaluate, and the corpus that the runs among them were trained on; None if there is no run."""
    data, objective = Path(settings.paths.data), settings.task.objective
    models = Finder(Path(settings.paths.experiments), data / settings.corpus.name).find(settings.models, settings.cefr)
    runs = [model for model in models if model.run is not None]
    if objective is not None and runs:
        raise UserError(
            f"task.objective={objective} is for bare model folders (models=[FOLDER]); a run says itself what it "
            "was trained on. Leave it out"
        )
    if not runs:
        return [replace(model, objective=objective or model.objective) for model in models], None
    trained_on = PreparedCorpus.open(data / training_corpus(runs))
    for run in runs:
        run.require_trained_on(trained_on)
    return models, trained_on


def _origin(trained_on: PreparedCorpus | None, corpus: PreparedCorpus, rows: np.ndarray) -> dict[str, Any] | None:
    """The corpus that the models were trained on; if it is another, how many texts in `rows` are its training data too.

    None for folders of models, of whose training nothing is known.
    """
    if trained_on is None:
        return None
    origin = {"corpus": trained_on.name, "documents_hash": trained_on.documents_hash}
    if trained_on.documents_hash == corpus.documents_hash:
        return origin
    shared = shared_with(corpus.documents.iloc[rows], trained_on.documents, near_duplicates=None)
    return {**origin, "shared": asdict(shared)}


def _require_fitting(model: TrainedModel, corpus: PreparedCorpus, task: Perplexity) -> Path:
    """The folder of the masks to evaluate a model with.

    Raises: UserError, before any model is scored, if there are none, or the model cannot read them or so many tokens.
    """
    folder = _masks_folder(model, corpus, task.masks)
    mask_types = MaskStore.open(folder).mask_types
    if model.mask_types != mask_types:
        raise UserError(
            f"{model.name} was trained on the mask types {', '.join(model.mask_types)}, not {', '.join(mask_types)}. "
            "Type task.masks=NAME for masks of its types."
        )
    require_length(AutoConfig.from_pretrained(str(model.path)), task.max_length, "task.max_length")
    return folder


def _masks_folder(model: TrainedModel, corpus: PreparedCorpus, name: str | None) -> Path:
    """The folder of the masks to evaluate a model with: those named, else drawn as those it was trained with.

    Raises: UserError if it is not there, or several are.
    """
    root = corpus.folder / "masks"
    present = sorted(path.name for path in root.glob("*-*") if not path.name.startswith("."))
    if name is None and model.masking is not None:
        folder = mask_settings(corpus, model.masking).folder(corpus.folder)
        if folder.name in present:
            return folder
        remedy = (
            f"the command that prepared it with corpus.extra again, with masking={model.masking.name}"
            if corpus.test_only
            else f"python prepare.py {corpus_arguments(corpus.name)} masking={model.masking.name}"
        )
        raise UserError(
            f"{corpus.name} has no masks drawn as those that {model.name} was trained with ({folder.name}). Type "
            f"{remedy} and the settings of its masking, or task.masks=NAME for others. There are: "
            f"{', '.join(present) or 'none'}"
        )
    wanted = name or USUAL_MASKS
    found = [here for here in present if wanted in (here, here.rpartition("-")[0])]
    if len(found) != 1:
        several = "several masks of this name" if found else "no such masks"
        raise UserError(
            f"task.masks={wanted}: {root} holds {several}. Type task.masks=NAME with one of: "
            f"{', '.join(found or present) or 'none'}"
        )
    return root / found[0]


def _score(
    model: TrainedModel,
    corpus: PreparedCorpus,
    masks: MaskStore,
    rows: np.ndarray,
    task: Perplexity,
    device: torch.device,
) -> tuple[DocumentScores, dict[str, int]]:
    """The model's scores, and how many examples there were and were left out, by cause."""
    network, vocabulary = model.load()
    dataset = InfillingDataset(
        rows,
        masks.splits[task.split],
        TokenStore.open_or_make(corpus.folder / "tokens", corpus, vocabulary, model.token_store(vocabulary)),
        vocabulary,
        objective=model.objective,
        max_length=task.max_length,
        masks_per_document=task.masks_per_document,
        fitting=task.fitting,
    )
    numbers = np.arange(len(dataset))
    if task.max_examples is not None:
        numbers = first_by_hash(dataset, corpus.documents["writing_id"].array, corpus.seed, task.max_examples)
    left_over = len(numbers) % task.batch_size if task.drop_last else 0
    numbers = numbers[: len(numbers) - left_over]
    if not len(numbers):
        raise UserError(
            f"{model.name}: no example is left of {len(rows):,} documents ({dataset.dropped:,} dropped, "
            f"{dataset.unfitting:,} do not fit, {left_over:,} in the last batch): see task.fitting, max_length, "
            "drop_last and batch_size."
        )
    scores = score_documents(
        network,
        dataset,
        numbers,
        batch_size=task.batch_size,
        row_tokens=row_length(task.row_tokens, device, task.max_length),
        device=device,
        description=model.name,
    )
    return scores, {
        "masks_per_document": dataset.masks_per_document,
        "dropped_examples": dataset.dropped,
        "unfitting_examples": dataset.unfitting,
        "left_over_examples": left_over,
    }


def _by_level(scores: DocumentScores, corpus: PreparedCorpus, levels: Sequence[str]) -> Iterator[dict[str, Any]]:
    of_document = corpus.documents["cefr_level"].to_numpy()[scores.documents]
    groups = {level: of_document == level for level in levels}
    if len(levels) > 1:
        groups[POOLED] = np.ones(len(of_document), dtype=bool)
    for level, chosen in groups.items():
        yield from ({"level": level, **result} for result in scores.results(chosen))


def _complete_levels(corpus: PreparedCorpus, splits: Sequence[str]) -> list[str]:
    """The levels of the corpus that have documents in each of `splits`; the others are named in a warning."""
    counts = corpus.manifest["counts"]["levels"]
    complete = [level for level in counts if all(counts[level][split] for split in splits)]
    if left_out := [level for level in counts if level not in complete]:
        log.warning("left out, since a split of them is empty: %s", ", ".join(left_out))
    if not complete:
        raise UserError(f"corpus {corpus.name} has no level with documents in {' and '.join(splits)}")
    return complete


def _limited(corpus: PreparedCorpus, split: str, level: str, limit: int | None) -> np.ndarray:
    """Document rows of a level: all, or the first `limit` by hash, the same for every model."""
    rows = corpus.rows(split, [level])
    if limit is None or limit >= len(rows):
        return rows
    ids = corpus.documents["writing_id"].array
    return np.array(sorted(rows, key=lambda row: order_key(corpus.seed, "evaluation", ids[row]))[:limit])
