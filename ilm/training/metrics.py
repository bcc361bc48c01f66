"""What a run records while it trains: exact means since the last record, rates, tokens seen by level.

Names: `train/...` since the last record, `valid/...` at a validation, `seen/...` since the run began. Losses are
mean NLL in nats per target token; perplexities their exponentials.
"""

import csv
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from ilm.files import atomic_file


class MetricsCsv(Logger):
    """metrics.csv: one row per recorded step, one column per metric, in order of their first appearance.

    Rows are appended as they come. With `purge_step`, rows after that step are dropped first: they were written by a
    run that was killed after its last checkpoint. A new metric rewrites the file with one more column.
    """

    def __init__(self, save_dir: str, name: str = "", version: str = "", purge_step: int | None = None):
        super().__init__()
        self._name, self._version = name, version
        self.path = Path(save_dir) / name / version / "metrics.csv"
        self._columns: list[str] = ["step"]
        if self.path.exists():
            with open(self.path, newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                rows = list(reader)
                self._columns = list(reader.fieldnames or ["step"])
            # A row cut short by a kill has no step or too few fields; it is after the last checkpoint.
            whole = [row for row in rows if (row["step"] or "").isdigit() and None not in row.values()]
            self._rewrite([row for row in whole if purge_step is None or int(row["step"]) <= purge_step])

    @property
    def name(self) -> str:
        return self._name

    @property
    def version(self) -> str:
        return self._version

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: config.yaml holds the configuration."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        row = {"step": str(step), **{key: repr(float(value)) for key, value in metrics.items()}}
        new = [key for key in row if key not in self._columns]
        if new or not self.path.exists():
            rows = self._rows()
            self._columns += new
            self._rewrite(rows)
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns, restval="").writerow(row)

    def _rows(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with open(self.path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def _rewrite(self, rows: Sequence[Mapping[str, str]]) -> None:
        with atomic_file(self.path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, restval="")
            writer.writeheader()
            writer.writerows(rows)


class Metrics(pl.Callback):
    """Records the training metrics every `every_n_steps` optimizer steps and once at the end.

    Sums since the last record are part of the checkpoint, so a resumed run records the same numbers (rates and memory
    excepted). `levels` names the level codes of the data.
    """

    def __init__(self, levels: Sequence[str], every_n_steps: int):
        self.levels, self.every_n_steps = tuple(levels), every_n_steps
        self._sums = np.zeros(4)  # NLL and count of context, then of infill targets, since the last record
        self._seen_levels = np.zeros(len(self.levels), dtype=np.int64)
        self._seen_examples = self._seen_tokens = 0
        self._clock = _Clock()
        self._pending = torch.zeros(2, dtype=torch.float64)
        self._recorded = 0

    def state_dict(self) -> dict[str, Any]:
        self._fold_pending()
        return {
            "sums": self._sums.tolist(),
            "levels": self._seen_levels.tolist(),
            "examples": self._seen_examples,
            "tokens": self._seen_tokens,
            "recorded": self._recorded,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self._sums = np.array(state_dict["sums"])
        self._seen_levels = np.array(state_dict["levels"], dtype=np.int64)
        self._seen_examples, self._seen_tokens = state_dict["examples"], state_dict["tokens"]
        self._recorded = state_dict["recorded"]

    @property
    def targets_seen(self) -> int:
        """Target tokens trained on since the run began, by this process."""
        return int(self._seen_levels.sum())

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._clock.start()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        # Left on the device until the next record: reading it now would wait for the GPU.
        self._pending = self._pending.to(module.nll_sums.device) + module.nll_sums
        context = sum(int((row.target_types == 1).sum()) for row in batch.rows)
        self._sums[1] += context
        self._sums[3] += int(batch.level_targets.sum()) - context
        self._seen_levels += batch.level_targets
        self._seen_examples += len(batch.numbers)
        self._seen_tokens += batch.tokens
        self._clock.count(examples=len(batch.numbers), tokens=batch.tokens)
        if at_step_end(trainer, batch_idx):
            step = trainer.global_step
            if step % self.every_n_steps == 0:
                self._record(trainer, module)
            if step == 1 or step % 10 == 0:
                module.log("loss", trainer.callback_metrics.get("loss", 0.0), logger=False)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.global_step > self._recorded:
            self._record(trainer, module)

    def _fold_pending(self) -> None:
        self._sums[[0, 2]] += self._pending.cpu().numpy()
        self._pending = torch.zeros(2, dtype=torch.float64)

    def _record(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._fold_pending()
        counted = np.concatenate(
            [self._sums, self._seen_levels, [self._seen_examples, self._seen_tokens], self._clock.counts()]
        )
        total = trainer.strategy.reduce(torch.tensor(counted, device=module.device), reduce_op="sum").cpu().numpy()
        n = len(self.levels)
        context, infill = _mean(*total[:2]), _mean(*total[2:4])
        seen, (examples, tokens), (rate_examples, rate_tokens) = total[4 : 4 + n], total[4 + n : 6 + n], total[6 + n :]
        seconds = self._clock.seconds()
        metrics = {
            "train/context_loss": context,
            "train/infill_loss": infill,
            "train/loss": np.nansum([context, infill]),
            "train/learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "train/gradient_norm": module.gradient_norm,
            "train/examples_per_second": rate_examples / seconds,
            "train/tokens_per_second": rate_tokens / seconds,
            "train/peak_memory_gib": _peak_memory_gib(),
            "seen/examples": examples,
            "seen/tokens": tokens,
            "seen/targets": seen.sum(),
            **{f"seen/targets_{level}": count for level, count in zip(self.levels, seen, strict=True)},
        }
        record(trainer, {key: value for key, value in metrics.items() if not np.isnan(value)})
        self._sums[:] = 0.0
        self._recorded = trainer.global_step
        self._clock.start()


class _Clock:
    """Seconds, examples and tokens since it was started."""

    def start(self) -> None:
        self._began, self._examples, self._tokens = time.perf_counter(), 0, 0

    def count(self, *, examples: int, tokens: int) -> None:
        self._examples += examples
        self._tokens += tokens

    def counts(self) -> list[int]:
        return [self._examples, self._tokens]

    def seconds(self) -> float:
        return time.perf_counter() - self._began


def record(trainer: pl.Trainer, metrics: Mapping[str, float]) -> None:
    """Give metrics to every logger of the trainer, at its optimizer step."""
    for logger in trainer.loggers:
        logger.log_metrics(dict(metrics), step=trainer.global_step)


def at_step_end(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Whether the micro-batch just done ended an optimizer step."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0


def _mean(total: float, count: float) -> float:
    return total / count if count else float("nan")


def _peak_memory_gib() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * (1 if sys.platform == "darwin" else 1024) / 2**30
