"""Examples under other masks each epoch: one store per epoch, numbered one after the other.

An epoch is opened when something first asks for it, which draws its masks where no run has had them before; so a run
makes the epochs that it plans its steps of, and no more. Nothing is read but the examples asked for.
"""

from collections.abc import Callable

import numpy as np

from ilm.examples.dataset import ExampleKey, ExampleStore
from ilm.examples.layout import Example, Examples
from ilm.examples.lengths import ExampleCounts


class EpochStores:
    """The examples of a run's epochs: those of epoch e have the numbers `numbers(e)`, behind those of epoch e - 1.

    `open_epoch(e)` opens the store of an epoch. Stores may differ in length, since other examples are dropped. To what
    trains, this is an `ExampleStore`: `lay_out`, `keys`, `key`, `counts_of`, `max_length`.
    """

    def __init__(self, open_epoch: Callable[[int], ExampleStore]):
        self._open_epoch = open_epoch
        self._stores: list[ExampleStore] = []
        self._ends = [0]
        self.max_length = self.epoch(0).max_length

    def epoch(self, number: int) -> ExampleStore:
        """The store of an epoch (from 0)."""
        while len(self._stores) <= number:
            self._stores.append(self._open_epoch(len(self._stores)))
            self._ends.append(self._ends[-1] + len(self._stores[-1]))
        return self._stores[number]

    def numbers(self, epoch: int) -> range:
        """The example numbers of an epoch."""
        self.epoch(epoch)
        return range(self._ends[epoch], self._ends[epoch + 1])

    def counts_of(self, numbers: np.ndarray) -> ExampleCounts:
        """What some examples of one epoch hold, as int64."""
        store, within = self._place(numbers)
        return store.counts_of(within)

    def lay_out(self, numbers: np.ndarray) -> Examples:
        """Some examples of one epoch laid out end to end."""
        store, within = self._place(numbers)
        return store.lay_out(within)

    def keys(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The document of each of some examples of one epoch, and which of its masks of that epoch."""
        store, within = self._place(numbers)
        return store.keys(within)

    def key(self, number: int) -> ExampleKey:
        """The document of example `number`, and which of its masks of that epoch."""
        store, within = self._place(np.array([number]))
        return store.key(int(within[0]))

    def __getitem__(self, number: int) -> Example:
        return self.lay_out(np.array([number]))[0]

    def _place(self, numbers: np.ndarray) -> tuple[ExampleStore, np.ndarray]:
        """The store that some examples are of, and their numbers in it.

        Raises: ValueError if they are of several epochs.
        """
        if not len(numbers):
            return self.epoch(0), numbers
        epochs = np.searchsorted(self._ends, (numbers.min(), numbers.max()), side="right") - 1
        if epochs[0] != epochs[1]:
            raise ValueError("examples of several epochs: a step is of one")
        return self._stores[epochs[0]], numbers - self._ends[epochs[0]]
