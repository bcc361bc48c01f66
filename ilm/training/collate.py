"""Micro-batches: the examples that one process computes at once, in rows without padding.

1. A plan (`ilm.training.batch_plan`) tells the examples of every optimizer step, and which a micro-batch takes.
2. Only those are laid out; what the whole step holds is known from the survey of the store, so every micro-batch
   carries the step's target totals.
3. They are laid end to end in rows of at most `row_tokens` tokens (`ilm.models.packing`).

So micro-batch k is a pure function of (plan, k): resuming is starting at k, whatever happened before, and the data
order depends neither on workers nor, step by step, on ranks.

Legend: E examples.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from ilm.examples.dataset import InfillingDataset
from ilm.models.packing import Row, pack
from ilm.training.batch_plan import StepPlan


@dataclass(frozen=True)
class MicroBatch:
    """The rows of micro-batch `index` of a rank, its example `numbers` (E,), and what the step around it holds."""

    index: int
    rows: tuple[Row, ...]
    numbers: np.ndarray
    step: "StepCounts"

    def to(self, device: torch.device) -> "MicroBatch":
        return replace(self, rows=tuple(row.to(device) for row in self.rows))

    def pin_memory(self) -> "MicroBatch":
        return replace(self, rows=tuple(row.pin_memory() for row in self.rows))


@dataclass(frozen=True)
class StepCounts:
    """What a whole optimizer step holds, over all its micro-batches and ranks.

    `context_targets` and `infill_targets` (INFILL, INFILL_SPECIAL, INFILL_REDUNDANT) are what the loss is divided by;
    `level_targets` int64 (levels,) counts both by the level of their document; `tokens` are real ones.
    """

    examples: int
    tokens: int
    context_targets: int
    infill_targets: int
    level_targets: np.ndarray


class MicroBatches(Dataset):
    """Micro-batches 0, 1, ... of a run for one rank, as a map-style dataset (see the top of the file).

    `level_codes[row]` is the number of a document row's level, below `n_levels`.
    """

    def __init__(
        self,
        store: InfillingDataset,
        plan: StepPlan,
        *,
        row_tokens: int,
        rank: int = 0,
        level_codes: np.ndarray,
        n_levels: int,
    ):
        self.store, self.plan, self.row_tokens, self.rank = store, plan, row_tokens, rank
        self.level_codes, self.n_levels = level_codes, n_levels

    def __getitem__(self, index: int) -> MicroBatch:
        step, micro_batch = divmod(index, self.plan.accumulate)
        numbers = self.plan.step(step)
        own = numbers[self.plan.share(step, micro_batch, self.rank)]
        return MicroBatch(index, pack(self.store.lay_out(own), self.row_tokens), own, self._count(numbers))

    def _count(self, numbers: np.ndarray) -> StepCounts:
        counts, (documents, _) = self.store.counts_of(numbers), self.store.keys(numbers)
        targets = counts.context_targets + counts.infill_targets
        levels = np.bincount(self.level_codes[documents], weights=targets, minlength=self.n_levels)
        return StepCounts(
            examples=len(numbers),
            tokens=int(counts.lengths.sum()),
            context_targets=int(counts.context_targets.sum()),
            infill_targets=int(counts.infill_targets.sum()),
            level_targets=levels.astype(np.int64),
        )


class ResumableRange(Sampler[int]):
    """start..stop-1. `iter()` does not consume `start`, since a DataLoader with workers calls it twice.

    `len()` is always `stop`: Lightning counts the batches of the whole run, also of a resumed one.
    """

    def __init__(self, stop: int):
        self.start, self.stop = 0, stop

    def __iter__(self):
        return iter(range(self.start, self.stop))

    def __len__(self) -> int:
        return self.stop
