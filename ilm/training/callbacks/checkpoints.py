"""The checkpoints of a run: last.ckpt, the one before it as previous.ckpt, and best.ckpt with the best weights.

Whenever best.ckpt is due, last.ckpt is written first, with the same weights; after a kill between the two, resuming
restores best.ckpt from last.ckpt (`restore_best`). A checkpoint is a zip file with a CRC-32 of each tensor, which torch
does not verify on loading; `find_damage` does.
"""

import logging
import os
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from ilm.errors import UserError
from ilm.files import atomic_file
from ilm.hardware import is_first_process
from ilm.runs.folder import RunFolder
from ilm.training.callbacks.metrics import at_step_end, is_last
from ilm.training.callbacks.stop_signals import StopSignals
from ilm.training.callbacks.validation import Validation
from ilm.training.lightning import continue_at_step

log = logging.getLogger("ilm")


class Checkpoints(pl.Callback):
    """Writes last.ckpt every `every_n_minutes`, with each new best.ckpt, at the end and before a stop; keeps the former
    one as previous.ckpt.

    After a signal, last.ckpt is written at the end of the optimizer step, and the process exits with 128 + signal.
    After an exception nothing is saved: the state in the middle of a step is not one that an uninterrupted run ever
    has. The first process calls `on_saved` after each last.ckpt.
    """

    def __init__(
        self,
        folder: RunFolder,
        signals: StopSignals,
        validation: Validation,
        every_n_minutes: float,
        *,
        on_saved: Callable[[pl.Trainer], None],
    ):
        self.folder, self.signals, self.validation = folder, signals, validation
        self.every_n_minutes, self.on_saved = every_n_minutes, on_saved
        self._saved_at = 0.0

    def setup(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        trainer.strategy.checkpoint_io = _UncopiedIO()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._saved_at = time.monotonic()
        if any(self._on_any_rank(trainer, self.signals.received is not None)):
            self._stop(trainer)  # nothing to save: no step since the checkpoint
        if self.validation.unsaved_best:
            self._save_best(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not at_step_end(trainer, batch_idx):
            return
        ending = trainer.should_stop or is_last(trainer, batch_idx)
        due = ending or time.monotonic() - self._saved_at >= 60.0 * self.every_n_minutes
        # If one rank is due, all save, since saving is collective.
        stopping, due = self._on_any_rank(trainer, self.signals.received is not None, due)
        if stopping or self.validation.unsaved_best or due:
            self._save_last(trainer)
        if self.validation.unsaved_best:
            self._save_best(trainer)
        if stopping:
            self._stop(trainer)

    def on_load_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        continue_at_step(checkpoint, trainer.accumulate_grad_batches)

    def _save_last(self, trainer: pl.Trainer) -> None:
        # Records up to this step must survive a kill, since a resumed run does not repeat them.
        for logger in trainer.loggers:
            logger.save()
        last = self.folder.checkpoints / "last.ckpt"
        _save(trainer, last, keep_as=last.with_name("previous.ckpt"))
        self._saved_at = time.monotonic()
        if trainer.is_global_zero:
            self.on_saved(trainer)

    def _save_best(self, trainer: pl.Trainer) -> None:
        _save(trainer, self.folder.checkpoints / "best.ckpt", weights_only=True)
        self.validation.unsaved_best = False

    def _stop(self, trainer: pl.Trainer) -> None:
        number = self.signals.received or 15
        log.info("stopped by signal %d at step %d; repeat the command to resume", number, trainer.global_step)
        raise SystemExit(128 + number)

    def _on_any_rank(self, trainer: pl.Trainer, *flags: bool) -> Sequence[bool]:
        """Which of the flags are set on any rank; one collective operation for all of them."""
        if trainer.world_size == 1:
            return flags
        counts = torch.tensor(flags, dtype=torch.int32, device=trainer.strategy.root_device)
        return trainer.strategy.reduce(counts, reduce_op="sum").bool().tolist()


class _UncopiedIO(TorchCheckpointIO):
    """Writes straight into the file; Lightning makes two copies in memory and one in /tmp, which a kill leaves."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        with open(path, "wb") as file:
            torch.save(checkpoint, file)


def _save(trainer: pl.Trainer, path: Path, *, weights_only: bool = False, keep_as: Path | None = None) -> None:
    """Save a checkpoint atomically, on all ranks together; an existing one is moved to `keep_as`."""
    if not trainer.is_global_zero:
        trainer.save_checkpoint(path, weights_only=weights_only)  # collective, but only rank 0 writes
        return
    with atomic_file(path) as temporary:
        trainer.save_checkpoint(temporary, weights_only=weights_only)
        if keep_as is not None and path.exists():
            os.replace(path, keep_as)


# Resuming -------------------------------------------------------------------------------------------------------------


def find_damage(path: Path) -> str | None:
    """What is wrong with a checkpoint file; None if it is intact. Reads every byte of its contents."""
    try:
        with zipfile.ZipFile(path) as file:
            bad = file.testzip()
        return f"its part {bad} is corrupt" if bad else None
    # The errors that a corrupt header causes in zipfile.
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError) as error:
        return str(error) or type(error).__name__


def find_checkpoint(folder: RunFolder) -> Path | None:
    """The newest intact checkpoint of a run; None before the first.

    A damaged last.ckpt is renamed to damaged.ckpt, so that it never replaces previous.ckpt.

    Raises: UserError if all checkpoints are damaged.
    """
    damaged: dict[Path, str] = {}
    for path in (folder.checkpoints / "last.ckpt", folder.checkpoints / "previous.ckpt"):
        if path.is_file() and (reason := find_damage(path)):
            damaged[path] = reason
        elif path.is_file():
            for last, reason in damaged.items():
                log.warning("%s is damaged (%s): resuming from %s", last, reason, path.name)
                if is_first_process():
                    os.replace(last, last.with_name("damaged.ckpt"))
            return path
    if not damaged:
        return None
    raise UserError(
        "all checkpoints are damaged: "
        + "; ".join(f"{path} ({reason})" for path, reason in damaged.items())
        + ". Restore a copy, or type overwrite=true to delete the run and start over, or name=... for another run."
    )


def restore_best(folder: RunFolder, from_step: int, validation: Validation) -> None:
    """Before resuming from `from_step`, make sure that best.ckpt holds the weights of `validation.best`.

    If no checkpoint has them any more, warn and forget that validation: the best later one replaces it.
    """
    if not validation.best:
        return  # already forgotten, and no validation since
    best, step = folder.checkpoints / "best.ckpt", validation.best["step"]
    reason = find_damage(best) if best.is_file() else "there is none"
    found = load_checkpoint(best)["global_step"] if reason is None else -1
    # A later best.ckpt was saved after the checkpoint to resume from, so it will be made again.
    if found == step or found > from_step:
        return
    # All ranks decide alike, and the first one writes.
    weights = _weights_of(folder, step)
    if weights is None:
        validation.forget_best()
        log.warning(
            "%s does not hold the weights of the best validation, at step %d (%s): the best later one replaces it",
            best,
            step,
            reason or f"it holds those of step {found}",
        )
    elif is_first_process():
        with atomic_file(best) as temporary:
            torch.save({"state_dict": dict(weights), "global_step": step}, temporary)


def best_weights(folder: RunFolder, validation: Validation) -> Mapping[str, torch.Tensor] | None:
    """The module's weights at its best validation; None, with a warning, if they are lost."""
    weights = _weights_of(folder, validation.best["step"])
    if weights is None:
        log.warning(
            "the weights of the best validation (step %d) are lost: %s is damaged or missing. Exporting the model of "
            "the last step instead.",
            validation.best["step"],
            folder.checkpoints / "best.ckpt",
        )
    return weights


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint with memory-mapped tensors."""
    return torch.load(path, weights_only=True, map_location="cpu", mmap=True)


def _weights_of(folder: RunFolder, step: int) -> Mapping[str, torch.Tensor] | None:
    """The module's weights at a step, from any intact checkpoint of that step."""
    for name in ("best.ckpt", "last.ckpt", "previous.ckpt"):
        path = folder.checkpoints / name
        if path.is_file() and find_damage(path) is None and (found := load_checkpoint(path))["global_step"] == step:
            return found["state_dict"]
    return None
