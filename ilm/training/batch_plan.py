"""Which examples make up optimizer step k of a run, and which of those each micro-batch of each rank takes.

1. An order (`ilm.training.sampling`) gives the examples of each epoch.
2. An epoch is cut into micro-batches: of `batch_size` examples or, if batches are bounded in tokens, of whole blocks. A
   block is the longest run of examples with at most `block_tokens` tokens.
3. A step is the next `accumulate * world_size` micro-batches, of which micro-batch m of rank r is number
   m * world_size + r. The last, partial step of an epoch is kept.

The examples of a step depend on its size, never on how it is divided: a batch of at most 8,192 tokens is 8 blocks of
1,024, and 2 such batches on 4 ranks are the same step as 8 on one. No batch exceeds its limit; most stay a few per cent
below it, because the next example did not fit.

Memory: the order of one epoch (4 bytes per example).
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple, Protocol

import numpy as np

from ilm.config.train import BLOCK_TOKENS
from ilm.examples.lengths import ExampleCounts
from ilm.training.sampling import Order

EXAMPLES_AT_A_TIME = 2**20


class Counted(Protocol):
    """Counts tokens and targets, as `ilm.examples.dataset.InfillingDataset` does."""

    def counts_of(self, numbers: np.ndarray) -> ExampleCounts:
        """Tokens and targets of these examples, int64."""


class _Epoch(NamedTuple):
    """An epoch's examples in order; micro-batch m is `examples[begins[m]:begins[m + 1]]`."""

    number: int
    examples: np.ndarray
    begins: np.ndarray

    def part(self, first: int, count: int) -> slice:
        """The slice of `examples` with `count` micro-batches from `first` on; shorter at the end of the epoch."""
        last = len(self.begins) - 1
        return slice(int(self.begins[min(first, last)]), int(self.begins[min(first + count, last)]))


