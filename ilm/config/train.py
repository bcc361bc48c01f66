"""The settings of train.py."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from ilm.config.model import Adapter, Model
from ilm.config.section import Number, Section, Whole, rule, shown
from ilm.config.sections import (
    Condition,
    Corpus,
    FilePath,
    FolderName,
    Masking,
    Names,
    Node,
    NotNegative,
    Objective,
    Only,
    Packing,
    Paths,
    Positive,
    Seed,
    Split,
)

# If batches are limited by tokens, steps are planned in blocks of this many (`ilm.training.batch_plan`).
BLOCK_TOKENS = 1024
# Arguments of Lightning's Trainer that the run sets itself: others would break the planned steps.
DECIDED_BY_THE_RUN = {
    *("barebones", "callbacks", "default_root_dir", "fast_dev_run", "gradient_clip_algorithm", "logger", "max_time"),
    *("enable_checkpointing", "enable_model_summary", "enable_progress_bar", "use_distributed_sampler"),
    *("limit_predict_batches", "limit_test_batches", "limit_train_batches", "limit_val_batches", "overfit_batches"),
    *("min_epochs", "min_steps", "reload_dataloaders_every_n_epochs", "num_sanity_val_steps"),
    *("val_check_interval", "check_val_every_n_epoch"),
}


def _bound(value: int) -> int:
    if value < -1 or value == 0:
        raise ValueError("expected a positive whole number, or -1 for no bound")
    return value


Bound = Annotated[Whole, AfterValidator(_bound)]
Steps = Annotated[Whole, Field(ge=-1)]  # optimizer steps; -1 for no bound


class CefrLevel(Section):
    """The level to train on."""

    name: FolderName
    levels: Annotated[list[str], Field(min_length=1)] | None  # null: all that the corpus has texts of
    max_steps: Bound  # optimizer steps

    @property
    def chosen(self) -> list[str]:
        """The levels once they are those of a corpus (`Train.for_corpus`)."""
        assert self.levels is not None
        return self.levels


class Optimizer(Section):
    """The optimizer, instantiated by Hydra: further keys are arguments of the `_target_`."""

    model_config = ConfigDict(extra="allow")

    target: str = Field(alias="_target_")
    lr: Annotated[Number, Field(gt=0)]


class Trainer(Section):
    """Lightning's Trainer, instantiated by Hydra: further keys are its arguments."""

    model_config = ConfigDict(extra="allow")

    target: str = Field(alias="_target_")
    accelerator: str
    devices: Any
    num_nodes: Any
    strategy: Any
    precision: Any
    max_steps: Steps | None
    max_epochs: Bound | None
    accumulate_grad_batches: Positive
    gradient_clip_val: Annotated[Number, Field(ge=0)] | None
    log_every_n_steps: Positive  # optimizer steps

    @property
    def bounds(self) -> dict[str, int]:
        """The limits that end the run: `max_steps`, `max_epochs`, both, or neither."""
        given = {"max_steps": self.max_steps, "max_epochs": self.max_epochs}
        return {key: value for key, value in given.items() if value not in (None, -1)}

    @rule
    def _leave_to_the_run(self, at: str) -> Iterator[str]:
        for key in sorted(DECIDED_BY_THE_RUN & set(self.model_extra or {})):
            yield f"{at}{key}: set by the run itself; see {at}max_steps, validation and early_stopping"


