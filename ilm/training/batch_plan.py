"""Which examples make optimizer step k of a run, and which of them a micro-batch of a rank takes.

1. An order (`ilm.training.sampling`) tells the examples of each epoch.
2. An epoch is cut into micro-batches: of `batch_size` examples or, where batches are bounded in tokens, of whole
   blocks, a block being the longest run of examples of at most `block_tokens` tokens.
3. A step is the next `accumulate * world_size` micro-batches; number m of rank r takes number m * world_size + r of
   them. The last, partial step of an epoch is kept.

What a step holds depends on its size, never on how it is divided: a batch of at most 8,192 tokens is 8 blocks of 1,024,
and 2 such batches of 4 ranks are the same step as 8 of one. As a block is at most full, no batch is above its limit;
most are a few per cent below, since the next example did not fit.

Memory is one epoch's order (4 bytes an example), whatever epoch a run is in.
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
    """Knows what examples hold, such as `ilm.examples.dataset.InfillingDataset`."""

    def counts_of(self, numbers: np.ndarray) -> ExampleCounts:
        """What some examples hold, as int64."""


class _Epoch(NamedTuple):
    """The examples of an epoch in order; micro-batch m is `examples[begins[m]:begins[m + 1]]`."""

    number: int
    examples: np.ndarray
    begins: np.ndarray

    def part(self, first: int, count: int) -> slice:
        """Where `count` micro-batches from `first` on lie in `examples`; there are none after the last."""
        last = len(self.begins) - 1
        return slice(int(self.begins[min(first, last)]), int(self.begins[min(first + count, last)]))


class StepPlan:
    """The steps of a run: a pure function of (order, step).

    `store` says what each example holds. A micro-batch is at most `batch_size` examples or, where `max_tokens` is
    given, at most so many tokens, a multiple of `block_tokens`.

    Raises: ValueError if both or neither are given, or tokens are no multiple; later, if an example is longer than a
    block, or an epoch is empty.
    """

    def __init__(
        self,
        order: Order,
        store: Counted,
        *,
        batch_size: int | None = None,
        max_tokens: int | None = None,
        block_tokens: int = BLOCK_TOKENS,
        accumulate: int = 1,
        world_size: int = 1,
    ):
        if (batch_size is None) == (max_tokens is None):
            raise ValueError("a micro-batch is bounded in examples or in tokens: give one of the two")
        if max_tokens is not None and max_tokens % block_tokens:
            raise ValueError(f"{max_tokens} tokens are no multiple of a block of {block_tokens}")
        self.order, self.store = order, store
        self.accumulate, self.world_size = accumulate, world_size
        self._batch_size, self._max_tokens, self._block_tokens = batch_size, max_tokens, block_tokens
        self._batches_per_step = accumulate * world_size
        # Steps before each epoch, as far as anything has asked, and the epoch last looked into.
        self._first_steps = [0]
        self._epoch: _Epoch | None = None

    @property
    def size(self) -> dict[str, int]:
        """What a whole step holds at most: `examples_per_step` or `tokens_per_step`."""
        if self._batch_size is not None:
            return {"examples_per_step": self._batch_size * self._batches_per_step}
        assert self._max_tokens is not None
        return {"tokens_per_step": self._max_tokens * self._batches_per_step}

    def step(self, step: int) -> np.ndarray:
        """The example numbers of optimizer step `step` (from 0), of all its micro-batches and ranks."""
        epoch, first = self._place(step)
        return epoch.examples[epoch.part(first, self._batches_per_step)]

    def share(self, step: int, micro_batch: int, rank: int) -> np.ndarray:
        """The example numbers that micro-batch `micro_batch` (0..accumulate-1) of a rank takes of a step."""
        epoch, first = self._place(step)
        return epoch.examples[epoch.part(first + micro_batch * self.world_size + rank, 1)]

    def steps_of_epochs(self, epochs: int, most: int | None = None) -> int:
        """Optimizer steps of the first `epochs` epochs, or `most` if they are more."""
        while len(self._first_steps) <= epochs and (most is None or self._first_steps[-1] < most):
            self._add_epoch()
        steps = self._first_steps[min(epochs, len(self._first_steps) - 1)]
        return steps if most is None else min(steps, most)

    def epochs_until(self, steps: int) -> float:
        """How many epochs the first `steps` steps are."""
        if steps == self._first_steps[-1]:
            # The next epoch is none of the run's: nothing is opened for it.
            return float(len(self._first_steps) - 1)
        number = self._epoch_of(steps)
        begin, end = self._first_steps[number : number + 2]
        return number + (steps - begin) / (end - begin)

    def examples_until(self, steps: int) -> int:
        """How many examples the first `steps` steps hold."""
        if steps == self._first_steps[-1]:
            return sum(self.order.examples_in(number) for number in range(len(self._first_steps) - 1))
        epoch, first = self._place(steps)
        return sum(self.order.examples_in(number) for number in range(epoch.number)) + epoch.part(first, 0).start

    def means(self) -> tuple[float, float]:
        """Examples and tokens of a step, on average over the first epoch."""
        epoch, steps = self._load(0), self.steps_of_epochs(1)
        tokens = sum(int(counts.lengths.sum()) for counts in self._counts(epoch))
        return len(epoch.examples) / steps, tokens / steps

    def description(self) -> str:
        """What a step is, for a person."""
        examples, tokens = self.means()
        if self._max_tokens is None:
            return f"{self.size['examples_per_step']} examples (on average {tokens:,.0f} tokens)"
        most = self.size["tokens_per_step"]
        return (
            f"at most {most:,} tokens, whatever data.batch_size is (on average {tokens:,.0f}, {examples:,.1f} examples)"
        )

    def first_step_reaching(self, targets: int, kinds: Sequence[str]) -> int:
        """The least number of steps that together have at least `targets` targets of the `kinds` (context, infill).

        Raises: ValueError if an epoch has no target at all.
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
                raise ValueError("an epoch without any target: no number of steps has any")
            if reached[-1] >= targets:
                return self.steps_of_epochs(number) + int(np.searchsorted(reached, targets)) + 1
            done = int(reached[-1])
        raise AssertionError("there is always a next epoch")

    def _counts(self, epoch: _Epoch) -> Iterator[ExampleCounts]:
        """What the examples of an epoch hold, a part of them at a time."""
        for begin in range(0, len(epoch.examples), EXAMPLES_AT_A_TIME):
            yield self.store.counts_of(epoch.examples[begin : begin + EXAMPLES_AT_A_TIME])

    def _place(self, step: int) -> tuple[_Epoch, int]:
        """The epoch of a step, and the number in it of the step's first micro-batch."""
        number = self._epoch_of(step)
        return self._load(number), (step - self._first_steps[number]) * self._batches_per_step

    def _epoch_of(self, step: int) -> int:
        while self._first_steps[-1] <= step:
            self._add_epoch()
        return bisect_right(self._first_steps, step) - 1

    def _add_epoch(self) -> None:
        number = len(self._first_steps) - 1
        if self._batch_size is not None:
            n_batches = -(-self.order.examples_in(number) // self._batch_size)
        else:
            n_batches = len(self._load(number).begins) - 1
        if not n_batches:
            raise ValueError(f"epoch {number} has no examples")
        self._first_steps.append(self._first_steps[-1] + -(-n_batches // self._batches_per_step))

    def _load(self, number: int) -> _Epoch:
        if self._epoch is None or self._epoch.number != number:
            self._epoch = None  # so that there are never two
            examples = self.order.epoch(number)
            if self._max_tokens is None:
                begins = np.append(np.arange(0, len(examples), self._batch_size), len(examples))
            else:
                blocks = _block_begins(examples, self.store, self._block_tokens)
                begins = np.append(blocks[: -1 : self._max_tokens // self._block_tokens], blocks[-1])
            self._epoch = _Epoch(number, examples, begins)
        return self._epoch


def _block_begins(examples: np.ndarray, store: Counted, block_tokens: int) -> np.ndarray:
    """Where blocks of at most `block_tokens` tokens begin, and the end of the last one."""
    begins, here = array("i", [0]), 0
    while here < len(examples):
        window = examples[here : here + max(EXAMPLES_AT_A_TIME, 2 * block_tokens)]
        is_last = here + len(window) == len(examples)
        # A memoryview is searched faster than an array; NumPy declares the buffer protocol from Python 3.12 on.
        ends: Sequence[int] = memoryview(np.cumsum(store.counts_of(window).lengths))  # type: ignore[arg-type]
        n, begin, filled = len(ends), 0, 0
        while begin < n:
            # No example is empty, so a block has at most as many examples as tokens.
            end = bisect_right(ends, filled + block_tokens, begin, min(n, begin + block_tokens))
            if end == begin:
                longest = ends[begin] - filled
                raise ValueError(f"an example of {longest} tokens does not fit in a block of {block_tokens}")
            if end == n and not is_last:
                break  # the block goes on behind the window
            begins.append(here + end)
            begin, filled = end, ends[end - 1]
        here = begins[-1]
    return np.frombuffer(begins, dtype=np.intc)
