"""Lightning's DataModule: the training, validation and test data of a planned run.

Micro-batch k is a pure function of (plan, k) (`ilm.training.micro_batches`): resuming means starting at k, and the data
order depends neither on workers nor, step by step, on ranks.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, DistributedSampler

from ilm.errors import UserError
from ilm.models.packing import pack, row_length
from ilm.training.lightning import trainer_of
from ilm.training.micro_batches import MicroBatchDataset, init_worker

if TYPE_CHECKING:
    from ilm.training.plan import RunPlan

# Batches that each worker keeps ready, so that brief load on the machine does not delay training.
PREFETCH_FACTOR = 16


class RangeSampler(DistributedSampler[int]):
    """Yields the `numbers` from `start` on, of which `len()` counts all: Lightning counts the batches of a whole run.

    `iter()` keeps `start`, since a DataLoader with workers calls it twice. Being a DistributedSampler keeps Lightning
    from replacing it: the numbers are already those of one rank. (torch's own repeats some, for ranks of equal length.)
    """

    def __init__(self, numbers: range, start: int = 0):
        self.numbers, self.start = numbers, start

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers[self.start :])

    def __len__(self) -> int:
        return len(self.numbers)


class InfillingDataModule(pl.LightningDataModule):
    """The training, validation and test data of a planned run.

    The whole run is one Lightning epoch, because Lightning resumes exactly only within an epoch; a resumed run starts
    at optimizer step `first_step`. The trainer gives the rank and, if `data.row_tokens` is null, its device the row
    length. `evaluation_batch_size`, in examples, affects no result.
    """

    def __init__(self, plan: "RunPlan", first_step: int = 0, evaluation_batch_size: int = 64):
        super().__init__()
        self.run, self.evaluation_batch_size = plan, evaluation_batch_size
        self.batches = MicroBatchDataset(plan.train, plan.steps, plan.level_codes, len(plan.levels))
        self.validation = [plan.valid[int(number)] for number in plan.validation]
        accumulate = plan.steps.accumulate
        self.sampler = RangeSampler(range(plan.total_steps * accumulate), first_step * accumulate)

    @property
    def row_tokens(self) -> int:
        """Tokens in a row on the training device."""
        device = trainer_of(self).strategy.root_device
        return row_length(self.run.settings.data.row_tokens, device, self.batches.dataset.max_tokens)

    def train_dataloader(self) -> DataLoader:
        trainer, plan = trainer_of(self), self.batches.plan
        if (trainer.accumulate_grad_batches, trainer.world_size) != (plan.accumulate, plan.world_size):
            raise UserError(
                f"The trainer has accumulate_grad_batches={trainer.accumulate_grad_batches} and {trainer.world_size} "
                f"processes, but the run was planned for {plan.accumulate} and {plan.world_size}. Plan it with "
                "trainer.accumulate_grad_batches=N, and trainer=ddp trainer.devices=N."
            )
        batches = replace(self.batches, row_tokens=self.row_tokens, rank=trainer.global_rank)
        return micro_batch_loader(batches, self.sampler, self.run.settings.data.num_workers)

    def val_dataloader(self) -> DataLoader:
        return self._evaluation_loader(self.validation)

    def test_dataloader(self) -> DataLoader:
        return self._evaluation_loader(self.run.test())

    def _evaluation_loader(self, examples: Any) -> DataLoader:
        trainer = trainer_of(self)
        return DataLoader(
            examples,
            self.evaluation_batch_size,
            sampler=RangeSampler(range(len(examples))[trainer.global_rank :: trainer.world_size]),
            collate_fn=partial(pack, row_tokens=self.row_tokens),
            generator=torch.Generator(),
        )


def micro_batch_loader(batches: MicroBatchDataset, sampler: RangeSampler, num_workers: int) -> DataLoader:
    """A loader of micro-batches from `sampler.start` on; without workers they are made in this process."""
    workers: dict[str, Any] = {}
    if num_workers:
        # Drawing the first epoch here lets forked workers share its memory, as they share the datasets'. Python 3.14 no
        # longer forks by default, and would send copies.
        batches.plan.step(sampler.start // batches.plan.accumulate)
        context = "fork" if sys.platform == "linux" else None
        workers = {"multiprocessing_context": context, "prefetch_factor": PREFETCH_FACTOR}
    return DataLoader(
        batches,
        batch_size=None,
        sampler=sampler,
        num_workers=num_workers,
        worker_init_fn=init_worker,
        pin_memory=torch.cuda.is_available(),
        # `iter()` draws a seed for the workers; drawn from the global generator, it would change the run.
        generator=torch.Generator(),
        **workers,
    )
