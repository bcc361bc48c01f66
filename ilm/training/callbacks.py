"""What every run does beside training: validate, keep checkpoints, stop cleanly on signals.

All of it happens between optimizer steps, in this order: metrics, validation, checkpoint, stopping. So a checkpoint
always holds the validation of its own step, and a run that is resumed from it repeats nothing and misses nothing.
"""

import logging
import math
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from tqdm import tqdm

from ilm.files import atomic_file
from ilm.runs import RunFolder
from ilm.training.metrics import at_step_end, is_last, record
from ilm.training.scoring import KINDS, perplexity, score

log = logging.getLogger("ilm")

EXAMPLES_AT_A_TIME = 64


class Validation(pl.Callback):
    """Scores the validation examples at step 0, every `every_n_steps` optimizer steps, and at the end.

    `best` is the validation with the lowest infill loss (ties: the earlier). Its weights are kept in best.ckpt. With
    `patience`, so many validations in a row without a lower infill loss end the run (`stopped`).
    `seconds` is the time they have taken since this process began.
    """

    def __init__(self, folder: RunFolder, *, every_n_steps: int, patience: int | None):
        self.folder, self.every_n_steps, self.patience = folder, every_n_steps, patience
        self.first: dict[str, float] = {}
        self.best: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.stopped = False
        self.seconds = 0.0
        self._without_progress = 0

    def state_dict(self) -> dict[str, Any]:
        return {"first": self.first, "best": self.best, "last": self.last, "without_progress": self._without_progress}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self.first, self.best, self.last = (dict(state_dict[key]) for key in ("first", "best", "last"))
        self._without_progress = state_dict["without_progress"]

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.global_step == 0:
            self._validate(trainer, module)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        if not at_step_end(trainer, batch_idx):
            return
        if trainer.global_step % self.every_n_steps == 0 or is_last(trainer, batch_idx):
            self._validate(trainer, module)

    def _validate(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        began, step = time.perf_counter(), trainer.global_step
        losses = self._losses(trainer, module)
        self.last = {"step": step, **losses}
        self.first = self.first or self.last
        perplexities = {kind: perplexity(loss) for kind, loss in losses.items()}
        metrics = {f"valid/{kind}_loss": loss for kind, loss in losses.items()}
        metrics |= {f"valid/{kind}_perplexity": value for kind, value in perplexities.items()}
        record(trainer, {key: value for key, value in metrics.items() if not math.isnan(value)})
        better = not self.best or losses["infill"] < self.best["infill"]
        self._without_progress = 0 if better else self._without_progress + 1
        if better:
            self.best = self.last
            _save(trainer, self.folder.checkpoints / "best.ckpt", weights_only=True)
        if trainer.is_global_zero:
            shown = ", ".join(f"{kind} {value:.2f}" for kind, value in perplexities.items())
            mark = " (best so far)" if better else ""
            tqdm.write("", end="")
            log.info("step %d: validation perplexity %s%s, %.0f s", step, shown, mark, time.perf_counter() - began)
        if self.patience is not None and self._without_progress >= self.patience:
            self.stopped = True
            log.info("step %d: %d validations without a lower infill loss, stopping", step, self.patience)
            trainer.should_stop = True
        self.seconds += time.perf_counter() - began

    def _losses(self, trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, float]:
        """Mean NLL of each kind over all validation examples; each rank scores every world_size-th batch of them."""
        examples = trainer.datamodule.validation
        starts = range(0, len(examples), EXAMPLES_AT_A_TIME)[trainer.global_rank :: trainer.world_size]
        sums = torch.zeros(len(KINDS), 2, dtype=torch.float64)
        for start in tqdm(starts, desc="validating", leave=False, disable=not trainer.is_global_zero):
            part = examples[start : start + EXAMPLES_AT_A_TIME]
            scores = score(module.model, part, trainer.datamodule.row_tokens, module.device)
            sums += torch.tensor([scores.total(kind) for kind in KINDS], dtype=torch.float64)
        if trainer.world_size > 1:
            sums = trainer.strategy.reduce(sums.to(module.device), reduce_op="sum").cpu()
        return {
            kind: total / count if count else float("nan")
            for kind, (total, count) in zip(KINDS, sums.tolist(), strict=True)
        }


class StopSignals(pl.Callback):
    """Remembers SIGTERM and SIGINT in `received` until the end of the optimizer step; a second one exits at once.

    It stands before the other callbacks, and sets its handlers when training starts: Lightning sets its own before.
    `ilm.jobs.keeping_signal_handlers`, around the fit, puts back those that were there.
    """

    def __init__(self):
        self.received: int | None = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: Any) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = number
        print(f"signal {number}: saving at the end of this step, then stopping (again: stop at once)", flush=True)