class StepPlan:
    """The steps of a run: a pure function of (order, step).

    A micro-batch has at most `max_tokens` tokens, a multiple of `block_tokens`, or without that `batch_size` examples;
    `store` counts the tokens and targets of each example.

    Raises: ValueError if an epoch is empty, or an example is longer than a block.
    """

    def __init__(
        self,
        order: Order,
        store: Counted,
        *,
        batch_size: int = 1,
        max_tokens: int | None = None,
        block_tokens: int = BLOCK_TOKENS,
        accumulate: int = 1,
        world_size: int = 1,
    ):
        self.order, self.store = order, store
        self.accumulate, self.world_size = accumulate, world_size
        self._batch_size, self._max_tokens, self._block_tokens = batch_size, max_tokens, block_tokens
        self._batches_per_step = accumulate * world_size
        # Steps before each epoch, for the epochs needed so far; and the epoch used last.
        self._first_steps = [0]
        self._epoch: _Epoch | None = None

    @property
    def size(self) -> dict[str, int]:
        """The largest step: `examples_per_step` or `tokens_per_step`."""
        if self._max_tokens is None:
            return {"examples_per_step": self._batch_size * self._batches_per_step}
        return {"tokens_per_step": self._max_tokens * self._batches_per_step}

    def step(self, step: int) -> np.ndarray:
        """The example numbers of optimizer step `step` (from 0), over all micro-batches and ranks."""
        epoch, first = self._place(step)
        return epoch.examples[epoch.part(first, self._batches_per_step)]

    def share(self, step: int, micro_batch: int, rank: int) -> np.ndarray:
        """The example numbers of micro-batch `micro_batch` (0..accumulate-1) of a rank in a step."""
        epoch, first = self._place(step)
        return epoch.examples[epoch.part(first + micro_batch * self.world_size + rank, 1)]

    def steps_of_epochs(self, epochs: int, most: int | None = None) -> int:
        """Optimizer steps of the first `epochs` epochs, at most `most`."""
        while len(self._first_steps) <= epochs and (most is None or self._first_steps[-1] < most):
            self._add_epoch()
        steps = self._first_steps[min(epochs, len(self._first_steps) - 1)]
        return steps if most is None else min(steps, most)

    def epochs_until(self, steps: int) -> float:
        """The first `steps` steps in epochs."""
        if steps == self._first_steps[-1]:
            # The run ends before the next epoch, whose examples need not be opened.
            return float(len(self._first_steps) - 1)
        number = self._epoch_of(steps)
        begin, end = self._first_steps[number : number + 2]
        return number + (steps - begin) / (end - begin)

    def means(self) -> tuple[float, float]:
        """Mean examples and tokens per step in the first epoch."""
        epoch, steps = self._load(0), self.steps_of_epochs(1)
        tokens = sum(int(counts.lengths.sum()) for counts in self._counts(epoch))
        return len(epoch.examples) / steps, tokens / steps

    def description(self) -> str:
        """The size of a step, in words."""
        examples, tokens = self.means()
        if self._max_tokens is None:
            return f"{self.size['examples_per_step']} examples ({tokens:,.0f} tokens on average)"
        most = self.size["tokens_per_step"]
        average = f"on average {tokens:,.0f} in {examples:,.1f} examples"
        return f"at most {most:,} tokens, whatever data.batch_size is ({average})"

    def first_step_reaching(self, targets: int, kinds: Sequence[str]) -> int:
        """The smallest number of steps with at least `targets` targets of these `kinds` (context, infill) in total.

        Raises: ValueError if an epoch has no targets.
        """
        done = 0
        for number in count():
            if done >= targets:
                return self.steps_of_epochs(number)
            epoch = self._load(number)
            of_each = np.concatenate(
                [sum(getattr(counts, f"{kind}_targets") for kind in kinds) for counts in self._counts(epoch)]
            )
            reached = done + np.add.reduceat(of_each, epoch.begins[: -1 : self._batches_per_step]).cumsum()
            if reached[-1] == done:
                raise ValueError("an epoch has no targets, so no number of steps reaches any")
            if reached[-1] >= targets:
                return self.steps_of_epochs(number) + int(np.searchsorted(reached, targets)) + 1
            done = int(reached[-1])
        raise AssertionError("there is always a next epoch")

    def _counts(self, epoch: _Epoch) -> Iterator[ExampleCounts]:
        """Counts of the examples of an epoch, in parts."""
        for begin in range(0, len(epoch.examples), EXAMPLES_AT_A_TIME):
            yield self.store.counts_of(epoch.examples[begin : begin + EXAMPLES_AT_A_TIME])

    def _place(self, step: int) -> tuple[_Epoch, int]:
        """The epoch of a step, and the index within it of the step's first micro-batch."""
        number = self._epoch_of(step)
        return self._load(number), (step - self._first_steps[number]) * self._batches_per_step

    def _epoch_of(self, step: int) -> int:
        while self._first_steps[-1] <= step:
            self._add_epoch()
        return bisect_right(self._first_steps, step) - 1

    def _add_epoch(self) -> None:
        number = len(self._first_steps) - 1
        if self._max_tokens is None:
            n_batches = -(-self.order.examples_in(number) // self._batch_size)
        else:
            n_batches = len(self._load(number).begins) - 1
        if not n_batches:
            raise ValueError(f"epoch {number} has no examples")
        self._first_steps.append(self._first_steps[-1] + -(-n_batches // self._batches_per_step))

    def _load(self, number: int) -> _Epoch:
        if self._epoch is None or self._epoch.number != number:
            self._epoch = None  # frees its memory first
            examples = self.order.epoch(number)
            if self._max_tokens is None:
                begins = np.append(np.arange(0, len(examples), self._batch_size), len(examples))
            else:
                blocks = _block_begins(examples, self.store, self._block_tokens)
                begins = np.append(blocks[: -1 : self._max_tokens // self._block_tokens], blocks[-1])
            self._epoch = _Epoch(number, examples, begins)
        return self._epoch


def _block_begins(examples: np.ndarray, store: Counted, block_tokens: int) -> np.ndarray:
    """Where each block of at most `block_tokens` tokens begins, then the end of the last one."""
    begins, here = array("i", [0]), 0
    while here < len(examples):
        window = examples[here : here + max(EXAMPLES_AT_A_TIME, 2 * block_tokens)]
        is_last = here + len(window) == len(examples)
        # bisect is faster on a memoryview than on an array; NumPy declares the buffer protocol from Python 3.12 on.
        ends: Sequence[int] = memoryview(np.cumsum(store.counts_of(window).lengths))  # type: ignore[arg-type]
        n, begin, filled = len(ends), 0, 0
        while begin < n:
            # Examples are not empty, so a block has at most as many examples as tokens.
            end = bisect_right(ends, filled + block_tokens, begin, min(n, begin + block_tokens))
            if end == begin:
                longest = ends[begin] - filled
                raise ValueError(f"an example of {longest} tokens does not fit in a block of {block_tokens}")
            if end == n and not is_last:
                break  # the block may continue beyond the window
            begins.append(here + end)
            begin, filled = end, ends[end - 1]
        here = begins[-1]
    return np.frombuffer(begins, dtype=np.intc)
