"""Micro-batches of examples, packed into rows without padding, as data loaders' workers make them.

1. A plan (`ilm.training.batch_plan`) decides which examples each optimizer step and micro-batch takes.
2. Only a micro-batch's own examples are laid out. The dataset's counts give the target totals of the whole step, which
   every micro-batch carries.
3. Examples are packed into rows of at most `row_tokens` tokens (`ilm.models.packing`).

Lightning is not imported here: a worker that is spawned imports this module, and would wait for it.

Legend: E examples.
"""

import signal
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.utils.data import Dataset

from ilm.examples.dataset import InfillingDataset, ResampledDataset
from ilm.hardware import STOP_SIGNALS, end_with_parent
from ilm.models.packing import Row, pack
from ilm.training.batch_plan import StepPlan


@dataclass(frozen=True)
class MicroBatch:
    """The rows of a rank's micro-batch number `index`, its example `numbers` (E,), and the counts of its whole step."""

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
    """Counts of a whole optimizer step, over all micro-batches and ranks.

    `context_targets` and `infill_targets` (INFILL, INFILL_SPECIAL, INFILL_REDUNDANT) normalise the loss;
    `level_targets` int64 (2, levels) counts both by the document's level; `tokens` exclude padding.
    """

    examples: int
    tokens: int
    context_targets: int
    infill_targets: int
    level_targets: np.ndarray


@dataclass(frozen=True, eq=False)
class MicroBatchDataset(Dataset):
    """Micro-batches 0, 1, ... of a run for one rank, as a map-style dataset.

    `level_codes[row]` is the code, below `n_levels`, of a document row's level.
    """

    dataset: InfillingDataset | ResampledDataset
    plan: StepPlan
    level_codes: np.ndarray
    n_levels: int
    row_tokens: int = 0  # set once the device is known
    rank: int = 0

    def __getitem__(self, index: int) -> MicroBatch:
        step, micro_batch = divmod(index, self.plan.accumulate)
        numbers = self.plan.step(step)
        own = self.plan.share(step, micro_batch, self.rank)
        return MicroBatch(index, pack(self.dataset.lay_out(own), self.row_tokens), own, self._count(numbers))

    def _count(self, numbers: np.ndarray) -> StepCounts:
        counts, (documents, _) = self.dataset.counts_of(numbers), self.dataset.keys(numbers)
        levels = self.level_codes[documents]
        by_level = [
            np.bincount(levels, targets, self.n_levels) for targets in (counts.context_targets, counts.infill_targets)
        ]
        return StepCounts(
            examples=len(numbers),
            tokens=int(counts.lengths.sum()),
            context_targets=int(counts.context_targets.sum()),
            infill_targets=int(counts.infill_targets.sum()),
            level_targets=np.stack(by_level).astype(np.int64),
        )


def init_worker(worker: int) -> None:
    """A DataLoader's `worker_init_fn`: the worker ignores stop signals and ends with the run.

    Ctrl-C and scancel signal every process, and a dead worker would keep the run from finishing its step and saving.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    end_with_parent(signal.SIGKILL)  # otherwise one waiting to hand over a batch would outlive a killed run
