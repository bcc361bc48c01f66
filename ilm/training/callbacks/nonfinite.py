"""Reports the documents of an optimizer step whose loss or gradient is NaN or infinite."""

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from ilm.errors import UserError
from ilm.files import write_json
from ilm.models.scoring import target_nll
from ilm.runs.folder import RunFolder
from ilm.training.datamodule import MicroBatch
from ilm.training.lightning import datamodule_of

log = logging.getLogger("ilm")

SHOWN = 5  # documents in the message; the file lists all of the step's


class NonFiniteLoss(UserError):
    """The loss or gradient is NaN or infinite; the run stopped before the update."""


class NonFiniteReport(pl.Callback):
    """Adds the documents of the step, worst first, to the message of a `NonFiniteLoss`, and saves their full list.

    `writing_ids[row]` is the id of a document row. Under DDP each rank reports its own share of the step.
    """

    def __init__(self, folder: RunFolder, writing_ids: Sequence[str]):
        self.folder, self.writing_ids = folder, writing_ids
        self._batches: list[MicroBatch] = []

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._batches = []
        self._batches.append(batch)

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        if not isinstance(exception, NonFiniteLoss):
            return
        found = self._documents(trainer, module)
        rank = f"-rank{trainer.global_rank}" if trainer.world_size > 1 else ""
        path = self.folder.path / f"nonfinite-step{trainer.global_step}{rank}.json"
        write_json(path, {"step": trainer.global_step, "reason": str(exception), "documents": found})
        worst = "".join(
            f"\n  - {one['writing_id']}, mask {one['mask']}: loss {one['loss']} over {one['targets']} targets"
            for one in found[:SHOWN]
        )
        exception.args = (f"{exception}\nThe documents of the step, worst first (all {len(found)}: {path}):{worst}",)

    @torch.no_grad()
    def _documents(self, trainer: pl.Trainer, module: pl.LightningModule) -> list[dict[str, Any]]:
        """Each example of the step with its mean NLL in nats, without dropout, under the current weights."""
        dataset = datamodule_of(trainer).batches.dataset
        module.eval()
        documents = []
        for batch in self._batches:
            sums, targets = np.zeros(len(batch.numbers)), np.zeros(len(batch.numbers), dtype=np.int64)
            for row in batch.rows:
                with trainer.precision_plugin.forward_context():
                    nll = target_nll(module.model, row).double().cpu().numpy()
                examples = row.examples.cpu().numpy()
                np.add.at(sums, examples, nll)
                np.add.at(targets, examples, 1)
            columns = (*dataset.keys(batch.numbers), sums, targets)
            for document, mask, total, count in zip(*(column.tolist() for column in columns), strict=True):
                loss = total / count if count else 0.0
                documents.append((loss, str(self.writing_ids[document]), mask, count))
        documents.sort(key=lambda one: (math.isfinite(one[0]), -one[0] if math.isfinite(one[0]) else 0.0))
        return [
            {"writing_id": name, "mask": mask, "targets": count, "loss": loss if math.isfinite(loss) else str(loss)}
            for loss, name, mask, count in documents
        ]
