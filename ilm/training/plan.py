"""The plan of a training run: everything that is decided, checked and opened before anything is written.

1. Lightning's Trainer is made first, since it checks its own arguments.
2. The examples are made of the prepared corpus, masks and tokens; only caches are written.
3. Optimizer steps are planned; the run gets its name and identity.

`ilm.training.fit` executes the plan.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from transformers import PreTrainedTokenizerBase

from ilm.cli.help import composed_settings
from ilm.config.model import Model
from ilm.config.train import Train
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.examples.cuts import advice, cut_lines, cuts_by_level
from ilm.examples.dataset import InfillingDataset, ResampledDataset, first_by_hash
from ilm.examples.tokenizers import corpus_tokenizer, gpt2_tokenizer
from ilm.examples.vocabulary import START_OF_INFILL, Vocabulary
from ilm.models.loading import brings_tokenizer, load_tokenizer, model_config, require_length
from ilm.models.lora import require_peft
from ilm.reference.models import require_exportable
from ilm.runs.folder import RunFolder
from ilm.runs.identity import run_identity, run_name
from ilm.training.batch_plan import StepPlan
from ilm.training.controls import InitialRuns, TokenMatch, comparison_lines, initial_runs, match_tokens
from ilm.training.datasets import open_datasets
from ilm.training.prepared import Prepared, open_prepared
from ilm.training.sampling import Balanced, Order, Shuffled
from ilm.training.trainer import arithmetic, make_trainer, require_planned_processes, with_precision


@dataclass(frozen=True)
class RunPlan:
    """Everything a run needs.

    `model`: the model to start from, as configured unless another run's weights (`initial`) or a dry run without access
    to the hub replace it; `new_rows`: whether the infilling tokens are new to it. `validation`: example numbers in
    `valid`. `test` opens the test examples, which training does not use. `level_codes[row]`: the index in `levels` of a
    document row's level.
    """

    path: Path
    settings: Train
    identity: dict[str, Any]
    corpus: PreparedCorpus
    vocabulary: Vocabulary
    model: Model
    new_rows: bool
    initial: InitialRuns | None
    match: TokenMatch | None
    train: InfillingDataset | ResampledDataset
    valid: InfillingDataset
    test: Callable[[], InfillingDataset]
    validation: np.ndarray
    level_codes: np.ndarray
    levels: tuple[str, ...]
    steps: StepPlan
    total_steps: int
    trainer: pl.Trainer

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def first_epoch(self) -> InfillingDataset:
        """The training examples of the first epoch."""
        return self.train.epoch(0) if isinstance(self.train, ResampledDataset) else self.train

    @property
    def condition(self) -> dict[str, list[str]]:
        """The conditioning columns, with their values in training."""
        columns = self.corpus.documents.loc[self.first_epoch.documents, self.settings.data.condition or []]
        return {name: sorted(value for value in columns[name].dropna().unique() if value) for name in columns}

    def summary(self) -> str:
        """What the run will do, one line per topic."""
        settings, optimizer = self.settings, self.settings.optimizer
        train = self.first_epoch
        epochs = self.steps.epochs_until(self.total_steps)
        only = "".join(f", {column} {' or '.join(of)}" for column, of in (settings.data.only or {}).items())
        lines = [
            (
                "corpus",
                f"{self.corpus.name}, {settings.cefr_level.name}{only}: {len(train.documents):,} train and "
                f"{len(self.valid.documents):,} valid documents",
            ),
            (
                "examples",
                f"{len(train):,} with {train.n_tokens / len(train):.1f} tokens on average; {train.dropped:,} dropped "
                "(two spans share a token)",
            ),
            *zip(("cut", *[""] * len(self.levels), ""), self._cut_lines(train), strict=False),
            ("validation", f"{len(self.validation):,} examples every {settings.validation.every_n_steps:,} steps"),
            (
                "steps",
                f"{self.total_steps:,} of {self.steps.description()}: {epochs:.1%} of an epoch"
                + (f" ({epochs:.2f} epochs)" if epochs > 1 else ""),
            ),
            (
                "optimizer",
                f"{optimizer.target.rpartition('.')[2]}, learning rate {optimizer.lr:g}, {settings.schedule.shape}; "
                + arithmetic(self.trainer),
            ),
            *comparison_lines(settings, self.levels, self.steps, self.total_steps, self.match, self.initial),
        ]
        return f"run {self.name} in {self.path}\n" + "\n".join(f"  {key:<12}{text}" for key, text in lines)

    def _cut_lines(self, train: InfillingDataset) -> list[str]:
        """What `data.max_length` cuts from the training examples, by level."""
        rows = cuts_by_level(train.cuts, self.corpus.documents["cefr_level"], self.levels)
        longest = train.cuts["longest"].max()
        if not (found := cut_lines(rows)):
            return [f"none at {train.max_length:,} tokens; the longest has {longest:,}"]
        remedy = advice(rows, longest, "data.max_length")
        return [f"at {train.max_length} tokens, of training examples", *found, *([remedy] if remedy else [])]


def plan_run(prepared: Prepared) -> RunPlan:
    """Plan a run.

    Raises: UserError if Lightning rejects its arguments, the model is not available, or a run to match or to start from
    does not fit.
    """
    settings, corpus, masks = prepared
    path = Path(settings.paths.experiments) / run_name(settings)
    folder = RunFolder(path)
    resumed = folder.identity if folder.has_begun and not settings.overwrite else {}
    settings = with_precision(settings, resumed.get("trainer.precision"))
    trainer = make_trainer(settings, path)
    require_planned_processes(trainer, path, settings.overwrite)
    initial = initial_runs(settings, masks.name, corpus) if settings.init_from else None
    model = starting_model_settings(settings, initial)
    caches = Path(settings.paths.experiments) / ".cache" / corpus.name  # if data/ is read-only
    tokenizer, store_name = base_tokenizer(model, corpus, caches)
    store_name = initial.token_store if initial else store_name
    new_rows = START_OF_INFILL not in tokenizer.get_vocab()
    vocabulary = Vocabulary(tokenizer, masks.mask_types)
    train, valid, test = open_datasets(settings, corpus, masks, vocabulary, store_name, caches)
    _require_fitting(settings, model, vocabulary, train.max_tokens)
    levels = tuple(corpus.manifest["settings"]["levels"])
    level_codes = corpus.documents["cefr_level"].map(levels.index).to_numpy(dtype=np.int64)
    steps = _plan_steps(settings, train, level_codes, trainer.world_size)
    data = {
        "documents": corpus.documents_hash,
        "masks": masks.name,
        "tokenizer": vocabulary.fingerprint[:12],
        "new_rows": new_rows,
        "init_from": initial and initial.weights,
    }
    match = match_tokens(settings, data, corpus, steps) if settings.match else None
    total = match.step if match else total_steps(settings.trainer.bounds, steps)
    settings = _with_validation_interval(settings, resumed.get("validation.every_n_steps"), total)
    return RunPlan(
        path=path,
        settings=settings,
        identity=run_identity(
            settings, store_name, {**data, "matched": match and f"{match.amount} {match.on}"}, steps.size
        ),
        corpus=corpus,
        vocabulary=vocabulary,
        model=model,
        new_rows=new_rows,
        initial=initial,
        match=match,
        train=train,
        valid=valid,
        test=test,
        validation=first_by_hash(
            valid, corpus.documents["writing_id"].array, corpus.seed, settings.validation.max_examples
        ),
        level_codes=level_codes,
        levels=levels,
        steps=steps,
        total_steps=total,
        trainer=trainer,
    )


def plan_training(*overrides: str) -> RunPlan:
    """The plan of `python train.py OVERRIDES`, for notebooks: `plan_training("corpus=sample", "cefr=A1")`."""
    return plan_run(open_prepared(composed_settings("train", Train, overrides)))


def _require_fitting(settings: Train, model: Model, vocabulary: Vocabulary, max_tokens: int) -> None:
    """Raises: UserError if a row or the model has no room for the conditioning prefix, or the export is impossible."""
    data = settings.data
    if data.condition is not None:
        prefix = max_tokens - data.max_length
        blocks = data.block_tokens if data.max_tokens_per_batch is not None else None
        room = min((most for most in (data.row_tokens, blocks) if most is not None), default=max_tokens)
        if max_tokens > room:
            raise UserError(
                f"data.condition adds up to {prefix} tokens to data.max_length={data.max_length}, but a row or block "
                f"holds only {room}. Type data.max_length={room - prefix}."
            )
        require_length(model_config(model), data.max_length, "data.max_length", prefix)
    if settings.export_reference:
        require_exportable(model_config(model), vocabulary)


def starting_model_settings(settings: Train, initial: InitialRuns | None) -> Model:
    """The settings to load the run's model from.

    Raises: UserError if the model is not available or too short for `data.max_length`, or peft is not installed.
    """
    if settings.adapter is not None:
        require_peft()
    model = settings.model
    if initial is not None:
        path = str(initial.folders[0])
        model = model.model_copy(update={"path": path, "pretrained": True, "tokenizer": None, "package": None})
    try:
        config = model_config(model)
    except UserError:
        # For a dry run, random weights of the same shape serve as well.
        if not (settings.dry_run and model.pretrained and model.architecture is not None):
            raise
        model = model.model_copy(update={"pretrained": False})
        config = model_config(model)
    require_length(config, settings.data.max_length, "data.max_length")
    return model


def base_tokenizer(
    model: Model, corpus: PreparedCorpus, caches: Path | None = None
) -> tuple[PreTrainedTokenizerBase, str]:
    """The tokenizer of a model, and a name for its token store.

    A tokenizer in the folder of pretrained weights comes first: it may already have the infilling tokens.
    """
    if model.tokenizer == "gpt2" and not (model.pretrained and brings_tokenizer(model.location)):
        return gpt2_tokenizer(), "gpt2"
    if model.tokenizer == "corpus":
        size = model.tokenizer_size or 0  # the schema guarantees more than 256
        instead = caches and caches / "tokenizers"
        return corpus_tokenizer(corpus.folder / "tokenizers", corpus, size, instead), f"bpe{size}"
    options = {"package": model.package, "gguf_file": model.gguf_file} if model.pretrained else {}
    return load_tokenizer(model.location, **options), model.label


def _plan_steps(
    settings: Train, train: InfillingDataset | ResampledDataset, level_codes: np.ndarray, world_size: int
) -> StepPlan:
    data = settings.data
    if isinstance(train, ResampledDataset):
        order: Order = Shuffled(train.numbers, settings.seed)
    elif data.levels_drawn == "equally":
        order = Balanced(level_codes[train.keys()[0]], settings.seed)
    else:
        order = Shuffled(len(train), settings.seed)
    return StepPlan(
        order,
        train,
        batch_size=data.batch_size,
        max_tokens=data.max_tokens_per_batch,
        block_tokens=data.block_tokens,
        accumulate=settings.trainer.accumulate_grad_batches,
        world_size=world_size,
    )


def _with_validation_interval(settings: Train, before: int | None, total: int) -> Train:
    """Optimizer steps between validations: as configured; else as `before`, so that a run which grows keeps its
    interval; else 1,000, or a quarter of the run if that is less.
    """
    steps = settings.validation.every_n_steps or before
    update = {"every_n_steps": steps or max(1, min(1000, total // 4))}
    return settings.model_copy(update={"validation": settings.validation.model_copy(update=update)})


def total_steps(bounds: Mapping[str, int], plan: StepPlan) -> int:
    """Optimizer steps of a run with these `bounds`, `max_steps` or `max_epochs` or both: the smaller one ends it."""
    steps = bounds.get("max_steps")
    return plan.steps_of_epochs(bounds["max_epochs"], steps) if "max_epochs" in bounds else bounds["max_steps"]
