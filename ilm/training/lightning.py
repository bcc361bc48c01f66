"""What Lightning does not give or does not say: all that depends on how it works within.

Checked against pytorch-lightning 2.6.6; `tests/training/test_lightning.py` fails where what is used here has changed.

- Its validation begins after steps, never before the first; a run's own is the callback `Validation`, whose results
  `publish` puts where Lightning's callbacks look for a `monitor`.
- `self.log` averages over batches and ranks; sums are divided once by `mean_losses`.
- It resumes in the middle of an epoch by a count of micro-batches; `continue_at_step` sets it to a count of steps.
- A signal ends a run at once; the callbacks `StopSignals` and `Checkpoints` save first.
- Its Trainer has attributes that its types do not know: `callbacks_of`, `datamodule_of`, `trainer_of`.
"""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch

from ilm.models.scoring import KINDS


def callbacks_of(trainer: pl.Trainer) -> list[pl.Callback]:
    """The trainer's callbacks, a list that may be added to."""
    return trainer.callbacks  # type: ignore[attr-defined]  # set by a connector


def datamodule_of(trainer: pl.Trainer) -> Any:
    """The data module that it trains on (`ilm.training.datamodule.InfillingDataModule`)."""
    return trainer.datamodule  # type: ignore[attr-defined]  # set by a connector


def trainer_of(part: pl.LightningModule | pl.LightningDataModule) -> pl.Trainer:
    """The trainer that a module or data module is attached to."""
    assert part.trainer is not None
    return part.trainer


def mean_losses(sums: torch.Tensor, trainer: pl.Trainer, device: torch.device) -> dict[str, float]:
    """Mean NLL in nats of each kind over the targets of all ranks; NaN for a kind without.

    `sums` float64 (kinds, 2): this rank's sum of NLL and number of targets, of each of `KINDS`.
    """
    if trainer.world_size > 1:
        sums = trainer.strategy.reduce(sums.to(device), reduce_op="sum").cpu()
    return {
        kind: total / count if count else float("nan")
        for kind, (total, count) in zip(KINDS, sums.tolist(), strict=True)
    }


def publish(trainer: pl.Trainer, metrics: Mapping[str, float]) -> None:
    """Let the trainer's callbacks see metrics that no `self.log` has logged, as a `monitor`."""
    trainer.callback_metrics.update({name: torch.tensor(value) for name, value in metrics.items()})


def continue_at_step(checkpoint: dict[str, Any], accumulate: int) -> None:
    """Make Lightning go on at the micro-batch that follows the checkpoint's optimizer step.

    A step may have another number of micro-batches now, and what was the run's last one need not be: a run may grow.
    """
    loops = checkpoint["loops"]["fit_loop"]
    # Saved by a callback, before Lightning counts the step.
    loops["epoch_loop.state_dict"]["_batches_that_stepped"] = checkpoint["global_step"]
    progress = loops["epoch_loop.batch_progress"]
    progress["is_last_batch"] = False
    done = checkpoint["global_step"] * accumulate
    for counts in (progress["total"], progress["current"]):
        counts.update(dict.fromkeys(counts, done))
