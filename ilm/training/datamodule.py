"""The training data of one run, in Lightning's terms."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from ilm.examples.dataset import InfillingDataset, ResampledDataset
from ilm.examples.layout import Example
from ilm.models.packing import row_length
from ilm.training.batch_plan import StepPlan
from ilm.training.callbacks.stop_signals import live_as_long_as_the_run
from ilm.training.collate import MicroBatches, ResumableRange

# Made in advance by each worker, so that nothing waits when the machine is busy for a moment.
BATCHES_AHEAD = 16


class InfillingData(pl.LightningDataModule):
    """Micro-batches of a run of `total_steps` optimizer steps, and its validation examples.

    One Lightning epoch is the whole run, since only so does Lightning go on exactly in the middle of it. A checkpoint's
    optimizer step becomes the first micro-batch of a resumed run; `level_codes[row]` is the number of a document row's
    level, below `n_levels`.
    """

    def __init__(
        self,
        store: InfillingDataset | ResampledDataset,
        validation: list[Example],
        *,
        plan: StepPlan,
        total_steps: int,
        row_tokens: int | None,
        num_workers: int,
        level_codes: np.ndarray,
        n_levels: int,
    ):
        super().__init__()
        self.store, self.validation, self.plan = store, validation, plan
        self.total_steps, self.num_workers = total_steps, num_workers
        self._row_tokens = row_tokens
        self.level_codes, self.n_levels = level_codes, n_levels
        self.sampler = ResumableRange(total_steps * plan.accumulate)

    @property
    def row_tokens(self) -> int:
        """Tokens in a row, on the device that is trained on."""
        return row_length(self._row_tokens, self.trainer.strategy.root_device, self.store.max_length)

    def train_dataloader(self) -> DataLoader:
        batches = MicroBatches(
            self.store,
            self.plan,
            row_tokens=self.row_tokens,
            rank=self.trainer.global_rank,
            level_codes=self.level_codes,
            n_levels=self.n_levels,
        )
        return batch_loader(batches, self.sampler, self.num_workers)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.trainer.global_step}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self.sampler.start = state_dict["step"] * self.plan.accumulate


def batch_loader(batches: MicroBatches, sampler: ResumableRange, num_workers: int) -> DataLoader:
    """A loader of micro-batches `sampler.start`..; without workers the process that asks for them makes them."""
    workers = {}
    if num_workers:
        # The epoch that comes first is drawn here, so that forked workers share it, as they do all that the store
        # holds. Where Linux would not fork (Python 3.14) they would receive copies instead.
        batches.plan.step(sampler.start // batches.plan.accumulate)
        context = "fork" if sys.platform == "linux" else None
        workers = {"multiprocessing_context": context, "prefetch_factor": BATCHES_AHEAD}
    return DataLoader(
        batches,
        batch_size=None,
        sampler=sampler,
        num_workers=num_workers,
        worker_init_fn=live_as_long_as_the_run,
        pin_memory=torch.cuda.is_available(),
        # `iter()` draws a seed for the workers; from the global generator it would change the run.
        generator=torch.Generator(),
        **workers,
    )
