"""From a prepared corpus to what a run reads: its vocabulary, its examples, its validation set."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ilm.config.sections import Masking
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.examples.dataset import InfillingDataset, ResampledDataset, first_by_hash
from ilm.examples.token_store import TokenStore
from ilm.examples.tokenizers import corpus_tokenizer, gpt2_tokenizer
from ilm.examples.vocabulary import START_OF_INFILL, Vocabulary
from ilm.files import remove_strays
from ilm.masking.generate import mask_settings, train_masks_of_epoch
from ilm.masking.store import MaskStore
from ilm.models.loading import brings_tokenizer, load_tokenizer, require_model
from ilm.models.lora import require_peft
from ilm.reference.models import require_exportable
from ilm.training.batch_plan import StepPlan
from ilm.training.other_runs import Start, starting_point
from ilm.training.sampling import Balanced, Order, Shuffled, ShuffledEpochs

log = logging.getLogger("ilm")


@dataclass(frozen=True)
class RunExamples:
    """The examples of one model: `train` as a store, `validation` as numbers into the store `valid`."""

    corpus: PreparedCorpus
    vocabulary: Vocabulary
    train: InfillingDataset
    valid: InfillingDataset
    validation: np.ndarray
    level_codes: np.ndarray
    levels: tuple[str, ...]


@dataclass(frozen=True)
class Material:
    """What a run is made of: its examples, and a plain `ilm.config.Model` of what it starts from.

    `train` are the examples that it is trained on, in `order`: those of `examples.train`, or others each epoch.
    `new_rows`: the infilling tokens are new to that model. `masks` and `token_store` name folders; `start` is the
    finished run that the weights are of, if any.
    """

    examples: RunExamples
    train: InfillingDataset | ResampledDataset
    order: Order
    model: dict[str, Any]
    new_rows: bool
    masks: str
    token_store: str
    start: Start | None

    @property
    def identity(self) -> dict[str, Any]:
        """What stands for the data, the tokens and the starting weights in the run's identity."""
        return {
            "documents": self.examples.corpus.documents_hash,
            "masks": self.masks,
            "tokenizer": self.examples.vocabulary.fingerprint()[:12],
            "new_rows": self.new_rows,
            "init_from": self.start and self.start.weights,
        }


def run_material(settings: Mapping[str, Any]) -> Material:
    """What a plain `ilm.config.Train` asks for; nothing is written but caches.

    Raises: UserError if the corpus or its masks are not prepared, a level lacks a split, the model cannot be reached,
    or the run to start from does not fit.
    """
    paths, levels, max_length = settings["paths"], settings["cefr_level"]["levels"], settings["data"]["max_length"]
    sample_size, split_seed = settings["corpus"]["sample_size"], settings["split"]["seed"]
    folder = Path(paths["data"]) / settings["corpus"]["name"]
    corpus = open_corpus(folder, sample_size=sample_size, split_seed=split_seed)
    corpus.require_splits(levels)
    masks_folder = mask_settings(corpus, settings.masking).folder(corpus.folder)
    masks = MaskStore.open(masks_folder)
    if settings["adapter"] is not None:
        require_peft()
    start, model = None, settings["model"]
    if settings["init_from"] is not None:
        start = starting_point(settings, masks_folder.name, Path(paths["experiments"]), corpus)
        model = start.model(model)
    model_config = require_model(model, max_length)
    tokenizer, token_store = base_tokenizer(model, corpus)
    token_store = start.token_store if start else token_store
    new_rows = START_OF_INFILL not in tokenizer.get_vocab()
    vocabulary = Vocabulary(tokenizer, masks.mask_types)
    if settings["export_reference"]:
        require_exportable(model_config, vocabulary)
    remove_strays(corpus.folder / "tokens")  # of runs that were killed while they made them
    tokens = TokenStore.open_or_make(corpus.folder / "tokens", corpus, vocabulary, token_store)
    examples = run_examples(
        corpus,
        masks,
        vocabulary,
        tokens,
        levels=levels,
        all_levels=corpus.manifest["settings"]["levels"],
        objective=settings["objective"],
        max_length=max_length,
        split_seed=split_seed,
        validation_examples=settings["validation"]["max_examples"],
    )
    train: InfillingDataset | ResampledDataset = examples.train
    if settings.masking.resample_each_epoch:
        train = _resampled(examples, tokens, settings.masking)
    order = _order(examples, train, settings["data"]["levels_drawn"], settings["seed"])
    return Material(examples, train, order, model, new_rows, masks_folder.name, token_store, start)


def _resampled(examples: RunExamples, tokens: TokenStore, masking: Masking) -> ResampledDataset:
    """The training examples, under masks of its own each epoch but the first."""
    first = examples.train

    def open_epoch(epoch: int) -> InfillingDataset:
        if epoch == 0:
            return first
        return InfillingDataset(
            first.documents,
            train_masks_of_epoch(examples.corpus, masking, epoch),
            tokens,
            examples.vocabulary,
            objective=first.objective,
            max_length=first.max_length,
        )

    return ResampledDataset(open_epoch)


def _order(examples: RunExamples, train: InfillingDataset | ResampledDataset, levels_drawn: str, seed: int) -> Order:
    if isinstance(train, ResampledDataset):
        return ShuffledEpochs(train.numbers, seed)
    if levels_drawn == "equally":
        return Balanced(examples.level_codes[train.keys()[0]], seed)
    return Shuffled(len(train), seed)


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

    def store(split: str) -> InfillingDataset:
        rows = corpus.rows(split, levels)
        return InfillingDataset(
            rows, masks.splits[split], tokens, vocabulary, objective=objective, max_length=max_length
        )

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


def total_steps(max_steps: int | None, max_epochs: int | None, plan: StepPlan) -> int:
    """Optimizer steps of a run: the smaller of the two bounds; None or a number below 1 sets none.

    Raises: UserError if neither sets a bound.
    """
    bounds = [max_steps] if max_steps and max_steps > 0 else []
    bounds += [plan.steps_of_epochs(max_epochs, *bounds)] if max_epochs and max_epochs > 0 else []
    if not bounds:
        raise UserError("trainer.max_steps and trainer.max_epochs set no end: give one of them a positive number")
    return min(bounds)
