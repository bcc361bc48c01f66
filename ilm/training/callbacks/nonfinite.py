"""Reports the documents of an optimizer step whose loss or gradient is NaN or infinite."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from ilm.errors import UserError
from ilm.models.scoring import score_rows
from ilm.training.lightning import datamodule_of
from ilm.training.micro_batches import MicroBatch

SHOWN = 10  # documents


class NonFiniteLoss(UserError):
    """The loss or gradient is NaN or infinite; the run stopped before the update."""


class NonFiniteReport(pl.Callback):
    """Adds the worst documents of the step to the message of a `NonFiniteLoss`.

    `writing_ids[row]` is the id of a document row. Under DDP each rank reports its own share of the step.
    """

    def __init__(self, writing_ids: Sequence[str]):
        self.writing_ids = writing_ids
        self._batches: list[MicroBatch] = []

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._batches = []
        self._batches.append(batch)

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        if isinstance(exception, NonFiniteLoss):
            worst = "".join(
                f"\n  - {self.writing_ids[document]}, mask {mask}: loss {loss:.3g} over {count} targets"
                for document, mask, count, loss in self._documents(trainer, module)[:SHOWN]
            )
            exception.args = (f"{exception}\nThe worst documents of the step:{worst}",)

    @torch.no_grad()
    def _documents(self, trainer: pl.Trainer, module: pl.LightningModule) -> list[tuple[int, int, int, float]]:
        """The step's examples, worst first: document row, number of the mask, targets, and mean NLL in nats without
        dropout under the current weights.
        """
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
        return documents
