"""Everything that relies on Lightning's internals, and what Lightning does not provide.

Checked against pytorch-lightning 2.6.6; `tests/training/test_lightning.py` fails if these internals change.

- Lightning never validates before the first step. The callback `Validation` does, and `publish` puts its results where
  Lightning's callbacks look for a `monitor`.
- `self.log` averages over batches and ranks; `mean_losses` divides sums once.
- Lightning resumes within an epoch by counting micro-batches; `continue_at_step` converts optimizer steps.
- A signal ends Lightning at once; the callbacks `StopSignals` and `Checkpoints` save first.
- Some attributes of its Trainer are untyped: `callbacks_of`, `datamodule_of`, `trainer_of`.
"""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch

from ilm.models.scoring import KINDS


def callbacks_of(trainer: pl.Trainer) -> list[pl.Callback]:
    """The trainer's callbacks, a list that may be modified."""
    return trainer.callbacks  # type: ignore[attr-defined]  # set by a connector


def datamodule_of(trainer: pl.Trainer) -> Any:
    """The trainer's data module (`ilm.training.datamodule.InfillingDataModule`)."""
    return trainer.datamodule  # type: ignore[attr-defined]  # set by a connector


def trainer_of(part: pl.LightningModule | pl.LightningDataModule) -> pl.Trainer:
    """The trainer of an attached module or data module."""
    assert part.trainer is not None
    return part.trainer


def mean_losses(sums: torch.Tensor, trainer: pl.Trainer, device: torch.device) -> dict[str, float]:
    """Mean NLL in nats of each kind over the targets of all ranks; NaN for a kind without targets.

    `sums` float64 (kinds, 2): this rank's sum of NLL and number of targets for each of `KINDS`.
    """
    if trainer.world_size > 1:
        sums = trainer.strategy.reduce(sums.to(device), reduce_op="sum").cpu()
    return {
        kind: total / count if count else float("nan")
        for kind, (total, count) in zip(KINDS, sums.tolist(), strict=True)
    }


def publish(trainer: pl.Trainer, metrics: Mapping[str, float]) -> None:
    """Make metrics that were not logged with `self.log` available to callbacks as a `monitor`."""
    trainer.callback_metrics.update({name: torch.tensor(value) for name, value in metrics.items()})


def continue_at_step(checkpoint: dict[str, Any], accumulate: int) -> None:
    """Make Lightning resume at the micro-batch after the checkpoint's optimizer step.

    A step may now have another number of micro-batches, and the run may have grown beyond its former last one.
    """
    loops = checkpoint["loops"]["fit_loop"]
    # A callback saved it before Lightning counted the step.
    loops["epoch_loop.state_dict"]["_batches_that_stepped"] = checkpoint["global_step"]
    progress = loops["epoch_loop.batch_progress"]
    progress["is_last_batch"] = False
    done = checkpoint["global_step"] * accumulate
    for counts in (progress["total"], progress["current"]):
        counts.update(dict.fromkeys(counts, done))
