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
from ilm.models.scoring import score_rows
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
        documents: list[tuple[int, int, int, float]] = []
        for batch in self._batches:
            with trainer.precision_plugin.forward_context():
                scores = score_rows(module.model, batch.rows)
            targets = np.bincount(scores.examples, minlength=len(batch.numbers))
            losses = np.bincount(scores.examples, scores.nll, len(batch.numbers)) / np.maximum(targets, 1)
            columns = (*dataset.keys(batch.numbers), targets, losses)
            documents += zip(*(column.tolist() for column in columns), strict=True)
        documents.sort(key=lambda one: one[-1] if math.isfinite(one[-1]) else math.inf, reverse=True)
        return [
            {
                "writing_id": str(self.writing_ids[document]),
                "mask": mask,
                "targets": count,
                "loss": loss if math.isfinite(loss) else str(loss),
            }
            for document, mask, count, loss in documents
        ]
