"""From a prepared corpus to what a run reads: its vocabulary, its examples, its validation set."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.examples.bpe import corpus_tokenizer
from ilm.examples.store import ExampleStore, first_by_hash
from ilm.examples.tokens import TokenStore
from ilm.examples.vocabulary import Vocabulary, gpt2_tokenizer
from ilm.masking.store import MaskStore
from ilm.training.models import brings_tokenizer, load_tokenizer

log = logging.getLogger("ilm")


@dataclass(frozen=True)
class RunExamples:
    """The examples of one model: `train` as a store, `validation` as numbers into the store `valid`."""

    corpus: PreparedCorpus
    vocabulary: Vocabulary
    train: ExampleStore
    valid: ExampleStore
    validation: np.ndarray
    level_codes: np.ndarray
    levels: tuple[str, ...]


def open_corpus(folder: Path, *, sample_size: int | None, split_seed: int) -> PreparedCorpus:
    """The prepared corpus in `folder`, having made sure that it is the one the configuration means.

    Raises: UserError if nothing is prepared there, or it was prepared with another sample size or split seed.
    """
    corpus = PreparedCorpus.open(folder)
    settings = corpus.manifest["settings"]
    found = {
        "corpus.sample_size": (settings["sample"] or {}).get("size"),
        "split.seed": settings["split"]["seed"],
    }
    asked = {"corpus.sample_size": sample_size, "split.seed": split_seed}
    # No sample size asked for means whatever was prepared.
    differing = [key for key in asked if asked[key] not in (None, found[key])]
    if differing:
        raise UserError(
            f"{folder} was prepared with "
            + ", ".join(f"{key}={found[key]}" for key in differing)
            + ", not with "
            + ", ".join(f"{key}={asked[key]}" for key in differing)
            + ". Give the values it was prepared with, or prepare again (python prepare.py ... overwrite=true)."
        )
    return corpus


def base_tokenizer(model: Mapping[str, Any], corpus: PreparedCorpus) -> tuple[PreTrainedTokenizerBase, str]:
    """The tokenizer of a plain `ilm.config.Model`, and a name for its token store.

    A folder of pretrained weights that brings a tokenizer is taken with it: it may have learnt the infilling tokens.
    """
    own = model["pretrained"] and brings_tokenizer(model["path"])
    if model["tokenizer"] == "gpt2" and not own:
        return gpt2_tokenizer(), "gpt2"
    if model["tokenizer"] == "corpus":
        size = model["tokenizer_size"]
        return corpus_tokenizer(corpus.folder / "tokenizers", corpus, size), f"bpe{size}"
    options = {key: model[key] for key in ("package", "gguf_file")} if model["pretrained"] else {}
    return load_tokenizer(model["path"], **options), model["name"] or Path(model["path"]).name


def run_examples(
    corpus: PreparedCorpus,
    masks: MaskStore,
    vocabulary: Vocabulary,
    tokens: TokenStore,
    *,
    levels: Sequence[str],
    all_levels: Sequence[str],
    objective: str,
    max_length: int,
    split_seed: int,
    validation_examples: int,
) -> RunExamples:
    """The training and validation examples of a model of these levels.

    `validation_examples` are the first by hash of the valid split (`first_by_hash`).
    """

    def store(split: str) -> ExampleStore:
        rows = corpus.rows(split, levels)
        return ExampleStore(rows, masks.splits[split], tokens, vocabulary, objective=objective, max_length=max_length)

    train, valid = store("train"), store("valid")
    codes = {level: code for code, level in enumerate(all_levels)}
    return RunExamples(
        corpus,
        vocabulary,
        train,
        valid,
        first_by_hash(valid, corpus.documents["writing_id"].array, split_seed, validation_examples),
        corpus.documents["cefr_level"].map(codes).to_numpy(dtype=np.int64),
        tuple(all_levels),
    )


def validation_interval(asked: int | None, total: int) -> int:
    """Optimizer steps between validations: as asked, else 1,000, or a quarter of a run shorter than four such."""
    return asked if asked is not None else max(1, min(1000, total // 4))


def total_steps(max_steps: int | None, max_epochs: int | None, steps_per_epoch: int) -> int:
    """Optimizer steps of a run: the smaller of the two bounds; None or a number below 1 sets none.

    Raises: UserError if neither sets a bound.
    """
    bounds = [max_steps] if max_steps and max_steps > 0 else []
    bounds += [max_epochs * steps_per_epoch] if max_epochs and max_epochs > 0 else []
    if not bounds:
        raise UserError("trainer.max_steps and trainer.max_epochs set no end: give one of them a positive number")
    return min(bounds)
