"""The examples that a model is scored on, and its kept scores of them."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import AutoConfig

from ilm.config.evaluate import Masked, Memorisation, Perplexity, Scored
from ilm.corpus.store import PreparedCorpus, corpus_arguments
from ilm.errors import UserError
from ilm.evaluation.conditions import OWN, conditions_of
from ilm.evaluation.losses import common_examples
from ilm.evaluation.scores import EXAMPLE, Scores, ScoreStore, score_batches
from ilm.examples.conditions import longest_prefix
from ilm.examples.cuts import LevelCuts, cuts_by_level
from ilm.examples.dataset import InfillingDataset, first_by_hash
from ilm.examples.token_store import TokenStore
from ilm.masking.generate import mask_settings
from ilm.masking.store import MaskStore
from ilm.models.loading import require_length
from ilm.models.packing import row_length
from ilm.runs.trained_model import TrainedModel

log = logging.getLogger("ilm")

# Masks for a model folder of unknown training.
USUAL_MASKS = "hierarchical"


@dataclass(frozen=True)
class ScoredModel:
    """A model's scores; `counts` are numbers of examples, also of those left out by cause.

    `condition` is a conditioned model's `task.condition` (`ilm.evaluation.conditions`). `cuts` says by level what
    truncation removed; `masks` names the folder of the masks; `added`: whether anything was scored just now.
    """

    model: TrainedModel
    condition: str
    scores: Scores
    masks: str
    counts: dict[str, int]
    cuts: list[LevelCuts]
    added: bool

    @property
    def name(self) -> str:
        """The run's, with the condition unless it is each text's own."""
        return self.model.name if self.condition == OWN else f"{self.model.name} ({self.condition})"


@dataclass(frozen=True)
class Scorer:
    """Scores models on prepared examples of a corpus, and keeps the scores in `results`.

    Without a `device` (task=comparison) kept scores are read, and none are computed.
    """

    corpus: PreparedCorpus
    task: Masked
    results: Path
    device: torch.device | None

    def score(self, model: TrainedModel, condition: str, masks: Path, rows: np.ndarray) -> ScoredModel | None:
        """The model's scores of the documents `rows`; None if one is missing and there is no device.

        Raises: UserError if no example is left.
        """
        corpus, task, device = self.corpus, self.task, self.device
        dataset = self.dataset(model, masks, rows, condition)
        numbers, left_over = _chosen(dataset, corpus, task)
        if not len(numbers):
            raise UserError(
                f"{model.name}: no example is left of {len(rows):,} documents ({dataset.dropped:,} dropped, "
                f"{dataset.unfitting:,} too long, {left_over:,} in the last batch): see task.fitting, "
                "task.max_length, task.drop_last and task.batch_size."
            )
        documents, mask_numbers = dataset.keys(numbers)
        ids = corpus.documents["writing_id"].to_numpy()[documents]
        keys = pd.MultiIndex.from_arrays([ids, mask_numbers], names=EXAMPLE)
        settings = {
            "weights": model.fingerprint(),
            "documents": corpus.documents_hash,
            "split": task.split,
            "masks": masks.name,
            "max_length": task.max_length,
            "objective": model.objective,
            **({"condition": condition} if model.condition else {}),
        }
        store = ScoreStore(self.results, model.name, settings)
        missing = int(store.missing(keys).sum())
        if missing and device is None:
            shares = f"{missing:,} of its {len(keys):,}"
            log.warning("left out: %s, since %s examples are not scored", model.name, shares)
            return None

        def score(missing: np.ndarray) -> Iterator[Scores]:
            assert isinstance(task, Perplexity | Memorisation)  # the tasks with a device
            assert device is not None
            return score_batches(
                model.load()[0],
                dataset,
                numbers[missing],
                corpus.documents,
                batch_size=task.batch_size,
                row_tokens=max(row_length(task.row_tokens, device, task.max_length), dataset.max_tokens),
                device=device,
            )

        cuts = dataset.cuts_of(numbers)
        counts = {
            "masks_per_document": dataset.masks_per_document,
            "dropped_examples": dataset.dropped,
            "unfitting_examples": dataset.unfitting,
            "left_over_examples": left_over,
            "longest_example": int(cuts["longest"].max()),
        }
        by_level = cuts_by_level(cuts, corpus.documents["cefr_level"], corpus.levels)
        scores = store.complete(keys, score, model.name)
        return ScoredModel(model, condition, scores, masks.name, counts, by_level, missing > 0)

    def dataset(
        self, model: TrainedModel, masks: Path, rows: np.ndarray, condition: str | None = None
    ) -> InfillingDataset:
        """The examples of the documents `rows` as a model is scored on them; without a `condition`, without prefix."""
        task, documents = self.task, self.corpus.documents
        return InfillingDataset(
            rows,
            MaskStore.open(masks).splits[task.split],
            self.tokens(model),
            model.vocabulary,
            objective=model.objective,
            max_length=task.max_length,
            masks_per_document=task.masks_per_document,
            fitting="naive" if isinstance(task, Scored) and task.fitting == "naive" else None,
            conditions=conditions_of(model, documents, condition) if condition and model.condition else None,
        )

    def tokens(self, model: TrainedModel) -> TokenStore:
        """The corpus in the tokens of a model."""
        corpus, vocabulary = self.corpus, model.vocabulary
        # The cache is used if data/ cannot be written to.
        caches = (self.results if model.run is None else model.run.path.parent) / ".cache" / corpus.name / "tokens"
        name = model.token_store(vocabulary)
        return TokenStore.open_or_make(corpus.folder / "tokens", corpus, vocabulary, name, caches)


def complete_for_all(scored: Sequence[ScoredModel]) -> list[ScoredModel]:
    """The same with only the examples that no model truncates."""
    kept = common_examples({of.name: of.scores for of in scored}, complete=True)
    found = []
    for of_model in scored:
        scores = kept[of_model.name]
        left_out = len(of_model.scores.examples) - len(scores.examples)
        counts = {**of_model.counts, "unfitting_examples": left_out}
        found.append(replace(of_model, scores=scores, counts=counts, cuts=[]))
    return found


def _chosen(dataset: InfillingDataset, corpus: PreparedCorpus, task: Masked) -> tuple[np.ndarray, int]:
    """(The numbers of the examples to score; how many are left out as the last partial batch)."""
    numbers = np.arange(len(dataset))
    if not isinstance(task, Perplexity):
        return numbers, 0
    if task.max_examples is not None:
        numbers = first_by_hash(dataset, corpus.documents["writing_id"].array, corpus.seed, task.max_examples)
    left_over = len(numbers) % task.batch_size if task.drop_last else 0
    return numbers[: len(numbers) - left_over], left_over


def masks_of(model: TrainedModel, corpus: PreparedCorpus, task: Masked) -> Path:
    """The folder of the masks to evaluate a model with.

    Raises: UserError, before any model is scored, if there is none, or the model has other mask types or too few
    positions.
    """
    folder = _masks_folder(model, corpus, task.masks)
    mask_types = MaskStore.open(folder).mask_types
    if model.mask_types != mask_types:
        raise UserError(
            f"{model.name} was trained on the mask types {', '.join(model.mask_types)}, not {', '.join(mask_types)}. "
            "Type task.masks=NAME for masks of its types."
        )
    config, longest = AutoConfig.from_pretrained(str(model.path)), longest_prefix(model.condition, model.vocabulary)
    require_length(config, task.max_length, "task.max_length", longest)
    return folder


def _masks_folder(model: TrainedModel, corpus: PreparedCorpus, name: str | None) -> Path:
    """The folder of the masks named, else of those drawn as in the model's training.

    Raises: UserError if there is none, or several.
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
            f"{corpus.name} has no masks like those that {model.name} was trained with ({folder.name}). Type "
            f"{remedy} with the settings of its masking, or task.masks=NAME for others. There are: "
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
