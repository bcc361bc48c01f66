"""The order of examples in each epoch, and random subsets of texts.

Both are pure functions: an order of (seed, epoch), a subset of (split seed, level, draw). Neither depends on batch
sizes, ranks or workers.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from ilm.hashing import order_key

TEXTS_AT_A_TIME = 10_000


class Order(Protocol):
    """Maps epoch numbers (from 0) to example numbers. Epochs may differ in length; an example may be repeated."""

    def epoch(self, number: int) -> np.ndarray:
        """The example numbers of an epoch in order: an integer array, not to be modified."""

    def examples_in(self, number: int) -> int:
        """`len(self.epoch(number))`, if possible without drawing the epoch."""


def drawn_until(
    pool: np.ndarray, key: Callable[[int], int], targets: int, targets_of: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Document rows drawn from `pool` until they have at least `targets` infill targets; sorted.

    Rows are drawn in the order of `key`; `targets_of` returns the infill targets of each of several rows.
    """
    order, held = np.array(sorted(pool.tolist(), key=key), dtype=np.int64), 0
    for begin in range(0, len(order), TEXTS_AT_A_TIME):
        reached = held + np.cumsum(targets_of(order[begin : begin + TEXTS_AT_A_TIME]))
        if reached[-1] >= targets:
            return np.sort(order[: begin + int(np.searchsorted(reached, targets)) + 1])
        held = int(reached[-1])
    return pool


class Shuffled:
    """Every example once per epoch, in an order drawn from (seed, epoch).

    `examples` is their number or, if each epoch has its own (`ilm.examples.dataset.ResampledDataset`), a function from
    an epoch to its example numbers.
    """

    def __init__(self, examples: int | Callable[[int], range], seed: int):
        self.examples, self.seed = examples, seed

    def epoch(self, number: int) -> np.ndarray:
        numbers = self._numbers(number)
        order = np.arange(numbers.start, numbers.stop, dtype=np.int32 if numbers.stop < 2**31 else np.int64)
        np.random.default_rng([order_key(self.seed, "order"), number]).shuffle(order)
        return order

    def examples_in(self, number: int) -> int:
        return len(self._numbers(number))

    def _numbers(self, epoch: int) -> range:
        return self.examples(epoch) if callable(self.examples) else range(self.examples)


class Balanced:
    """Equally many examples of each level: example k of the run is of level k modulo the number of levels.

    So any stretch of a run, such as a step, has equally many examples of each level, give or take one. A level's
    examples come in passes: each pass is all of them once, in an order drawn from (seed, level, pass), and passes
    continue across epochs. An epoch has as many examples as with `Shuffled`: it repeats a small level and covers only
    part of a large one.

    `level_codes` int (E,) is the level of each example.
    """

    def __init__(self, level_codes: np.ndarray, seed: int):
        self.n_examples, self.seed = len(level_codes), seed
        self.codes = np.unique(level_codes)
        self._members = [np.flatnonzero(level_codes == code).astype(np.int32) for code in self.codes]

    def epoch(self, number: int) -> np.ndarray:
        begin, levels = number * self.n_examples, len(self.codes)
        order = np.empty(self.n_examples, dtype=np.int32)
        for level in range(levels):
            first = (level - begin) % levels
            order[first::levels] = self._drawn(level, (begin + first) // levels, len(order[first::levels]))
        return order

    def examples_in(self, number: int) -> int:
        return self.n_examples

    def times_seen(self, epochs: float) -> dict[int, float]:
        """By level code, how often its examples occur in this many epochs, on average."""
        of_each = epochs * self.n_examples / len(self.codes)
        return {int(code): of_each / len(members) for code, members in zip(self.codes, self._members, strict=True)}

    def _drawn(self, level: int, begin: int, count: int) -> np.ndarray:
        """Examples begin..begin+count-1 of a level's consecutive passes."""
        members = self._members[level]
        first, last = begin // len(members), -(-(begin + count) // len(members))
        key = order_key(self.seed, "order", int(self.codes[level]))
        passes = [np.random.default_rng([key, number]).permutation(members) for number in range(first, last)]
        drawn = np.concatenate(passes) if passes else members[:0]
        return drawn[begin - first * len(members) :][:count]
