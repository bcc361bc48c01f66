"""Which examples an epoch of a run holds, and in which order: pure functions of (seed, epoch).

The data order depends on nothing else, neither on batch sizes nor on ranks and workers.
"""

from typing import Protocol

import numpy as np

from ilm.hashing import order_key


class Order(Protocol):
    """Epoch number (from 0) to example numbers. Epochs may differ in length; an example may come more than once."""

    def epoch(self, number: int) -> np.ndarray:
        """The example numbers of an epoch in order, an integer array that the caller does not write to."""

    def examples_in(self, number: int) -> int:
        """`len(self.epoch(number))`, where possible without drawing the epoch."""


class Shuffled:
    """All examples 0..n_examples-1 once an epoch, in an order drawn from (seed, epoch).

    Raises: ValueError if there are no examples.
    """

    def __init__(self, n_examples: int, seed: int):
        if n_examples < 1:
            raise ValueError("a run needs at least one example")
        self.n_examples, self.seed = n_examples, seed

    def epoch(self, number: int) -> np.ndarray:
        order = np.arange(self.n_examples, dtype=np.int32)
        epoch_generator(self.seed, number).shuffle(order)
        return order

    def examples_in(self, number: int) -> int:
        return self.n_examples


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """What an order draws epoch `epoch` with."""
    return np.random.default_rng([order_key(seed, "order"), epoch])