class Data(Packing):
    """Batches."""

    batch_size: Positive  # examples per micro-batch and process
    max_tokens_per_batch: Whole | None
    num_workers: NotNegative  # processes
    levels_drawn: Literal["natural", "equally"]
    only: Only | None
    like: FolderName | None
    draw: NotNegative
    condition: Condition | None

    @property
    def block_tokens(self) -> int:
        """Tokens per block: BLOCK_TOKENS, or the next multiple of it that fits `max_length`."""
        return -(-self.max_length // BLOCK_TOKENS) * BLOCK_TOKENS

    @rule
    def _a_draw_is_of_something(self, at: str) -> Iterator[str]:
        if self.draw and self.like is None:
            yield f"{at}draw={self.draw} draws nothing: type {at}like=C1 (the level whose targets to match)"

    @rule
    def _batches_are_whole_blocks(self, at: str) -> Iterator[str]:
        most, block = self.max_tokens_per_batch, self.block_tokens
        if most is not None and (most % block or most < block):
            close = max(block, round(most / block) * block)
            yield f"{at}max_tokens_per_batch={most}: expected a multiple of {block} tokens, such as {close}"


class Schedule(Section):
    """The learning rate schedule."""

    shape: Literal["constant", "linear", "cosine"]
    warmup_steps: NotNegative  # optimizer steps


class Validation(Section):
    """Validation during training."""

    every_n_steps: Positive | None  # optimizer steps
    max_examples: Positive

    @property
    def interval(self) -> int:
        """`every_n_steps` of a run that is planned (`ilm.training.plan`)."""
        assert self.every_n_steps is not None
        return self.every_n_steps


class EarlyStopping(Section):
    """Early stopping."""

    patience: Positive | None  # validations


class Checkpoint(Section):
    """Checkpoints between validations."""

    every_n_minutes: Annotated[Number, Field(ge=0)]


class Sweep(Section):
    """Several runs in one command."""

    levels: Annotated[list[FolderName], Field(min_length=1)]
    at_once: Positive | None  # runs


class Train(Section):
    """`python train.py`."""

    corpus: Corpus
    cefr_level: CefrLevel
    masking: Masking
    model: Model
    adapter: Adapter | None
    optimizer: Optimizer
    trainer: Trainer
    logger: dict[str, Node] | None
    callbacks: dict[str, Node] | None
    objective: Objective
    seed: Seed
    name: FolderName | None
    variant: FolderName | None
    match: FilePath | None
    match_on: Literal["infill", "all", "steps"]
    init_from: Annotated[Names, Field(min_length=1)] | None
    data: Data
    schedule: Schedule
    validation: Validation
    early_stopping: EarlyStopping
    checkpoint: Checkpoint
    sweep: Sweep
    split: Split
    paths: Paths
    export_reference: bool
    compile: bool
    dry_run: bool
    overwrite: bool

    def for_corpus(self, levels: Sequence[str], split_seed: int) -> "Train":
        """With what a prepared corpus decides where nothing was typed: the levels of `cefr=all`, the split's seed."""
        level = self.cefr_level.model_copy(update={} if self.cefr_level.levels else {"levels": list(levels)})
        return self.model_copy(update={"cefr_level": level, "split": Split(seed=split_seed)})

    @rule
    def _a_run_ends(self, at: str) -> Iterator[str]:
        if not self.trainer.bounds and self.match is None:
            yield (
                "trainer.max_steps and trainer.max_epochs set no limit: give one a positive number, or type match=C1 "
                "(the specialist that decides when it ends; of experiment=random_subset: data.like=C1)"
            )

    @rule
    def _there_is_something_to_export(self, at: str) -> Iterator[str]:
        if self.trainer.max_steps == 0 and self.init_from is None:
            yield "trainer.max_steps=0: expected a positive number, or -1 for no bound; 0 is for init_from alone"

    @rule
    def _the_specialist_decides_the_end(self, at: str) -> Iterator[str]:
        for key, value in self.trainer.bounds.items() if self.match is not None else ():
            yield (
                f"match={self.match} with trainer.{key}={value}: the specialist decides when it ends; "
                f"type experiment=token_matched match={self.match}"
            )

    @rule
    def _the_generalist_is_matched(self, at: str) -> Iterator[str]:
        if self.match is not None and self.cefr_level.name != "all":
            yield f"match={self.match} with cefr={self.cefr_level.name}: it stops the generalist, so type cefr=all"
        if self.match == "all":
            yield "match=all: expected what to match the generalist with: a level such as C1, a run or its folder"

    @rule
    def _texts_of_all_levels_are_drawn(self, at: str) -> Iterator[str]:
        level, like = self.cefr_level, self.data.like
        if like is not None and level.name != "all":
            yield f"data.like={like} with cefr={level.name}: texts of all levels are drawn, so type cefr=all"
        if like is not None and like not in self.corpus.levels:
            yield f"data.like={like}: expected a level, one of {', '.join(self.corpus.levels)}"
        if like is not None and self.data.only is not None:
            yield f"data.like={like} with data.only: texts are drawn from those of all levels; give only one of them"

    @rule
    def _a_specialist_knows_its_level(self, at: str) -> Iterator[str]:
        level, condition = self.cefr_level, self.data.condition
        if "cefr_level" in (condition or []) and len(level.levels or "all") < 2:
            yield f"data.condition={shown(condition)} with cefr={level.name}: a specialist has one level; type cefr=all"

    @rule
    def _levels_to_draw_equally(self, at: str) -> Iterator[str]:
        level = self.cefr_level
        if self.data.levels_drawn == "equally" and len(level.levels or "all") < 2:
            yield f"data.levels_drawn=equally with cefr={level.name}: a specialist has one level; type cefr=all"

    @rule
    def _epochs_have_masks_of_their_own(self, at: str) -> Iterator[str]:
        if self.data.levels_drawn == "equally" and self.masking.resample_each_epoch:
            yield (
                "data.levels_drawn=equally with masking.resample_each_epoch=true: small levels are repeated within an "
                "epoch, so masks cannot be resampled per epoch; choose one of them"
            )

    @rule
    def _float16_scales_gradients(self, at: str) -> Iterator[str]:
        if self.trainer.precision in (16, "16", "16-mixed") and (self.optimizer.model_extra or {}).get("fused"):
            yield (
                "optimizer.fused=true with trainer.precision=16-mixed clips scaled gradients: "
                "type optimizer.fused=false"
            )
