"""Validation during training, the best score so far, and early stopping."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from tqdm import tqdm

from ilm.models.scoring import KINDS, perplexity, score
from ilm.training.callbacks.metrics import at_step_end, has_bar, is_last, record
from ilm.training.lightning import datamodule_of, mean_losses, publish

log = logging.getLogger("ilm")

EXAMPLES_AT_A_TIME = 64


class Validation(pl.Callback):
    """Scores the validation examples at step 0, every `every_n_steps` optimizer steps, and at the end.

    `best` is the validation with the lowest infill loss (ties: the earliest); `unsaved_best` is set while its weights
    are the current ones and not yet saved (by `Checkpoints`). The run stops (`stopped`) after `patience` validations in
    a row without a lower infill loss. `seconds` is the time spent on validations in this process. A validation that
    `stop_requested` interrupts is repeated when the run resumes.
    """

    def __init__(self, *, every_n_steps: int, patience: int | None, stop_requested: Callable[[], bool]):
        self.every_n_steps, self.patience, self.stop_requested = every_n_steps, patience, stop_requested
        self.first: dict[str, Any] = {}  # `step` and the mean NLL in nats of each kind
        self.best: dict[str, Any] = {}
        self.last: dict[str, Any] = {}
        self.unsaved_best = False
        self.seconds = 0.0
        self._without_progress = 0
        self._lost = False

    @property
    def stopped(self) -> bool:
        """Whether early stopping has ended the run."""
        return self.patience is not None and self._without_progress >= self.patience

    def state_dict(self) -> dict[str, Any]:
        return {"first": self.first, "best": self.best, "last": self.last, "without_progress": self._without_progress}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self.first, self.best, self.last = (dict(state_dict[key]) for key in ("first", "best", "last"))
        self._without_progress = state_dict["without_progress"]
        if self._lost:
            self.best = {}

    def forget_best(self) -> None:
        """The weights of the best validation are lost: let the best later one replace it."""
        self.best, self._lost = {}, True

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        step = trainer.global_step
        interrupted = step % self.every_n_steps == 0 and self.last.get("step") != step
        if step == 0 or interrupted:
            self._validate(trainer, module, may_stop=trainer.world_size == 1)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not at_step_end(trainer, batch_idx):
            return
        ending = is_last(trainer, batch_idx)
        if trainer.global_step % self.every_n_steps == 0 or ending:
            # Interruptible only in a single process, since ranks would have to agree, and not after the last step.
            self._validate(trainer, module, may_stop=trainer.world_size == 1 and not ending)

    def _validate(self, trainer: pl.Trainer, module: pl.LightningModule, *, may_stop: bool) -> None:
        began, step = time.perf_counter(), trainer.global_step
        losses = self._losses(trainer, module, may_stop)
        if losses is None:
            return
        self.last = {"step": step, **losses}
        self.first = self.first or self.last
        perplexities = {kind: perplexity(loss) for kind, loss in losses.items()}
        metrics = {f"valid/{kind}_loss": loss for kind, loss in losses.items()}
        metrics |= {f"valid/{kind}_perplexity": value for kind, value in perplexities.items()}
        metrics = {key: value for key, value in metrics.items() if not math.isnan(value)}
        record(trainer, metrics)
        publish(trainer, metrics)
        better = not self.best or losses["infill"] < self.best["infill"]
        self._without_progress = 0 if better else self._without_progress + 1
        if better:
            self.best, self.unsaved_best = self.last, True
        if trainer.is_global_zero:
            shown = ", ".join(f"{kind} {value:,.2f}" for kind, value in perplexities.items())
            mark = " (best so far)" if better else ""
            log.info("step %d: validation perplexity %s%s, %.0f s", step, shown, mark, time.perf_counter() - began)
        if self.stopped:
            log.info("step %d: %d validations without a lower infill loss, stopping", step, self.patience)
            trainer.should_stop = True
        self.seconds += time.perf_counter() - began

    def _losses(self, trainer: pl.Trainer, module: pl.LightningModule, may_stop: bool) -> dict[str, float] | None:
        """Mean NLL of each kind over all validation examples, of which each rank scores every world_size-th batch.

        None if interrupted.
        """
        examples = datamodule_of(trainer).validation
        starts = range(0, len(examples), EXAMPLES_AT_A_TIME)[trainer.global_rank :: trainer.world_size]
        sums = torch.zeros(len(KINDS), 2, dtype=torch.float64)
        for start in tqdm(starts, "validating", leave=False, dynamic_ncols=True, disable=not has_bar(trainer)):
            if may_stop and self.stop_requested():
                return None
            part = examples[start : start + EXAMPLES_AT_A_TIME]
            scores = score(module.model, part, datamodule_of(trainer).row_tokens, module.device)
            sums += torch.tensor([scores.total(kind) for kind in KINDS], dtype=torch.float64)
        return mean_losses(sums, trainer, module.device)