class Checkpoints(pl.Callback):
    """Writes last.ckpt every `every_n_minutes`, with a new best.ckpt, at the end and before a stop; the one before
    is kept as previous.ckpt.

    After a signal last.ckpt is written at the next end of an optimizer step, and the process exits with 128 + signal.
    After an exception nothing is saved: in the middle of a step the state is not one that the uninterrupted run ever
    had.
    """

    def __init__(
        self,
        folder: RunFolder,
        signals: StopSignals,
        validation: Validation,
        *,
        every_n_minutes: float,
        total_steps: int,
    ):
        self.folder, self.signals, self.validation = folder, signals, validation
        self.every_n_minutes, self.total_steps = every_n_minutes, total_steps
        self._saved_at = self._began_at = 0.0
        self._first_step = 0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._saved_at = self._began_at = time.monotonic()
        self._first_step = trainer.global_step

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        if not at_step_end(trainer, batch_idx):
            return
        stopping = self._on_any_rank(trainer, self.signals.received is not None)
        ending = trainer.should_stop or is_last(trainer, batch_idx)
        # A new best.ckpt without its step in last.ckpt could, after a kill, be one that the resumed run never makes.
        improved = self.validation.best.get("step") == trainer.global_step
        due = ending or improved or time.monotonic() - self._saved_at >= 60.0 * self.every_n_minutes
        # Rank 0's clock decides for all: saving is done together.
        if stopping or self._on_any_rank(trainer, due):
            self.save(trainer, "interrupted" if stopping else "running")
        if stopping:
            number = self.signals.received or signal.SIGTERM
            log.info(
                "stopped by signal %d at step %d; the same command goes on from there", number, trainer.global_step
            )
            raise SystemExit(128 + number)

    def on_load_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        # Lightning counts micro-batches. A step may have another number of them now, and what was the run's last one
        # need not be: a run may grow.
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        progress["is_last_batch"] = False
        done = checkpoint["global_step"] * trainer.accumulate_grad_batches
        for counts in (progress["total"], progress["current"]):
            counts.update(dict.fromkeys(counts, done))

    def save(self, trainer: pl.Trainer, state: str) -> None:
        """Write last.ckpt, keeping the one before it, and the run's status."""
        last = self.folder.checkpoints / "last.ckpt"
        _save(trainer, last, keep_as=last.with_name("previous.ckpt"))
        self._saved_at = time.monotonic()
        if trainer.is_global_zero:
            done = trainer.global_step - self._first_step
            left = (self.total_steps - trainer.global_step) * (self._saved_at - self._began_at) / max(done, 1)
            self.folder.set_status(
                state=state, step=trainer.global_step, total_steps=self.total_steps, seconds_left=round(left)
            )

    def _on_any_rank(self, trainer: pl.Trainer, flag: bool) -> bool:
        return flag if trainer.world_size == 1 else not trainer.strategy.reduce_boolean_decision(not flag, all=True)


def _save(trainer: pl.Trainer, path: Path, *, weights_only: bool = False, keep_as: Path | None = None) -> None:
    """Save a checkpoint atomically, all ranks together; `keep_as` receives the one that was there."""
    if not trainer.is_global_zero:
        trainer.save_checkpoint(path, weights_only=weights_only)  # takes part, but only rank 0 writes
        return
    with atomic_file(path) as temporary:
        trainer.save_checkpoint(temporary, weights_only=weights_only)
        if keep_as is not None and path.exists():
            os.replace(path, keep_as)
