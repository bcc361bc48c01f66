"""Which examples make micro-batch k of a run, and how they lie in rows without padding.

1. Each epoch is a permutation of the E examples drawn from (seed, epoch).
2. It is cut into optimizer steps of `batch_size * accumulate * world_size` examples; the last, partial step is kept.
3. A step is cut into micro-batches: number m of rank r takes the next `batch_size` examples. All of a step is laid
   out wherever one of its micro-batches is made, so each carries the step's target totals before it is computed.
4. The examples of a micro-batch are laid end to end in rows of at most `row_tokens` tokens, positions restarting at
   0 for each, never cut across rows.

So micro-batch k is a pure function of (seed, k): resuming is starting at k, whatever happened before, and the data
order depends neither on workers nor, step by step, on ranks.

Legend: E examples, T tokens in a row, N targets in a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from ilm.examples.layout import Example, TargetType
from ilm.examples.store import ExampleStore
from ilm.hashing import order_key

LEARNED = (TargetType.CONTEXT, TargetType.INFILL, TargetType.INFILL_SPECIAL, TargetType.INFILL_REDUNDANT)


@dataclass(frozen=True)
class Row:
    """Examples end to end: one padding-free forward pass.

    `input_ids`, `position_ids` int64 (1, T). For each of N targets: `predictors` int64 (N,), the index in the row of
    the token before it, whose logits predict it; `targets` int64 (N,), its id; `target_types` uint8 (N,);
    `answer_types` int8 (N,), see `Example`; `examples` int64 (N,), the number within the batch of its example.
    `boundaries` int32 (examples + 1,): 0, then where each of the row's examples ends; `longest` tokens has the longest.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    predictors: torch.Tensor
    targets: torch.Tensor
    target_types: torch.Tensor
    answer_types: torch.Tensor
    examples: torch.Tensor
    boundaries: torch.Tensor
    longest: int

    def to(self, device: torch.device, **kwargs) -> "Row":
        return replace(self, **{name: tensor.to(device, **kwargs) for name, tensor in self._tensors()})

    def pin_memory(self) -> "Row":
        return replace(self, **{name: tensor.pin_memory() for name, tensor in self._tensors()})

    def _tensors(self) -> list[tuple[str, torch.Tensor]]:
        return [(f.name, getattr(self, f.name)) for f in fields(self) if f.name != "longest"]


@dataclass(frozen=True)
class MicroBatch:
    """The rows of micro-batch `index` of a rank, its example `numbers` (E,), and what the step around it holds."""

    index: int
    rows: tuple[Row, ...]
    numbers: np.ndarray
    step: "StepCounts"

    def to(self, device: torch.device, **kwargs) -> "MicroBatch":
        return replace(self, rows=tuple(row.to(device, **kwargs) for row in self.rows))

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


class StepPlan:
    """The examples of every optimizer step of a run: a pure function of (seed, step).

    Raises: ValueError if there are no examples.
    """

    def __init__(self, n_examples: int, *, batch_size: int, accumulate: int = 1, world_size: int = 1, seed: int = 0):
        if n_examples < 1:
            raise ValueError("a run needs at least one example")
        self.n_examples, self.batch_size, self.seed = n_examples, batch_size, seed
        self.accumulate, self.world_size = accumulate, world_size
        self.examples_per_step = batch_size * accumulate * world_size
        self.steps_per_epoch = -(-n_examples // self.examples_per_step)
        self._epoch, self._order = -1, np.zeros(0, dtype=np.int64)

    def step(self, step: int) -> np.ndarray:
        """The example numbers of optimizer step `step` (from 0), of all its micro-batches and ranks."""
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = np.random.default_rng([order_key(self.seed, "order"), epoch])
            self._epoch, self._order = epoch, generator.permutation(self.n_examples)
        begin = step_in_epoch * self.examples_per_step
        return self._order[begin : begin + self.examples_per_step]

    def share(self, micro_batch: int, rank: int) -> slice:
        """Which part of a step's examples micro-batch `micro_batch` (0..accumulate-1) of a rank takes."""
        begin = (micro_batch * self.world_size + rank) * self.batch_size
        return slice(begin, begin + self.batch_size)


class MicroBatches(Dataset):
    """Micro-batches 0, 1, ... of a run for one rank, as a map-style dataset (see the top of the file).

    `level_codes[row]` is the number of a document row's level, below `n_levels`.
    """

    def __init__(
        self,
        store: ExampleStore,
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
        examples = [self.store[int(number)] for number in numbers]
        share = self.plan.share(micro_batch, self.rank)
        return MicroBatch(index, pack(examples[share], self.row_tokens), numbers[share], self._count(numbers, examples))

    def _count(self, numbers: np.ndarray, examples: Sequence[Example]) -> StepCounts:
        learned = [_learned_types(example) for example in examples]
        context = sum(int((types == TargetType.CONTEXT).sum()) for types in learned)
        targets = np.array([len(types) for types in learned])
        levels = self.level_codes[[self.store.key(int(number)).document for number in numbers]]
        return StepCounts(
            examples=len(examples),
            tokens=sum(len(example.input_ids) for example in examples),
            context_targets=context,
            infill_targets=int(targets.sum()) - context,
            level_targets=np.bincount(levels, weights=targets, minlength=self.n_levels).astype(np.int64),
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


def row_length(asked: int | None, device: torch.device, max_length: int) -> int:
    """Tokens in a row: as asked, else what is fast on the device, and enough for the longest example.

    Attention is computed over whole rows, so a CPU is faster on short ones and a GPU on few.
    """
    return asked if asked is not None else max(max_length, 4096 if device.type == "cuda" else 512)


def pack(examples: Sequence[Example], row_tokens: int) -> tuple[Row, ...]:
    """Lay examples end to end, in order, in rows of at most `row_tokens` tokens; rows without a target are left out.

    Raises: ValueError if an example alone is longer than a row.
    """
    rows: list[list[int]] = []
    filled = row_tokens
    for number, example in enumerate(examples):
        length = len(example.input_ids)
        if length > row_tokens:
            raise ValueError(f"an example of {length} tokens does not fit in a row of {row_tokens}")
        if filled + length > row_tokens:
            rows.append([])
            filled = 0
        rows[-1].append(number)
        filled += length
    return tuple(row for row in (_row(examples, numbers) for numbers in rows) if len(row.targets))


def _row(examples: Sequence[Example], numbers: list[int]) -> Row:
    lengths = np.array([len(examples[number].input_ids) for number in numbers])
    ids = np.concatenate([examples[number].input_ids for number in numbers]).astype(np.int64)
    types = np.concatenate([examples[number].target_types for number in numbers])
    answers = np.concatenate([examples[number].answer_types for number in numbers])
    example_of = np.repeat(np.array(numbers, dtype=np.int64), lengths)
    firsts = np.cumsum(lengths) - lengths
    positions = np.arange(len(ids)) - np.repeat(firsts, lengths)
    # The first token of an example has nothing before it to be predicted from.
    chosen = np.flatnonzero(np.isin(types, LEARNED) & (positions > 0))
    boundaries = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    arrays = (chosen - 1, ids[chosen], types[chosen], answers[chosen], example_of[chosen], boundaries)
    tensors = (torch.from_numpy(array) for array in arrays)
    return Row(torch.from_numpy(ids)[None], torch.from_numpy(positions)[None], *tensors, int(lengths.max()))


def _learned_types(example: Example) -> np.ndarray:
    """The target types of the tokens of an example that count in the loss."""
    types = example.target_types[1:]
    return types[np.isin(types, LEARNED)]
