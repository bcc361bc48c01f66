"""Training metrics: exact means since the last record, rates, tokens seen by level.

Names: `train/...` since the last record, `valid/...` at a validation, `seen/...` since the start of the run. Losses are
mean NLL in nats per target token, perplexities their exponentials.
"""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from ilm.models.devices import peak_memory


class Metrics(pl.Callback):
    """Records the training metrics every `every_n_steps` optimizer steps and at the end.

    Sums cover whole optimizer steps over all ranks. They are part of the checkpoint, so a resumed run records the same
    numbers, except for rates and memory. `levels` names the level codes of the data; `paused_seconds` returns the time
    spent on validations so far, which rates exclude.
    """

    def __init__(self, levels: Sequence[str], every_n_steps: int, paused_seconds: Callable[[], float]):
        self.levels, self.every_n_steps, self._paused_seconds = tuple(levels), every_n_steps, paused_seconds
        self.targets_seen = np.zeros((2, len(self.levels)), dtype=np.int64)  # context and infill, by level
        self._examples_seen = self._tokens_seen = 0
        self._recorded = 0
        self._clock: tuple[float, int, int] | None = None
        self._figures = {"loss": math.nan, "infill_loss": math.nan, "tokens_per_second": math.nan}
        self._counts = np.zeros(2, dtype=np.int64)  # context and infill targets since the last record
        self._sums = torch.zeros(2, dtype=torch.float64)  # their NLL; kept on the device, since reading it synchronises

    def state_dict(self) -> dict[str, Any]:
        return {
            "sums": self._sums.tolist(),
            "counts": self._counts.tolist(),
            "targets": self.targets_seen.tolist(),
            "examples": self._examples_seen,
            "tokens": self._tokens_seen,
            "recorded": self._recorded,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self._sums = torch.tensor(state_dict["sums"], dtype=torch.float64)
        self._counts = np.array(state_dict["counts"], dtype=np.int64)
        self.targets_seen = np.array(state_dict["targets"], dtype=np.int64)
        self._examples_seen, self._tokens_seen = state_dict["examples"], state_dict["tokens"]
        self._recorded = state_dict["recorded"]

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._clock = None
        # Apple's GPUs have no float64.
        device = "cpu" if module.device.type == "mps" else module.device
        self._step_sums = torch.zeros(2, dtype=torch.float64, device=device)
        self._sums = self._sums.to(device)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        if self._clock is None:
            self._clock = (self._trained_seconds(), self._examples_seen, self._tokens_seen)

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._step_sums += module.nll_sums.to(self._step_sums.device)
        if not at_step_end(trainer, batch_idx):
            return
        self._sums += trainer.strategy.reduce(self._step_sums, reduce_op="sum")
        self._step_sums = torch.zeros_like(self._step_sums)
        self._counts += (batch.step.context_targets, batch.step.infill_targets)
        self.targets_seen += batch.step.level_targets
        self._examples_seen += batch.step.examples
        self._tokens_seen += batch.step.tokens
        # The end is recorded here, so before the last checkpoint, rather than in `on_train_end`.
        if trainer.global_step % self.every_n_steps == 0 or is_last(trainer, batch_idx):
            self._record(trainer, module)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.global_step > self._recorded:
            self._record(trainer, module)

    def targets_by_level(self) -> dict[str, dict[str, int]]:
        """How many `context` and `infill` targets of each level the run has seen."""
        rows = zip(("context", "infill"), self.targets_seen.tolist(), strict=True)
        return {kind: dict(zip(self.levels, row, strict=True)) for kind, row in rows}

    def _trained_seconds(self) -> float:
        return time.perf_counter() - self._paused_seconds()

    def figures(self) -> dict[str, float]:
        """`loss`, `infill_loss` and `tokens_per_second` since the last record, or up to it if it is of this step.

        Reading them synchronises with the GPU.
        """
        if self._clock is not None and self._counts.any():
            self._measure()
        return self._figures

    def _measure(self) -> dict[str, float]:
        """Losses and rates since the last record."""
        assert self._clock is not None
        began, examples, tokens = self._clock
        seconds = self._trained_seconds() - began
        named = zip(("train/context_loss", "train/infill_loss"), self._sums.tolist(), self._counts, strict=True)
        means = {name: float(total / count) for name, total, count in named if count}
        loss, tokens_per_second = sum(means.values()), (self._tokens_seen - tokens) / seconds
        infill = means.get("train/infill_loss", math.nan)
        self._figures = {"loss": loss, "infill_loss": infill, "tokens_per_second": tokens_per_second}
        return {
            **means,
            "train/loss": loss,
            "train/examples_per_second": (self._examples_seen - examples) / seconds,
            "train/tokens_per_second": tokens_per_second,
        }

    def _record(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        metrics = {
            **self._measure(),
            "train/learning_rate": module.learning_rate,
            "train/gradient_norm": module.gradient_norm,
            "train/peak_memory_gib": peak_memory() / 2**30,
            "seen/examples": self._examples_seen,
            "seen/tokens": self._tokens_seen,
            "seen/targets": int(self.targets_seen.sum()),
            **{
                f"seen/{kind}_targets_{level}": count
                for kind, by_level in self.targets_by_level().items()
                for level, count in by_level.items()
            },
        }
        record(trainer, metrics)
        self._sums, self._counts = torch.zeros_like(self._sums), np.zeros_like(self._counts)
        self._recorded = trainer.global_step
        self._clock = None


def record(trainer: pl.Trainer, metrics: Mapping[str, Any]) -> None:
    """Log metrics to all loggers of the trainer, at its optimizer step."""
    for logger in trainer.loggers:
        logger.log_metrics(dict(metrics), step=trainer.global_step)


def at_step_end(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Whether this micro-batch ends an optimizer step."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0


def has_bar(trainer: pl.Trainer) -> bool:
    """Whether this process shows progress bars: the first one, if stderr is a terminal."""
    return trainer.is_global_zero and sys.stderr.isatty()


def is_last(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Whether this micro-batch is the last of the run."""
    return batch_idx + 1 == trainer.num_training_batches
